"""Benchmarks: each opens with its question, its budget and its method. `make bench` runs them all, or those named."""
