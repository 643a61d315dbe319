"""Synthetic tasks whose difficulty is known, in the style of :mod:`sklearn.datasets`.

In every task the label depends on a few hidden inputs, the *support*, and the other inputs are noise. The
tasks differ in how much the low-order statistics of the data give away: nothing in a sparse parity, a way
in, one input at a time, in a staircase.

All functions draw the support and the target, the inputs, and the noise from three separate streams. Hence,
for one integer ``random_state``, the target does not depend on ``n_samples``, a smaller sample is the first
rows of a larger one, and neither ``flip_y`` nor a ``support`` of your own changes the inputs. To have more
rows of the same target for testing, draw them together and split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from math import factorial
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["make_interval_parity", "make_sparse_parity", "make_sparse_polynomial", "make_staircase"]

RandomStateLike = int | np.random.Generator | np.random.RandomState | None

# Bounds the temporaries of a draw. A multiple of 4, so that the chunks join to one stream of random bytes.
_CHUNK_ROWS = 65536
_MEDIAN_ROWS = 65536  # puts an estimated median within about 0.2 % of probability of the true one


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
        this share of the labels is drawn anew, so that about half of them change.)
    support : array-like of int of shape (n_informative,), default=None
        The hidden inputs. None draws them at random.
    random_state : int, numpy Generator or RandomState, default=None
        Where the draws come from. An int gives the same data in every call. A generator is advanced by the
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
    _check_shape(n_samples, n_features, n_informative)
    _check_fraction("flip_y", flip_y)
    concept_rng, input_rng, noise_rng = _streams(random_state)
    chosen = np.sort(_choose_support(support, n_features, n_informative, concept_rng))
    X = _random_signs(n_samples, n_features, input_rng)
    y = _flip_labels(X[:, chosen].prod(axis=1) > 0, flip_y, noise_rng)
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

    .. math:: f(x) = x_1 + x_1 x_2 + x_1 x_2 x_3 + \dots + x_1 x_2 \cdots x_k,

    in which every product extends one that is found more easily [1]_. ``leap=l`` adds the inputs l at a
    time, :math:`x_1 \cdots x_l + x_1 \cdots x_{2l} + \dots` (the last step takes what is left), which a
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
        The hidden inputs in the order of the steps. None draws them at random.
    random_state : int, numpy Generator or RandomState, default=None
        Where the draws come from. An int gives the same data in every call. A generator is advanced by the
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
    _check_shape(n_samples, n_features, n_informative)
    _check_int("leap", leap, 1)
    if leap > n_informative:
        raise ValueError(
            f"leap={leap} is larger than n_informative={n_informative}; it must be between 1 and n_informative"
        )
    _check_noise(regression, noise, flip_y)
    concept_rng, input_rng, noise_rng = _streams(random_state)
    chosen = _choose_support(support, n_features, n_informative, concept_rng)
    X = _random_signs(n_samples, n_features, input_rng)

    step_ends = [*range(leap, n_informative, leap), n_informative]
    products = np.cumprod(X[:, chosen], axis=1)[:, [end - 1 for end in step_ends]]
    f = products.sum(axis=1, dtype=np.float64)
    y: NDArray[Any]
    if regression:
        y = f + noise * noise_rng.standard_normal(n_samples)
    else:
        y = _flip_labels(np.where(f == 0, products[:, -1], f) > 0, flip_y, noise_rng)
    return (X, y, chosen) if return_support else (X, y)


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
    (estimated from 65536 separate draws), not over the sample: the label of a row does not depend on the
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
        The hidden inputs. None draws them at random.
    random_state : int, numpy Generator or RandomState, default=None
        Where the draws come from. An int gives the same data in every call. A generator is advanced by the
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
    _check_shape(n_samples, n_features, n_informative)
    _check_int("degree", degree, 1)
    _check_noise(regression, noise, flip_y)
    concept_rng, input_rng, noise_rng = _streams(random_state)
    chosen = np.sort(_choose_support(support, n_features, n_informative, concept_rng))
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
        y = _flip_labels(f > median, flip_y, noise_rng)
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
        The hidden inputs. None draws them at random.
    random_state : int, numpy Generator or RandomState, default=None
        Where the draws come from. An int gives the same data in every call. A generator is advanced by the
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
    _check_shape(n_samples, n_features, n_informative)
    _check_int("n_thresholds", n_thresholds, 1)
    _check_fraction("flip_y", flip_y)
    concept_rng, input_rng, noise_rng = _streams(random_state)
    chosen = np.sort(_choose_support(support, n_features, n_informative, concept_rng))
    X = input_rng.random((n_samples, n_features), dtype=np.float32)
    X *= 2
    X -= 1

    thresholds = (np.arange(1, 2 * n_thresholds, 2) / n_thresholds - 1).astype(np.float32)
    n_below = np.searchsorted(thresholds, X[:, chosen], side="right")
    y = _flip_labels(n_below.sum(axis=1) % 2 == 1, flip_y, noise_rng)
    return (X, y, chosen) if return_support else (X, y)


def _streams(random_state: RandomStateLike) -> Iterator[np.random.Generator]:
    """Separate generators for the target, the inputs and the noise."""
    if isinstance(random_state, np.random.Generator):
        seeds = random_state.integers(2**32, size=(3, 4), dtype=np.uint32)
    elif isinstance(random_state, np.random.RandomState):
        seeds = random_state.randint(2**32, size=(3, 4), dtype=np.uint32)
    elif random_state is None or (isinstance(random_state, Integral) and not isinstance(random_state, bool)):
        if random_state is not None and random_state < 0:
            raise ValueError(f"random_state={random_state} is negative; an integer seed must be 0 or more")
        seeds = np.random.default_rng(random_state).integers(2**32, size=(3, 4), dtype=np.uint32)
    else:
        raise TypeError(
            "random_state must be None, an integer, a numpy.random.Generator or a numpy.random.RandomState, "
            f"got {random_state!r}"
        )
    return (np.random.default_rng(seed) for seed in seeds)


def _choose_support(
    support: ArrayLike | None, n_features: int, n_informative: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Check the user's support, or draw one, in random order."""
    # Drawn even if the user has their own, so that what the generator gives next does not depend on it.
    drawn = rng.choice(n_features, size=n_informative, replace=False)
    if support is None:
        return drawn.astype(np.int64)
    chosen = np.asarray(support)
    if chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer):
        raise TypeError(f"support must be a list of {n_informative} feature indices (integers), got {support!r}")
    if len(chosen) != n_informative:
        raise ValueError(
            f"support has {len(chosen)} indices but n_informative={n_informative}; the two must agree "
            f"(pass n_informative={len(chosen)} to keep this support)"
        )
    outside = chosen[(chosen < 0) | (chosen >= n_features)]
    if len(outside):
        raise ValueError(
            f"support has the index {outside[0]}, which is not a feature; with n_features={n_features}, "
            f"indices must be between 0 and {n_features - 1}"
        )
    values, counts = np.unique(chosen, return_counts=True)
    if len(values) < len(chosen):
        raise ValueError(f"support has the index {values[counts > 1][0]} twice; its indices must be distinct")
    return chosen.astype(np.int64)


