"""Input scaling: raw columns in, float32 columns of unit scale out, built on scikit-learn's transformers."""

from __future__ import annotations

from typing import Any, Literal, Self, get_args

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.utils.validation import check_is_fitted

Scaling = Literal["squash", "quantile", "both", "standard"]
SCALINGS: tuple[str | None, ...] = (*get_args(Scaling), None)
# Fitted and transformed this many values at a time, so that a large table is never copied in float64.
BLOCK_VALUES = 2**18
N_QUANTILES = 1000
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
        self.scale_ = np.where(scale > 0, scale, np.inf)  # a constant column becomes 0
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Scale `X` of shape (n_samples, n_features)."""
        check_is_fitted(self)
        _check_columns(self, X)
        with np.errstate(over="ignore"):
            z = (np.asarray(X, dtype=np.float64) - self.center_) / self.scale_
        z = np.clip(z, -LARGEST, LARGEST)
        z /= np.sqrt(1 + (z / 3) ** 2)
        return z


class MidRankScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Replace values by their ranks among the training rows, from 0 to 1; tied values have the mean rank.

    scikit-learn's ``QuantileTransformer``, which estimates the quantiles of more than 1000 rows here, maps the
    smallest value to 0 and the largest to 1 however often they occur. A count that is nearly always 0 then spreads
    as much as any other column. Here its zeros are near 0.5, and its few other values near 1.

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
        self.n_features_in_ = X.shape[1]
        if len(X) <= N_QUANTILES:  # all of them, not rounded by interpolation, so that ties stay ties
            self.quantiles_, self.ranks_ = np.sort(X, axis=0), np.linspace(0, 1, len(X))
        else:
            options = {"n_quantiles": N_QUANTILES, "subsample": 10_000, "random_state": self.random_state}
            estimator = QuantileTransformer(**options).fit(X)
            self.quantiles_, self.ranks_ = estimator.quantiles_, estimator.references_
        self.quantiles_ = np.asfortranarray(self.quantiles_)  # read by the column
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the ranks of `X`, of shape (n_samples, n_features)."""
        check_is_fitted(self)
        _check_columns(self, X)
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


