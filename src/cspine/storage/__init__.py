"""Keeps files whole and checks what is read again: atomic writes and locks, JSON, dataclasses, arrays by name."""
