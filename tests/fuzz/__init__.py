"""Inputs that nobody would think of: `python -m tests.fuzz --seconds N`."""
