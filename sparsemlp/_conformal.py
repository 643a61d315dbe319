"""Prediction intervals and sets with a stated coverage, from the rows that each member has not trained on.

CV+ of Barber, Candès, Ramdas and Tibshirani 2021, *Predictive inference with the jackknife+*, Annals of Statistics
49(1), arXiv:1905.02928, section 3; for classes Romano, Sesia and Candès 2020, *Classification with valid and
adaptive coverage*, arXiv:2006.02544, section 2.3, with one minus the probability of the class as the score.
"""

from __future__ import annotations

import math

import numpy as np
from sklearn.utils import gen_batches

# Predictions and errors are combined for this many pairs at a time.
BLOCK_VALUES = 2**21


def cv_plus_intervals(prediction: np.ndarray, error: np.ndarray, coverage: float) -> np.ndarray:
    """Return an interval for every row.

    Parameters
    ----------
    prediction : ndarray of shape (n_rows, n_members)
        Each member's prediction.
    error : ndarray of shape (n_members, n_out_of_fold)
        Absolute errors of each member on its out-of-fold rows.
    coverage : float
        Share of rows whose target should be in their interval.

    Returns
    -------
    ndarray of shape (n_rows, 2)
        Lower and upper ends; infinite where there are too few out-of-fold rows for the coverage.
    """
    n = error.size
    outside = math.floor(round((1 - coverage) * (n + 1), 9))  # rounding errors of 1 - coverage must not count
    ends = np.full((len(prediction), 2), [-np.inf, np.inf])
    if outside == 0:
        return ends
    for rows in gen_batches(len(prediction), max(1, BLOCK_VALUES // n)):
        center = prediction[rows, :, np.newaxis]
        below, above = ((center + sign * error).reshape(-1, n) for sign in (-1, 1))
        ends[rows, 0] = np.partition(below, outside - 1, axis=1)[:, outside - 1]
        ends[rows, 1] = np.partition(above, n - outside, axis=1)[:, n - outside]
    return ends


def cv_plus_sets(score: np.ndarray, out_of_fold: np.ndarray, coverage: float) -> np.ndarray:
    """Return which classes are in the set of every row.

    Parameters
    ----------
    score : ndarray of shape (n_rows, n_members, n_classes)
        What each member has against each class: large where it is improbable.
    out_of_fold : ndarray of shape (n_members, n_out_of_fold)
        The same for the true class of each member's out-of-fold rows.
    coverage : float
        Share of rows whose class should be in their set.

    Returns
    -------
    ndarray of shape (n_rows, n_classes), bool
    """
    n_better = np.zeros((len(score), score.shape[2]), dtype=int)
    for member, own in enumerate(np.sort(out_of_fold, axis=1)):
        n_better += np.searchsorted(own, score[:, member])
    return n_better < coverage * (out_of_fold.size + 1)
