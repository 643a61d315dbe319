"""Power laws fitted to measured curves, with intervals and with the range that they were fitted over."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student_t

from sparsemlp._validation import check_increasing, check_positive, check_probability

MIN_POINTS = 4
_N_BLOCKS = 8


class Decay(NamedTuple):
    """A positive exponent of something that falls, y ~ x^-value, with its interval."""

    value: float
    low: float
    high: float


class PowerLaw(NamedTuple):
    """A fitted y = prefactor * x^exponent, the interval of the exponent, and the range that it holds for.

    `low` and `high` bound the exponent with probability `confidence`. `x_min` and `x_max` are the least and the
    greatest x that were fitted, `n_points` how many there were, of each of `n_instances` curves.
    """

    exponent: float
    low: float
    high: float
    prefactor: float
    x_min: float
    x_max: float
    n_points: int
    n_instances: int
    confidence: float

    @property
    def decay(self) -> Decay:
        """The exponent with its sign changed, for laws that fall."""
        return Decay(-self.exponent, -self.high, -self.low)

    def predict(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the fitted y at x, inside the range or out of it."""
        return np.asarray(self.prefactor * np.asarray(x, dtype=np.float64) ** self.exponent)


def fit_power_law(
    x: ArrayLike,
    y: ArrayLike,
    *,
    x_min: float | None = None,
    x_max: float | None = None,
    confidence: float = 0.95,
) -> PowerLaw:
    r"""Fit y = prefactor * x^exponent by least squares between the logarithms.

    Two intervals are formed, and the wider one is returned. The first is Student's over a jackknife of the mean
    curve which leaves out one of up to eight consecutive blocks of points at a time: it covers scatter and the
    drift of the exponent within the range. The second, with several curves, is Student's over their exponents (of
    which the exponent returned is the mean, the same as that of their geometric mean): it covers what changes
    from one instance to the next, which a single curve says nothing about.

    Parameters
    ----------
    x : array-like of shape (n_points,)
        Where the curve was measured: positive, increasing.
    y : array-like of shape (n_points,) or (n_instances, n_points)
        The curve, or one for each instance (seed): positive.
    x_min, x_max : float, optional
        Only points in this range are fitted, both ends included. Default: all. :func:`straightest_range` finds
        one by a rule.
    confidence : float, default=0.95
        Probability of the interval, in (0, 1).

    Returns
    -------
    PowerLaw

    Raises
    ------
    ValueError
        With fewer than four points in the range, or values that are not positive and finite in it.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsemlp.scaling_laws import fit_power_law
    >>> x = np.geomspace(1, 1000, 31)
    >>> law = fit_power_law(x, 3 * x**-0.5, x_min=10)
    >>> print(f"{law.decay.value:.3f} for x from {law.x_min:.0f} to {law.x_max:.0f}, {law.n_points} points")
    0.500 for x from 10 to 1000, 21 points
    """
    points, curves = _curves(x, y)
    check_probability("confidence", confidence)
    # Points of a grid may miss the end of a range by rounding.
    low = points[0] if x_min is None else x_min * (1 - 1e-9)
    high = points[-1] if x_max is None else x_max * (1 + 1e-9)
    inside = (points >= low) & (points <= high)
    if inside.sum() < MIN_POINTS:
        raise ValueError(
            f"a fit needs at least {MIN_POINTS} points, but {inside.sum()} of {len(points)} lie between "
            f"x_min={low:.6g} and x_max={high:.6g}"
        )
    points, curves = points[inside], curves[:, inside]
    if not (np.isfinite(curves) & (curves > 0)).all():
        raise ValueError("y must be finite and above 0 wherever it is fitted")
    u, v = np.log(points), np.log(curves)
    slopes, intercepts = _lines(u, v)
    exponent = float(slopes.mean())
    pieces = [_jackknife(u, v.mean(axis=0))] + ([_over_instances(slopes)] if len(v) > 1 else [])
    margin = max(float(student_t.ppf((1 + confidence) / 2, n - 1)) * error for error, n in pieces)
    return PowerLaw(
        exponent,
        exponent - margin,
        exponent + margin,
        float(np.exp(intercepts.mean())),
        float(points[0]),
        float(points[-1]),
        len(points),
        len(v),
        confidence,
    )


