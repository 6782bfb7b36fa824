"""The producer: makes events, for demonstrations, tests and benchmarks."""
