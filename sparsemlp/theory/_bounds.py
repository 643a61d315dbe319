"""The paper's bounds: Proposition 3 (what any learner needs) and Theorems 4 and 5 (what a sparse start needs)."""

from __future__ import annotations

from fractions import Fraction
from math import comb, floor, inf, log
from numbers import Real
from typing import NamedTuple

import numpy as np

from sparsemlp._validation import check_int, check_probability


def check_task(n_features: int, n_informative: int) -> None:
    """Raise where (n, k) is no parity."""
    check_int("n_features", n_features)
    check_int("n_informative", n_informative, high=n_features, high_name="n_features")


def sq_lower_bound(
    n_features: int,
    n_informative: int,
    *,
    n_parameters: int = 1,
    n_steps: int = 1,
    n_samples: int = 1,
    delta: float = 0.5,
) -> int:
    r"""Return the smallest whole factor by which resources must grow to pass the statistical-query bound.

    Proposition 3 of the paper [1]_: where

    .. math:: \frac{r T}{\tau^2 \delta} \le \frac{1}{2} \binom{n}{k},

    there is an (n, k)-parity of which the first T iterates of SGD are statistically independent, with
    probability :math:`1 - \delta`. Here r is the number of parameters, :math:`\theta \in \mathbb{R}^r`: each of
    them has a gradient, which is a query. The precision :math:`\tau` of the gradients is that of averages over m
    rows, so that :math:`\tau^2` stands for 1/m. The resources :math:`r T m / \delta` trade against each other: a
    learner must be rich, patient, knowledgeable or lucky.

    The factor is the smallest integer q with :math:`q\, r T m / \delta > \binom{n}{k} / 2`. Leave out one of the
    resources, and q is the smallest value of it that the bound allows. Pass all, and q = 1 says that the bound
    does not rule the setting out. The bound is necessary, not sufficient: above it nothing is promised, and real
    runs need far more.

    Parameters
    ----------
    n_features, n_informative : int
        The (n, k) of the parity.
    n_parameters : int, default=1
        Trained parameters r; a network with one hidden layer of N neurons and one output has N (n + 2) + 1.
    n_steps, n_samples : int, default=1
        Steps T and training rows m.
    delta : float, default=0.5
        Luck: the probability with which the learner may beat the bound, in (0, 1).

    Returns
    -------
    int

    Raises
    ------
    TypeError
        If a number that must be an integer is none.
    ValueError
        If a number is out of range.

    References
    ----------
    .. [1] B. L. Edelman et al., NeurIPS 2023, arXiv:2309.03800, Proposition 3.

    Examples
    --------
    >>> from sparsemlp.theory import sq_lower_bound
    >>> sq_lower_bound(50, 3, n_parameters=53, n_steps=10)  # rows for one neuron and ten steps
    10
    >>> sq_lower_bound(50, 3, n_parameters=53, n_steps=10, n_samples=100)  # not ruled out
    1
    """
    check_task(n_features, n_informative)
    for name, value in (("n_parameters", n_parameters), ("n_steps", n_steps), ("n_samples", n_samples)):
        check_int(name, value)
    # As written: the float nearest to 0.1 lies a little above it, which would show where the bound is met exactly.
    luck = Fraction(repr(check_probability("delta", delta)))
    resources = Fraction(int(n_parameters) * int(n_steps) * int(n_samples)) / luck
    return floor(Fraction(comb(n_features, n_informative), 2) / resources) + 1


class Scaling(NamedTuple):
    """What a theorem asks for, with all of its constants set to 1."""

    width: float
    n_samples: float
    n_steps: float


