"""Shares the processors of this machine among threads: how many there are, pools, matrix products on one thread."""
