"""Fractures put into scans of real, intact bone: outlines, measured blur and noise, compositing, the RSNA layout."""
