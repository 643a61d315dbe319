"""Luck: how likely a neuron is to start with the inputs that it needs."""

from __future__ import annotations

from decimal import Decimal
from math import ceil, expm1, log1p

from scipy.stats import hypergeom

from sparsemlp._validation import check_int, check_probability
from sparsemlp.theory._bounds import check_task


def lucky_probability(n_features: int, n_informative: int, sparsity: int, *, at_least: int | None = None) -> float:
    r"""Return the probability that a neuron with s random inputs is a lottery ticket.

    The number of hidden inputs that a neuron holds is hypergeometric, so that it holds at least j with
    probability

    .. math:: \sum_{i \ge j} \binom{k}{i} \binom{n - k}{s - i} \Big/ \binom{n}{s}.

    By default j = min(s, k): the neuron covers the whole support (s >= k), or holds nothing but hidden inputs
    (s <= k), which are the lucky neurons of the paper's Theorems 4 and 5.

    Parameters
    ----------
    n_features, n_informative, sparsity : int
        n, k and s.
    at_least : int, optional
        j, the number of hidden inputs that make a neuron lucky, from 0 to min(s, k). Default: min(s, k).

    Returns
    -------
    float

    See Also
    --------
    approximate_lucky_probability : The paper's approximation.

    Examples
    --------
    >>> from sparsemlp.theory import lucky_probability
    >>> round(lucky_probability(50, 3, 2), 5)  # 3 pairs out of 1225
    0.00245
    >>> round(lucky_probability(50, 3, 2, at_least=1), 3)
    0.118
    """
    return float(hypergeom.sf(*_hypergeometric(n_features, n_informative, sparsity, at_least)))


def approximate_lucky_probability(n_features: int, n_informative: int, sparsity: int) -> float:
    """Return the paper's approximation: (s/n)^k for s >= k, and (k/n)^s for s <= k.

    It replaces sampling without replacement by sampling with replacement, and so is above the exact
    :func:`lucky_probability`, the less so the larger n (Edelman et al. 2023, arXiv:2309.03800).

    Parameters
    ----------
    n_features, n_informative, sparsity : int
        n, k and s.

    Returns
    -------
    float

    Examples
    --------
    >>> from sparsemlp.theory import approximate_lucky_probability
    >>> round(approximate_lucky_probability(50, 3, 2), 5)
    0.0036
    """
    check_task(n_features, n_informative)
    check_int("sparsity", sparsity, high=n_features, high_name="n_features")
    fewer, more = sorted((int(n_informative), int(sparsity)))
    return float((more / n_features) ** fewer)


def any_lucky_probability(
    n_features: int, n_informative: int, sparsity: int, width: int, *, at_least: int | None = None
) -> float:
    """Return the probability that at least one of r neurons is lucky, 1 - (1 - p)^r.

    Parameters
    ----------
    n_features, n_informative, sparsity : int
        n, k and s.
    width : int
        Number r of neurons.
    at_least : int, optional
        Hidden inputs that make a neuron lucky, see :func:`lucky_probability`.

    Returns
    -------
    float

    Examples
    --------
    >>> from sparsemlp.theory import any_lucky_probability
    >>> [round(any_lucky_probability(50, 3, 2, width), 3) for width in (10, 100, 1000)]
    [0.024, 0.217, 0.914]
    """
    check_int("width", width)
    p = lucky_probability(n_features, n_informative, sparsity, at_least=at_least)
    return 1.0 if p == 1 else -expm1(width * log1p(-p))


def width_for_luck(
    n_features: int,
    n_informative: int,
    sparsity: int,
    *,
    probability: float = 0.5,
    at_least: int | None = None,
) -> int:
    """Return the smallest width of which at least one neuron is lucky with the given probability.

    Parameters
    ----------
    n_features, n_informative, sparsity : int
        n, k and s.
    probability : float, default=0.5
        Wanted probability, in (0, 1); reached up to rounding counts as reached.
    at_least : int, optional
        Hidden inputs that make a neuron lucky, see :func:`lucky_probability`.

    Returns
    -------
    int

    Examples
    --------
    >>> from sparsemlp.theory import any_lucky_probability, width_for_luck
    >>> width = width_for_luck(50, 3, 2, probability=0.9)
    >>> width, round(any_lucky_probability(50, 3, 2, width), 4)
    (940, 0.9002)
    """
    misses_wanted = -log1p(-check_probability("probability", probability))
    arguments = _hypergeometric(n_features, n_informative, sparsity, at_least)
    p = float(hypergeom.sf(*arguments))
    if p == 1:
        return 1
    if p < 1e-300:  # log(1 - p) is -p to all digits, and p may be too small for a float
        return ceil(Decimal(misses_wanted) * Decimal(-hypergeom.logsf(*arguments)).exp())
    return max(1, ceil(misses_wanted / -log1p(-p) * (1 - 1e-12)))


def _hypergeometric(
    n_features: int, n_informative: int, sparsity: int, at_least: int | None
) -> tuple[int, int, int, int]:
    """Return scipy's arguments: the largest number of hidden inputs that is no luck, n, k and s."""
    check_task(n_features, n_informative)
    check_int("sparsity", sparsity, high=n_features, high_name="n_features")
    most = min(int(sparsity), int(n_informative))
    lucky = most if at_least is None else at_least
    check_int("at_least", lucky, low=0, high=most, high_name="min(sparsity, n_informative)")
    return int(lucky) - 1, int(n_features), int(n_informative), int(sparsity)
