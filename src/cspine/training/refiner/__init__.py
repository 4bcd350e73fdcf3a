"""Training of the network that separates one vertebra from its neighbours: crops of necks, guided by coarse labels that are off."""
