"""The check that arguments of data sets, theory and scaling laws share."""

from __future__ import annotations

from numbers import Integral


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
