"""Training of the solvable model: gradient flow over any number of decades, and online SGD."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsemlp._validation import check_increasing, check_int, check_positive, is_finite_number
from sparsemlp.scaling_laws._model import SolvableModel

Array = NDArray[np.float64]


def gradient_flow(
    model: SolvableModel, times: ArrayLike, *, richness: float = 0.0, rtol: float = 1e-4
) -> NDArray[np.float64]:
    r"""Return the population loss of every instance at the given times of gradient flow.

    With w(0) = 0 and the hidden layer's rate `richness` times that of the readout, the two layers stay balanced,
    :math:`\tilde{A} \tilde{A}^\top = I + \gamma w w^\top`, and the student's coefficients
    :math:`b = \tilde{A}^\top w` obey a closed equation,

    .. math:: \dot{b} = R\, h + \frac{\gamma}{R}\, b\, (b \cdot h), \qquad h = -\tfrac12 \nabla_b L, \qquad
              R = \frac{1 + \sqrt{1 + 4 \gamma |b|^2}}{2}:

    the kernel grows by R with the norm of what has been learned, and once more in the direction of b. (Derived for
    this package; the tests compare it with training both layers.) For gamma = 0 every direction decays by itself
    and the solution is exact. Otherwise steps of a Rosenbrock method (RODAS3 [1]_, third order, L-stable)
    grow with time; its linear systems are diagonal plus rank two, so that a step costs as much as a gradient.

    Parameters
    ----------
    model : SolvableModel
    times : array-like of shape (n_times,)
        Increasing, from 0 or later; in units in which the error in the first mode decays lazily as exp(-t).
    richness : float, default=0.0
        :math:`\gamma`: 0 is lazy, 1 and more is rich.
    rtol : float, default=1e-4
        Relative error of a step, in the root of the loss above its floor and in the norm of b.

    Returns
    -------
    ndarray of shape (n_instances, n_times)

    Raises
    ------
    ValueError
        For a negative richness, or times that do not increase.

    References
    ----------
    .. [1] A. Sandu et al. "Benchmarking stiff ODE solvers for atmospheric chemistry problems II: Rosenbrock
       solvers". Atmospheric Environment 31, 1997.

    Examples
    --------
    >>> from sparsemlp.scaling_laws import gradient_flow, solvable_model
    >>> model = solvable_model(1.5, 0.5, random_state=0)
    >>> lazy, rich = (gradient_flow(model, [1e2, 1e4], richness=r)[0] for r in (0, 1))
    >>> print(f"a hundredfold time divides the loss by {lazy[0] / lazy[1]:.0f} lazy, {rich[0] / rich[1]:.0f} rich")
    a hundredfold time divides the loss by 10 lazy, 20 rich
    """
    _check_richness(richness)
    check_positive("rtol", rtol)
    grid = check_increasing("times", times)
    if richness == 0:
        return _lazy_flow(model, grid)
    losses = np.empty((model.n_instances, len(grid)))
    flow = _Flow(model, float(richness))
    step = 1e-3 / flow.largest_rate()
    now = 0.0
    for i, time in enumerate(grid):
        while now < time:
            # A step that would leave a crumb before the next time is stretched or halved to end on it.
            left = time - now
            proposed = left if step > 0.99 * left else (left / 2 if step > left / 2 else step)
            error = flow.step(proposed, rtol)
            if error <= 1:
                now = time if proposed == left else now + proposed
            factor = min(5.0, max(0.2, 0.9 * max(error, 1e-10) ** (-1 / 3)))
            # A step cut short by the grid says little against the longer one that was planned.
            step = max(step, proposed * factor) if error <= 1 and factor >= 1 else proposed * factor
        losses[:, i] = flow.loss()
    return losses


def _lazy_flow(model: SolvableModel, times: Array) -> Array:
    start = model.rates * model.targets**2
    return (
        np.stack([(start * np.exp(-2 * model.rates * t)).sum(axis=1) for t in times], axis=1)
        + model.floor[:, None]
    )


# RODAS3 in the form that needs no products with the Jacobian (Hairer and Wanner 1996, section IV.7)
_GAMMA = 0.5
_A = ((), (0.0,), (2.0, 0.0), (2.0, 0.0, 1.0))
_C = ((), (4.0,), (1.0, -1.0), (1.0, -1.0, -8 / 3))
_M = (2.0, 0.0, 1.0, 1.0)


class _Flow:
    """The state of all instances: errors r = targets - b, in which small losses keep their digits."""

    def __init__(self, model: SolvableModel, richness: float) -> None:
        self.rates, self.targets, self.floor = model.rates, model.targets, model.floor
        self.richness = richness
        self.errors = model.targets.copy()

    def largest_rate(self) -> float:
        """Return the largest rate at the start and a bound on the rate at which the kernel begins to grow."""
        growth = np.sqrt(self.richness * _dot(self.rates * self.targets, self.rates * self.targets).max())
        return float(self.rates.max() + growth)

    def loss(self) -> Array:
        return np.asarray(_dot(self.rates * self.errors, self.errors)[:, 0] + self.floor)

    def velocity(self, errors: Array) -> Array:
        """Return dr/dt."""
        b, h = self.targets - errors, self.rates * errors
        scale = self._scale(b)
        return -scale * h - self.richness / scale * _dot(b, h) * b

    def _scale(self, b: Array) -> Array:
        """Return R, by which the kernel has grown."""
        return np.asarray((1 + np.sqrt(1 + 4 * self.richness * _dot(b, b))) / 2)

    def step(self, length: float, rtol: float) -> float:
        """Try a step; take it if its error, in units of what is allowed, is at most 1. Return the error."""
        solve = self._solver(1 / (_GAMMA * length))
        if solve is None:
            return 10.0
        stages: list[Array] = []
        for a, c in zip(_A, _C, strict=True):
            at = self.errors + sum(x * k for x, k in zip(a, stages, strict=True) if x)
            right = self.velocity(at) + sum(x / length * k for x, k in zip(c, stages, strict=True))
            stages.append(solve(right))
        new = self.errors + sum(m * k for m, k in zip(_M, stages, strict=True) if m)
        wrong = stages[-1]
        loss = _dot(self.rates * new, new)
        norm = _dot(self.targets - new, self.targets - new)
        with np.errstate(divide="ignore", invalid="ignore"):
            of_loss = np.sqrt(_dot(self.rates * wrong, wrong) / loss)
            of_norm = np.sqrt(_dot(wrong, wrong) / norm)
        error = float(np.fmax(of_loss, of_norm).max() / rtol)
        if not np.isfinite(error):
            return 10.0
        if error <= 1:
            self.errors = new
        return error

    def _solver(self, shift: float) -> Callable[[Array], Array] | None:
        """Return x -> (shift - J)^-1 x for the Jacobian J = diagonal + h p^T + b q^T; None for too long a step."""
        gamma, b, h = self.richness, self.targets - self.errors, self.rates * self.errors
        scale = self._scale(b)
        pull = gamma / scale * _dot(b, h)
        p = 2 * gamma / (2 * scale - 1) * b
        q = gamma / scale * (h - self.rates * b) - pull / scale * p
        diagonal = shift + scale * self.rates - pull
        if (diagonal <= 0).any():
            return None
        inverse = 1 / diagonal
        ih, ib = inverse * h, inverse * b
        m11, m12, m21, m22 = 1 - _dot(p, ih), -_dot(p, ib), -_dot(q, ih), 1 - _dot(q, ib)
        determinant = m11 * m22 - m12 * m21

        def solve(x: Array) -> Array:
            y = inverse * x
            u, v = _dot(p, y), _dot(q, y)
            return np.asarray(y + ((m22 * u - m12 * v) * ih + (m11 * v - m21 * u) * ib) / determinant)

        return solve


def _dot(a: Array, b: Array) -> Array:
    """Return the inner products of the instances, of shape (n_instances, 1)."""
    return np.asarray(np.einsum("ij,ij->i", a, b)[:, None])


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
    that they can be sampled in the model's own coordinates, with what the features do not explain as label noise.

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
    _check_richness(richness)
    evaluations = check_increasing("steps", steps)
    if (evaluations != np.round(evaluations)).any():
        raise ValueError("steps must be whole numbers")
    rng = np.random.default_rng(random_state)
    n_instances, width = model.rates.shape
    w = np.zeros((n_instances, width))
    hidden = np.tile(np.eye(width), (n_instances, 1, 1))
    losses = np.empty((n_instances, len(evaluations)))
    done = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for i, end in enumerate(evaluations.astype(int)):
            for _ in range(done, end):
                b = _student(w, hidden, richness)
                gradient = _gradient(model, b, batch_size, rng)
                if richness == 0:
                    w += learning_rate * gradient
                    continue
                moved = np.einsum("ijk,ik->ij", hidden, gradient)
                hidden += (learning_rate * richness * w)[:, :, None] * gradient[:, None, :]
                w += learning_rate * moved
            done = int(end)
            error = model.targets - _student(w, hidden, richness)
            losses[:, i] = model.floor + (model.rates * error**2).sum(axis=1)
    return Trajectory(learning_rate * evaluations, np.where(np.isfinite(losses), losses, np.inf))


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


def _check_richness(richness: float) -> None:
    """Raise where a richness is negative or no number."""
    if not is_finite_number(richness) or richness < 0:
        raise ValueError(f"richness={richness!r} must be a finite number of at least 0; 0 is lazy")
