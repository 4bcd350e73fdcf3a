"""Trains the families of slice networks on a lent GPU within ten minutes: see README.md beside this file."""
