"""Scalers of single numeric columns, as scikit-learn's transformers: squashed values, ranks of values."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import resample
from sklearn.utils.validation import check_is_fitted

N_QUANTILES, MAX_QUANTILE_ROWS = 1000, 10_000
# Beyond this the clipped value is 3 to the last digit; the square of larger values would overflow.
LARGEST = 1e100


class SquashingScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Robust scaling with smooth clipping: centre at the median, divide by the interquartile range, clip smoothly.

    With z = (x - median) / IQR the result is z / sqrt(1 + (z / 3)^2). It is close to z near the median and stays
    between -3 and 3. A constant column becomes 0. Multiplying a column by a positive number changes nothing.

    The formula is RealMLP's [1]_; the name is that of ``skrub.SquashingScaler``, which implements it. One case
    differs: where the IQR is 0 and the column is not constant, this class divides by (maximum - minimum) and skrub
    by half of it. NaN and infinite values, which skrub handles, are not accepted here; :class:`InputScaler` fills
    NaN before.

    References
    ----------
    .. [1] D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees
       on Tabular Data", 2024, arXiv:2407.04491.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsemlp.preprocessing import SquashingScaler
    >>> SquashingScaler().fit_transform(np.array([[1.0], [2.0], [3.0], [4.0], [1e9]])).round(3).ravel()
    array([-0.949, -0.493,  0.   ,  0.493,  3.   ])
    """

    def fit(self, X: np.ndarray, y: object = None) -> Self:
        """Find every column's median and scale.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Training rows.
        y : object
            Ignored.
        """
        self.n_features_in_ = X.shape[1]
        low, self.center_, high = np.percentile(np.asarray(X, dtype=np.float64), [25, 50, 75], axis=0)
        span = X.max(axis=0).astype(np.float64) - X.min(axis=0)
        scale = np.where(high > low, high - low, span)
        # a constant column becomes 0, and one of denormal numbers, which training reads as 0
        self.scale_ = np.where(scale >= np.finfo(np.float64).tiny, scale, np.inf)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Scale `X` of shape (n_samples, n_features)."""
        check_is_fitted(self)
        check_columns(self, X)
        with np.errstate(over="ignore"):
            z = (np.asarray(X, dtype=np.float64) - self.center_) / self.scale_
        z = np.clip(z, -LARGEST, LARGEST)
        z /= np.sqrt(1 + (z / 3) ** 2)
        return z


class MidRankScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Replace values by their ranks among the training rows, from 0 to 1; tied values have the mean rank.

    scikit-learn's ``QuantileTransformer``, whose estimates of the quantiles of more than 1000 rows are used, maps
    the smallest value to 0 and the largest to 1 however often they occur. A count that is nearly always 0 then
    spreads as much as any other column. Here its zeros are near 0.5, and its few other values near 1.

    Parameters
    ----------
    random_state : int or None, default=None
        Seeds the subsample of 10000 rows that quantiles are estimated from.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsemlp.preprocessing import MidRankScaler
    >>> MidRankScaler().fit_transform(np.array([[0.0], [0.0], [0.0], [7.0], [9.0]])).ravel()
    array([0.25, 0.25, 0.25, 0.75, 1.  ])
    """

    def __init__(self, random_state: int | None = None) -> None:
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: object = None) -> Self:
        """Estimate every column's quantiles.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Training rows.
        y : object
            Ignored.
        """
        X = _floats(X)
        self.n_features_in_ = X.shape[1]
        if len(X) <= N_QUANTILES:  # all of them, not rounded by interpolation, so that ties stay ties
            self.quantiles_, self.ranks_ = np.sort(X, axis=0), np.linspace(0, 1, len(X))
        else:
            if len(X) > MAX_QUANTILE_ROWS:
                X = resample(X, replace=False, n_samples=MAX_QUANTILE_ROWS, random_state=self.random_state)
            self.ranks_ = np.linspace(0, 1, N_QUANTILES)
            self.quantiles_ = _quantiles(np.sort(X, axis=0), self.ranks_)
        self.quantiles_ = np.asfortranarray(self.quantiles_)  # read by the column
        is_tied = self.quantiles_[1:] == self.quantiles_[:-1]
        inexact = is_tied & (self.quantiles_[1:] != in_float32(self.quantiles_[1:]))
        #: columns with tied values that are others in float32
        self.inexact_ = np.flatnonzero(inexact.any(axis=0))
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the ranks of `X`, of shape (n_samples, n_features)."""
        check_is_fitted(self)
        check_columns(self, X)
        X = _floats(X)
        out = np.empty(X.shape)
        negative_ranks = -self.ranks_[::-1]
        for values, quantiles, ranks in zip(X.T, self.quantiles_.T, out.T, strict=True):
            order = values.argsort()  # in order, each value is found next to the one before
            values = values[order]
            highest = np.interp(values, quantiles, self.ranks_)
            lowest = np.interp(-values, -quantiles[::-1], negative_ranks)  # of the negative
            ranks[order] = highest - lowest
        out /= 2
        return out

    def unrounded(self, X: np.ndarray) -> np.ndarray:
        """Return values that float32 has rounded as float64; those of tied training values as these values.

        0.1 is another number in float32 and would have the rank above all that are 0.1.
        """
        X = X.astype(np.float64)
        for column in self.inexact_:
            values, quantiles = X[:, column], self.quantiles_[:, column]
            tied = np.unique(quantiles[1:][quantiles[1:] == quantiles[:-1]])
            rounded = in_float32(tied)
            place = np.minimum(np.searchsorted(rounded, values), len(tied) - 1)
            np.copyto(values, tied[place], where=rounded[place] == values)
        return X


def _floats(X: np.ndarray) -> np.ndarray:
    """Return numbers of which the negative exists, as it does not of unsigned integers."""
    X = np.asarray(X)
    return X if X.dtype.kind == "f" else X.astype(np.float64)


def _quantiles(rows: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return quantiles of sorted columns, to the bit those of ``numpy.percentile``, which selects each on its own.

    Selecting a thousand of some thousand values takes at least twenty times as long as sorting them.
    """
    place = (len(rows) - 1) * (ranks * 100 / 100)  # as percentages, which round
    before = np.floor(place).astype(np.intp)
    low, high = rows[before], rows[np.minimum(before + 1, len(rows) - 1)]
    share, difference = (place - before)[:, None], high - low
    values = low + difference * share
    np.subtract(high, difference * (1 - share), out=values, where=share >= 0.5)
    quantiles: np.ndarray = np.maximum.accumulate(values)  # rounding must not change their order
    return quantiles


def fit_scaler(
    name: str, X: np.ndarray, sample_weight: np.ndarray | None, random_state: int | None
) -> SquashingScaler | StandardScaler | MidRankScaler:
    """Return the scaler of the "squash", "standard" or "quantile" scaling, fitted."""
    scalers = {"squash": SquashingScaler(), "standard": StandardScaler(), "quantile": MidRankScaler(random_state)}
    scaler = scalers[name].set_output(transform="default")  # arrays also where scikit-learn is set to make frames
    return scaler.fit(X, sample_weight=sample_weight) if name == "standard" else scaler.fit(X)


def check_columns(scaler: Any, X: Any) -> None:
    """Raise where `X` has another number of columns than the training rows."""
    if X.shape[1] != scaler.n_features_in_:
        raise ValueError(
            f"X has {X.shape[1]} columns, but {type(scaler).__name__} was fitted on {scaler.n_features_in_}"
        )


def in_float32(values: np.ndarray) -> np.ndarray:
    """Return float64 values rounded to float32; infinite where they are too large."""
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(np.float32).astype(np.float64)
