"""Benchmarks of sparsemlp against other classifiers; run ``python -m benchmarks --help``."""
