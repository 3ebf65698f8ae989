"""What the end-to-end tests and the benchmarks stand on: Baton, its clients and its upstreams."""
