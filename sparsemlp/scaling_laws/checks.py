"""What the arguments of the scaling laws must be."""

from __future__ import annotations

from math import isfinite
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray


def check_task(alpha: float, beta: float) -> None:
    """Raise where (alpha, beta) is no capacity and source: alpha > 1 and beta > 0."""
    if not _is_number(alpha) or not alpha > 1:
        raise ValueError(
            f"alpha={alpha!r} must be a finite number above 1, or the features have no finite variance"
        )
    check_source(beta)


def check_source(beta: float) -> None:
    """Raise where beta is no source exponent."""
    if not _is_number(beta) or not beta > 0:
        raise ValueError(f"beta={beta!r} must be a finite number above 0, or the target has no finite variance")


def check_richness(richness: float) -> None:
    """Raise where a richness is negative or no number."""
    if not _is_number(richness) or richness < 0:
        raise ValueError(f"richness={richness!r} must be a finite number of at least 0; 0 is lazy")


def check_positive(name: str, value: float) -> None:
    """Raise where a value is not a finite number above 0."""
    if not _is_number(value) or not value > 0:
        raise ValueError(f"{name}={value!r} must be a finite number above 0")


def increasing(name: str, values: ArrayLike, *, low: float = 0.0) -> NDArray[np.float64]:
    """Return the values as a float64 vector, or raise unless they are finite, increasing and at least `low`."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError(f"{name} must be a vector of finite numbers, got shape {array.shape}")
    if (np.diff(array) <= 0).any() or array[0] < low:
        raise ValueError(
            f"{name} must increase and be at least {low:g}; it goes from {array[0]:g} to {array[-1]:g}"
        )
    return array


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(float(value))
