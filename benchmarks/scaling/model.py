"""The solvable model against theory: exponents of time, width and samples, lazy and rich; online SGD."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.report.document import Table
from benchmarks.scaling import model_figures as draw
from benchmarks.scaling.experiment import Cell, Experiment, Row
from sparsemlp.scaling_laws import (
    Decay,
    PowerLaw,
    difficulty,
    draw_sample_limited_losses,
    fit_power_law,
    gradient_flow,
    online_sgd,
    sample_exponent,
    sample_limited_loss,
    solvable_model,
    straightest_range,
    time_exponent,
    width_exponent,
    width_limited_loss,
)

RICH = 1.0
QUICK_TASKS = ((1.5, 0.25), (1.5, 0.5), (1.5, 0.75), (2.0, 0.5), (1.5, 1.2), (1.5, 1.8))
SGD_TASKS = ((1.5, 0.5), (1.5, 1.2))
#: infinite width: eight points a decade over fourteen decades
TIMES = np.geomspace(1e-2, 1e12, 113)
FINITE_TIMES = np.geomspace(1e-1, 1e5, 49)
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "tasks": ((1.5, 0.5), (1.5, 1.2)),
        "richness": (0.0, RICH),
        "widths": (8, 16, 32, 64, 128),
        "samples": (8, 16, 32, 64, 128),
        "n_instances": 4,
        "sgd": {"width": 32, "n_steps": 300, "n_instances": 2},
    },
    "quick": {
        "tasks": QUICK_TASKS,
        "richness": (0.0, 0.01, RICH, 100.0),
        "widths": (8, 16, 32, 64, 128, 256, 512),
        "samples": (8, 16, 32, 64, 128, 256, 512),
        "n_instances": 16,
        "sgd": {"width": 64, "n_steps": 5000, "n_instances": 8},
    },
    "full": {
        "tasks": tuple(
            (alpha, beta) for alpha in (1.25, 1.5, 2.0, 3.0) for beta in (0.25, 0.5, 0.75, 1.1, 1.2, 1.8)
        ),
        "richness": (0.0, 0.001, 0.01, 0.1, RICH, 10.0, 100.0),
        "widths": (8, 16, 32, 64, 128, 256, 512, 1024, 2048),
        "samples": (8, 16, 32, 64, 128, 256, 512, 1024),
        "n_instances": 32,
        "sgd": {"width": 128, "n_steps": 50_000, "n_instances": 32},
    },
}


def cells(profile: str) -> list[Cell]:
    """Return the pieces of work: curves at infinite width, draws of each width and sample size, SGD."""
    plan = PROFILES[profile]
    found: list[Cell] = []
    for alpha, beta in plan["tasks"]:
        task = {"alpha": alpha, "beta": beta}
        drawn = task | {"n_instances": plan["n_instances"], "seed": 0}
        found += [{"part": "time", **task, "richness": richness} for richness in plan["richness"]]
        found += [
            {"part": "width", **drawn, "width": width, "curves": width == plan["widths"][-1]}
            for width in plan["widths"]
        ]
        found += [{"part": "samples", **drawn, "n_samples": n} for n in plan["samples"]]
        if (alpha, beta) in SGD_TASKS:
            found += [
                {"part": "sgd", **task, **plan["sgd"], "seed": 0, "richness": richness, "batch_size": 32}
                for richness in (0.0, RICH)
            ]
    return found


def run_cell(cell: Cell) -> list[Row]:
    """ComputePool one cell: losses by time, width or samples, a row for each instance and point."""
    parts = {"time": _time, "width": _width, "samples": _samples, "sgd": _sgd}
    return parts[cell["part"]](cell)


def _time(cell: Cell) -> list[Row]:
    model = solvable_model(cell["alpha"], cell["beta"])
    losses = gradient_flow(model, TIMES, richness=cell["richness"])[0]
    floor = float(model.floor[0])
    return [{"time": t, "loss": loss, "floor": floor} for t, loss in _points(TIMES, losses)]


def _width(cell: Cell) -> list[Row]:
    model = _finite(cell)
    rows: list[Row] = [{"instance": i, "floor": float(floor)} for i, floor in enumerate(model.floor)]
    if cell["curves"]:
        for richness in (0.0, RICH):
            losses = gradient_flow(model, FINITE_TIMES, richness=richness)
            rows += [
                {"instance": i, "richness": richness, "time": t, "loss": loss}
                for i, curve in enumerate(losses)
                for t, loss in _points(FINITE_TIMES, curve)
            ]
    return rows


def _samples(cell: Cell) -> list[Row]:
    losses = draw_sample_limited_losses(
        cell["alpha"],
        cell["beta"],
        cell["n_samples"],
        n_instances=cell["n_instances"],
        random_state=_generator(cell, cell["n_samples"]),
    )
    return [{"instance": i, "loss": float(loss)} for i, loss in enumerate(losses)]


def _sgd(cell: Cell) -> list[Row]:
    model = _finite(cell)
    steps = np.unique(np.geomspace(1, cell["n_steps"], 40).round().astype(int))
    # Half of what the with_cuda_graph direction could bear where the kernel has grown as much as it will.
    norm = float((model.targets**2).sum(axis=1).max())
    learning_rate = 0.5 / (float(model.rates.max()) * (1 + np.sqrt(1 + 4 * cell["richness"] * norm)) / 2)
    sgd = online_sgd(
        model,
        steps,
        learning_rate=learning_rate,
        batch_size=cell["batch_size"],
        richness=cell["richness"],
        random_state=_generator(cell, 1),
    )
    flow = gradient_flow(model, sgd.times, richness=cell["richness"])
    return [
        {"instance": i, "learning_rate": learning_rate, "time": t, "loss": loss, "flow": float(flow[i, j])}
        for i in range(model.n_instances)
        for j, (t, loss) in enumerate(_points(sgd.times, sgd.losses[i]))
    ]


def _finite(cell: Cell) -> Any:
    return solvable_model(
        cell["alpha"],
        cell["beta"],
        width=cell["width"],
        n_instances=cell["n_instances"],
        random_state=_generator(cell, cell["width"]),
    )


def _generator(cell: Cell, size: int) -> np.random.Generator:
    return np.random.default_rng([cell["seed"], size, round(1000 * cell["alpha"]), round(1000 * cell["beta"])])


def _points(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]


# Summary -------------------------------------------------------------------------------------------------


def summary(rows: pd.DataFrame) -> tuple[str, dict[str, Figure]]:
    """Return the fitted exponents beside theory, and the figures."""
    fits = pd.concat(
        [time_fits(rows), finite_time_fits(rows), size_fits(rows, "width"), size_fits(rows, "samples")]
    )
    sections = [
        "Features of variance k^-alpha, a target with k^-(alpha beta + 1) of its variance in the k-th. Exponents "
        "are those of falling losses, L ~ t^-e and so on, with 95 % intervals; the range is that of the fit, "
        "taken by a rule that knows no theory (see the page on scaling laws).",
        _table(
            "Time, infinite width. The interval is the drift within the range: nothing is random.", fits, "time"
        ),
        _table(
            f"Time at width {_widest(rows)}, in the decade before the floor that the width sets: intervals over "
            "draws of the network; `equivalent` is infinite width in the same range, and shows how much of a "
            "deviation is that range. Tasks without such a range are left out.",
            fits,
            "time, finite width",
        ),
        _table(
            "Width, after infinite time; `equivalent` is the exponent of the deterministic equivalent over the "
            "same widths, and shows how much of a deviation is finite size.",
            fits,
            "width",
        ),
        _table("Samples, lazy, after infinite time at infinite width.", fits, "samples"),
        _sgd_table(rows),
    ]
    figures = {
        "scaling-model-time": draw.time_curves(rows, fits),
        "scaling-model-crossover": draw.crossover(rows),
        "scaling-model-sizes": draw.sizes(rows, fits),
    }
    if (rows["part"] == "sgd").any():
        figures["scaling-model-sgd"] = draw.sgd(rows)
    return "\n\n".join(part for part in sections if part), figures


def grouped(rows: pd.DataFrame, *names: str) -> Iterator[tuple[tuple[float, ...], pd.DataFrame]]:
    """Yield the groups of rows that agree in some numbers, and these."""
    for key, group in rows.groupby(list(names)):
        values: Any = key
        yield tuple(map(float, values)), group


def time_fits(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the exponents of time at infinite width: a row for each task and richness."""
    found = []
    for (alpha, beta, richness), group in grouped(rows[rows["part"] == "time"], "alpha", "beta", "richness"):
        curve = group.sort_values("time")
        low, high = straightest_range(curve["time"], curve["loss"], floor=float(curve["floor"].iloc[0]))
        law = fit_power_law(curve["time"], curve["loss"], x_min=low, x_max=high)
        theory = time_exponent(beta, rich=richness > 0)
        found.append(_fit("time", alpha, beta, richness, law, theory))
    return pd.DataFrame(found)


