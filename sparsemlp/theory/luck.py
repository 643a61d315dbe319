"""Luck: how likely it is that a neuron starts with the inputs that it takes."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, comb, expm1, log1p

from sparsemlp._validation import check_int
from sparsemlp.theory.checks import check_probability, check_task


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
    return float(_lucky(n_features, n_informative, sparsity, at_least))


def approximate_lucky_probability(n_features: int, n_informative: int, sparsity: int) -> float:
    """Return the paper's approximation: (s/n)^k for s >= k, and (k/n)^s for s <= k.

    It replaces draws without replacement by draws with replacement, and so is above the exact
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
    wanted = check_probability("probability", probability)
    p = _lucky(n_features, n_informative, sparsity, at_least)
    if float(p) == 1:
        return 1
    # log(1 - p) is -p to all digits where p is as small as to vanish in a float.
    misses = Fraction(-log1p(-float(p))) if float(p) > 1e-300 else p
    n_draws = Fraction(-log1p(-wanted)) / misses
    return max(1, ceil(n_draws * (1 - Fraction(1, 10**12))))


def _lucky(n_features: int, n_informative: int, sparsity: int, at_least: int | None) -> Fraction:
    check_task(n_features, n_informative)
    check_int("sparsity", sparsity, high=n_features, high_name="n_features")
    n, k, s = int(n_features), int(n_informative), int(sparsity)
    if at_least is None:
        at_least = min(s, k)
    check_int("at_least", at_least, low=0, high=min(s, k), high_name="min(sparsity, n_informative)")
    lucky = sum(comb(k, i) * comb(n - k, s - i) for i in range(int(at_least), min(s, k) + 1))
    return Fraction(lucky, comb(n, s))