def _random_signs(n_samples: int, n_features: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Uniform signs; every row takes whole bytes of the stream, so that fewer rows are a prefix of more."""
    row_bytes = -(-n_features // 8)
    X = np.empty((n_samples, n_features), dtype=np.float32)
    for rows in _chunks(n_samples):
        chunk = X[rows]
        packed = np.frombuffer(rng.bytes(len(chunk) * row_bytes), dtype=np.uint8)
        chunk[:] = np.unpackbits(packed.reshape(-1, row_bytes), axis=1, count=n_features)
        chunk *= 2
        chunk -= 1
    return X


def _hermite_sum(
    Z: NDArray[Any], products: Sequence[tuple[int, ...]], coefficients: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum up Hermite products of the columns of Z; (0, 0, 2) is h_2 of column 0 times h_1 of column 2."""
    degree = max(map(len, products))
    scale = np.sqrt([float(factorial(j)) for j in range(degree + 1)])
    f = np.zeros(len(Z))
    for rows in _chunks(len(Z)):
        hermite = np.polynomial.hermite_e.hermevander(Z[rows].astype(np.float64), degree) / scale
        hermite = np.ascontiguousarray(np.moveaxis(hermite, 0, -1))  # (column, degree, row)
        for inputs, coefficient in zip(products, coefficients, strict=True):
            term = np.full(hermite.shape[-1], coefficient)
            for column in set(inputs):
                term *= hermite[column, inputs.count(column)]
            f[rows] += term
    return f


def _flip_labels(labels: NDArray[np.bool_], flip_y: float, rng: np.random.Generator) -> NDArray[np.int64]:
    return (labels ^ (rng.random(len(labels)) < flip_y)).astype(np.int64)


def _chunks(n_rows: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK_ROWS) for start in range(0, n_rows, _CHUNK_ROWS))


def _check_shape(n_samples: int, n_features: int, n_informative: int) -> None:
    _check_int("n_samples", n_samples, 1)
    _check_int("n_features", n_features, 1)
    _check_int("n_informative", n_informative, 1)
    if n_informative > n_features:
        raise ValueError(
            f"n_informative={n_informative} is larger than n_features={n_features}; "
            "there must be at least as many features as hidden ones"
        )


def _check_int(name: str, value: object, low: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer of at least {low}, got {value!r}")
    if value < low:
        raise ValueError(f"{name}={value} is too small; it must be an integer of at least {low}")


def _check_fraction(name: str, value: object) -> None:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number in [0, 1), got {value!r}")
    if not 0 <= float(value) < 1:
        raise ValueError(f"{name}={value} is not in [0, 1); it is the probability that a label is flipped")


def _check_noise(regression: bool, noise: float, flip_y: float) -> None:
    _check_fraction("flip_y", flip_y)
    if not isinstance(noise, Real) or isinstance(noise, bool):
        raise TypeError(f"noise must be a number of at least 0, got {noise!r}")
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise={noise} is no standard deviation; it must be finite and at least 0")
    if regression and flip_y > 0:
        raise ValueError(f"flip_y={flip_y} flips labels, and regression=True has none; use noise, with flip_y=0")
    if not regression and noise > 0:
        raise ValueError(f"noise={noise} is for regression=True; use flip_y to make labels noisy, with noise=0")
