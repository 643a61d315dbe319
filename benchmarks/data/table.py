"""What a table is, its rows and its category columns, and the error of one that is unavailable."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CLASSIFICATION, REGRESSION = "classification", "regression"

Features = NDArray[np.float64] | pd.DataFrame


class DataUnavailableError(Exception):
    """A data set is unavailable; the message says why, in one line."""


@dataclass(frozen=True)
class Data:
    """A table and its origin.

    Attributes
    ----------
    X : array or DataFrame of shape (n_rows, n_features)
        A frame where columns are categories, which are of pandas' type ``category``; its other columns are floats.
    y : array of shape (n_rows,)
        Class numbers, 0 to n_classes - 1; numbers for regression.
    n_published : int or None
        Rows of the published data set; None for a synthetic one.
    statement : str
        What the rows are: all published ones, a subset, a sample.
    complete : bool
        Whether these are the published rows, all of them.
    """

    X: Features
    y: NDArray[Any]
    n_published: int | None
    statement: str
    complete: bool


def rows_of(X: Features, rows: NDArray[np.intp]) -> Features:
    """Return the rows with these numbers."""
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]


def category_columns(X: Features) -> list[int]:
    """Return the positions of the columns that are categories."""
    if not isinstance(X, pd.DataFrame):
        return []
    return [place for place, dtype in enumerate(X.dtypes) if isinstance(dtype, pd.CategoricalDtype)]
