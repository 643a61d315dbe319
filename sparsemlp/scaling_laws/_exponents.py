"""The exponents of lazy and rich scaling laws as functions of a task's capacity and source."""

from __future__ import annotations

from typing import Literal, NamedTuple

from sparsemlp.scaling_laws._spectrum import check_capacity, check_source, check_task


class ComputeExponents(NamedTuple):
    """Powers of the compute C = N t: loss ~ C^-loss at best, at width ~ C^width and time ~ C^time."""

    loss: float
    width: float
    time: float


def difficulty(alpha: float, beta: float) -> Literal["hard", "easy", "super-easy"]:
    r"""Return how hard a task is for the kernel that a network starts with.

    Hard is beta < 1: the target has infinite norm in the kernel's space. Easy is 1 <= beta < 2 - 1/alpha, and
    super-easy what is beyond, where the noise of SGD decays more slowly than the loss itself [1]_
    (:func:`noise_exponent`).

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
    return "easy" if beta < noise_exponent(alpha) else "super-easy"


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
    r"""Return the exponent of L ~ P^-e, with P training samples as the only bottleneck, lazy and rich alike.

    It is :math:`\alpha \min(2, \beta)` [1]_. In the package's model (:func:`solvable_model`) features that move
    change nothing about it: every step of the two layers, and so the function, stays in the span of the samples,
    and the only function there that fits them all is the least-norm one. Richness changes how soon it is reached.

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


def noise_exponent(alpha: float) -> float:
    r"""Return the exponent of t^-e with which the noise of SGD falls, at a constant learning rate and batch size.

    It is :math:`2 - 1/\alpha`: a batch at time s adds noise to mode k in proportion to :math:`L(s) \lambda_k^2`,
    which decays as :math:`e^{-2 \lambda_k (t - s)}`, and :math:`\sum_k \lambda_k^2 e^{-2 \lambda_k t}` falls
    as :math:`t^{-(2 - 1/\alpha)}` [1]_ [2]_. Online SGD therefore learns at the smaller of this exponent and
    :func:`time_exponent`: the noise decides on super-easy tasks.

    Parameters
    ----------
    alpha : float
        Capacity, above 1.

    Returns
    -------
    float

    References
    ----------
    .. [1] E. Paquette, C. Paquette, L. Xiao, J. Pennington. "4+3 Phases of Compute-Optimal Neural Scaling Laws".
       NeurIPS 2024. arXiv:2405.15074.
    .. [2] B. Bordelon, A. Atanasov, C. Pehlevan. ICLR 2025, arXiv:2409.17858.

    Examples
    --------
    >>> from sparsemlp.scaling_laws import noise_exponent
    >>> round(noise_exponent(1.5), 3)
    1.333
    """
    check_capacity(alpha)
    return float(2 - 1 / alpha)


def compute_exponents(alpha: float, beta: float, *, rich: bool = False) -> ComputeExponents:
    r"""Return the exponents of the best loss, width and time of gradient flow for a compute C = N t.

    At the best width the two largest terms of the loss are of one size. One is always :math:`t^{-\chi}`, with chi
    from :func:`time_exponent`. On hard tasks the other is the loss :math:`N^{-\alpha\beta}` that the width leaves
    after infinite time [1]_:

    .. math:: L^* \sim C^{-\alpha\beta \chi / (\alpha\beta + \chi)}, \quad
              N^* \sim C^{\chi / (\alpha\beta + \chi)}.

    On easy and super-easy tasks (:math:`\beta \ge 1`) it is :math:`N^{-1} t^{-(1 - 1/\alpha)}`, by which a
    network of finite width comes down to its floor [2]_:

    .. math:: L^* \sim C^{-\alpha\beta / (\alpha\beta + 1)}, \quad
              N^* \sim C^{(\beta - 1 + 1/\alpha) / (\beta + 1/\alpha)}.

    Time is what is left, :math:`t^* \sim C / N^*`. The minimum of :func:`lazy_loss` over widths agrees. The noise
    of SGD is not part of it; on super-easy tasks it decays more slowly (:func:`noise_exponent`).

    Parameters
    ----------
    alpha, beta : float
        Capacity and source.
    rich : bool, default=False
        Whether features are learned. For beta of at least 1 the kernel grows by a constant, and exponents stay.

    Returns
    -------
    ComputeExponents
        loss, width and time; the last two add up to 1.

    References
    ----------
    .. [1] B. Bordelon, A. Atanasov, C. Pehlevan. ICLR 2025, arXiv:2409.17858.
    .. [2] E. Paquette, C. Paquette, L. Xiao, J. Pennington. "4+3 Phases of Compute-Optimal Neural Scaling Laws".
       NeurIPS 2024. arXiv:2405.15074.

    Examples
    --------
    >>> from sparsemlp.scaling_laws import compute_exponents
    >>> compute_exponents(1.5, 0.5)
    ComputeExponents(loss=0.3, width=0.4, time=0.6)
    >>> print(f"{compute_exponents(1.5, 1.2).loss:.3f}")
    0.643
    """
    check_task(alpha, beta)
    chi = time_exponent(beta, rich=rich)
    width = chi / (alpha * beta + chi) if beta < 1 else (beta - 1 + 1 / alpha) / (beta + 1 / alpha)
    return ComputeExponents(loss=chi * (1 - width), width=width, time=1 - width)
