"""Boosted trees of columns that are binned already.

scikit-learn's trees sort every column to bin it, and do so for every target. With thousands of columns that takes
longer than to grow them. The bins here are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor


def binned(columns: np.ndarray, numeric: np.ndarray, n_bins: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Return numeric columns as the numbers of their values' bins, and the edges between the bins of each.

    The bins are those of scikit-learn's boosted trees: of many different values, between their quantiles.
    scikit-learn selects each quantile on its own, which takes longer than to sort, and with weights longer than
    growing the trees.
    """
    columns, edges = np.array(columns, order="F"), {}
    order = np.argsort(columns[:, numeric].T, axis=1)
    ordered = np.take_along_axis(columns[:, numeric].T, order, axis=1)
    n_values = 1 + (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1)
    place = len(columns) * (np.linspace(0, 100, n_bins + 1)[1:-1] / 100) - 1
    before = np.floor(place).astype(int)
    # numpy's "averaged_inverted_cdf": a value, or the mean of two
    is_mean = place == before
    for j, rows, values, few in zip(numeric, order, ordered, n_values <= n_bins, strict=True):
        if few:
            known = np.unique(values).astype(np.float64)
            edges[j] = (known[1:] + known[:-1]) / 2
        else:
            low, high = values[before].astype(np.float64), values[before + 1].astype(np.float64)
            edges[j] = np.unique(np.where(is_mean, high - (high - low) * 0.5, high))
        # looking edges up in the values takes less than the values in the edges
        n_up_to = np.searchsorted(values, edges[j], side="right")
        columns[rows, j] = np.repeat(np.arange(len(n_up_to) + 1), np.diff(n_up_to, prepend=0, append=len(values)))
    return columns, edges


class BinnedTrees(HistGradientBoostingRegressor):
    """scikit-learn's trees, of columns that hold the numbers of bins."""

    def _bin_data(self, X: np.ndarray, *args: Any, **kwargs: Any) -> np.ndarray:
        """Return the numbers of the bins that have rows, as scikit-learn finds them by sorting."""
        if self.categorical_features is not None:
            return super()._bin_data(X, *args, **kwargs)
        bins, mapper = X.astype(np.uint8, order="F"), self._bin_mapper
        known = [np.flatnonzero(np.bincount(column)) for column in bins.T]
        for column, numbers in zip(bins.T, known, strict=True):
            if len(numbers) <= numbers[-1]:
                column[:] = np.searchsorted(numbers, column)
        mapper.missing_values_bin_idx_ = mapper.n_bins - 1
        mapper.is_categorical_ = np.zeros(len(known), dtype=np.uint8)
        mapper.bin_thresholds_ = [(numbers[1:] + numbers[:-1]) / 2 for numbers in known]
        mapper.n_bins_non_missing_ = np.array([len(numbers) for numbers in known], dtype=np.uint32)
        return bins
