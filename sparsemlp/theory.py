"""The theory of sparse parities as functions: bounds, scalings, luck and Fourier gaps.

The task throughout: inputs x uniform on {-1, +1}^n, label the product of k hidden ones, the support S. The
network has one hidden layer of r ReLU neurons, each of which starts with s inputs, and learns from m rows in T
steps. "The paper" is Edelman et al. 2023 [1]_, its predecessor Barak et al. 2022 [2]_.

The paper's theorems hold up to constants that it does not give. The functions here put 1 in their place: use
them for exponents and ratios, not as numbers of neurons to take.

References
----------
.. [1] B. L. Edelman, S. Goel, S. Kakade, E. Malach, C. Zhang. "Pareto Frontiers in Neural Feature Learning: Data,
   Compute, Width, and Luck". NeurIPS 2023. arXiv:2309.03800.
.. [2] B. Barak, B. L. Edelman, S. Goel, S. Kakade, E. Malach, C. Zhang. "Hidden Progress in Deep Learning: SGD
   Learns Parities Near the Computational Limit". NeurIPS 2022. arXiv:2207.08799.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, comb, expm1, floor, inf, log, log1p
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "FourierGap",
    "PopulationGradient",
    "Scaling",
    "any_lucky_probability",
    "approximate_lucky_probability",
    "fourier_gap",
    "is_below_sq_bound",
    "lucky_probability",
    "over_sparse_scaling",
    "population_gradient",
    "sq_min_samples",
    "sq_min_steps",
    "sq_min_width",
    "sq_resources",
    "sq_threshold",
    "under_sparse_scaling",
    "width_for_luck",
]

MAX_ENUMERATED = 20
DEFAULT_DRAWS = 100_000
_CHUNK_ROWS = 2**14


class Scaling(NamedTuple):
    """What a theorem asks for, with all of its constants set to 1."""

    width: float
    n_samples: float
    n_steps: float


class PopulationGradient(NamedTuple):
    """Expected gradient of a neuron's weights, and the standard errors of a sampled one (0 where exact)."""

    values: NDArray[np.float64]
    standard_error: NDArray[np.float64]


class FourierGap(NamedTuple):
    """A neuron's Fourier gap with its standard error (0 where exact), and the magnitudes it is made of."""

    gap: float
    standard_error: float
    smallest_relevant: float
    largest_irrelevant: float


