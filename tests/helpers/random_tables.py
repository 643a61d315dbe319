"""Odd tables, targets and weights of rows, sampled at random."""

import numpy as np
import pandas as pd
from scipy import sparse

from sparsemlp import SparseInitMLPRegressor


def random_column(rng, n_rows):
    """Return one column of an odd table."""
    normal = rng.standard_normal(n_rows)
    kinds = (
        lambda: normal,
        lambda: 1e300 * normal,
        lambda: np.where(normal > 0, 1.7e308, -1.7e308),
        lambda: 1e-300 * normal,
        lambda: 5e-324 * rng.integers(0, 9, n_rows),
        lambda: np.full(n_rows, rng.choice([0.0, 1.0, -1e30, 1e308])),
        lambda: np.full(n_rows, np.nan),
        lambda: np.where(rng.random(n_rows) < 0.5, np.nan, normal),
        lambda: rng.integers(0, 3, n_rows).astype(float),
        lambda: rng.standard_cauchy(n_rows) ** 5,
        lambda: np.where(np.arange(n_rows) == 0, 1e308, 0.0),
        lambda: 1e15 + normal,
    )
    return kinds[rng.integers(len(kinds))]()


def random_table(rng, n_rows):
    """Return an odd table, in one of several forms."""
    X = np.column_stack([random_column(rng, n_rows) for _ in range(rng.integers(1, 7))])
    if rng.random() < 0.2:
        X = np.repeat(X[: max(1, n_rows // 3)], 3, axis=0)[:n_rows] if n_rows > 3 else X
    if len(X) < n_rows:
        X = np.vstack([X, X[: n_rows - len(X)]])
    form = rng.integers(5)
    if form == 0:
        return pd.DataFrame(X, columns=[f"column {i}" for i in range(X.shape[1])])
    if form == 1:
        return sparse.csr_matrix(np.nan_to_num(X, nan=0.0))
    if form == 2:
        with np.errstate(over="ignore"):
            X32 = X.astype(np.float32)
        return np.where(np.isinf(X32), np.float32(3e38), X32)
    return X


def with_categories(rng, X):
    """Return a frame of the table with one to three columns of categories, of several dtypes."""
    dense = X.toarray() if sparse.issparse(X) else np.asarray(X)
    frame = pd.DataFrame(dense, columns=[f"column {i}" for i in range(dense.shape[1])])
    for number in range(rng.integers(1, 4)):
        frame[f"category {number}"] = random_categories(rng, len(frame))
    return frame[rng.permutation(frame.columns)]


def random_categories(rng, n_rows):
    """Return a column of categories."""
    n_levels = int(rng.choice([1, 2, 3, 12, 1000]))
    codes = rng.integers(n_levels, size=n_rows)
    names = pd.Series([f"level {code}" for code in codes])
    kinds = (
        lambda: names,
        lambda: names.astype("category"),
        lambda: names.astype("category").cat.add_categories(["never seen"]),
        lambda: names.mask(rng.random(n_rows) < 0.4),
        lambda: names.astype("category").mask(rng.random(n_rows) < 0.4),
        lambda: names.mask(np.ones(n_rows, dtype=bool)).astype("category"),
        lambda: pd.Series(codes).astype("category"),
        lambda: pd.Series(codes % 2 == 0),
        lambda: names.astype("string"),
    )
    return kinds[rng.integers(len(kinds))]()


def other_rows(rng, X):
    """Return a table like `X` of one odd column again and again, and of categories that are mostly unknown."""
    numbers = random_column(rng, X.shape[0])
    if not isinstance(X, pd.DataFrame):
        return numbers[:, None] * np.ones(X.shape[1])
    new = X.copy()
    for name in X.columns:
        is_number = pd.api.types.is_float_dtype(X[name])
        new[name] = numbers if is_number else X[name].astype(object).mask(numbers > 0, "unknown")
        if X[name].dtype == bool:
            new[name] = ~X[name]
    return new


def random_targets(rng, n_rows, kind):
    """Return odd targets for a kind of estimator."""
    if kind is SparseInitMLPRegressor:
        y = rng.standard_normal(n_rows)
        y[0] *= rng.choice([1.0, 1e6, 1e150])
        with np.errstate(over="ignore", under="ignore"):
            return np.clip(y * rng.choice([1.0, 0.0, 1e30, 1e-30, 1e-308]) + rng.choice([0.0, 1e9]), -1e300, 1e300)
    y = np.arange(n_rows) % rng.integers(2, 6)
    if rng.random() < 0.3:
        y = (np.arange(n_rows) < 1).astype(int)  # a class of one row
    return rng.permutation(y if rng.random() < 0.5 else y.astype(str))


def several_targets(rng, n_rows, kind):
    """Return odd targets, or labels, of several columns."""
    n_columns = int(rng.integers(1, 5))
    if kind is SparseInitMLPRegressor:
        return np.column_stack([random_targets(rng, n_rows, kind) for _ in range(n_columns)])
    share = rng.choice([0.0, 0.02, 0.5, 1.0], size=n_columns)
    return (rng.random((n_rows, n_columns)) < share).astype(int)


def random_weights(rng, n_rows):
    """Return odd weights of rows, or None."""
    kinds = (
        None,
        None,
        rng.random(n_rows),
        (rng.random(n_rows) < 0.7).astype(float),
        1e-300 * rng.random(n_rows),
        1e300 * rng.random(n_rows),
        np.where(np.arange(n_rows) == 0, 1e12, 1e-12),
    )
    return kinds[rng.integers(len(kinds))]
