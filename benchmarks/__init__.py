"""Benchmarks of sparsemlp against other classifiers; run ``python -m benchmarks --help``."""

import os

# Figures go to files. matplotlib cannot be imported where the environment names a backend that is not installed,
# as that of a notebook often is not.
os.environ["MPLBACKEND"] = "agg"
