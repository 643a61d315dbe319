"""What width and samples leave of the loss on average, without drawing anything: deterministic equivalents."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from sparsemlp._validation import check_int
from sparsemlp.scaling_laws.checks import check_task
from sparsemlp.scaling_laws.spectrum import INFINITE_WIDTH_MODES, Bins, binned_modes


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
