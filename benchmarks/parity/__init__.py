"""The study of sparse parity: ``python -m benchmarks parity``."""
