"""The exponents of lazy and rich scaling laws as functions of a task's capacity and source."""

from __future__ import annotations

from typing import Literal, NamedTuple

from sparsemlp.scaling_laws.checks import check_source, check_task


class ComputeExponents(NamedTuple):
    """Powers of the compute C = N t: loss ~ C^-loss at best, at width ~ C^width and time ~ C^time."""

    loss: float
    width: float
    time: float


def difficulty(alpha: float, beta: float) -> Literal["hard", "easy", "super-easy"]:
    r"""Return how hard a task is for the kernel that a network starts with.

    Hard is beta < 1: the target has infinite norm in the kernel's space. Easy is 1 <= beta < 2 - 1/alpha, and
    super-easy what is beyond, where the noise of SGD decays more slowly than the loss itself [1]_.

    Parameters
    ----------
    alpha : float
        Capacity, above 1: the kernel's eigenvalues fall as k^-alpha.
    beta : float
        Source, above 0: the target's variance in the modes beyond k falls as k^-(alpha beta).

    Returns
    -------
    str
        "hard", "easy" or "super-easy".

    References
    ----------
    .. [1] B. Bordelon, A. Atanasov, C. Pehlevan. ICLR 2025, arXiv:2409.17858.

    Examples
    --------
    >>> from sparsemlp.scaling_laws import difficulty
    >>> difficulty(1.5, 0.5), difficulty(1.5, 1.2), difficulty(1.5, 1.5)
    ('hard', 'easy', 'super-easy')
    """
    check_task(alpha, beta)
    if beta < 1:
        return "hard"
    return "easy" if beta < 2 - 1 / alpha else "super-easy"


def time_exponent(beta: float, *, rich: bool = False) -> float:
    r"""Return chi of L(t) ~ t^-chi, with neither width nor data in short supply.

    Lazy, chi = beta. Rich, :math:`\chi = \beta \max(1, 2 / (1 + \beta))`: the kernel grows with the norm of
    what has been learned, which has no limit where the task is hard, and so beta < 1 is learned faster (up to
    twice the exponent), and nothing changes for other tasks [1]_.

    Parameters
    ----------
    beta : float
        Source, above 0.
    rich : bool, default=False
        Whether features are learned.

    Returns
    -------
    float

    References
    ----------
    .. [1] B. Bordelon, A. Atanasov, C. Pehlevan. ICLR 2025, arXiv:2409.17858.

    Examples
    --------
    >>> from sparsemlp.scaling_laws import time_exponent
    >>> time_exponent(0.6), round(time_exponent(0.6, rich=True), 6), time_exponent(1.6, rich=True)
    (0.6, 0.75, 1.6)
    """
    check_source(beta)
    return float(beta * max(1.0, 2 / (1 + beta))) if rich else float(beta)


def width_exponent(alpha: float, beta: float) -> float:
    r"""Return the exponent of L ~ N^-e, with width N as the only bottleneck.

    It is :math:`\alpha \min(1, \beta)`, lazy and rich alike, since both end at the best fit on N features. For
    hard tasks that is the paper's alpha beta [1]_. For others the paper is quoted with
    :math:`\alpha \min(2, \beta)`, which is the exponent of samples; a least-squares fit on N random features
    leaves more, :math:`\kappa \sum_{k < N} (w^*_k)^2 \sim N^{-\alpha}`
    (see :func:`width_limited_loss`), and so does the simulation.

    Parameters
    ----------
    alpha, beta : float
        Capacity and source.

    Returns
    -------
    float

    References
    ----------
    .. [1] B. Bordelon, A. Atanasov, C. Pehlevan. ICLR 2025, arXiv:2409.17858.

    Examples
    --------
    >>> from sparsemlp.scaling_laws import width_exponent
    >>> width_exponent(1.5, 0.5), width_exponent(1.5, 1.8)
    (0.75, 1.5)
    """
    check_task(alpha, beta)
    return float(alpha * min(1.0, beta))


def sample_exponent(alpha: float, beta: float) -> float:
    r"""Return the exponent of L ~ P^-e, with P training samples as the only bottleneck, lazy.

    It is :math:`\alpha \min(2, \beta)` [1]_.

    Parameters
    ----------
    alpha, beta : float
        Capacity and source.

    Returns
    -------
    float

    References
    ----------
    .. [1] B. Bordelon, A. Atanasov, C. Pehlevan. "A Dynamical Model of Neural Scaling Laws". ICML 2024,
       arXiv:2402.01092.

    Examples
    --------
    >>> from sparsemlp.scaling_laws import sample_exponent
    >>> sample_exponent(1.5, 0.5), sample_exponent(1.5, 3.0)
    (0.75, 3.0)
    """
    check_task(alpha, beta)
    return float(alpha * min(2.0, beta))


def compute_exponents(alpha: float, beta: float, *, rich: bool = False) -> ComputeExponents:
    r"""Return the exponents of the best loss, width and time for a compute C = N t.

    Where :math:`L \approx t^{-\chi} + N^{-\omega}`, both terms are of one size at the best, so that

    .. math:: L^* \sim C^{-\omega \chi / (\omega + \chi)}, \quad N^* \sim C^{\chi / (\omega + \chi)}, \quad
              t^* \sim C^{\omega / (\omega + \chi)},

    with chi from :func:`time_exponent` and omega from :func:`width_exponent`; for hard tasks omega = alpha beta,
    as in the paper [1]_.

    Parameters
    ----------
    alpha, beta : float
        Capacity and source.
    rich : bool, default=False
        Whether features are learned.

    Returns
    -------
    ComputeExponents
        loss, width and time; the last two add up to 1.

    References
    ----------
    .. [1] B. Bordelon, A. Atanasov, C. Pehlevan. ICLR 2025, arXiv:2409.17858.

    Examples
    --------
    >>> from sparsemlp.scaling_laws import compute_exponents
    >>> compute_exponents(1.5, 0.5)
    ComputeExponents(loss=0.3, width=0.4, time=0.6)
    """
    chi, omega = time_exponent(beta, rich=rich), width_exponent(alpha, beta)
    return ComputeExponents(
        loss=omega * chi / (omega + chi), width=chi / (omega + chi), time=omega / (omega + chi)
    )
