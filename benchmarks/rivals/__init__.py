"""Other systems on the same events, each in an environment of its own; see `benchmarks.rivals.run`."""
