"""Training of the network that finds the vertebrae: necks from a pool, changed by chance, one window at a time."""
