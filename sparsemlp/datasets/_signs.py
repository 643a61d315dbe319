"""Tasks on uniform signs: sparse parities and staircases."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsemlp._validation import check_int
from sparsemlp.datasets._common import (
    RandomStateLike,
    check_fraction,
    check_noise,
    check_shape,
    choose_support,
    flip_labels,
    random_signs,
    streams,
)


def make_sparse_parity(
    n_samples: int,
    n_features: int = 50,
    n_informative: int = 3,
    *,
    flip_y: float = 0.0,
    support: ArrayLike | None = None,
    random_state: RandomStateLike = None,
    return_support: bool = False,
) -> tuple[NDArray[Any], ...]:
    r"""Sparse parity: the label is the product of a few hidden signs.

    The inputs are uniform on :math:`\{-1, +1\}^n`, and the label is 1 where

    .. math:: \prod_{i \in S} x_i = +1

    for a hidden support :math:`S` of ``n_informative`` inputs. Any set of inputs that misses one of them
    is independent of the label, so that nothing guides a learner towards a part of the support.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    n_features : int, default=50
        Number of inputs, n.
    n_informative : int, default=3
        Number of hidden inputs, k.
    flip_y : float, default=0.0
        Probability with which each label is flipped, in [0, 1). (In scikit-learn's ``make_classification``,
        this share of the labels is replaced by random ones, so that about half of them change.)
    support : array-like of int of shape (n_informative,), default=None
        The hidden inputs. None: random.
    random_state : int, numpy Generator or RandomState, default=None
        Source of randomness. An int gives the same data in every call. A generator is advanced by the
        call; numpy's global one never is.
    return_support : bool, default=False
        Whether to return the support as well.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), dtype float32
        The inputs, -1 or +1.
    y : ndarray of shape (n_samples,), dtype int64
        The labels, 0 or 1.
    support : ndarray of shape (n_informative,), dtype int64
        Sorted indices of the hidden inputs. Only with ``return_support=True``.

    References
    ----------
    .. [1] B. Edelman, S. Goel, S. Kakade, E. Malach, C. Zhang. "Pareto Frontiers in Neural Feature
       Learning: Data, Compute, Width, and Luck". NeurIPS 2023. arXiv:2309.03800, section 2.

    Examples
    --------
    >>> from sparsemlp.datasets import make_sparse_parity
    >>> X, y, support = make_sparse_parity(1000, n_features=20, random_state=0, return_support=True)
    >>> X.shape, len(support)
    ((1000, 20), 3)
    >>> bool(((X[:, support].prod(axis=1) == 1) == y).all())
    True
    """
    n_samples, n_features, n_informative = check_shape(n_samples, n_features, n_informative)
    check_fraction("flip_y", flip_y)
    concept_rng, input_rng, noise_rng = streams(random_state)
    chosen = np.sort(choose_support(support, n_features, n_informative, concept_rng))
    X = random_signs(n_samples, n_features, input_rng)
    y = flip_labels(X[:, chosen].prod(axis=1) > 0, flip_y, noise_rng)
    return (X, y, chosen) if return_support else (X, y)


def make_staircase(
    n_samples: int,
    n_features: int = 50,
    n_informative: int = 3,
    *,
    leap: int = 1,
    regression: bool = False,
    noise: float = 0.0,
    flip_y: float = 0.0,
    support: ArrayLike | None = None,
    random_state: RandomStateLike = None,
    return_support: bool = False,
) -> tuple[NDArray[Any], ...]:
    r"""Staircase: a parity whose hidden inputs can be found one after the other.

    The inputs are uniform on :math:`\{-1, +1\}^n`. With hidden inputs :math:`x_1, ..., x_k`, the target is

    .. math:: f(x) = x_1 + x_1 x_2 + x_1 x_2 x_3 + \ldots + x_1 x_2 \cdots x_k,

    in which every product extends one that is found more easily [1]_. ``leap=l`` adds the inputs l at a
    time, :math:`x_1 \cdots x_l + x_1 \cdots x_{2l} + \ldots` (the last step takes what is left), which a
    gradient learner is conjectured to need time about :math:`n^{\max(l, 2)}` for [2]_;
    ``leap=n_informative`` is the sparse parity.

    The label is 1 where :math:`f(x) > 0`. The products are independent fair signs, so that with an even
    number of them f can be 0; such a tie is decided by the longest product. This keeps the two classes
    balanced, and every hidden input relevant. (With two products, it leaves the longer one alone: a parity.
    Take three or more for a task with a staircase in it.)

    Parameters
    ----------
    n_samples : int
        Number of rows.
    n_features : int, default=50
        Number of inputs, n.
    n_informative : int, default=3
        Number of hidden inputs, k.
    leap : int, default=1
        How many hidden inputs each step of the staircase adds, from 1 to ``n_informative``.
    regression : bool, default=False
        Whether to return f itself in place of the label.
    noise : float, default=0.0
        With ``regression=True``, the standard deviation of Gaussian noise added to f.
    flip_y : float, default=0.0
        Probability with which each label is flipped, in [0, 1).
    support : array-like of int of shape (n_informative,), default=None
        The hidden inputs in the order of the steps. None: random.
    random_state : int, numpy Generator or RandomState, default=None
        Source of randomness. An int gives the same data in every call. A generator is advanced by the
        call; numpy's global one never is.
    return_support : bool, default=False
        Whether to return the support as well.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), dtype float32
        The inputs, -1 or +1.
    y : ndarray of shape (n_samples,)
        The labels, 0 or 1 (int64); with ``regression=True``, the values of f (float64).
    support : ndarray of shape (n_informative,), dtype int64
        Indices of the hidden inputs, in the order of the steps. Only with ``return_support=True``.

    References
    ----------
    .. [1] E. Abbe, E. Boix-Adsera, M. Brennan, G. Bresler, D. Nagaraj. "The staircase property: How
       hierarchical structure can guide deep learning". NeurIPS 2021. arXiv:2108.10573.
    .. [2] E. Abbe, E. Boix-Adsera, T. Misiakiewicz. "SGD learning on neural networks: leap complexity and
       saddle-to-saddle dynamics". COLT 2023. arXiv:2302.11055.

    Examples
    --------
    >>> from sparsemlp.datasets import make_staircase
    >>> X, y = make_staircase(4, n_features=5, support=[2, 0, 4], regression=True, random_state=0)
    >>> f = X[:, 2] + X[:, 2] * X[:, 0] + X[:, 2] * X[:, 0] * X[:, 4]
    >>> bool((f == y).all())
    True
    """
    n_samples, n_features, n_informative = check_shape(n_samples, n_features, n_informative)
    leap = check_int("leap", leap)
    if leap > n_informative:
        raise ValueError(
            f"leap={leap} is larger than n_informative={n_informative}; it must be between 1 and n_informative"
        )
    check_noise(regression, noise, flip_y)
    concept_rng, input_rng, noise_rng = streams(random_state)
    chosen = choose_support(support, n_features, n_informative, concept_rng)
    X = random_signs(n_samples, n_features, input_rng)

    step_ends = [*range(leap, n_informative, leap), n_informative]
    products = np.cumprod(X[:, chosen], axis=1)[:, [end - 1 for end in step_ends]]
    f = products.sum(axis=1, dtype=np.float64)
    y: NDArray[Any]
    if regression:
        y = f + noise * noise_rng.standard_normal(n_samples)
    else:
        y = flip_labels(np.where(f == 0, products[:, -1], f) > 0, flip_y, noise_rng)
    return (X, y, chosen) if return_support else (X, y)
