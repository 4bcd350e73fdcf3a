"""Training of the network that judges vertebra by vertebra: crops of studies, changed by chance."""
