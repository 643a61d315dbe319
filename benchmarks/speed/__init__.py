"""Time and memory, compared with other packages and with the products alone: ``python -m benchmarks speed``."""