class InputScaler(TransformerMixin, BaseEstimator):
    """Scale a table to the inputs of a network.

    Missing values are replaced by the median, and each feature with missing values in training gets an indicator
    column. Then the columns are scaled.

    Parameters
    ----------
    scaling : {"squash", "quantile", "both", "standard", None}, default="both"
        "squash": :class:`SquashingScaler`. "quantile": ranks, uniform with unit variance. "both": the two side by
        side, so every feature has two columns. "standard": zero mean, unit variance. None: as they are.
    random_state : int or None, default=None
        Seeds the subsample of 10000 rows that quantiles are estimated from.

    Attributes
    ----------
    column_features_ : ndarray of shape (n_columns,)
        The raw feature that each output column stems from.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsemlp.preprocessing import InputScaler
    >>> X = np.array([[1.0], [2.0], [np.nan], [9.0]])
    >>> InputScaler("both").fit_transform(X).round(2)  # squashed, rank, indicator
    array([[-0.49, -1.73,  0.  ],
           [ 0.  ,  0.  ,  0.  ],
           [ 0.  ,  0.  ,  1.  ],
           [ 2.28,  1.73,  0.  ]], dtype=float32)
    """

    def __init__(self, scaling: Scaling | None = "both", random_state: int | None = None) -> None:
        self.scaling = scaling
        self.random_state = random_state

    def fit(self, X: Any, y: object = None, sample_weight: np.ndarray | None = None) -> Self:
        """Estimate medians, scales and quantiles.

        Parameters
        ----------
        X : ndarray or sparse matrix of shape (n_samples, n_features)
            Training rows; NaN is allowed.
        y : object
            Ignored.
        sample_weight : ndarray of shape (n_samples,), optional
            Used by "standard"; quantiles and medians are of the rows.

        Raises
        ------
        ValueError
            If `scaling` is unknown.
        """
        if self.scaling not in SCALINGS:
            raise ValueError(f"scaling={self.scaling!r} is unknown; choose one of {SCALINGS}")
        n_samples, self.n_features_in_ = X.shape
        size = max(1, BLOCK_VALUES // max(1, n_samples))  # only a block of columns is in float64 at a time
        self.blocks_ = []
        for start in range(0, self.n_features_in_, size):
            block = _ColumnBlock(start, min(start + size, self.n_features_in_))
            self.blocks_.append(block.fit(X, self.scaling, sample_weight, self.random_state))
        self.column_features_ = np.concatenate([block.column_features() for block in self.blocks_])
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Scale rows.

        Parameters
        ----------
        X : ndarray or sparse matrix of shape (n_samples, n_features)
            NaN becomes the training median, also in features that had none in training.

        Returns
        -------
        ndarray of shape (n_samples, n_columns), float32

        Raises
        ------
        ValueError
            If `scaling` None or "standard" leaves values that float32 cannot hold, or `X` has another number of
            columns than in ``fit``.
        """
        check_is_fitted(self)
        _check_columns(self, X)
        out = np.empty((X.shape[0], len(self.column_features_)), dtype=np.float32)
        n_rows = max(1, BLOCK_VALUES // max(1, self.n_features_in_))
        with np.errstate(over="ignore"):
            for start in range(0, X.shape[0], n_rows):
                rows = slice(start, start + n_rows)
                self._transform_rows(_dense(X[rows]), out[rows])
        if self.scaling in (None, "standard") and not np.isfinite(out).all():
            raise ValueError(
                f"scaling={self.scaling!r}: X has values too large for float32; scale X or choose another scaling"
            )
        return out

    def column_groups(self) -> list[list[int]] | None:
        """List the columns that stem from every raw feature.

        Returns
        -------
        list of list of int, or None where every feature has just its own
        """
        counts = np.bincount(self.column_features_)
        if (counts == 1).all():
            return None
        order = np.argsort(self.column_features_, kind="stable")
        return [columns.tolist() for columns in np.split(order, np.cumsum(counts)[:-1])]

    def ignored_columns(self) -> np.ndarray:
        """Return which columns of ``transform`` are always 0, because their features were constant.

        Returns
        -------
        ndarray of shape (n_columns,), bool
        """
        return np.concatenate([block.ignored_columns() for block in self.blocks_])

    def _transform_rows(self, X: np.ndarray, out: np.ndarray) -> None:
        column = 0
        for block in self.blocks_:
            for values in block.transform(X[:, block.start : block.stop]):
                out[:, column : column + values.shape[1]] = values
                column += values.shape[1]


class _ColumnBlock(BaseEstimator):
    """The scaling of the raw columns from `start` to `stop`."""

    def __init__(self, start: int, stop: int) -> None:
        self.start = start
        self.stop = stop

    def fit(self, X: Any, scaling: str | None, sample_weight: np.ndarray | None, random_state: int | None) -> Self:
        values = _dense(X[:, self.start : self.stop]).astype(np.float64)
        missing = np.isnan(values)
        has_missing, some = missing.any(axis=0), ~missing.all(axis=0)
        self.indicator_ = has_missing & some
        if has_missing.any():
            self.median_ = np.zeros(values.shape[1])  # a column without any value is a column of zeros
            self.median_[some] = np.nanmedian(values[:, some], axis=0)
            values = np.where(missing, self.median_, values)
        else:
            self.median_ = np.median(values, axis=0)  # takes half as long
        names = ["squash", "quantile"] if scaling == "both" else [scaling] if scaling else []
        self.scalers_ = [_fit_scaler(name, values, sample_weight, random_state) for name in names]
        self.constant_ = values.max(axis=0) == values.min(axis=0)
        return self

    def transform(self, X: np.ndarray) -> list[np.ndarray]:
        """Return the blocks of columns that the raw columns become, in order."""
        missing = np.isnan(X)
        filled = np.where(missing, self.median_, X) if missing.any() else X
        blocks = [self._scaled(scaler, filled) for scaler in self.scalers_] or [filled]
        return [*blocks, missing[:, self.indicator_]]

    def _scaled(self, scaler: Any, X: np.ndarray) -> np.ndarray:
        values = scaler.transform(X.astype(np.float64, copy=False))
        if isinstance(scaler, MidRankScaler):
            values = (values - 0.5) * np.sqrt(12)  # uniform of unit variance
        values[:, self.constant_] = 0
        return values

    def column_features(self) -> np.ndarray:
        """Name the raw feature of every column that ``transform`` makes."""
        features = np.arange(self.start, self.stop)
        return np.concatenate([np.tile(features, max(1, len(self.scalers_))), features[self.indicator_]])

    def ignored_columns(self) -> np.ndarray:
        """Say which of these columns are always 0; without a scaling, constants are passed on."""
        n_indicators = int(self.indicator_.sum())
        ignored = [self.constant_] * len(self.scalers_) or [np.zeros_like(self.constant_)]
        return np.concatenate([*ignored, np.zeros(n_indicators, dtype=bool)])


def _fit_scaler(
    name: str, X: np.ndarray, sample_weight: np.ndarray | None, random_state: int | None
) -> SquashingScaler | StandardScaler | MidRankScaler:
    scalers = {"squash": SquashingScaler(), "standard": StandardScaler(), "quantile": MidRankScaler(random_state)}
    scaler = scalers[name].set_output(transform="default")  # arrays also where scikit-learn is set to make frames
    return scaler.fit(X, sample_weight=sample_weight) if name == "standard" else scaler.fit(X)


def _check_columns(scaler: Any, X: Any) -> None:
    if X.shape[1] != scaler.n_features_in_:
        raise ValueError(
            f"X has {X.shape[1]} columns, but {type(scaler).__name__} was fitted on {scaler.n_features_in_}"
        )


def _dense(X: Any) -> np.ndarray:
    return X.toarray() if sparse.issparse(X) else np.asarray(X)
