"""Surfaces of bones become signed distances: reading, checking, landmarks, the anatomy file."""
