"""Gradient flow of the solvable model over any number of decades: exact where lazy, stiff steps where rich."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsemlp.scaling_laws.checks import check_positive, check_richness, increasing
from sparsemlp.scaling_laws.model import SolvableModel

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
    check_richness(richness)
    check_positive("rtol", rtol)
    grid = increasing("times", times)
    if richness == 0:
        return _lazy(model, grid)
    losses = np.empty((model.n_instances, len(grid)))
    flow = _Flow(model, float(richness))
    step = 1e-3 / flow.with_cuda_graph()
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


def _lazy(model: SolvableModel, times: Array) -> Array:
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

    def with_cuda_graph(self) -> float:
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
