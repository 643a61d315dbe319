"""Checks of arguments that several modules share."""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray


def check_int(name: str, value: object, low: int = 1, high: int | None = None, high_name: str = "") -> int:
    """Return an integer of Python's, which never overflows.

    Raises
    ------
    TypeError
        If the value is no integer.
    ValueError
        If it is below `low` or above `high`, which is that of the argument `high_name`.
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer of at least {low}, got {value!r}")
    if int(value) < low:
        raise ValueError(f"{name}={value} is too small; it must be an integer of at least {low}")
    if high is not None and int(value) > high:
        raise ValueError(f"{name}={value} is too large; it must be at most {high_name}={high}")
    return int(value)


def is_finite_number(value: object) -> bool:
    """Whether a value is a real number, neither infinite nor NaN."""
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(float(value))


def check_positive(name: str, value: float) -> None:
    """Raise where a value is not a finite number above 0."""
    if not is_finite_number(value) or not value > 0:
        raise ValueError(f"{name}={value!r} must be a finite number above 0")


def check_probability(name: str, value: float) -> float:
    """Return a probability strictly between 0 and 1 as a float, or raise."""
    if not isinstance(value, Real) or not 0 < value < 1:
        raise ValueError(f"{name}={value!r} must be a probability between 0 and 1, without the two")
    return float(value)


def check_increasing(name: str, values: ArrayLike, *, low: float = 0.0) -> NDArray[np.float64]:
    """Return the values as a float64 vector, or raise unless they are finite, increasing and at least `low`."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError(f"{name} must be a vector of finite numbers, got shape {array.shape}")
    if (np.diff(array) <= 0).any() or array[0] < low:
        raise ValueError(
            f"{name} must increase and be at least {low:g}; it goes from {array[0]:g} to {array[-1]:g}"
        )
    return array


def check_choice(name: str, value: object, choices: Collection[object]) -> None:
    """Raise ValueError unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name}={value!r} is unknown; choose one of {', '.join(map(repr, choices))}")


def check_richness(richness: object) -> None:
    """Raise ValueError unless `richness` is None or a positive number."""
    if richness is None:
        return
    if not is_finite_number(richness) or not richness > 0:  # type: ignore[operator]
        raise ValueError(
            f"richness={richness!r} must be a positive number (below 1: lazy; 1 and above: rich), or None for "
            "the usual parametrisation"
        )
