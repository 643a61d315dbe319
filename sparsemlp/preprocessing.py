"""Input scaling: raw columns in, float32 columns of unit scale out, built on scikit-learn's transformers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self, get_args

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sparsemlp._categories import N_FOLDS, CategoryColumns, targets_of_means
from sparsemlp._equal_rows import equal_rows
from sparsemlp._scalers import MidRankScaler, SquashingScaler, check_columns, fit_scaler

__all__ = ["InputScaler", "MidRankScaler", "SquashingScaler"]

Scaling = Literal["squash", "quantile", "both", "standard"]
SCALINGS: tuple[str | None, ...] = (*get_args(Scaling), None)
# Fitted and transformed this many values at a time, so that a large table is never copied in float64.
BLOCK_VALUES = 2**18
# Columns are multiplied by a power of two, which is exact, where sums of their values would overflow (some are
# beyond HUGE), or their differences be denormal (all are below TINY).
HUGE, TINY, POWER = 1e300, 1e-250, 2.0**200


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
        frequent ones), one for all others together, and its categories' mean targets: of each output, or of sums
        of outputs where there are more than four.
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
        self.categories_, self.larger_codes_ = {}, {}
        categorical = np.intersect1d(self.categorical_features, features).astype(int).tolist()
        of_means = _target_of_means(y, sample_weight, n_samples) if categorical else ()
        for feature in categorical:
            codes = np.unique(X[:, feature])  # NaN is the last
            if len(codes) <= 2:
                self.larger_codes_[feature] = float(codes[-1]) if len(codes) == 2 and codes[-1] >= 0 else None
            else:
                self.categories_[feature] = CategoryColumns().fit(X[:, feature], *of_means)
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
        check_columns(self, X)
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

    def n_views(self) -> list[int]:
        """Count the views of its values that every raw feature begins with in ``column_groups``.

        Returns
        -------
        list of int
            The scalings of a number, one or two. Of a category its one-hot columns and its first mean target,
            where it has both; further mean targets are no views.
        """
        counts = np.ones(self.n_features_in_, dtype=int)
        for block in self.blocks_:
            counts[self.numeric_[block.start : block.stop]] = max(1, len(block.scalers_))
        for feature, columns in self.categories_.items():
            counts[feature] = 2 if columns.n_one_hot and columns.n_columns > columns.n_one_hot else 1
        return counts[np.unique(self.column_features_)].tolist()

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

    def column_codes(self) -> list[float | None]:
        """Return which category each column of ``transform`` stands for.

        Returns
        -------
        list of (float or None), of length n_columns
            The code of the category of a one-hot column: NaN for missing values, also for the indicator columns of
            numeric features; -1 for rare and unknown categories. A feature of two categories is a number; the code
            is that of the larger one. None for other columns.
        """
        codes: list[float | None] = []
        two = set(self.categorical_features) - set(self.categories_)
        for block in self.blocks_:
            features, n_indicators = self.numeric_[block.column_features()].tolist(), int(block.indicator_.sum())
            for feature in features[: len(features) - n_indicators]:
                codes.append(self.larger_codes_[feature] if feature in two else None)
            codes += [np.nan] * n_indicators
        for columns in self.categories_.values():
            codes += columns.one_hot_codes() + [None] * (columns.n_columns - columns.n_one_hot)
        return codes

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
            X = X.astype(np.float64)  # codes may be integers, which have no NaN
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
        self.scalers_ = [fit_scaler(name, values, sample_weight, random_state) for name in names]
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


def _target_of_means(
    y: np.ndarray | None, sample_weight: np.ndarray | None, n_samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return what categories' means are taken of, and the weights of rows."""
    weight = np.ones(n_samples) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    return np.empty((n_samples, 0)) if y is None else targets_of_means(y), weight


def _dense(X: Any) -> np.ndarray:
    return X.toarray() if sparse.issparse(X) else np.asarray(X)
