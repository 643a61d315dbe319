"""Tables as users give them: what cannot be read as numbers is an error that names the column and the value."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn import config_context

from sparsemlp._dtypes import kind_of, refused

# What the errors of conversions to numbers say.
NO_NUMBERS = ("could not convert", "setting an array element", "argument must be", "promoted", "Cannot cast")


@contextlib.contextmanager
def reading(X: Any, names: Sequence[int] | None = None) -> Iterator[None]:
    """Let scikit-learn read a table; where it cannot, name the column. Those of an array have numbers, or `names`.

    Sums of large values, which it looks at first, may overflow. Tensors are read as arrays also where scikit-learn
    is set to compute with those of other libraries.
    """
    _refuse_times(X)
    try:
        with config_context(array_api_dispatch=False), np.errstate(all="ignore"):
            yield
    except (TypeError, ValueError) as error:
        found = _what_is_wrong(X, str(error), names)
        if found is None:
            raise
        raise retold(error, found) from error


def retold(error: TypeError | ValueError, text: str) -> TypeError | ValueError:
    """Return an error of the same kind with another text."""
    return TypeError(text) if isinstance(error, TypeError) else ValueError(text)


def read_targets(y: Any, *, numeric: bool, name: str = "y") -> Any:
    """Return targets of numpy's types, without missing values.

    Parameters
    ----------
    y : array-like
        Targets; None and sparse ones are left for scikit-learn to refuse.
    numeric : bool
        Whether they are to be numbers, or labels of one type.
    name : str
        What the errors call them.

    Raises
    ------
    ValueError
        If values are missing, are times or text where numbers are needed, or are labels of several types.
    """
    if y is None or sparse.issparse(y):
        return y
    try:
        values = np.asarray(y)
    except (TypeError, ValueError):  # rows of several lengths, or a tensor on a GPU
        return y
    is_pandas = isinstance(y, pd.Series | pd.Index | pd.api.extensions.ExtensionArray)
    if values.ndim == 0 or (values.dtype.kind not in "OUSfmM" and not is_pandas):
        return y
    missing = pd.isna(values)
    n_missing = int(missing.reshape(len(values), -1).any(axis=1).sum())
    if n_missing:
        raise ValueError(
            f"Input {name} contains NaN or another missing value in {n_missing} of {len(values)} rows; "
            "remove these rows"
        )
    if numeric:
        return _numbers(y, values, name)
    if values.dtype == object and values.ndim == 1 and not hasattr(getattr(y, "dtype", None), "numpy_dtype"):
        return _labels(values, name)
    # scikit-learn would turn pandas' nullable types, and categories of truth values, into floats
    dtype = getattr(y.dtype, "numpy_dtype", values.dtype) if is_pandas else values.dtype
    return values.astype(dtype, copy=False) if dtype.kind in "biuf" else y


def _numbers(y: Any, values: np.ndarray, name: str) -> Any:
    if kind_of(values.dtype) == "time":
        raise ValueError(f"{name} has the dtype {values.dtype}; pass numbers, such as seconds")
    if values.dtype.kind in "OUS":
        place = _first_that_is_no_number(values.ravel())
        if place is not None:
            value = _shown(values.ravel(), place)
            raise ValueError(f"{name} has the value {value} in row {place}, could not convert it to a number")
    return y


def _labels(values: np.ndarray, name: str) -> np.ndarray:
    """Return labels that are Python objects as an array of their type."""
    if all(isinstance(value, str) for value in values):
        return values
    types = sorted({type(value).__name__ for value in values})
    if any(isinstance(value, str) for value in values):
        raise ValueError(f"{name} has labels of several types, {' and '.join(types)}; use one type for all")
    plain = np.array(values.tolist())
    return plain if plain.shape == values.shape and plain.dtype.kind in "biuf" else values


def _refuse_times(X: Any) -> None:
    """Raise where a column is of times, which numpy would silently turn into counts, and missing ones too."""
    for name, dtype in _dtypes(X):
        if kind_of(dtype) == "time":
            raise refused(name, dtype)


def _dtypes(X: Any) -> list[tuple[str, Any]]:
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        return [(f"column {name!r} of X", dtype) for name, dtype in zip(X.columns, X.dtypes, strict=True)]
    return [("X", X.dtype)] if isinstance(X, np.ndarray) else []


def _what_is_wrong(X: Any, error: str, names: Sequence[int] | None) -> str | None:
    """Return an error's text with the column and row that it is about; None where it is about none."""
    infinite = "contains infinity" in error
    if not infinite and not any(text in error for text in NO_NUMBERS):
        return None
    for name, column in _columns(X, names):
        place = _first_infinite(column) if infinite else _first_that_is_no_number(column)
        if place is not None and infinite:
            return f"{error.rstrip('.')}: {name} has it in row {place}"
        if place is not None:
            what = "encode text, or pass numbers and NaN"
            return f"{name} is not numeric: {_shown(column, place)} in row {place}; {what} ({error})"
    return None


def _columns(X: Any, names: Sequence[int] | None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the columns of a dense table, each with what to call it."""
    if hasattr(X, "columns"):
        for name in X.columns:
            yield f"column {name!r} of X", np.asarray(X[name])
    elif not sparse.issparse(X) and (values := np.asarray(X)).ndim == 2:
        for name, column in zip(names or range(values.shape[1]), values.T, strict=True):
            yield f"column {name} of X", column


def _first_that_is_no_number(column: np.ndarray) -> int | None:
    if column.dtype.kind in "biufc":
        return None
    for place, value in enumerate(column):
        try:
            float(np.nan if value is None else value)
        except (TypeError, ValueError):
            return place
    return None


def _first_infinite(column: np.ndarray) -> int | None:
    try:
        places = np.flatnonzero(np.isinf(np.asarray(column, dtype=np.float64)))
    except (TypeError, ValueError):
        return None
    return int(places[0]) if len(places) else None


def _shown(values: np.ndarray, place: int) -> str:
    return repr(values[place : place + 1].tolist()[0])  # numpy's scalars would show their type
