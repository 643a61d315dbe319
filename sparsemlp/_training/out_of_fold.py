"""Which rows each member leaves out of its training, to tell when all have trained long enough."""

from __future__ import annotations

import math

import numpy as np

# All members together leave out no more rows than this: they tell when to stop as well as more would, and are lost
# to one member each.
MAX_OUT_OF_FOLD = 10_000


def assign_members(y: np.ndarray, n_members: int, seed: int, *, stratified: bool) -> np.ndarray:
    """Return for every row the member that does not see it, or -1 where all see it.

    Every row has one, or of more than MAX_OUT_OF_FOLD so many at random.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Targets.
    n_members : int
        Number of members; they leave out equally many rows.
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
    share = min(1.0, MAX_OUT_OF_FOLD / len(y))
    start = 0
    for label in np.unique(y) if stratified else [None]:
        rows = rng.permutation(np.flatnonzero(y == label) if stratified else len(y))
        if len(rows) > 1:  # consecutive rows have different members, so that each sees some of every class
            rows = rows[: math.ceil(share * len(rows))]
            folds[rows] = (start + np.arange(len(rows))) % n_members
            start += len(rows)  # the next class goes on where this one ended, so that folds stay equally large
    return folds if start >= n_members else np.full(len(y), -1)
