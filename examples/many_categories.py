"""Measure what a random column of 1000 categories costs beside ten useful columns.

    OMP_NUM_THREADS=1 python examples/many_categories.py

Prints, for 1000 and 5000 training rows, the accuracy with the column minus that without it, in percentage points:
the mean of four seeds with its standard error. The label depends on five of ten normal columns, with noise.
"""

import numpy as np
import pandas as pd

from sparsemlp import SparseInitMLPClassifier

N_CATEGORIES, N_TEST, SEEDS = 1000, 4000, range(4)


def table(n_rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return ten useful columns and a random one, and labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 10))
    score = X[:, 0] + X[:, 1] * X[:, 2] + np.sin(2 * X[:, 3]) + 0.5 * X[:, 4]
    label = (score + 0.5 * rng.normal(size=n_rows) > 0).astype(int)
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(10)])
    frame["id"] = pd.Categorical(rng.integers(0, N_CATEGORIES, n_rows).astype(str))
    return frame, label


def cost(n_rows: int, seed: int) -> float:
    """Return the accuracy with the column minus that without it, in percentage points."""
    frame, label = table(n_rows + N_TEST, seed)
    without, beside = (
        SparseInitMLPClassifier(random_state=seed)
        .fit(X[:n_rows], label[:n_rows])
        .score(X[n_rows:], label[n_rows:])
        for X in (frame.drop(columns="id"), frame)
    )
    return 100 * (beside - without)


def main() -> None:
    """Print both sizes."""
    for n_rows in (1000, 5000):
        costs = np.array([cost(n_rows, seed) for seed in SEEDS])
        error = costs.std(ddof=1) / np.sqrt(len(costs))
        print(f"{n_rows} rows: {costs.mean():+.2f} ± {error:.2f}")


if __name__ == "__main__":
    main()
