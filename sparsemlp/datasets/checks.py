"""Checks of the arguments that the tasks share."""

from __future__ import annotations

from numbers import Real

import numpy as np

from sparsemlp._validation import check_int


def check_shape(n_samples: int, n_features: int, n_informative: int) -> tuple[int, int, int]:
    """Return the three, or raise an error unless there are rows, and as many features as hidden ones."""
    m, n, k = (
        check_int(name, value)
        for name, value in (("n_samples", n_samples), ("n_features", n_features), ("n_informative", n_informative))
    )
    if k > n:
        raise ValueError(
            f"n_informative={k} is larger than n_features={n}; "
            "there must be at least as many features as hidden ones"
        )
    return m, n, k


def check_fraction(name: str, value: object) -> None:
    """Raise an error unless the value is a probability below one."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number in [0, 1), got {value!r}")
    if not 0 <= float(value) < 1:
        raise ValueError(f"{name}={value} is not in [0, 1); it is the probability that a label is flipped")


def check_noise(regression: bool, noise: float, flip_y: float) -> None:
    """Raise an error unless both kinds of noise are possible, and the one that is asked for is the target's."""
    check_fraction("flip_y", flip_y)
    if not isinstance(noise, Real) or isinstance(noise, bool):
        raise TypeError(f"noise must be a number of at least 0, got {noise!r}")
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise={noise} is no standard deviation; it must be finite and at least 0")
    if regression and flip_y > 0:
        raise ValueError(f"flip_y={flip_y} flips labels, and regression=True has none; use noise, with flip_y=0")
    if not regression and noise > 0:
        raise ValueError(f"noise={noise} is for regression=True; use flip_y to make labels noisy, with noise=0")
