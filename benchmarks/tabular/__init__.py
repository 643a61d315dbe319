"""Classifiers and regressors on tables, tuned or not: ``python -m benchmarks tabular``."""
