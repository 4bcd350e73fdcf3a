"""Serves a network: scans come in over DICOM, results go back to archives, people work from a list."""
