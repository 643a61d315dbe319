"""Checks of arguments that several modules share."""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real


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


def check_choice(name: str, value: object, choices: Collection[object]) -> None:
    """Raise ValueError unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name}={value!r} is unknown; choose one of {', '.join(map(repr, choices))}")


def check_richness(richness: object) -> None:
    """Raise ValueError unless `richness` is None or a positive number."""
    if richness is None:
        return
    if not isinstance(richness, Real) or isinstance(richness, bool) or not 0 < float(richness) < math.inf:
        raise ValueError(
            f"richness={richness!r} must be a positive number (below 1: lazy; 1 and above: rich), or None for "
            "the usual parametrisation"
        )
