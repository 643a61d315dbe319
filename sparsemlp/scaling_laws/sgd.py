"""Online SGD on the solvable model: both layers trained, a fresh batch at every step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsemlp._validation import check_int
from sparsemlp.scaling_laws.checks import check_positive, check_richness, increasing
from sparsemlp.scaling_laws.model import SolvableModel


class Trajectory(NamedTuple):
    """Times (learning rate times steps), of shape (n_times,), and losses, of shape (n_instances, n_times)."""

    times: NDArray[np.float64]
    losses: NDArray[np.float64]


def online_sgd(
    model: SolvableModel,
    steps: ArrayLike,
    *,
    learning_rate: float,
    batch_size: int = 32,
    richness: float = 0.0,
    random_state: int | np.random.Generator | None = None,
) -> Trajectory:
    r"""Train instances of finite width by online SGD and return the population loss after the given steps.

    The readout w takes steps of the learning rate and the hidden layer :math:`\tilde{A}` of `richness` times it,
    on the squared error of batches of fresh samples. Nothing is approximated: features and target are normal, so
    that they can be drawn in the model's own coordinates, with what the features do not explain as label noise.

    Parameters
    ----------
    model : SolvableModel
        Of finite width.
    steps : array-like of int, shape (n_times,)
        After how many steps the loss is wanted: increasing, from 0 or later.
    learning_rate : float
        Above 0; below about 1 over the kernel's growth, or the readout diverges.
    batch_size : int, default=32
        Fresh samples of a step, for each instance.
    richness : float, default=0.0
        0 is lazy: the hidden layer stands still.
    random_state : int or numpy Generator, optional
        Where the samples come from.

    Returns
    -------
    Trajectory
        Times to compare with those of :func:`gradient_flow`, and the losses (infinite where training diverged).

    Raises
    ------
    TypeError
        For a batch size that is no integer.
    ValueError
        For a model of infinite width, a negative richness, or numbers out of range.

    Examples
    --------
    >>> from sparsemlp.scaling_laws import gradient_flow, online_sgd, solvable_model
    >>> model = solvable_model(1.5, 0.5, width=30, random_state=0)
    >>> sgd = online_sgd(model, [100, 1000], learning_rate=0.05, batch_size=64, richness=1.0, random_state=0)
    >>> flow = gradient_flow(model, sgd.times, richness=1.0)
    >>> bool((abs(sgd.losses / flow - 1) < 0.2).all())
    True
    """
    if model.width is None:
        raise ValueError("online_sgd needs a model of finite width; pass width to solvable_model")
    check_positive("learning_rate", learning_rate)
    check_int("batch_size", batch_size)
    check_richness(richness)
    looks = increasing("steps", steps)
    if (looks != np.round(looks)).any():
        raise ValueError("steps must be whole numbers")
    rng = np.random.default_rng(random_state)
    n_instances, width = model.rates.shape
    w = np.zeros((n_instances, width))
    hidden = np.tile(np.eye(width), (n_instances, 1, 1))
    losses = np.empty((n_instances, len(looks)))
    done = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for i, look in enumerate(looks.astype(int)):
            for _ in range(done, look):
                b = _student(w, hidden, richness)
                gradient = _gradient(model, b, batch_size, rng)
                if richness == 0:
                    w += learning_rate * gradient
                    continue
                moved = np.einsum("ijk,ik->ij", hidden, gradient)
                hidden += (learning_rate * richness * w)[:, :, None] * gradient[:, None, :]
                w += learning_rate * moved
            done = int(look)
            error = model.targets - _student(w, hidden, richness)
            losses[:, i] = model.floor + (model.rates * error**2).sum(axis=1)
    return Trajectory(learning_rate * looks, np.where(np.isfinite(losses), losses, np.inf))


def _student(w: NDArray[np.float64], hidden: NDArray[np.float64], richness: float) -> NDArray[np.float64]:
    """Return the coefficients b = A~^T w of the function that the two layers make."""
    return w if richness == 0 else np.asarray(np.einsum("ijk,ij->ik", hidden, w))


def _gradient(
    model: SolvableModel, b: NDArray[np.float64], batch_size: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the batch's mean of error times feature."""
    n_instances, width = model.rates.shape
    features = rng.standard_normal((n_instances, batch_size, width)) * np.sqrt(model.rates)[:, None]
    noise = np.sqrt(model.floor)[:, None] * rng.standard_normal((n_instances, batch_size))
    residual = np.einsum("ijk,ik->ij", features, model.targets - b) + noise
    return np.asarray(np.einsum("ij,ijk->ik", residual, features) / batch_size)
