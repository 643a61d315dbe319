"""Time and memory beside other packages and the products alone: ``python -m benchmarks speed``."""
