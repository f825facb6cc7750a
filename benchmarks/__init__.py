"""Benchmarks: each prints the machine, the versions and ratios measured in one run."""
