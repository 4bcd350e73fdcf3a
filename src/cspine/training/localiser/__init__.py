"""Training of the network that finds the vertebrae: necks from a pool, augmented, one window at a time."""
