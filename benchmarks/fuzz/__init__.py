"""Damaged inputs for every reader of files: refused in one line or made again, never a traceback, a hang or a full memory."""