def over_sparse_scaling(
    n_features: int, n_informative: int, sparsity: int, *, target_loss: float = 0.1
) -> Scaling:
    r"""Return the resources with which an over-sparse start (s > k) learns, constants set to 1.

    Theorem 4 of the paper [1]_: for even k and :math:`s > c k`, width :math:`r = c_2 (n/s)^k`, samples
    :math:`m \ge c_3 (s/k)^{k-1} n^2 \log n` and steps :math:`T \ge c_4 / \epsilon^2` give a loss of at most
    :math:`\epsilon` with probability 0.99. A larger s needs less width, since more neurons cover the support,
    and more samples, since each has more to tell apart.

    The constants are not known and all are 1 here, also c: only s > k is checked, while the theorem needs s to
    be larger than k by a factor that it does not state.

    Parameters
    ----------
    n_features, n_informative, sparsity : int
        n, the even k, and s with k < s <= n.
    target_loss : float, default=0.1
        The epsilon that the loss is to reach.

    Returns
    -------
    Scaling
        width, n_samples and n_steps, as floats.

    References
    ----------
    .. [1] B. L. Edelman et al., NeurIPS 2023, arXiv:2309.03800, Theorem 4.

    Examples
    --------
    >>> from sparsemlp.theory import over_sparse_scaling
    >>> few, many = over_sparse_scaling(100, 2, 4), over_sparse_scaling(100, 2, 8)
    >>> few.width / many.width, many.n_samples / few.n_samples
    (4.0, 2.0)
    """
    check_task(n_features, n_informative)
    check_int("sparsity", sparsity, high=n_features, high_name="n_features")
    _check_even("n_informative", n_informative, "Theorem 4")
    if sparsity <= n_informative:
        raise ValueError(
            f"sparsity={sparsity} must be more than n_informative={n_informative} for Theorem 4; "
            "for fewer see under_sparse_scaling"
        )
    if not isinstance(target_loss, Real) or not 0 < target_loss < np.inf:
        raise ValueError(f"target_loss={target_loss!r} must be a positive number")
    n, k, s = int(n_features), int(n_informative), int(sparsity)
    return Scaling(
        width=_power(n / s, k), n_samples=_power(s / k, k - 1) * n**2 * log(n), n_steps=1 / float(target_loss) ** 2
    )


def under_sparse_scaling(n_features: int, n_informative: int, sparsity: int) -> Scaling:
    r"""Return the resources with which an under-sparse start (s < k) learns, constants set to 1.

    Theorem 5 of the paper [1]_: for even s and k with s < k, width :math:`r = O((n/k)^s)` and samples
    :math:`m = O((n/k)^{k-s-1})`: after one clipped gradient step there is a subnetwork that computes the parity.
    In the theorem the s weights of a neuron are 1 and the other weights a tiny :math:`\epsilon < 1/(n - s)`, in
    place of 0.

    The one step is what `n_steps` says. How many more it takes to train the output layer is not part of the
    theorem as read, and the constants are not known.

    Parameters
    ----------
    n_features, n_informative, sparsity : int
        n, and the even k and s with s < k.

    Returns
    -------
    Scaling
        width, n_samples and n_steps (1), as floats.

    References
    ----------
    .. [1] B. L. Edelman et al., NeurIPS 2023, arXiv:2309.03800, Theorem 5.

    Examples
    --------
    >>> from sparsemlp.theory import under_sparse_scaling
    >>> under_sparse_scaling(100, 4, 2)
    Scaling(width=625.0, n_samples=25.0, n_steps=1.0)
    """
    check_task(n_features, n_informative)
    check_int("sparsity", sparsity, high=n_features, high_name="n_features")
    _check_even("n_informative", n_informative, "Theorem 5")
    _check_even("sparsity", sparsity, "Theorem 5")
    if sparsity >= n_informative:
        raise ValueError(
            f"sparsity={sparsity} must be less than n_informative={n_informative} for Theorem 5; "
            "for more see over_sparse_scaling"
        )
    n, k, s = int(n_features), int(n_informative), int(sparsity)
    return Scaling(width=_power(n / k, s), n_samples=_power(n / k, k - s - 1), n_steps=1.0)


def _check_even(name: str, value: int, theorem: str) -> None:
    """Raise where a number is odd, which the theorem does not cover."""
    if value % 2:
        raise ValueError(f"{name}={value} is odd; {theorem} is for even numbers only")


def _power(base: float, exponent: int) -> float:
    """Return a power, infinite where it is too large for a float."""
    try:
        return base**exponent
    except OverflowError:
        return inf
