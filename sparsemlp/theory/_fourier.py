"""The Fourier gap: how far the hidden inputs stand out in the first gradient of a neuron."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import gen_batches

from sparsemlp._validation import check_int

MAX_ENUMERATED = 20
DEFAULT_SAMPLES = 100_000
_CHUNK_ROWS = 2**14


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
        Random x to average over. Default: the exact sum for up to 20 nonzero weights, 100000 samples for more.
    random_state : int or numpy Generator, optional
        Source of the samples.

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
        # From the samples themselves, since both coefficients come from the same ones.
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
            n_rows = DEFAULT_SAMPLES if n_samples is None else n_samples
            check_int("n_samples", n_rows, low=2)
            rng = np.random.default_rng(random_state)
            bits = rng.integers(0, 2, (n_rows, len(self.held)), dtype=np.int8)
        else:
            codes = np.arange(2 ** len(self.held))[:, None]
            bits = ((codes >> np.arange(len(self.held))) & 1).astype(np.int8)
        x = 2 * bits - 1
        weight = self.weight[self.held]
        # sums that are 0 but for rounding are ties, at which the derivative is 0
        rounding = np.finfo(np.float64).eps * len(weight) * (np.abs(weight).sum() + abs(self.bias))
        active = np.concatenate(
            [x[rows] @ weight + self.bias > rounding for rows in gen_batches(len(x), _CHUNK_ROWS)]
        )
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
            total = sum(signed[rows].astype(np.float64) @ x[rows] for rows in gen_batches(len(x), _CHUNK_ROWS))
            values[reached] = total / len(x)
        if sampled:  # the terms are -1, 0 and 1, so that their mean square is the share of active samples
            error[reached] = np.sqrt((active.mean() - values[reached] ** 2) / len(x))
    return PopulationGradient(values, error)
