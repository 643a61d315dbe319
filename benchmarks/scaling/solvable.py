"""The solvable model against theory: exponents of time, width and samples, lazy and rich; online SGD."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.report.document import Picture, Section, Table
from benchmarks.scaling import figures
from benchmarks.scaling.experiment import Experiment, Row, Setting
from sparsemlp.scaling_laws import (
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


def settings(profile: str) -> list[Setting]:
    """Return the pieces of work: curves at infinite width, networks of each width and sample size, SGD."""
    plan = PROFILES[profile]
    found: list[Setting] = []
    for alpha, beta in plan["tasks"]:
        task = {"alpha": alpha, "beta": beta}
        sampled = task | {"n_instances": plan["n_instances"], "seed": 0}
        found += [{"part": "time", **task, "richness": richness} for richness in plan["richness"]]
        found += [
            {"part": "width", **sampled, "width": width, "curves": width == plan["widths"][-1]}
            for width in plan["widths"]
        ]
        found += [{"part": "samples", **sampled, "n_samples": n} for n in plan["samples"]]
        if (alpha, beta) in SGD_TASKS:
            found += [
                {"part": "sgd", **task, **plan["sgd"], "seed": 0, "richness": richness, "batch_size": 32}
                for richness in (0.0, RICH)
            ]
    return found


def compute(setting: Setting) -> list[Row]:
    """Compute one setting: losses by time, width or samples, a row for each instance and point."""
    parts = {"time": _time, "width": _width, "samples": _samples, "sgd": _sgd}
    return parts[setting["part"]](setting)


def _time(setting: Setting) -> list[Row]:
    model = solvable_model(setting["alpha"], setting["beta"])
    losses = gradient_flow(model, TIMES, richness=setting["richness"])[0]
    floor = float(model.floor[0])
    return [{"time": t, "loss": loss, "floor": floor} for t, loss in _points(TIMES, losses)]


def _width(setting: Setting) -> list[Row]:
    model = _finite(setting)
    rows: list[Row] = [{"instance": i, "floor": float(floor)} for i, floor in enumerate(model.floor)]
    if setting["curves"]:
        for richness in (0.0, RICH):
            losses = gradient_flow(model, FINITE_TIMES, richness=richness)
            rows += [
                {"instance": i, "richness": richness, "time": t, "loss": loss}
                for i, curve in enumerate(losses)
                for t, loss in _points(FINITE_TIMES, curve)
            ]
    return rows


def _samples(setting: Setting) -> list[Row]:
    losses = draw_sample_limited_losses(
        setting["alpha"],
        setting["beta"],
        setting["n_samples"],
        n_instances=setting["n_instances"],
        random_state=_generator(setting, setting["n_samples"]),
    )
    return [{"instance": i, "loss": float(loss)} for i, loss in enumerate(losses)]


def _sgd(setting: Setting) -> list[Row]:
    model = _finite(setting)
    steps = np.unique(np.geomspace(1, setting["n_steps"], 40).round().astype(int))
    # Half of what the fastest direction could bear where the kernel has grown as much as it will.
    norm = float((model.targets**2).sum(axis=1).max())
    learning_rate = 0.5 / (float(model.rates.max()) * (1 + np.sqrt(1 + 4 * setting["richness"] * norm)) / 2)
    sgd = online_sgd(
        model,
        steps,
        learning_rate=learning_rate,
        batch_size=setting["batch_size"],
        richness=setting["richness"],
        random_state=_generator(setting, 1),
    )
    flow = gradient_flow(model, sgd.times, richness=setting["richness"])
    return [
        {"instance": i, "learning_rate": learning_rate, "time": t, "loss": loss, "flow": float(flow[i, j])}
        for i in range(model.n_instances)
        for j, (t, loss) in enumerate(_points(sgd.times, sgd.losses[i]))
    ]


def _finite(setting: Setting) -> Any:
    return solvable_model(
        setting["alpha"],
        setting["beta"],
        width=setting["width"],
        n_instances=setting["n_instances"],
        random_state=_generator(setting, setting["width"]),
    )


def _generator(setting: Setting, size: int) -> np.random.Generator:
    return np.random.default_rng(
        [setting["seed"], size, round(1000 * setting["alpha"]), round(1000 * setting["beta"])]
    )


def _points(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]


# The report -------------------------------------------------------------------------------------------------


def section(rows: pd.DataFrame) -> Section:
    """Return the fitted exponents next to theory."""
    fits = pd.concat(
        [time_fits(rows), finite_time_fits(rows), size_fits(rows, "width"), size_fits(rows, "samples")]
    )
    text = (
        "Features of variance k^-alpha, a target with k^-(alpha beta + 1) of its variance in the k-th. Exponents "
        "are those of falling losses, L ~ t^-e and so on, with 95 % intervals; the range is that of the fit, "
        "taken by a rule that knows no theory (see the page on scaling laws)."
    )
    captions = {
        "time": "Time, infinite width. The interval is the drift within the range: nothing is random.",
        "time, finite width": f"Time at width {_widest(rows)}, in the decade before the floor that the width "
        "sets: intervals over networks; `equivalent` is infinite width in the same range, and shows how much of a "
        "deviation is that range. Tasks without such a range are left out.",
        "width": "Width, after infinite time; `equivalent` is the exponent of the deterministic equivalent over "
        "the same widths, and shows how much of a deviation is finite size.",
        "samples": "Samples, lazy, after infinite time at infinite width.",
    }
    tables = [_table(caption, fits[fits["part"] == part]) for part, caption in captions.items()]
    pictures = [
        Picture("scaling-model-time", "Loss by time.", figures.time_curves(rows, fits)),
        Picture("scaling-model-crossover", "The local exponent by time.", figures.crossover(rows)),
        Picture(
            "scaling-model-sizes", "Loss after infinite time, by width and samples.", figures.sizes(rows, fits)
        ),
    ]
    sgd = rows[rows["part"] == "sgd"]
    if len(sgd):
        tables.append(_sgd_table(sgd))
        pictures.append(Picture("scaling-model-sgd", "Online SGD and gradient flow.", figures.sgd(sgd)))
    return Section(EXPERIMENT.title, [text], [table for table in tables if table.rows], pictures)


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


def _table(caption: str, fits: pd.DataFrame) -> Table:
    with_equivalent = fits["equivalent"].notna().any()
    with_richness = fits["richness"].notna().any()
    head = ["task", "alpha", "beta", *(["richness"] if with_richness else []), "theory", "fitted", "95 % interval"]
    head += ["off by", *(["equivalent"] if with_equivalent else []), "range"]
    lines = []
    for fit in fits.to_dict("records"):
        digits = 3 if fit["high"] - fit["low"] > 0.004 else 5
        line = [fit["difficulty"], f"{fit['alpha']:g}", f"{fit['beta']:g}"]
        line += [f"{fit['richness']:g}"] if with_richness else []
        line += [f"{fit['theory']:.3f}", f"{fit['value']:.3f}"]
        line += [f"{fit['low']:.{digits}f} to {fit['high']:.{digits}f}"]
        line += [f"{100 * (fit['value'] / fit['theory'] - 1):+.1f} %"]
        line += [f"{fit['equivalent']:.3f}"] if with_equivalent else []
        line += [f"{fit['x_min']:.2g} to {fit['x_max']:.2g}"]
        lines.append(line)
    return Table(caption, head, lines)


def _sgd_table(rows: pd.DataFrame) -> Table:
    lines = []
    for (alpha, beta, richness), group in grouped(rows, "alpha", "beta", "richness"):
        ratio = (group["loss"] / group["flow"]).map(np.log).groupby(group["time"]).mean().map(np.exp)
        line = [f"{alpha:g}", f"{beta:g}", f"{richness:g}", f"{group['learning_rate'].iloc[0]:.3g}"]
        lines.append([*line, f"{ratio.iloc[0]:.3f}", f"{ratio.max():.3f}", f"{ratio.iloc[-1]:.3f}"])
    first = rows.iloc[0]
    head = ["alpha", "beta", "richness", "learning rate", "at the start", "at most", "at the end"]
    return Table(
        f"Online SGD on both layers, width {first['width']:.0f}, batches of {first['batch_size']:.0f}: loss over "
        f"that of gradient flow on the same network, geometric mean of {first['n_instances']:.0f} networks.",
        head,
        lines,
    )


EXPERIMENT = Experiment("The solvable model against theory", settings, compute, section)
