"""The solvable model: a linear network on power-law features, one number for each direction that it can learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsemlp._validation import check_int
from sparsemlp.scaling_laws._spectrum import INFINITE_WIDTH_MODES, binned_modes, check_task, first_modes

Array = NDArray[np.float64]

_MODES_PER_NEURON = 8
_MIN_MODES = 2048


@dataclass(frozen=True)
class SolvableModel:
    r"""Some instances of the model in the coordinates in which gradient flow couples as little as it can.

    The loss of an instance whose student has coefficients b is
    :math:`\text{floor} + \sum_i \text{rates}_i (b_i - \text{targets}_i)^2`, and training starts at b = 0.

    Attributes
    ----------
    alpha, beta : float
        Capacity and source exponents of the task.
    width : int or None
        Neurons N; None for infinitely many.
    rates : ndarray of shape (n_instances, n_directions)
        Eigenvalues of the lazy kernel, falling: what the error in a direction decays with.
    targets : ndarray of shape (n_instances, n_directions)
        What the coefficients tend to.
    floor : ndarray of shape (n_instances,)
        The loss that no training gets below, for want of width or modes.
    """

    alpha: float
    beta: float
    width: int | None
    rates: Array
    targets: Array
    floor: Array

    @property
    def n_instances(self) -> int:
        """Number of instances."""
        return len(self.rates)


def solvable_model(
    alpha: float,
    beta: float,
    *,
    width: int | None = None,
    n_modes: int | None = None,
    n_instances: int = 1,
    random_state: int | np.random.Generator | None = None,
) -> SolvableModel:
    r"""Return random instances of the solvable model of lazy and rich learning.

    Inputs are features :math:`\psi_k`, k = 1, 2, ..., independent, normal, of variance
    :math:`\lambda_k = k^{-\alpha}`. The target is :math:`y = \sum_k w^*_k \psi_k`, where the share of a mode
    falls as :math:`\lambda_k (w^*_k)^2 \propto k^{-(\alpha\beta + 1)}` and y has variance 1. The student sees
    N random projections, :math:`f = w^\top \tilde{A} A \psi / \sqrt{N}`, with A of N rows, normal and fixed,
    :math:`\tilde{A}` (N x N) trained from the identity and w from 0. This is the model of [1]_ as far
    as we know it (the gradient of the hidden layer is projected so that it stays within the span of the N
    features), with its weights in other coordinates.

    Parameters
    ----------
    alpha : float
        Capacity, above 1: how fast the eigenvalues of the features fall.
    beta : float
        Source, above 0: how fast the target's share falls. Below 1 the task is hard.
    width : int, optional
        N. Default: infinite, where the features are the modes themselves and nothing is random.
    n_modes : int, optional
        Modes treated as such. Default: 8 for each neuron and at least 2048; at infinite width 10^14. At finite
        width those beyond act through their sums (their law of large numbers), at infinite width they are
        never learned and make the floor.
    n_instances : int, default=1
        Independent random matrices A; at infinite width there is one instance only.
    random_state : int or numpy Generator, optional
        Source of randomness.

    Returns
    -------
    SolvableModel

    Raises
    ------
    TypeError
        For a count that is no integer.
    ValueError
        For alpha of at most 1, beta of at most 0, fewer modes than neurons, or several
        instances of infinite width.

    Notes
    -----
    At infinite width, modes beyond the first 200 stand together in bins of 3 %, whose eigenvalues are replaced by
    their mean. Modes of equal eigenvalue can be rotated into one that has all of the target, so that a bin counts
    as one direction and this is exact but for the means; 10^14 modes take a thousand numbers.

    References
    ----------
    .. [1] B. Bordelon, A. Atanasov, C. Pehlevan. "How Feature Learning Can Improve Neural Scaling Laws". ICLR
       2025. arXiv:2409.17858.

    Examples
    --------
    >>> from sparsemlp.scaling_laws import solvable_model
    >>> narrow, wide = (solvable_model(1.5, 0.5, width=n, n_instances=8, random_state=0) for n in (10, 100))
    >>> print(f"{narrow.floor.mean() / wide.floor.mean():.1f}")  # 10^(alpha * beta) = 5.6
    5.1
    """
    check_task(alpha, beta)
    check_int("n_instances", n_instances)
    if width is None:
        n_modes = INFINITE_WIDTH_MODES if n_modes is None else n_modes
        check_int("n_modes", n_modes)
        if n_instances != 1:
            raise ValueError(f"n_instances={n_instances} must be 1 at infinite width, where nothing is random")
        return _infinite_width(float(alpha), float(beta), int(n_modes))
    check_int("width", width)
    n_modes = max(_MODES_PER_NEURON * width, _MIN_MODES) if n_modes is None else n_modes
    check_int("n_modes", n_modes, low=width)
    rng = np.random.default_rng(random_state)
    instances = [
        _finite_width(float(alpha), float(beta), int(width), int(n_modes), rng) for _ in range(n_instances)
    ]
    rates, targets, floors = zip(*instances, strict=True)
    return SolvableModel(alpha, beta, width, np.array(rates), np.array(targets), np.array(floors))


def draw_sample_limited_losses(
    alpha: float,
    beta: float,
    n_samples: int,
    *,
    n_modes: int | None = None,
    n_instances: int = 1,
    random_state: int | np.random.Generator | None = None,
) -> Array:
    """Return the test losses of the infinitely wide model trained to the end on P samples without noise.

    This is the least-norm interpolation of the samples, kernel regression without a ridge, lazy and rich alike
    (:func:`sample_exponent` says why).

    Parameters
    ----------
    alpha, beta, n_instances, random_state
        As in :func:`solvable_model`.
    n_samples : int
        P.
    n_modes : int, optional
        Modes treated as such, those beyond act through their sums. Default: 8 for each sample, at least 2048.

    Returns
    -------
    ndarray of shape (n_instances,)

    Examples
    --------
    >>> from sparsemlp.scaling_laws import draw_sample_limited_losses
    >>> few, many = (draw_sample_limited_losses(1.5, 0.5, p, random_state=0).mean() for p in (10, 100))
    >>> bool(few > 4 * many)
    True
    """
    check_task(alpha, beta)
    check_int("n_samples", n_samples)
    check_int("n_instances", n_instances)
    n_modes = max(_MODES_PER_NEURON * n_samples, _MIN_MODES) if n_modes is None else n_modes
    check_int("n_modes", n_modes, low=n_samples)
    rng = np.random.default_rng(random_state)
    eigenvalues, target, tail = first_modes(alpha, beta, n_modes)
    losses = np.empty(n_instances)
    for i in range(n_instances):
        samples = rng.standard_normal((n_samples, n_modes)) * np.sqrt(eigenvalues)
        kernel = samples @ samples.T
        kernel[np.diag_indices(n_samples)] += tail.eigenvalues
        labels = samples @ target + np.sqrt(tail.shares) * rng.standard_normal(n_samples)
        weights = np.linalg.solve(kernel, labels)
        error = target - samples.T @ weights
        losses[i] = eigenvalues @ error**2 + tail.shares + tail.squared_eigenvalues * (weights @ weights)
    return losses


def _finite_width(
    alpha: float, beta: float, width: int, n_modes: int, rng: np.random.Generator
) -> tuple[Array, Array, float]:
    """Return rates, targets and floor of one instance: the least-squares problem on N random features."""
    eigenvalues, target, tail = first_modes(alpha, beta, n_modes)
    features = rng.standard_normal((width, n_modes)) * np.sqrt(eigenvalues / width)
    # Modes beyond n_modes, of which there are many more than neurons, add variance of its own to every feature ...
    kernel = features @ features.T
    kernel[np.diag_indices(width)] += tail.eigenvalues / width
    # ... and to its covariance with the target a normal number.
    covariance = features @ (np.sqrt(eigenvalues) * target)
    covariance += np.sqrt(tail.covariance / width) * rng.standard_normal(width)
    rates, vectors = np.linalg.eigh(kernel)
    rates, vectors = rates[::-1], vectors[:, ::-1]
    projections = vectors.T @ covariance
    floor = eigenvalues @ target**2 + tail.shares - (projections**2 / rates).sum()
    return rates, projections / rates, float(floor)


def _infinite_width(alpha: float, beta: float, n_modes: int) -> SolvableModel:
    modes = binned_modes(alpha, beta, n_modes)
    targets = np.sqrt(modes.shares / modes.eigenvalues)
    return SolvableModel(alpha, beta, None, modes.eigenvalues[None], targets[None], np.array([modes.unlearned]))
