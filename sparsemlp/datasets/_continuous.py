"""Tasks on continuous inputs: polynomials of Gaussian ones, parities of intervals of uniform ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import gen_batches

from sparsemlp._validation import check_int
from sparsemlp.datasets._common import (
    CHUNK_ROWS,
    RandomStateLike,
    check_fraction,
    check_noise,
    check_shape,
    choose_support,
    flip_labels,
    streams,
)

_MEDIAN_ROWS = 65536  # puts an estimated median within about 0.2 % of probability of the true one


def make_sparse_polynomial(
    n_samples: int,
    n_features: int = 50,
    n_informative: int = 3,
    *,
    degree: int = 2,
    regression: bool = False,
    noise: float = 0.0,
    flip_y: float = 0.0,
    support: ArrayLike | None = None,
    random_state: RandomStateLike = None,
    return_support: bool = False,
) -> tuple[NDArray[Any], ...]:
    r"""Sparse polynomial: the label is the sign of a random polynomial of few hidden inputs, less its median.

    The inputs are independent standard Gaussians. The target is a random polynomial of the hidden inputs,

    .. math:: f(x) = \sum_{1 \le |a| \le d} c_a \prod_{i \in S} h_{a_i}(x_i),

    over all exponents :math:`a` of total degree 1 to d, where :math:`h_j` is the j-th Hermite polynomial
    scaled to unit variance, and the coefficients are Gaussian, scaled to :math:`\sum_a c_a^2 = 1`. These
    products are uncorrelated with each other: f has mean 0 and variance 1, and :math:`c_a^2` is the share
    of one product.

    The label is 1 where f exceeds its median. That is the median over the distribution of the inputs
    (estimated from 65536 separate samples), not over the sample: the label of a row does not depend on the
    other rows.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    n_features : int, default=50
        Number of inputs, n.
    n_informative : int, default=3
        Number of hidden inputs, k.
    degree : int, default=2
        Largest total degree d of a product.
    regression : bool, default=False
        Whether to return f itself in place of the label.
    noise : float, default=0.0
        With ``regression=True``, the standard deviation of Gaussian noise added to f.
    flip_y : float, default=0.0
        Probability with which each label is flipped, in [0, 1).
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
        The inputs.
    y : ndarray of shape (n_samples,)
        The labels, 0 or 1 (int64); with ``regression=True``, the values of f (float64).
    support : ndarray of shape (n_informative,), dtype int64
        Sorted indices of the hidden inputs. Only with ``return_support=True``.

    References
    ----------
    .. [1] A. Andoni, R. Panigrahy, G. Valiant, L. Zhang. "Learning Sparse Polynomial Functions". SODA 2014.

    Examples
    --------
    >>> from sparsemlp.datasets import make_sparse_polynomial
    >>> X, y, support = make_sparse_polynomial(
    ...     1000, n_features=10, n_informative=2, degree=3, random_state=0, return_support=True
    ... )
    >>> X.shape, support.shape, sorted(set(y.tolist()))
    ((1000, 10), (2,), [0, 1])
    """
    n_samples, n_features, n_informative = check_shape(n_samples, n_features, n_informative)
    degree = check_int("degree", degree)
    check_noise(regression, noise, flip_y)
    concept_rng, input_rng, noise_rng = streams(random_state)
    chosen = np.sort(choose_support(support, n_features, n_informative, concept_rng))
    products = [
        inputs
        for total in range(1, degree + 1)
        for inputs in combinations_with_replacement(range(n_informative), total)
    ]
    coefficients = concept_rng.standard_normal(len(products))
    coefficients /= np.linalg.norm(coefficients)

    X = input_rng.standard_normal((n_samples, n_features), dtype=np.float32)
    f = _hermite_sum(X[:, chosen], products, coefficients)
    y: NDArray[Any]
    if regression:
        y = f + noise * noise_rng.standard_normal(n_samples)
    else:
        probe = concept_rng.standard_normal((_MEDIAN_ROWS, n_informative))
        median = np.median(_hermite_sum(probe, products, coefficients))
        y = flip_labels(f > median, flip_y, noise_rng)
    return (X, y, chosen) if return_support else (X, y)


def make_interval_parity(
    n_samples: int,
    n_features: int = 50,
    n_informative: int = 2,
    *,
    n_thresholds: int = 2,
    flip_y: float = 0.0,
    support: ArrayLike | None = None,
    random_state: RandomStateLike = None,
    return_support: bool = False,
) -> tuple[NDArray[Any], ...]:
    r"""Interval parity: the exclusive or of thresholds on continuous inputs.

    The inputs are uniform on [-1, 1). Thresholds at the centres of ``n_thresholds`` equal bins, :math:`-1 +
    (2j - 1)/t` for :math:`j = 1, ..., t`, cut the range of each hidden input into intervals, and its bit
    tells whether an even or an odd number of thresholds lie at or below it: one threshold makes the bit a
    sign, two make it "is x in [-1/2, 1/2)?". The label is the exclusive or of the hidden inputs' bits, a
    checkerboard.

    This placing makes every bit a fair coin. As in a sparse parity, any set of inputs that misses one of
    the hidden ones is then independent of the label.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    n_features : int, default=50
        Number of inputs, n.
    n_informative : int, default=2
        Number of hidden inputs, k.
    n_thresholds : int, default=2
        Number of thresholds t on each hidden input.
    flip_y : float, default=0.0
        Probability with which each label is flipped, in [0, 1).
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
        The inputs.
    y : ndarray of shape (n_samples,), dtype int64
        The labels, 0 or 1.
    support : ndarray of shape (n_informative,), dtype int64
        Sorted indices of the hidden inputs. Only with ``return_support=True``.

    See Also
    --------
    make_sparse_parity : The same on inputs that are signs already.

    Examples
    --------
    >>> from sparsemlp.datasets import make_interval_parity
    >>> X, y = make_interval_parity(1000, n_features=6, support=[1, 4], random_state=0)
    >>> inside = (X >= -0.5) & (X < 0.5)
    >>> bool(((inside[:, 1] ^ inside[:, 4]) == y).all())
    True
    """
    n_samples, n_features, n_informative = check_shape(n_samples, n_features, n_informative)
    n_thresholds = check_int("n_thresholds", n_thresholds)
    check_fraction("flip_y", flip_y)
    concept_rng, input_rng, noise_rng = streams(random_state)
    chosen = np.sort(choose_support(support, n_features, n_informative, concept_rng))
    X = input_rng.random((n_samples, n_features), dtype=np.float32)
    X *= 2
    X -= 1

    thresholds = (np.arange(1, 2 * n_thresholds, 2) / n_thresholds - 1).astype(np.float32)
    n_below = np.searchsorted(thresholds, X[:, chosen], side="right")
    y = flip_labels(n_below.sum(axis=1) % 2 == 1, flip_y, noise_rng)
    return (X, y, chosen) if return_support else (X, y)


def _hermite_sum(
    Z: NDArray[Any], products: Sequence[tuple[int, ...]], coefficients: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum up Hermite products of the columns of Z; (0, 0, 2) is h_2 of column 0 times h_1 of column 2."""
    degree = max(map(len, products))
    scale = np.sqrt([float(factorial(j)) for j in range(degree + 1)])
    f = np.zeros(len(Z))
    for rows in gen_batches(len(Z), CHUNK_ROWS):
        hermite = np.polynomial.hermite_e.hermevander(Z[rows].astype(np.float64), degree) / scale
        hermite = np.ascontiguousarray(np.moveaxis(hermite, 0, -1))  # (column, degree, row)
        for inputs, coefficient in zip(products, coefficients, strict=True):
            term = np.full(hermite.shape[-1], coefficient)
            for column in set(inputs):
                term *= hermite[column, inputs.count(column)]
            f[rows] += term
    return f
