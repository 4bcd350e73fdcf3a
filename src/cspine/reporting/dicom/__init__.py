"""Objects for archives: a structured report, a segmentation, a page. One series each, in the study of the scan."""
