"""Scaling laws, lazy and rich: ``python -m benchmarks scaling-laws``."""
