"""What a table is, and the error of one that is unavailable."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


class DataUnavailableError(Exception):
    """A data set is unavailable; the message says why, in one line."""


@dataclass(frozen=True)
class Data:
    """A table and its origin.

    Attributes
    ----------
    X : array of shape (n_rows, n_features)
    y : array of shape (n_rows,)
        Class numbers, 0 to n_classes - 1; numbers for regression.
    n_published : int or None
        Rows of the published data set; None for a synthetic one.
    statement : str
        What the rows are: all published ones, a subset, a sample.
    complete : bool
        Whether these are the published rows, all of them.
    """

    X: NDArray[np.float64]
    y: NDArray[Any]
    n_published: int | None
    statement: str
    complete: bool
