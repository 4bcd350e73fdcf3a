"""Data sets of phantoms in the RSNA 2022 layout: prevalence, files, truth, and the processes that make them."""
