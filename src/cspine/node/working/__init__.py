"""Assesses what is queued, with the worker and the crash-proof reader of batches."""
