"""A power-law task: what its two exponents must be, its first modes one by one, or all of them in bins."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import zeta

from sparsemlp._validation import is_finite_number

Array = NDArray[np.float64]

INFINITE_WIDTH_MODES = 10**14
_SINGLE_MODES = 200
_BIN_RATIO = 1.03


def check_task(alpha: float, beta: float) -> None:
    """Raise where (alpha, beta) is no capacity and source: alpha > 1 and beta > 0."""
    check_capacity(alpha)
    check_source(beta)


def check_capacity(alpha: float) -> None:
    """Raise where alpha is no capacity exponent."""
    if not is_finite_number(alpha) or not alpha > 1:
        raise ValueError(
            f"alpha={alpha!r} must be a finite number above 1, or the features have no finite variance"
        )


def check_source(beta: float) -> None:
    """Raise where beta is no source exponent."""
    if not is_finite_number(beta) or not beta > 0:
        raise ValueError(f"beta={beta!r} must be a finite number above 0, or the target has no finite variance")


class Tail(NamedTuple):
    """Sums over the modes that are left out."""

    eigenvalues: float
    squared_eigenvalues: float
    shares: float  # of the target's variance
    covariance: float  # of eigenvalue times share


class Bins(NamedTuple):
    """Bins of neighbouring modes: how many, their mean eigenvalue, their share of the target's variance."""

    sizes: Array
    eigenvalues: Array
    shares: Array
    unlearned: float  # the share of the modes beyond


def first_modes(alpha: float, beta: float, n_modes: int) -> tuple[Array, Array, Tail]:
    """Return eigenvalues and target coefficients of the first modes, and the sums over the others."""
    k = np.arange(1, n_modes + 1, dtype=np.float64)
    total = zeta(alpha * beta + 1)
    beyond = n_modes + 1.0
    tail = Tail(
        float(zeta(alpha, beyond)),
        float(zeta(2 * alpha, beyond)),
        float(zeta(alpha * beta + 1, beyond) / total),
        float(zeta(alpha * beta + 1 + alpha, beyond) / total),
    )
    return k**-alpha, np.sqrt(k ** (alpha - alpha * beta - 1) / total), tail


def binned_modes(alpha: float, beta: float, n_modes: int) -> Bins:
    """Return the first `n_modes` modes: 200 by themselves, the others in bins of 3 %."""
    edges = _bin_edges(n_modes)
    sizes = np.diff(edges)
    total = zeta(alpha * beta + 1)
    return Bins(
        sizes,
        _sums(alpha, edges) / sizes,
        _sums(alpha * beta + 1, edges) / total,
        float(zeta(alpha * beta + 1, n_modes + 1.0) / total),
    )


def _bin_edges(n_modes: int) -> Array:
    """Return where bins of modes begin, the last entry being where the last one ends."""
    singles = np.arange(1.0, min(n_modes, _SINGLE_MODES) + 1)
    n_bins = int(np.log(max(n_modes / _SINGLE_MODES, 1.0)) / np.log(_BIN_RATIO))
    grouped = np.round(np.geomspace(min(n_modes, _SINGLE_MODES) + 1, n_modes + 1, n_bins + 1))
    return np.unique(np.concatenate([singles, grouped, [n_modes + 1.0]]))


def _sums(power: float, edges: Array) -> Array:
    """Return the sums of k^-power over the bins."""
    from_here_on = zeta(power, edges)
    return np.asarray(from_here_on[:-1] - from_here_on[1:])
