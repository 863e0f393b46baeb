"""Benchmarks: how fast the exchange is, beside what it could be and what it replaces. `make bench` runs them."""
