"""Training of the network that classifies vertebra by vertebra: crops of studies, augmented at random."""
