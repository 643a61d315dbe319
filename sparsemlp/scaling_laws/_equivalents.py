"""Deterministic equivalents: the mean loss at a width, time or number of samples, without a random instance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from sparsemlp._validation import check_increasing, check_int
from sparsemlp.scaling_laws._spectrum import INFINITE_WIDTH_MODES, Bins, binned_modes, check_task

# Nodes of the contour, which give some 13 digits, and turns in which they are reached from the positive axis.
_N_NODES, _N_TURNS = 24, 8
_MAX_NEWTON_STEPS = 50


def width_limited_loss(alpha: float, beta: float, width: int) -> float:
    r"""Return the loss that N random features leave after infinite time and data.

    .. math:: L_N = \sum_k \lambda_k (w^*_k)^2 \frac{\kappa}{\lambda_k + \kappa}, \qquad
              \sum_k \frac{\lambda_k}{\lambda_k + \kappa} = N,

    the expected residual of a least-squares fit, at large N. It shows where an exponent measured at small widths
    would be at larger ones.

    Parameters
    ----------
    alpha, beta : float
        Capacity and source.
    width : int
        N.

    Returns
    -------
    float
        The variance of the target is 1.

    Examples
    --------
    >>> from math import log10
    >>> from sparsemlp.scaling_laws import width_limited_loss
    >>> loss = [width_limited_loss(1.5, 0.75, n) for n in (10, 100, 10**7, 10**8)]
    >>> print(f"{log10(loss[0] / loss[1]):.2f} to {log10(loss[2] / loss[3]):.2f}; alpha * beta = {1.5 * 0.75}")
    0.96 to 1.12; alpha * beta = 1.125
    """
    check_task(alpha, beta)
    check_int("width", width)
    modes = binned_modes(alpha, beta, INFINITE_WIDTH_MODES)
    kappa = _kappa(modes, alpha, width)
    return float((modes.shares * kappa / (modes.eigenvalues + kappa)).sum()) + modes.unlearned


def lazy_loss(alpha: float, beta: float, width: int, times: ArrayLike) -> NDArray[np.float64]:
    r"""Return the mean loss of N random features at the given times of lazy gradient flow.

    Its Laplace transform in 2 t is that of :func:`width_limited_loss` at a resolution kappa that depends on time,

    .. math:: \hat{L}(s) = \frac{1}{s} \sum_k \lambda_k (w^*_k)^2 \frac{\kappa(s)}{\lambda_k + \kappa(s)}, \qquad
              s = \kappa \Big(1 - \frac{1}{N} \sum_k \frac{\lambda_k}{\lambda_k + \kappa}\Big),

    the deterministic equivalent of the resolvent of the kernel [1]_ [2]_. It is inverted along a contour around
    the negative axis [3]_. The loss is more than the sum :math:`t^{-\beta} + N^{-\alpha \min(1, \beta)}` of the
    two bottlenecks: a third term, :math:`N^{-1} t^{-(1 - 1/\alpha)}`, matters on easy tasks
    (:func:`compute_exponents`).

    Parameters
    ----------
    alpha, beta : float
        Capacity and source.
    width : int
        N.
    times : array-like of shape (n_times,)
        Increasing, above 0; in the units of :func:`gradient_flow`.

    Returns
    -------
    ndarray of shape (n_times,)
        The variance of the target is 1.

    References
    ----------
    .. [1] B. Bordelon, A. Atanasov, C. Pehlevan. "A Dynamical Model of Neural Scaling Laws". ICML 2024.
       arXiv:2402.01092.
    .. [2] E. Paquette, C. Paquette, L. Xiao, J. Pennington. "4+3 Phases of Compute-Optimal Neural Scaling Laws".
       NeurIPS 2024. arXiv:2405.15074.
    .. [3] L. N. Trefethen, J. A. C. Weideman, T. Schmelzer. "Talbot quadratures and rational approximations". BIT
       Numerical Mathematics 46, 2006.

    Examples
    --------
    >>> from sparsemlp.scaling_laws import lazy_loss, width_limited_loss
    >>> early, late = lazy_loss(1.5, 0.5, 100, [10, 1e8])
    >>> print(f"{early:.3f} {late:.4f}, and after infinite time {width_limited_loss(1.5, 0.5, 100):.4f}")
    0.154 0.0637, and after infinite time 0.0637
    """
    check_task(alpha, beta)
    check_int("width", width)
    points = check_increasing("times", times)
    if points[0] <= 0:
        raise ValueError(f"times must be above 0, got {points[0]:g}; at time 0 the loss is 1")
    modes = binned_modes(alpha, beta, INFINITE_WIDTH_MODES)
    return np.array([_inverse_laplace(modes, width, 2 * time) for time in points])


def sample_limited_loss(alpha: float, beta: float, n_samples: int) -> float:
    r"""Return the test loss of lazy training to the end on P samples without noise, at infinite width.

    .. math:: L_P = \frac{1}{1 - \gamma} \sum_k \lambda_k (w^*_k)^2
              \Big(\frac{\kappa}{\lambda_k + \kappa}\Big)^2, \qquad
              \gamma = \frac{1}{P} \sum_k \Big(\frac{\lambda_k}{\lambda_k + \kappa}\Big)^2,

    with kappa as in :func:`width_limited_loss`, P in place of N: the known learning curve of kernel regression.

    Parameters
    ----------
    alpha, beta : float
        Capacity and source.
    n_samples : int
        P.

    Returns
    -------
    float

    Examples
    --------
    >>> from sparsemlp.scaling_laws import sample_limited_loss
    >>> print(f"{sample_limited_loss(1.5, 0.5, 100):.3f}")
    0.049
    """
    check_task(alpha, beta)
    check_int("n_samples", n_samples)
    modes = binned_modes(alpha, beta, INFINITE_WIDTH_MODES)
    kappa = _kappa(modes, alpha, n_samples)
    left = kappa / (modes.eigenvalues + kappa)
    overlap = (modes.sizes * (1 - left) ** 2).sum() / n_samples
    return float(((modes.shares * left**2).sum() + modes.unlearned) / (1 - overlap))


def _inverse_laplace(modes: Bins, width: int, time: float) -> float:
    """Return the function of time whose Laplace transform :func:`lazy_loss` states."""
    theta = np.pi * np.arange(1, _N_NODES, 2) / _N_NODES  # the other half of the contour is its mirror image
    angle = 0.6407 * theta
    contour = 0.5017 * theta / np.tan(angle) - 0.6122 + 0.2645j * theta
    s = np.asarray(_N_NODES / time * contour, dtype=np.complex128)
    slope = _N_NODES / time * (0.5017 / np.tan(angle) - 0.5017 * angle / np.sin(angle) ** 2 + 0.2645j)
    kappa = _complex_kappa(modes, width, s)[:, None]
    transform = ((modes.shares * kappa / (modes.eigenvalues + kappa)).sum(axis=1) + modes.unlearned) / s
    return float(2 / _N_NODES * (np.exp(s * time) * transform * slope).imag.sum())


def _complex_kappa(modes: Bins, width: int, s: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return kappa at complex s, by Newton's method.

    For s > 0 the equation is convex in kappa, so that Newton's method converges from above; the solution is then
    followed along an arc to the argument of s.
    """
    weights = modes.sizes * modes.eigenvalues / width
    kappa = (np.abs(s) + weights.sum()).astype(np.complex128)
    for turn in np.linspace(0, 1, _N_TURNS + 1):
        wanted = np.abs(s) * np.exp(1j * turn * np.angle(s))
        for _ in range(_MAX_NEWTON_STEPS):
            inverse = 1 / (modes.eigenvalues + kappa[:, None])
            excess = kappa * (1 - (weights * inverse).sum(axis=1)) - wanted
            change = excess / (1 - (weights * modes.eigenvalues * inverse**2).sum(axis=1))
            kappa = kappa - change
            if (np.abs(change) <= 1e-7 * np.abs(kappa)).all():  # the step that made it was exact to 14 digits
                break
    return kappa


def _kappa(modes: Bins, alpha: float, n: int) -> float:
    """Return the resolution kappa ~ n^-alpha, below which eigenvalues are not seen."""

    def excess(log_kappa: float) -> float:
        kappa = np.exp(log_kappa)
        with np.errstate(invalid="ignore"):  # NaN where both vanish
            return float((modes.sizes * modes.eigenvalues / (modes.eigenvalues + kappa)).sum() - n)

    low, high = -alpha * np.log(n) - 20, -alpha * np.log(n) + 20
    if not excess(low) > 0 > excess(high):
        raise ValueError(
            f"no kappa is found for alpha={alpha:g} and {n} neurons or samples: they must be far fewer than the "
            f"{INFINITE_WIDTH_MODES:.0e} modes that stand for all, and alpha not so large that these vanish"
        )
    return float(np.exp(brentq(excess, low, high)))
