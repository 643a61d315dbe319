"""Theorems 4 and 5: what sparse initialisation needs, up to constants."""

from __future__ import annotations

from math import inf, log
from numbers import Real
from typing import NamedTuple

import numpy as np

from sparsemlp._validation import check_int
from sparsemlp.theory.checks import check_even, check_task


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
    check_even("n_informative", n_informative, "Theorem 4")
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
    check_even("n_informative", n_informative, "Theorem 5")
    check_even("sparsity", sparsity, "Theorem 5")
    if sparsity >= n_informative:
        raise ValueError(
            f"sparsity={sparsity} must be less than n_informative={n_informative} for Theorem 5; "
            "for more see over_sparse_scaling"
        )
    n, k, s = int(n_features), int(n_informative), int(sparsity)
    return Scaling(width=_power(n / k, s), n_samples=_power(n / k, k - s - 1), n_steps=1.0)


def _power(base: float, exponent: int) -> float:
    """Return a power, infinite where it is too large for a float."""
    try:
        return base**exponent
    except OverflowError:
        return inf
