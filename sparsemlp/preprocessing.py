"""Input scaling: raw columns in, float32 columns of unit scale out, built on scikit-learn's transformers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self, get_args

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import resample
from sklearn.utils.validation import check_is_fitted

from sparsemlp._categories import N_FOLDS, CategoryColumns
from sparsemlp._equal_rows import equal_rows

Scaling = Literal["squash", "quantile", "both", "standard"]
SCALINGS: tuple[str | None, ...] = (*get_args(Scaling), None)
# Fitted and transformed this many values at a time, so that a large table is never copied in float64.
BLOCK_VALUES = 2**18
N_QUANTILES, MAX_QUANTILE_ROWS = 1000, 10_000
# Beyond this the clipped value is 3 to the last digit; the square of larger values would overflow.
LARGEST = 1e100
#: no more mean targets of a category than these, those of the first outputs
MAX_MEANS = 4
# Columns are multiplied by a power of two, which is exact, where sums of their values would overflow (some are
# beyond HUGE), or their differences be denormal (all are below TINY).
HUGE, TINY, POWER = 1e300, 1e-250, 2.0**200


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
        _check_columns(self, X)
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
        Seeds the subsample of 10000 rows that quantiles are estimated from, and the folds of mean targets.
    categorical_features : sequence of int, default=()
        Features that are codes of categories: 0, 1, ..., NaN where missing, -1 where unknown. One with more than
        two of them in training becomes one column for each category of at least ten rows (at most the 64 most
        frequent ones), one for all others together, and its categories' mean target.
    features : ndarray of int, optional
        The features to make columns of; the others are ignored. Default: all.

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

    def __init__(
        self,
        scaling: Scaling | None = "both",
        random_state: int | None = None,
        categorical_features: Sequence[int] = (),
        features: np.ndarray | None = None,
    ) -> None:
        self.scaling = scaling
        self.random_state = random_state
        self.categorical_features = categorical_features
        self.features = features

    def fit(self, X: Any, y: np.ndarray | None = None, sample_weight: np.ndarray | None = None) -> Self:
        """Estimate medians, scales and quantiles, and the mean targets of categories.

        Parameters
        ----------
        X : ndarray or sparse matrix of shape (n_samples, n_features)
            Training rows; NaN is allowed.
        y : ndarray of shape (n_samples, n_outputs), optional
            Targets. They are used for categories only.
        sample_weight : ndarray of shape (n_samples,), optional
            Used by "standard" and for mean targets; quantiles and medians are of the rows.

        Raises
        ------
        ValueError
            If `scaling` is unknown.
        """
        if self.scaling not in SCALINGS:
            raise ValueError(f"scaling={self.scaling!r} is unknown; choose one of {SCALINGS}")
        n_samples, self.n_features_in_ = X.shape
        features = np.arange(self.n_features_in_) if self.features is None else self.features
        self.categories_ = {}
        for feature in np.intersect1d(self.categorical_features, features).astype(int).tolist():
            if len(np.unique(X[:, feature])) > 2:
                columns = CategoryColumns().fit(X[:, feature], *_target_of_means(y, sample_weight, n_samples))
                self.categories_[feature] = columns
        self.numeric_ = np.setdiff1d(features, list(self.categories_))
        numeric = self._numeric(X)
        size = max(1, BLOCK_VALUES // max(1, n_samples))  # only a block of columns is in float64 at a time
        self.blocks_ = []
        for start in range(0, len(self.numeric_), size):
            block = _ColumnBlock(start, min(start + size, len(self.numeric_)))
            # squares of large values overflow; `transform` refuses these
            with np.errstate(over="ignore", invalid="ignore"):
                self.blocks_.append(block.fit(numeric, self.scaling, sample_weight, self.random_state))
        self.column_features_ = np.concatenate(
            [
                *(self.numeric_[block.column_features()] for block in self.blocks_),
                *(np.full(columns.n_columns, feature) for feature, columns in self.categories_.items()),
            ]
        )
        return self

    def transform_training_rows(
        self, X: Any, y: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> np.ndarray:
        """Scale the rows that are trained on: the mean targets of a row's categories are those of other rows.

        Without categories this is ``transform(X)``. Rows that are equal do not see each other's targets either.

        Parameters
        ----------
        X : ndarray or sparse matrix of shape (n_samples, n_features)
            Training rows.
        y : ndarray of shape (n_samples, n_outputs)
            Their targets.
        sample_weight : ndarray of shape (n_samples,), optional
            Their weights.

        Returns
        -------
        ndarray of shape (n_samples, n_columns), float32
        """
        if not self.categories_:
            return self.transform(X)
        equal = equal_rows(X, largest=len(X) / (2 * N_FOLDS))
        group = np.arange(len(X)) if equal is None else equal.group
        fold = np.random.default_rng(self.random_state).permutation(int(group.max()) + 1)[group] % N_FOLDS
        target, weight = _target_of_means(y, sample_weight, len(X))
        return self._transform(X, lambda columns, codes: columns.cross_fit(codes, target, weight, fold))

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
        return self._transform(X, CategoryColumns.transform)

    def _transform(self, X: Any, of_categories: Callable[[CategoryColumns, np.ndarray], np.ndarray]) -> np.ndarray:
        """Scale rows; `of_categories` makes the columns of a categorical feature from its codes."""
        check_is_fitted(self)
        _check_columns(self, X)
        out = np.empty((X.shape[0], len(self.column_features_)), dtype=np.float32)
        n_rows = max(1, BLOCK_VALUES // max(1, self.n_features_in_))
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, X.shape[0], n_rows):
                rows = slice(start, start + n_rows)
                self._transform_rows(_dense(self._numeric(X[rows])), out[rows])
        for feature, columns in self.categories_.items():
            start = self._start(feature)
            out[:, start : start + columns.n_columns] = of_categories(columns, X[:, feature])
        if self.scaling in (None, "standard") and not np.isfinite(out).all():
            raise ValueError(
                f"scaling={self.scaling!r}: X has values too large for float32; scale X or choose another scaling"
            )
        return out

    def column_groups(self) -> list[list[int]] | None:
        """List the columns that stem from every raw feature; the first one-hot column stands for all of a feature.

        Returns
        -------
        list of list of int, or None where every feature has just its own
        """
        features, counts = np.unique(self.column_features_, return_counts=True)
        if (counts == 1).all():
            return None
        order = np.argsort(self.column_features_, kind="stable")
        groups = [columns.tolist() for columns in np.split(order, np.cumsum(counts)[:-1])]
        for feature, columns in self.categories_.items():
            del groups[np.searchsorted(features, feature)][1 : columns.n_one_hot]
        return groups

    def one_hot_columns(self) -> dict[tuple[int, int], np.ndarray]:
        """Return where the one-hot columns of every categorical feature start and stop.

        Returns
        -------
        dict of (int, int) to ndarray of shape (stop - start,)
            With the share of each column in the training rows.
        """
        starts = {self._start(feature): columns for feature, columns in self.categories_.items()}
        return {
            (i, i + columns.n_one_hot): columns.frequency for i, columns in starts.items() if columns.n_one_hot
        }

    def ignored_columns(self) -> np.ndarray:
        """Return which columns of ``transform`` are always 0, because their features were constant.

        Returns
        -------
        ndarray of shape (n_columns,), bool
        """
        return np.concatenate(
            [
                *(block.ignored_columns() for block in self.blocks_),
                *(columns.ignored_columns() for columns in self.categories_.values()),
            ]
        )

    def _numeric(self, X: Any) -> Any:
        """Return the columns that are no categories; a feature of two categories is a number, NaN if unknown."""
        if len(self.numeric_) == self.n_features_in_ and not len(self.categorical_features):
            return X
        X = X[:, self.numeric_]
        two = np.isin(self.numeric_, self.categorical_features)
        if two.any():
            X[:, two] = np.where(X[:, two] < 0, np.nan, X[:, two])
        return X

    def _start(self, feature: int) -> int:
        """Return the first column of a categorical feature."""
        return int(np.argmax(self.column_features_ == feature))

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
        largest = np.fmax.reduce(np.abs(values), axis=0)
        self.factor_ = np.ones(values.shape[1])
        if scaling is not None:
            self.factor_[largest > HUGE] = 1 / POWER
            self.factor_[largest < TINY] = POWER
        values = self._of_usual_size(values)
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
        is_rounded = X.dtype == np.float32
        X = self._of_usual_size(X)
        for scaler in self.scalers_ if is_rounded else ():
            if isinstance(scaler, MidRankScaler):
                X = scaler.unrounded(X)
        missing = np.isnan(X)
        filled = np.where(missing, self.median_, X) if missing.any() else X
        return [*(self.scaled(filled) or [filled]), missing[:, self.indicator_]]

    def scaled(self, X: np.ndarray) -> list[np.ndarray]:
        """Return what each scaler makes of columns without missing values."""
        return [self._scaled(scaler, X) for scaler in self.scalers_]

    def _of_usual_size(self, X: np.ndarray) -> np.ndarray:
        return X if (self.factor_ == 1).all() else X * self.factor_

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


def in_float32(values: np.ndarray) -> np.ndarray:
    """Return float64 values rounded to float32; infinite where they are too large."""
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(np.float32).astype(np.float64)


def _target_of_means(
    y: np.ndarray | None, sample_weight: np.ndarray | None, n_samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return what categories' means are taken of, and the weights of rows."""
    weight = np.ones(n_samples) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    return np.empty((n_samples, 0)) if y is None else y[:, :MAX_MEANS].astype(np.float64), weight


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
