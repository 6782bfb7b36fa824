"""Timelines as Temporal workflows: thin shells round the operators, with client and worker."""
