"""What the arguments of the theory's functions must be."""

from __future__ import annotations

from numbers import Real

from sparsemlp._validation import check_int


def check_task(n_features: int, n_informative: int) -> None:
    """Raise where (n, k) is no parity."""
    check_int("n_features", n_features)
    check_int("n_informative", n_informative, high=n_features, high_name="n_features")


def check_even(name: str, value: int, theorem: str) -> None:
    """Raise where a number is odd, which the theorem does not cover."""
    if value % 2:
        raise ValueError(f"{name}={value} is odd; {theorem} is for even numbers only")


def check_probability(name: str, value: float) -> float:
    """Return a probability strictly between 0 and 1 as a float, or raise."""
    if not isinstance(value, Real) or not 0 < value < 1:
        raise ValueError(f"{name}={value!r} must be a probability between 0 and 1, without the two")
    return float(value)