def straightest_range(
    x: ArrayLike, y: ArrayLike, *, decades: float = 2.0, floor: float = 0.0, floor_factor: float = 10.0
) -> tuple[float, float]:
    r"""Return the range of x in which a falling curve is most like a power law, by a rule that knows no theory.

    Left out are the initial transient, where y is more than half of its first value, and the end, where it is
    less than `floor_factor` times the floor that finite size sets. Of all windows of the given number of decades
    in what is left, the one is taken in which a straight line between the logarithms leaves the smallest mean
    square (of several windows that are equally straight, the last).

    Parameters
    ----------
    x : array-like of shape (n_points,)
        Positive and increasing; about evenly spaced in the logarithm.
    y : array-like of shape (n_points,) or (n_instances, n_points)
        Positive. Of several curves the geometric mean is taken.
    decades : float, default=2.0
        Length of the window, in powers of ten of x. Where less than that is left, or no window has four points,
        all that is left is the range.
    floor : float, default=0.0
        The value that y tends to at large x for want of width, modes or data; 0 where there is none.
    floor_factor : float, default=10.0
        How far above the floor a curve still counts as a power law.

    Returns
    -------
    tuple of float
        x_min and x_max, for :func:`fit_power_law`.

    Raises
    ------
    ValueError
        Where fewer than four points are left between the transient and the floor.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsemlp.scaling_laws import straightest_range
    >>> x = np.geomspace(1e-2, 1e6, 161)
    >>> low, high = straightest_range(x, 1 / (1 + x) + 1e-5, floor=1e-5)
    >>> print(f"{low:.1e} to {high:.1e}")
    3.2e+01 to 3.2e+03
    """
    points, curves = _curves(x, y)
    check_positive("decades", decades)
    mean = np.exp(np.log(np.maximum(curves, np.finfo(float).tiny)).mean(axis=0))
    # From the first point after the transient to the last before the floor is first reached.
    after = np.flatnonzero(mean <= mean[0] / 2)
    start = after[0] if len(after) else len(mean)
    at_floor = np.flatnonzero((mean[start:] < floor_factor * floor) | (curves[:, start:] <= 0).any(axis=0))
    usable = np.arange(start, start + at_floor[0] if len(at_floor) else len(mean))
    if len(usable) < MIN_POINTS:
        raise ValueError(
            f"{len(usable)} points lie between the transient (y above half of its first value, {mean[0]:.3g}) and "
            f"{floor_factor:g} times the floor {floor:.3g}; a fit needs at least {MIN_POINTS}: "
            "measure over a longer range"
        )
    u, v = np.log10(points[usable]), np.log10(mean[usable])
    best, chosen = np.inf, (0, len(u) - 1)
    for first in range(len(u)):
        last = int(np.searchsorted(u, u[first] + decades - 1e-9))
        if last >= len(u):
            break
        if last - first + 1 < MIN_POINTS:
            continue
        piece = slice(first, last + 1)
        slopes, intercepts = _lines(u[piece], v[None, piece])
        scatter = float(np.mean((v[piece] - intercepts[0] - slopes[0] * u[piece]) ** 2))
        if scatter <= best:
            best, chosen = scatter, (first, last)
    return float(10 ** u[chosen[0]]), float(10 ** u[chosen[1]])


def local_exponents(x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Return -d log y / d log x at every point, by central differences: the decay exponent as it drifts.

    Parameters
    ----------
    x : array-like of shape (n_points,)
        Positive and increasing.
    y : array-like of shape (n_points,) or (n_instances, n_points)
        Positive.

    Returns
    -------
    ndarray of the shape of y

    Examples
    --------
    >>> from sparsemlp.scaling_laws import local_exponents
    >>> local_exponents([1, 2, 4, 8, 16], [1, 1, 1, 0.5, 0.25])
    array([0. , 0. , 0.5, 1. , 1. ])
    """
    points, curves = _curves(x, y)
    if not (np.isfinite(curves) & (curves > 0)).all():
        raise ValueError("y must be finite and above 0")
    return np.asarray(-np.gradient(np.log(curves), np.log(points), axis=1).reshape(np.shape(y)) + 0.0)


def _curves(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x as (n_points,) and y as (n_instances, n_points)."""
    points = check_increasing("x", x)
    curves = np.asarray(y, dtype=np.float64)
    if curves.ndim not in (1, 2) or not curves.size or curves.shape[-1] != len(points):
        raise ValueError(
            f"y has shape {curves.shape}; it must be (n_points,) or (n_instances, n_points) "
            f"with {len(points)} points"
        )
    if len(points) < MIN_POINTS or points[0] <= 0:
        raise ValueError(f"x must be at least {MIN_POINTS} numbers above 0; got {len(points)} from {points[0]:g}")
    return points, np.atleast_2d(curves)


def _lines(u: NDArray[np.float64], v: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return slopes and intercepts of the least-squares lines through each row of v."""
    centred = u - u.mean()
    slopes = v @ centred / (centred @ centred)
    return slopes, v.mean(axis=1) - slopes * u.mean()


def _over_instances(slopes: NDArray[np.float64]) -> tuple[float, int]:
    return float(slopes.std(ddof=1) / np.sqrt(len(slopes))), len(slopes)


def _jackknife(u: NDArray[np.float64], v: NDArray[np.float64]) -> tuple[float, int]:
    """Return the standard error of the slope by leaving out blocks of neighbours, and how many blocks."""
    blocks = np.array_split(np.arange(len(u)), min(len(u), _N_BLOCKS))
    slopes = np.array([_lines(np.delete(u, block), np.delete(v, block)[None])[0][0] for block in blocks])
    n = len(blocks)
    return float(np.sqrt((n - 1) / n * ((slopes - slopes.mean()) ** 2).sum())), n
