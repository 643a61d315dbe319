"""The compute-optimal frontier: which width is best for a compute of N t, lazy and rich, and what loss it gets."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.report.document import Picture, Section, Table
from benchmarks.scaling import figures
from benchmarks.scaling.experiment import Experiment, Row, Setting
from sparsemlp.scaling_laws import (
    PowerLaw,
    compute_exponents,
    difficulty,
    fit_power_law,
    gradient_flow,
    solvable_model,
    width_limited_loss,
)

RICH = 1.0
TIMES = np.geomspace(1e-1, 1e6, 57)
PER_DECADE = 8
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {"tasks": ((1.5, 0.5),), "widths": (8, 16, 32, 64, 128), "n_instances": 3},
    "quick": {
        "tasks": ((1.5, 0.5), (2.0, 0.5), (1.5, 1.2)),
        "widths": (8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512),
        "n_instances": 16,
    },
    "full": {
        "tasks": ((1.5, 0.25), (1.5, 0.5), (1.5, 0.75), (2.0, 0.5), (1.5, 1.2), (1.5, 1.8)),
        "widths": (8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048),
        "n_instances": 32,
    },
}


class Frontier(NamedTuple):
    """The best loss and width for each compute, by the mean of all networks and without each of them.

    `loss` and `width` have shape (n_curves, n_compute); the first curve is that of all networks, the others leave
    out one each, where there are several.
    """

    compute: np.ndarray
    loss: np.ndarray
    width: np.ndarray

    @property
    def time(self) -> np.ndarray:
        """Time at which the best width has used the compute."""
        return np.asarray(self.compute / self.width)


def settings(profile: str) -> list[Setting]:
    """Return a piece of work for each task and width."""
    plan = PROFILES[profile]
    return [
        {"alpha": alpha, "beta": beta, "width": width, "n_instances": plan["n_instances"], "seed": 0}
        for alpha, beta in plan["tasks"]
        for width in plan["widths"]
    ]


def compute(setting: Setting) -> list[Row]:
    """Compute the losses by time of all networks of a width, lazy and rich."""
    rng = np.random.default_rng(
        [setting["seed"], setting["width"], round(1000 * setting["alpha"]), round(1000 * setting["beta"])]
    )
    model = solvable_model(
        setting["alpha"],
        setting["beta"],
        width=setting["width"],
        n_instances=setting["n_instances"],
        random_state=rng,
    )
    return [
        {"richness": richness, "instance": i, "time": float(time), "loss": float(loss)}
        for richness in (0.0, RICH)
        for i, curve in enumerate(gradient_flow(model, TIMES, richness=richness))
        for time, loss in zip(TIMES, curve, strict=True)
    ]


def frontier(curves: pd.DataFrame) -> Frontier:
    """Return the frontier of a task and richness.

    At each compute C the loss of width N is that at t = C/N, between measured times a power law. The best width is
    the vertex of the parabola through the logarithms of the best of the widths and its two neighbours. Only those
    C count at which the best width is strictly inside the grid, whichever network is left out.
    """
    widths = np.array(sorted(curves["width"].unique()), dtype=float)
    tables = [
        curves[curves["width"] == width].pivot_table(index="instance", columns="time", values="loss")
        for width in widths
    ]
    u = np.log(tables[0].columns.to_numpy(dtype=float))
    low, high = np.log10(widths[-1]) + u[0] / np.log(10), np.log10(widths[0]) + u[-1] / np.log(10)
    compute = 10 ** (np.arange(np.ceil(low * PER_DECADE), high * PER_DECADE) / PER_DECADE)
    losses = np.array(
        [
            [np.interp(np.log(compute / width), u, np.log(curve)) for curve in _means(table.to_numpy())]
            for width, table in zip(widths, tables, strict=True)
        ]
    )  # (width, curve, compute)
    best = losses.argmin(axis=0)
    inside = ((best > 0) & (best < len(widths) - 1)).all(axis=0)
    best, losses = best[:, inside], losses[:, :, inside]
    around = [np.take_along_axis(losses, (best + d)[None], axis=0)[0] for d in (-1, 0, 1)]
    log_width, log_loss = _vertex([np.log(widths)[best + d] for d in (-1, 0, 1)], around)
    return Frontier(compute[inside], np.exp(log_loss), np.exp(log_width))


def _means(losses: np.ndarray) -> np.ndarray:
    """Return the mean over networks, and where there are several, the means without each of them."""
    n = len(losses)
    mean = losses.mean(axis=0)
    return np.vstack([mean[None], (n * mean - losses) / (n - 1)]) if n > 1 else mean[None]


def fit(compute: np.ndarray, curves: np.ndarray, **limits: float) -> PowerLaw:
    """Return the jackknife estimate of the exponent, corrected for its bias, and the jackknife's interval.

    The first curve is of all networks, the others of all but one.

    Exponents are linear in logarithms, so that those of the jackknife's pseudo-values n log(all) - (n - 1)
    log(without one) are its pseudo-values of the exponent, and Student's interval over these is the jackknife's.
    """
    n = len(curves) - 1
    logs = np.log(curves)
    return fit_power_law(compute, np.exp(n * logs[:1] - (n - 1) * logs[1:]) if n else curves, **limits)


def _vertex(x: list[np.ndarray], y: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return where the parabola through three points has its least value, and that value."""
    left, right = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
    bend = (right - left) / (x[2] - x[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.where(bend > 0, (x[0] + x[1]) / 2 - left / (2 * bend), x[1])
    return at, y[0] + left * (at - x[0]) + bend * (at - x[0]) * (at - x[1])


def expected_frontier(alpha: float, beta: float, richness: float, widths: np.ndarray) -> Frontier:
    """Return the frontier that theory expects: one bottleneck's loss added to the other's.

    Loss by time from infinite width, loss by width from the deterministic equivalent.
    """
    rows = []
    by_time = gradient_flow(solvable_model(alpha, beta), TIMES, richness=richness)[0]
    for width in widths:
        floor = width_limited_loss(alpha, beta, int(width))
        rows += [
            {"width": width, "instance": 0, "time": time, "loss": loss + floor}
            for time, loss in zip(TIMES, by_time, strict=True)
        ]
    return frontier(pd.DataFrame(rows))


def section(rows: pd.DataFrame) -> Section:
    """Return measured and predicted exponents."""
    found = {
        key: frontier(group)
        for key, group in rows.groupby(["alpha", "beta", "richness"])
        if group["width"].nunique() >= 3
    }
    lines = [line for key, one in found.items() for line in _lines(key, one, rows)]
    head = ["task", "alpha", "beta", "richness", "of C", "theory", "fitted", "95 % interval", "sum of bottlenecks"]
    head += ["range of C"]
    text = (
        "Compute C = N t: the best loss L*, width N* and time t* for each C, as powers of C. Losses are means "
        "over networks; exponents, corrected for bias, and intervals are a jackknife over networks, of the last "
        "two decades of those C at which the best width is neither the narrowest nor the widest. Theory is the "
        "asymptotic law; `sum of bottlenecks` is the exponent, over the same range, of a frontier made from the "
        "loss by time of infinite width plus the loss by width of infinite time: it shows what of a deviation is "
        "finite size."
    )
    picture = Picture("scaling-compute", "The best loss and width by compute.", figures.compute(rows, found))
    return Section(EXPERIMENT.title, [text], [Table("Exponents of C.", head, lines)], [picture])


def _lines(key: Any, one: Frontier, rows: pd.DataFrame) -> list[list[str]]:
    alpha, beta, richness = key
    theory = compute_exponents(alpha, beta, rich=richness > 0)
    expected = expected_frontier(alpha, beta, richness, np.array(sorted(rows["width"].unique())))
    lines = []
    for name, sign in (("loss", -1), ("width", 1), ("time", 1)):
        law = fit(one.compute, getattr(one, name), x_min=one.compute[-1] / 100)
        same = fit(expected.compute, getattr(expected, name), x_min=law.x_min, x_max=law.x_max)
        line = [
            difficulty(alpha, beta),
            f"{alpha:g}",
            f"{beta:g}",
            f"{richness:g}",
            {"loss": "L*", "width": "N*"}.get(name, "t*"),
        ]
        line += [f"{sign * getattr(theory, name):.3f}", f"{law.exponent:.3f}", f"{law.low:.3f} to {law.high:.3f}"]
        line += [f"{same.exponent:.3f}", f"{law.x_min:.2g} to {law.x_max:.2g}"]
        lines.append(line)
    return lines


EXPERIMENT = Experiment("The compute-optimal frontier", settings, compute, section)