# -- Proposition 3: the statistical-query lower bound ---------------------------------------------------------


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
    _check_task(n_features, n_informative)
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

    Examples
    --------
    >>> from sparsemlp.theory import sq_resources
    >>> sq_resources(width=10, n_steps=20, n_samples=5, delta=0.25)
    4000.0
    """
    return float(_resources(width, n_steps, n_samples, delta))


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
    _check_task(n_features, n_informative)
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
        _check_int(name, value)
    # As written: the float nearest to 0.1 lies a little above it, which would show where the bound is met exactly.
    return Fraction(int(width) * int(n_steps) * int(n_samples)) / Fraction(repr(_probability("delta", delta)))


def _smallest(n_features: int, n_informative: int, resources_of_one: Fraction) -> int:
    _check_task(n_features, n_informative)
    return floor(comb(n_features, n_informative) / (2 * resources_of_one)) + 1


# -- Theorems 4 and 5: what sparse initialisation needs ---------------------------------------------------------


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
    _check_task(n_features, n_informative)
    _check_int("sparsity", sparsity, high=n_features, high_name="n_features")
    _check_even("n_informative", n_informative, "Theorem 4")
    if sparsity <= n_informative:
        raise ValueError(
            f"sparsity={sparsity} must be more than n_informative={n_informative} for Theorem 4; "
            "for fewer see under_sparse_scaling"
        )
    if not isinstance(target_loss, Real) or not 0 < target_loss < np.inf:
        raise ValueError(f"target_loss={target_loss!r} must be a positive number")
    return Scaling(
        width=(n_features / sparsity) ** n_informative,
        n_samples=(sparsity / n_informative) ** (n_informative - 1) * n_features**2 * log(n_features),
        n_steps=1 / float(target_loss) ** 2,
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
    _check_task(n_features, n_informative)
    _check_int("sparsity", sparsity, high=n_features, high_name="n_features")
    _check_even("n_informative", n_informative, "Theorem 5")
    _check_even("sparsity", sparsity, "Theorem 5")
    if sparsity >= n_informative:
        raise ValueError(
            f"sparsity={sparsity} must be less than n_informative={n_informative} for Theorem 5; "
            "for more see over_sparse_scaling"
        )
    ratio = n_features / n_informative
    return Scaling(width=ratio**sparsity, n_samples=ratio ** (n_informative - sparsity - 1), n_steps=1.0)


# -- Luck -------------------------------------------------------------------------------------------------------


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
    _check_task(n_features, n_informative)
    _check_int("sparsity", sparsity, high=n_features, high_name="n_features")
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
    _check_int("width", width)
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
    wanted = _probability("probability", probability)
    p = _lucky(n_features, n_informative, sparsity, at_least)
    if p == 1:
        return 1
    # log(1 - p) is -p to all digits where p is as small as to vanish in a float.
    misses = Fraction(-log1p(-float(p))) if float(p) > 1e-300 else p
    n_draws = Fraction(-log1p(-wanted)) / misses
    return max(1, ceil(n_draws * (1 - Fraction(1, 10**12))))


def _lucky(n_features: int, n_informative: int, sparsity: int, at_least: int | None) -> Fraction:
    _check_task(n_features, n_informative)
    _check_int("sparsity", sparsity, high=n_features, high_name="n_features")
    n, k, s = int(n_features), int(n_informative), int(sparsity)
    if at_least is None:
        at_least = min(s, k)
    _check_int("at_least", at_least, low=0, high=min(s, k), high_name="min(sparsity, n_informative)")
    lucky = sum(comb(k, i) * comb(n - k, s - i) for i in range(int(at_least), min(s, k) + 1))
    return Fraction(lucky, comb(n, s))


# -- The Fourier gap --------------------------------------------------------------------------------------------


def population_gradient(
    weight: ArrayLike,
    bias: float,
    support: ArrayLike,
    *,
    n_samples: int | None = None,
    random_state: int | np.random.Generator | None = None,
) -> PopulationGradient:
    r"""Return the gradient that a parity gives to the weights of a ReLU neuron, in expectation.

    Coordinate i is

    .. math:: \mathbb{E}\big[\chi_S(x)\, \sigma'(w \cdot x + b)\, x_i\big] = \widehat{g}(S \,\triangle\, \{i\}),

    the Fourier coefficient of :math:`g = \sigma'(w \cdot x + b)` at S without i for a hidden input, and at S
    with i for another (Barak et al. 2022, arXiv:2207.08799). It is the direction in which w moves at first where
    the loss has derivative -y by the output, as hinge loss has below the margin, for an output weight of 1.
    As in torch, the derivative of ReLU at 0 is 0.

    g depends on the inputs of nonzero weight alone, so that all coefficients of other sets are 0; an s-sparse
    neuron needs 2^s terms only.

    Parameters
    ----------
    weight : array-like of shape (n_features,)
        The neuron's weights.
    bias : float
        Its bias.
    support : array-like of int
        The hidden inputs S.
    n_samples : int, optional
        Draws of x to average over. Default: the exact sum for up to 20 nonzero weights, 100000 draws for more.
    random_state : int or numpy Generator, optional
        Where the draws come from.

    Returns
    -------
    PopulationGradient
        ``values`` and ``standard_error``, both of shape (n_features,).

    Examples
    --------
    >>> from sparsemlp.theory import population_gradient
    >>> population_gradient([1, 1, 0, 0], 0, support=[0, 1, 2]).values  # holds two of three: finds the third
    array([0.  , 0.  , 0.25, 0.  ])
    """
    neuron = _Neuron(weight, bias, support)
    return _gradient(neuron, *neuron.inputs(n_samples, random_state), sampled=neuron.is_sampled(n_samples))


def fourier_gap(
    weight: ArrayLike,
    bias: float,
    support: ArrayLike,
    *,
    n_samples: int | None = None,
    random_state: int | np.random.Generator | None = None,
) -> FourierGap:
    r"""Return the Fourier gap of a ReLU neuron at a parity: how far the hidden inputs stand out in its gradient.

    .. math:: \gamma = \min_{i \in S} |\widehat{g}(S \setminus \{i\})|
              - \max_{i \notin S} |\widehat{g}(S \cup \{i\})|

    for :math:`g = \sigma'(w \cdot x + b)`, see :func:`population_gradient`. Where it is positive, gradient steps
    make every hidden weight grow faster than every other, and the precision that a gradient needs to show it is
    of this size (Barak et al. 2022, arXiv:2207.08799). For k >= 2 a neuron without weight on some hidden input
    has a gap of at most 0, and so has every one that starts with s < k inputs: look at its
    :func:`population_gradient` coordinate by coordinate.

    Parameters
    ----------
    weight, bias, support, n_samples, random_state
        As in :func:`population_gradient`.

    Returns
    -------
    FourierGap
        ``gap``, its ``standard_error``, and the two magnitudes, ``smallest_relevant`` and
        ``largest_irrelevant`` (0 where all inputs are hidden ones). The minimum and maximum of sampled
        magnitudes lean outwards: where the standard error is not small against the differences between
        coordinates, the gap comes out too low.

    Examples
    --------
    >>> from sparsemlp.theory import fourier_gap
    >>> fourier_gap([1, 1, 1, 0, 0], 0, support=[0, 1])  # the majority of three: 1/4 against 1/4
    FourierGap(gap=0.0, standard_error=0.0, smallest_relevant=0.25, largest_irrelevant=0.25)
    >>> fourier_gap([1, 1, 0, 0, 0], 0, support=[0, 1]).gap
    0.25
    """
    neuron = _Neuron(weight, bias, support)
    x, active = neuron.inputs(n_samples, random_state)
    sampled = neuron.is_sampled(n_samples)
    gradient = _gradient(neuron, x, active, sampled=sampled)
    magnitude = np.abs(gradient.values)
    relevant = int(neuron.support[magnitude[neuron.support].argmin()])
    others = np.setdiff1d(np.arange(len(neuron.weight)), neuron.support)
    if not len(others):
        return FourierGap(
            float(magnitude[relevant]), float(gradient.standard_error[relevant]), float(magnitude[relevant]), 0.0
        )
    irrelevant = int(others[magnitude[others].argmax()])
    error = 0.0
    if sampled:
        signs = np.sign(gradient.values)
        # From the draws themselves, since both coefficients come from the same ones.
        terms = signs[relevant] * neuron.terms(x, active, relevant)
        terms -= signs[irrelevant] * neuron.terms(x, active, irrelevant)
        error = float(terms.std() / np.sqrt(len(terms)))
    return FourierGap(
        float(magnitude[relevant] - magnitude[irrelevant]),
        error,
        float(magnitude[relevant]),
        float(magnitude[irrelevant]),
    )


class _Neuron:
    """A neuron and a parity; `held` are the inputs with nonzero weight, on which alone the neuron depends."""

    def __init__(self, weight: ArrayLike, bias: float, support: ArrayLike) -> None:
        self.weight = np.asarray(weight, dtype=np.float64)
        self.bias = float(bias)
        if self.weight.ndim != 1 or not len(self.weight):
            raise ValueError(f"weight has shape {self.weight.shape}; it must be that of one neuron, (n_features,)")
        if not (np.isfinite(self.weight).all() and np.isfinite(self.bias)):
            raise ValueError("weight and bias must be finite")
        self.support = np.unique(np.asarray(support))
        n_given = np.asarray(support).size
        if not n_given or not np.issubdtype(self.support.dtype, np.integer) or len(self.support) < n_given:
            raise ValueError(f"support={support!r} must be one or more distinct indices of features (integers)")
        outside = self.support[(self.support < 0) | (self.support >= len(self.weight))]
        if len(outside):
            raise ValueError(
                f"support has the index {outside[0]}, but indices of {len(self.weight)} weights go "
                f"from 0 to {len(self.weight) - 1}"
            )
        self.held = np.flatnonzero(self.weight)
        self.missing = np.setdiff1d(self.support, self.held)

    def is_sampled(self, n_samples: int | None) -> bool:
        return n_samples is not None or len(self.held) > MAX_ENUMERATED

    def inputs(
        self, n_samples: int | None, random_state: int | np.random.Generator | None
    ) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """Return signs of the held inputs, all combinations or random ones, and whether the neuron is active."""
        if self.is_sampled(n_samples):
            n_rows = DEFAULT_DRAWS if n_samples is None else n_samples
            _check_int("n_samples", n_rows, low=2)
            rng = np.random.default_rng(random_state)
            bits = rng.integers(0, 2, (n_rows, len(self.held)), dtype=np.int8)
        else:
            codes = np.arange(2 ** len(self.held))[:, None]
            bits = ((codes >> np.arange(len(self.held))) & 1).astype(np.int8)
        x = 2 * bits - 1
        weight = self.weight[self.held]
        active = np.concatenate([x[rows] @ weight + self.bias > 0 for rows in _chunks(len(x))])
        return x, active.astype(np.int8)

    def parity(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Return the product of the hidden inputs among the held ones."""
        product: NDArray[np.int8] = x[:, np.isin(self.held, self.support)].prod(axis=1, dtype=np.int8)
        return product

    def terms(self, x: NDArray[np.int8], active: NDArray[np.int8], i: int) -> NDArray[np.float64]:
        """Return the terms of which coordinate i of the gradient is the mean; 0 where the mean is known to be."""
        if i in self.missing and len(self.missing) == 1:
            return (active * self.parity(x)).astype(np.float64)
        if i in self.held and not len(self.missing):
            return (active * self.parity(x) * x[:, np.searchsorted(self.held, i)]).astype(np.float64)
        return np.zeros(len(x))


def _gradient(
    neuron: _Neuron, x: NDArray[np.int8], active: NDArray[np.int8], *, sampled: bool
) -> PopulationGradient:
    values, error = np.zeros((2, len(neuron.weight)))
    # Sets with an input that the neuron does not hold have coefficient 0; with one hidden input missing, only
    # the set without it is left.
    n_missing = len(neuron.missing)
    reached = neuron.held if not n_missing else neuron.missing[: n_missing == 1]
    if len(reached):
        signed = active * neuron.parity(x)
        if n_missing:
            values[reached] = signed.mean()
        else:
            total = sum(signed[rows].astype(np.float64) @ x[rows] for rows in _chunks(len(x)))
            values[reached] = total / len(x)
        if sampled:  # the terms are -1, 0 and 1, so that their mean square is the share of active draws
            error[reached] = np.sqrt((active.mean() - values[reached] ** 2) / len(x))
    return PopulationGradient(values, error)


def _chunks(n_rows: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK_ROWS) for start in range(0, n_rows, _CHUNK_ROWS))


# -- Checks -----------------------------------------------------------------------------------------------------


def _check_task(n_features: int, n_informative: int) -> None:
    _check_int("n_features", n_features)
    _check_int("n_informative", n_informative, high=n_features, high_name="n_features")


def _check_int(name: str, value: object, low: int = 1, high: int | None = None, high_name: str = "") -> None:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer of at least {low}, got {value!r}")
    if int(value) < low:
        raise ValueError(f"{name}={value} is too small; it must be at least {low}")
    if high is not None and int(value) > high:
        raise ValueError(f"{name}={value} is too large; it must be at most {high_name}={high}")


def _check_even(name: str, value: int, theorem: str) -> None:
    if value % 2:
        raise ValueError(f"{name}={value} is odd; {theorem} is for even numbers only")


def _probability(name: str, value: float) -> float:
    if not isinstance(value, Real) or not 0 < value < 1:
        raise ValueError(f"{name}={value!r} must be a probability between 0 and 1, without the two")
    return float(value)
