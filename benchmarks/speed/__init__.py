"""Time and memory against other packages and the products alone: ``python -m benchmarks speed``."""
