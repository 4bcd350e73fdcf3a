"""Trains, evaluates and exports the networks of all families: slices, vertebrae, localiser and refiner, with teachers."""
