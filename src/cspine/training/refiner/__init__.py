"""Training of the network that tells one vertebra from its neighbours: crops of necks, guided by coarse labels that are off."""