def finite_time_fits(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the exponents of time at the greatest width, where the floor leaves a decade to fit."""
    found = []
    curves = rows[(rows["part"] == "width") & rows["time"].notna()]
    for (alpha, beta, richness), group in grouped(curves, "alpha", "beta", "richness"):
        wide = group.pivot_table(index="instance", columns="time", values="loss")
        floor = width_limited_loss(alpha, beta, int(group["width"].iloc[0]))
        try:
            low, high = straightest_range(wide.columns, wide.to_numpy(), decades=1.0, floor=floor)
            law = fit_power_law(wide.columns, wide.to_numpy(), x_min=low, x_max=high)
        except ValueError:  # the floor is reached too soon
            continue
        unlimited = gradient_flow(solvable_model(alpha, beta), wide.columns, richness=richness)
        same = fit_power_law(wide.columns, unlimited, x_min=low, x_max=high)
        row = _fit("time, finite width", alpha, beta, richness, law, time_exponent(beta, rich=richness > 0))
        found.append(row | {"equivalent": same.decay.value})
    return pd.DataFrame(found)


def size_fits(rows: pd.DataFrame, part: str) -> pd.DataFrame:
    """Return the exponents of width or samples over the last decade of sizes."""
    size, value = ("width", "floor") if part == "width" else ("n_samples", "loss")
    equivalent = width_limited_loss if part == "width" else sample_limited_loss
    theory = width_exponent if part == "width" else sample_exponent
    found = []
    chosen = rows[(rows["part"] == part) & rows["time"].isna()]
    for (alpha, beta), group in grouped(chosen, "alpha", "beta"):
        wide = group.pivot_table(index="instance", columns=size, values=value)
        sizes = wide.columns.to_numpy(dtype=float)
        law = fit_power_law(sizes, wide.to_numpy(), x_min=sizes[-1] / 10)
        expected = [equivalent(alpha, beta, int(n)) for n in sizes]
        without_noise = fit_power_law(sizes, expected, x_min=sizes[-1] / 10)
        row = _fit(part, alpha, beta, np.nan, law, theory(alpha, beta))
        found.append(row | {"equivalent": without_noise.decay.value})
    return pd.DataFrame(found)


def _fit(part: str, alpha: float, beta: float, richness: float, law: PowerLaw, theory: float) -> dict[str, Any]:
    return {
        "part": part,
        "alpha": alpha,
        "beta": beta,
        "difficulty": difficulty(alpha, beta),
        "richness": richness,
        **law.decay._asdict(),
        "theory": theory,
        "x_min": law.x_min,
        "x_max": law.x_max,
        "prefactor": law.prefactor,
        "equivalent": np.nan,
    }


def _widest(rows: pd.DataFrame) -> int:
    return int(rows.loc[rows["part"] == "width", "width"].max())


def _table(caption: str, fits: pd.DataFrame, part: str) -> str:
    chosen = fits[fits["part"] == part]
    if chosen.empty:
        return ""
    with_equivalent = chosen["equivalent"].notna().any()
    with_richness = chosen["richness"].notna().any()
    head = ["task", "alpha", "beta", *(["richness"] if with_richness else []), "theory", "fitted", "95 % interval"]
    head += ["off by", *(["equivalent"] if with_equivalent else []), "range"]
    lines = []
    for fit in chosen.to_dict("records"):
        line = [fit["difficulty"], f"{fit['alpha']:g}", f"{fit['beta']:g}"]
        line += [f"{fit['richness']:g}"] if with_richness else []
        line += [f"{fit['theory']:.3f}", f"{fit['value']:.3f}", interval(Decay(0, fit["low"], fit["high"]))]
        line += [f"{100 * (fit['value'] / fit['theory'] - 1):+.1f} %"]
        line += [f"{fit['equivalent']:.3f}"] if with_equivalent else []
        line += [f"{fit['x_min']:.2g} to {fit['x_max']:.2g}"]
        lines.append(line)
    return f"{caption}\n\n{Table('', head, lines).markdown()}"


def interval(decay: Decay) -> str:
    """Return an interval as text, with a digit more where it is narrow."""
    digits = 3 if decay.high - decay.low > 0.004 else 5
    return f"{decay.low:.{digits}f} to {decay.high:.{digits}f}"


def _sgd_table(rows: pd.DataFrame) -> str:
    chosen = rows[rows["part"] == "sgd"]
    if chosen.empty:
        return ""
    lines = []
    for (alpha, beta, richness), group in grouped(chosen, "alpha", "beta", "richness"):
        ratio = (group["loss"] / group["flow"]).map(np.log).groupby(group["time"]).mean().map(np.exp)
        line = [f"{alpha:g}", f"{beta:g}", f"{richness:g}", f"{group['learning_rate'].iloc[0]:.3g}"]
        line += [f"{ratio.iloc[0]:.3f}", f"{ratio.max():.3f}", f"{ratio.iloc[-1]:.3f}"]
        lines.append(line)
    first = chosen.iloc[0]
    head = ["alpha", "beta", "richness", "learning rate", "at the start", "at most", "at the end"]
    return (
        f"Online SGD on both layers, width {first['width']:.0f}, batches of {first['batch_size']:.0f}: loss over "
        f"that of gradient flow on the same network, geometric mean of {first['n_instances']:.0f} draws.\n\n"
        f"{Table('', head, lines).markdown()}"
    )


EXPERIMENT = Experiment("The solvable model against theory", cells, run_cell, summary)
