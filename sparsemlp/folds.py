"""Which rows each member leaves out of its training, to tell when all have trained long enough."""

from __future__ import annotations

import numpy as np


def left_out_folds(y: np.ndarray, n_members: int, seed: int, *, stratified: bool) -> np.ndarray:
    """Return for every row the member that does not see it, or -1 where all see it.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Targets.
    n_members : int
        Number of members; each leaves out one row in `n_members`.
    seed : int
        Seed of the assignment.
    stratified : bool
        Leave out every class in its proportion. The only row of a class is seen by all, and so are all rows where
        they are too few for every member to leave one out.

    Returns
    -------
    ndarray of shape (n_rows,), int64
    """
    rng = np.random.default_rng(seed)
    folds = np.full(len(y), -1)
    start = 0
    for label in np.unique(y) if stratified else [None]:
        rows = rng.permutation(np.flatnonzero(y == label) if stratified else len(y))
        if len(rows) > 1:  # consecutive rows have different members, so that each sees some of every class
            folds[rows] = (start + np.arange(len(rows))) % n_members
            start += len(rows)  # the next class goes on where this one ended, so that folds stay equally large
    return folds if start >= n_members else np.full(len(y), -1)
