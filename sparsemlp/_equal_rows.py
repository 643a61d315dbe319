"""Equal rows of a table, which must be on the same side of every split."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

# Rows are hashed in blocks of about so many values.
BLOCK_VALUES = 2**17
#: of NaN, whichever of its bit patterns
NAN_BITS = np.uint64(0x7FF8000000000001)


class EqualRows(NamedTuple):
    """A table's rows as groups of equal ones."""

    #: a row of every group, (n_groups,)
    first: np.ndarray
    #: the group of every row, (n_rows,)
    group: np.ndarray
    #: number of rows in every group, (n_groups,)
    size: np.ndarray


def equal_rows(X: Any, largest: float) -> EqualRows | None:
    """Group the rows of a table that are equal, as copies of a row and those of oversampling are.

    Copies on both sides of a split would make a network that learns rows by heart look good.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_columns)
        NaN equals NaN.
    largest : float
        Largest number of rows in a group. Rows of which there are more are one group each: a table of a few
        binary columns has many equal rows, none of which is a copy.

    Returns
    -------
    EqualRows or None
        None where no rows are equal.

    Notes
    -----
    Rows are compared by a 64-bit hash: among a million rows, any two different ones are taken for equal with a
    probability of 3e-8.
    """
    keys = _hashes(X)
    in_order = np.sort(keys)
    if (in_order[1:] != in_order[:-1]).all():
        return None
    _, first, group, size = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    if size.max() > largest:
        single = np.flatnonzero(size[group] > largest)
        group[single] = len(first) + np.arange(len(single))
        _, first, group, size = np.unique(group, return_index=True, return_inverse=True, return_counts=True)
    return None if len(first) == len(keys) else EqualRows(first, group, size)


def _hashes(X: Any) -> np.ndarray:
    """Return a 64-bit number for every row: the sum of its values' hashes, each times its column's number."""
    factors = np.random.default_rng(0).integers(2**63, size=X.shape[1], dtype=np.uint64) * 2 + 1
    if sparse.issparse(X):
        sums = np.zeros(X.nnz + 1, dtype=np.uint64)
        np.cumsum(_mixed(X.data) * factors[X.indices], out=sums[1:])
        return sums[X.indptr[1:]] - sums[X.indptr[:-1]]
    n_rows = max(1, BLOCK_VALUES // max(1, X.shape[1]))
    hashes = np.empty(len(X), dtype=np.uint64)
    for rows in gen_batches(len(X), n_rows):
        hashes[rows] = (_mixed(X[rows]) * factors).sum(axis=1)
    return hashes


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return 64-bit numbers that look random, the same for equal values; 0 for 0."""
    numbers = values.astype(np.float64) + 0.0  # -0 becomes 0
    bits = numbers.view(np.uint64)
    bits[np.isnan(numbers)] = NAN_BITS
    bits ^= bits >> np.uint64(32)
    bits *= np.uint64(0xD6E8FEB86659FD93)
    bits ^= bits >> np.uint64(29)
    return bits
