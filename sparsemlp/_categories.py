"""Input columns of a categorical feature: one for each frequent category, and every category's mean target."""

from __future__ import annotations

from typing import Self

import numpy as np

# A category of fewer training rows shares a column with all other rare ones, as scikit-learn's boosted trees
# ignore it (their MIN_CAT_SUPPORT).
MIN_ROWS = 10
#: so many categories of a feature have a column of their own, the most frequent ones
MAX_COLUMNS = 64
#: up to so many outputs each have a mean target; more are added up, see :func:`targets_of_means`
MAX_MEANS = 4
#: means of a row's category are of the rows in the other ones of so many parts
N_FOLDS = 5


class CategoryColumns:
    """The columns that one categorical feature becomes: its categories one-hot, then mean targets.

    Rare and unknown categories share a column. A missing value is a category. The mean targets of training rows
    are cross-fitted: those of a row come from other rows, so that no row's target is among its own inputs. Means
    are shrunk towards that of all rows, the more so the less categories differ beyond chance (the method of
    moments for a one-way random-effects model; Micci-Barreca 2001, *A preprocessing scheme for high-cardinality
    categorical attributes*).

    Attributes
    ----------
    n_one_hot : int
        Number of one-hot columns; 0 where they would say nothing.
    n_columns : int
        These and the mean targets.
    frequency : ndarray of shape (n_one_hot,), float64
        Share of each one-hot column in the training rows.
    """

    def fit(self, codes: np.ndarray, target: np.ndarray, weight: np.ndarray) -> Self:
        """Learn places and means.

        Parameters
        ----------
        codes : ndarray of shape (n_rows,), float
            Codes of the categories from 0, NaN where missing, -1 where unknown.
        target : ndarray of shape (n_rows, n_outputs)
            What means are taken of.
        weight : ndarray of shape (n_rows,)
            Weights of the rows.
        """
        self.n_codes = int(codes[~np.isnan(codes)].max(initial=-1)) + 1
        index = self._index(codes)
        count = np.bincount(index, minlength=self.n_codes + 2)
        order = np.argsort(-count, kind="stable")
        frequent = order[: int((count[order[:MAX_COLUMNS]] >= MIN_ROWS).sum())]
        self.n_one_hot = len(frequent) + int(count[frequent].sum() < len(codes))
        self.place = np.full(len(count), len(frequent))  # of all others; there may be none in training
        self.place[frequent] = np.arange(len(frequent))
        if self.n_one_hot < 2:
            self.n_one_hot = 0
        self.frequency = np.bincount(self.place[index], minlength=self.n_one_hot)[: self.n_one_hot] / len(codes)
        self.mean = _shrunk_means(index, target, weight, len(count))
        self.mean[-1] = np.average(target, axis=0, weights=weight)  # of unknown categories
        spread = np.sqrt(np.average((self.mean[index] - self.mean[-1]) ** 2, axis=0, weights=weight))
        self.scale = np.where(spread > 0, spread, np.inf)
        self.n_columns = self.n_one_hot + target.shape[1]
        return self

    def transform(self, codes: np.ndarray) -> np.ndarray:
        """Return the columns of rows that were not trained on, of shape (n_rows, n_columns), float32."""
        index = self._index(codes)
        return self._columns(index, self.mean[index])

    def cross_fit(self, codes: np.ndarray, target: np.ndarray, weight: np.ndarray, fold: np.ndarray) -> np.ndarray:
        """Return the columns of training rows, whose means come from the rows of other folds."""
        index = self._index(codes)
        means = np.empty(target.shape)
        for number in range(int(fold.max()) + 1):
            own, others = fold == number, fold != number
            if not weight[others].any():
                means[own] = self.mean[-1]
                continue
            table = _shrunk_means(index[others], target[others], weight[others], len(self.place))
            means[own] = table[index[own]]
        return self._columns(index, means)

    def one_hot_codes(self) -> list[float]:
        """Return the code of each one-hot column's category: NaN for missing, -1 for rare and unknown ones."""
        codes = np.full(self.n_one_hot, -1.0)
        if self.n_one_hot:
            frequent = np.flatnonzero(self.place < self.place[-1])  # unknown ones have the last place
            codes[self.place[frequent]] = np.where(frequent == self.n_codes, np.nan, frequent)
        return codes.tolist()

    def ignored_columns(self) -> np.ndarray:
        """Return which columns are always 0: means that do not differ between categories."""
        return np.concatenate([np.zeros(self.n_one_hot, dtype=bool), np.isinf(self.scale)])

    def _index(self, codes: np.ndarray) -> np.ndarray:
        """Return codes as integers; the last but one stands for missing values, the last for unknown ones."""
        index = np.where((codes < 0) | (codes >= self.n_codes), self.n_codes + 1, codes)
        return np.where(np.isnan(codes), self.n_codes, index).astype(np.int64)

    def _columns(self, index: np.ndarray, means: np.ndarray) -> np.ndarray:
        columns = np.zeros((len(index), self.n_columns), dtype=np.float32)
        if self.n_one_hot:
            place = self.place[index]
            known = np.flatnonzero(place < self.n_one_hot)  # without rare categories unknown ones have no place
            columns[known, place[known]] = 1
        columns[:, self.n_one_hot :] = (means - self.mean[-1]) / self.scale
        return columns


def targets_of_means(target: np.ndarray) -> np.ndarray:
    """Return what means are taken of: each of a few outputs, or few sums of outputs that tell many classes apart.

    Each class has a number from 1. A sum is over the classes whose number has a certain binary digit, and the last
    one over those with an odd number of ones, so that any two classes differ in at least two sums. (Dietterich and
    Bakiri 1995, *Solving multiclass learning problems via error-correcting output codes*, arXiv:cs/9501101.)

    Parameters
    ----------
    target : ndarray of shape (n_rows, n_outputs)
        What the loss sees.

    Returns
    -------
    ndarray of shape (n_rows, n_means), float64
    """
    target, n_outputs = target.astype(np.float64), target.shape[1]
    if n_outputs <= MAX_MEANS:
        return target
    digits = np.arange(1, n_outputs + 1)[:, np.newaxis] >> np.arange(n_outputs.bit_length()) & 1
    return target @ np.column_stack([digits, digits.sum(axis=1) % 2])


def _shrunk_means(index: np.ndarray, target: np.ndarray, weight: np.ndarray, n: int) -> np.ndarray:
    """Return the mean target of every category, shrunk towards the mean of all rows: (n, n_outputs)."""
    total = np.bincount(index, weight, minlength=n)
    mean = np.average(target, axis=0, weights=weight)
    n_seen, n_rows = int((total > 0).sum()), len(index)
    result = np.tile(mean, (n, 1))
    if n_seen < 2 or n_rows <= n_seen:
        return result
    size = total * (n_rows / total.sum())  # weights of mean one, so that they count rows
    typical_size = (n_rows - (size**2).sum() / n_rows) / (n_seen - 1)
    if typical_size <= 0:  # one category has all the weight, but for what rounding leaves
        return result
    for j, y in enumerate(target.T):
        deviation = np.bincount(index, weight * (y - mean[j]), minlength=n) / np.where(total > 0, total, 1)
        between = (size * deviation**2).sum() / (n_seen - 1)
        within = np.average((y - mean[j] - deviation[index]) ** 2, weights=weight) * n_rows / (n_rows - n_seen)
        variance = (between - within) / typical_size
        if variance > 0:
            noise = within / variance
            result[:, j] += np.divide(deviation * size, size + noise, out=np.zeros(n), where=size > 0)
    return result
