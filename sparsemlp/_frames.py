"""Tables as they come: which columns hold categories, and a table as numbers in which categories are codes."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_array

from sparsemlp._dtypes import RECIPE, kind_of, refused
from sparsemlp._tables import reading

#: what objects of a column are, in the words of pandas, where all of them are numbers or missing
NUMBERS = ("empty", "integer", "integer-na", "floating", "mixed-integer-float", "boolean", "decimal")
#: what they are, in the same words, where they are neither numbers nor categories
TIMES = ("date", "datetime", "datetime64", "time", "timedelta", "timedelta64", "period", "complex")
#: code of a category that was not in the training rows; a missing value is NaN
UNKNOWN = -1.0


class CategoryEncoder:
    """Codes of categories: a table in, a matrix of numbers out. The order of a dtype's categories plays no part.

    Parameters
    ----------
    is_categorical : ndarray of shape (n_features,), bool
        Which columns hold categories; there is at least one.

    Attributes
    ----------
    categories : list of list
        The categories of every categorical column in training, sorted. A category's code is its place.
    """

    def __init__(self, is_categorical: np.ndarray) -> None:
        self.is_categorical = is_categorical
        self.categories: list[list[Hashable]] = []

    def fit(self, X: Any) -> CategoryEncoder:
        """Learn the categories of a table."""
        self.categories, X = [], _table(X)
        for index in np.flatnonzero(self.is_categorical):
            values, missing = _values(X, int(index))
            try:
                found = set(values[~missing].tolist())
            except TypeError as error:
                raise ValueError(
                    f"column {_name(X, int(index))!r} of X holds values that are no categories ({error}); {RECIPE}"
                ) from None
            self.categories.append(_in_order(found))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the table as float64: numbers as they are, codes of categories; unknown ones have the code -1."""
        X = _table(X)
        numbers = np.empty((len(X), len(self.is_categorical)))
        categorical, numeric = np.flatnonzero(self.is_categorical), np.flatnonzero(~self.is_categorical)
        if len(numeric):
            block = _safe_indexing(X, numeric.tolist(), axis=1)
            with reading(block, numeric.tolist()):
                numbers[:, numeric] = check_array(block, dtype=np.float64, ensure_all_finite="allow-nan")
        for index, categories in zip(categorical, self.categories, strict=True):
            codes = {value: float(code) for code, value in enumerate(categories)}
            values, missing = _values(X, int(index))
            found = values[~missing].tolist()
            numbers[missing, index] = np.nan
            numbers[~missing, index] = [codes.get(v, UNKNOWN) if _is_hashable(v) else UNKNOWN for v in found]
        return numbers


def find_categorical(X: Any, categorical_features: Any, names: np.ndarray | None) -> np.ndarray | None:
    """Return which columns of a table hold categories, None if none does.

    Parameters
    ----------
    X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
        The table.
    categorical_features : "from_dtype", array-like or None
        The parameter of the estimators.
    names : ndarray of shape (n_features,) or None
        Names of the columns.

    Raises
    ------
    ValueError
        If `categorical_features` does not fit the columns, or a column is neither a number nor a category.
    """
    is_frame = hasattr(X, "columns") and hasattr(X, "dtypes")
    by_dtype = isinstance(categorical_features, str)
    if categorical_features is None or (by_dtype and not is_frame):
        return None
    shape = _table(X).shape
    if len(shape) != 2:  # which validation refuses in its own words
        return None
    is_categorical = _mask(() if by_dtype else categorical_features, shape[1], names)
    if sparse.issparse(X) and is_categorical.any():
        raise ValueError(
            "categorical_features names columns of a sparse matrix; pass a data frame or a dense array, or encode "
            "the categories before"
        )
    for i, dtype in enumerate(X.dtypes if is_frame else ()):
        kind = kind_of(dtype)
        objects = pd.api.types.infer_dtype(_safe_indexing(X, i, axis=1)) if str(dtype) == "object" else ""
        if objects in NUMBERS or is_categorical[i]:
            continue
        if kind in ("time", "other") or objects in TIMES:
            raise refused(
                f"column {_name(X, i)!r} of X",
                f"{dtype}, and holds objects of type {objects}" if objects else dtype,
            )
        is_categorical[i] = by_dtype and kind == "category"
    return is_categorical if is_categorical.any() else None


def _mask(categorical_features: Any, n_features: int, names: np.ndarray | None) -> np.ndarray:
    """Return which columns a list of names, of indices or a mask means."""
    asked = np.asarray(categorical_features)
    mask = np.zeros(n_features, dtype=bool)
    if asked.size == 0:
        return mask
    if asked.ndim != 1:
        raise ValueError(f"categorical_features has shape {asked.shape}; it must be one list of columns")
    if asked.dtype.kind == "b":
        if len(asked) != n_features:
            raise ValueError(
                f"categorical_features is a mask of {len(asked)} columns, but X has {n_features} features"
            )
        return asked
    for column in asked.tolist():
        if isinstance(column, str):
            if names is None:
                raise ValueError(
                    f"categorical_features names the column {column!r}, but X has no column names; pass indices"
                )
            if column not in names:
                raise ValueError(f"categorical_features names {column!r}, which is no column of X: {list(names)}")
            mask[np.flatnonzero(names == column)] = True
        elif isinstance(column, int) and -n_features <= column < n_features:
            mask[column] = True
        else:
            raise ValueError(
                f"categorical_features has {column!r}; it must hold column names, or indices below {n_features}"
            )
    return mask


def _table(X: Any) -> Any:
    return X if hasattr(X, "shape") else np.asarray(X, dtype=object)


def _values(X: Any, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a column as an array of Python objects, and which of them are missing."""
    column = _safe_indexing(X, index, axis=1)
    if hasattr(column, "isna"):  # pandas
        missing = column.isna().to_numpy(dtype=bool)
        return column.astype(object).to_numpy(), missing
    values = column.to_list() if hasattr(column, "to_list") else np.asarray(column).tolist()
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return objects, pd.isna(objects)


def _in_order(values: set[Hashable]) -> list[Hashable]:
    """Sort values of any types; those that have no order, such as members of an Enum, by how they are written."""
    try:
        return sorted(values, key=lambda value: (type(value).__name__, value))
    except TypeError:
        return sorted(values, key=lambda value: (type(value).__name__, repr(value)))


def _name(X: Any, index: int) -> Any:
    return list(X.columns)[index] if hasattr(X, "columns") else index


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
