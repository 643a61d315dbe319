"""Proposition 3: the statistical-query lower bound, in which width, steps, rows and luck trade off."""

from __future__ import annotations

from fractions import Fraction
from math import comb, floor, inf

from sparsemlp._validation import check_int
from sparsemlp.theory.checks import check_probability, check_task


def sq_threshold(n_features: int, n_informative: int) -> float:
    """Return C(n, k) / 2, which the resources of a learner must exceed.

    See :func:`is_below_sq_bound`.

    Parameters
    ----------
    n_features, n_informative : int
        The (n, k) of the parity.

    Returns
    -------
    float
        Infinity where it is too large for a float; :func:`is_below_sq_bound` compares exactly.

    Examples
    --------
    >>> from sparsemlp.theory import sq_threshold
    >>> sq_threshold(50, 3)
    9800.0
    """
    check_task(n_features, n_informative)
    n_parities = comb(n_features, n_informative)
    return n_parities / 2 if n_parities.bit_length() < 1024 else inf


def sq_resources(width: int, n_steps: int, n_samples: int, *, delta: float = 0.5) -> float:
    """Return r T m / delta, the resources of a learner in the statistical-query bound.

    See :func:`is_below_sq_bound`, which compares them with :func:`sq_threshold`.

    Parameters
    ----------
    width, n_steps, n_samples : int
        Model size r, steps T and training rows m.
    delta : float, default=0.5
        Luck: the probability with which the learner may beat the bound, in (0, 1).

    Returns
    -------
    float
        Infinity where it is too large for a float.

    Examples
    --------
    >>> from sparsemlp.theory import sq_resources
    >>> sq_resources(width=10, n_steps=20, n_samples=5, delta=0.25)
    4000.0
    """
    try:
        return float(_resources(width, n_steps, n_samples, delta))
    except OverflowError:
        return inf


def is_below_sq_bound(
    n_features: int, n_informative: int, *, width: int, n_steps: int, n_samples: int, delta: float = 0.5
) -> bool:
    r"""Say whether a setting lies below the statistical-query bound, where gradient learning cannot work.

    Proposition 3 of the paper [1]_: where

    .. math:: \frac{r T}{\tau^2 \delta} \le \frac{1}{2} \binom{n}{k},

    there is an (n, k)-parity of which the first T iterates of SGD are statistically independent, with
    probability :math:`1 - \delta`. The precision :math:`\tau` of the gradients is that of averages over m rows,
    and :math:`\tau^2` stands for 1/m. So the resources :math:`r T m / \delta` trade against each other: a
    learner must be rich, patient, knowledgeable or lucky.

    The bound is necessary, not sufficient: above it nothing is promised, and real runs need far more. What was
    read of the paper does not say whether r counts neurons or parameters; here it is what you pass as `width`.

    Parameters
    ----------
    n_features, n_informative : int
        The (n, k) of the parity.
    width, n_steps, n_samples : int
        Model size r, steps T and training rows m.
    delta : float, default=0.5
        Luck: the probability with which the learner may beat the bound, in (0, 1).

    Returns
    -------
    bool

    References
    ----------
    .. [1] B. L. Edelman et al., NeurIPS 2023, arXiv:2309.03800, Proposition 3.

    Examples
    --------
    >>> from sparsemlp.theory import is_below_sq_bound
    >>> is_below_sq_bound(50, 3, width=1, n_steps=10, n_samples=100)
    True
    >>> is_below_sq_bound(50, 3, width=10, n_steps=10, n_samples=100)
    False
    """
    check_task(n_features, n_informative)
    return 2 * _resources(width, n_steps, n_samples, delta) <= comb(n_features, n_informative)


def sq_min_samples(n_features: int, n_informative: int, *, width: int, n_steps: int, delta: float = 0.5) -> int:
    """Return the smallest number of training rows that the statistical-query bound allows.

    Parameters
    ----------
    n_features, n_informative : int
        The (n, k) of the parity.
    width, n_steps : int
        Model size r and steps T.
    delta : float, default=0.5
        Luck, see :func:`is_below_sq_bound`.

    Returns
    -------
    int
        The smallest m with r T m / delta > C(n, k) / 2.

    Examples
    --------
    >>> from sparsemlp.theory import sq_min_samples
    >>> sq_min_samples(50, 3, width=10, n_steps=10)
    50
    """
    return _smallest(n_features, n_informative, _resources(width, n_steps, 1, delta))


def sq_min_width(n_features: int, n_informative: int, *, n_steps: int, n_samples: int, delta: float = 0.5) -> int:
    """Return the smallest model size that the statistical-query bound allows.

    Parameters
    ----------
    n_features, n_informative : int
        The (n, k) of the parity.
    n_steps, n_samples : int
        Steps T and training rows m.
    delta : float, default=0.5
        Luck, see :func:`is_below_sq_bound`.

    Returns
    -------
    int
        The smallest r with r T m / delta > C(n, k) / 2.

    Examples
    --------
    >>> from sparsemlp.theory import sq_min_width
    >>> sq_min_width(50, 3, n_steps=10, n_samples=100)
    5
    """
    return _smallest(n_features, n_informative, _resources(1, n_steps, n_samples, delta))


def sq_min_steps(n_features: int, n_informative: int, *, width: int, n_samples: int, delta: float = 0.5) -> int:
    """Return the smallest number of steps that the statistical-query bound allows.

    Parameters
    ----------
    n_features, n_informative : int
        The (n, k) of the parity.
    width, n_samples : int
        Model size r and training rows m.
    delta : float, default=0.5
        Luck, see :func:`is_below_sq_bound`.

    Returns
    -------
    int
        The smallest T with r T m / delta > C(n, k) / 2.

    Examples
    --------
    >>> from sparsemlp.theory import sq_min_steps
    >>> sq_min_steps(50, 3, width=1, n_samples=100)
    50
    """
    return _smallest(n_features, n_informative, _resources(width, 1, n_samples, delta))


def _resources(width: int, n_steps: int, n_samples: int, delta: float) -> Fraction:
    for name, value in (("width", width), ("n_steps", n_steps), ("n_samples", n_samples)):
        check_int(name, value)
    # As written: the float nearest to 0.1 lies a little above it, which would show where the bound is met exactly.
    return Fraction(int(width) * int(n_steps) * int(n_samples)) / Fraction(repr(check_probability("delta", delta)))


def _smallest(n_features: int, n_informative: int, resources_of_one: Fraction) -> int:
    check_task(n_features, n_informative)
    return floor(comb(n_features, n_informative) / (2 * resources_of_one)) + 1
