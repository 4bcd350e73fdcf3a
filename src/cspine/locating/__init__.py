"""Which vertebra is which: from what a localiser says of each voxel to C1..C7 in their order along the spine."""
