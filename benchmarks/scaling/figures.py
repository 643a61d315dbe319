"""The figures of the scaling-laws study: the solvable model, its compute-optimal frontier, and networks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.report import style
from benchmarks.report.style import BLACK, BLUE, COLOURS, GREY, VERMILION, legend_entry
from sparsemlp.scaling_laws import (
    PowerLaw,
    compute_exponents,
    difficulty,
    local_exponents,
    sample_limited_loss,
    time_exponent,
    width_limited_loss,
)

if TYPE_CHECKING:
    from benchmarks.scaling.compute import Frontier

REGIMES = {0.0: BLUE, 1.0: VERMILION}  # richness: lazy, rich
MAX_PANELS = 9


# The solvable model -----------------------------------------------------------------------------------


@style.styled
def time_curves(rows: pd.DataFrame, fits: pd.DataFrame) -> Figure:
    """Draw loss by time, lazy and rich: infinite width, its fits, and networks of finite width; a panel a task."""
    figure, panels = _task_panels(tasks := _tasks(rows), "time", "loss")
    for axes, task in zip(panels, tasks, strict=True):
        of_task = _of_task(rows, task)
        of_fits = _of_task(fits[fits["part"] == "time"], task)
        for richness, colour in REGIMES.items():
            own = of_task[of_task["richness"] == richness]
            _time_panel(axes, own, of_fits[of_fits["richness"] == richness], colour, above=richness == 0)
    entries = [legend_entry(BLUE, "-", "lazy"), legend_entry(VERMILION, "-", "rich")]
    entries += [legend_entry(GREY, ":", "the widest networks"), legend_entry(BLACK, "--", "fitted power law")]
    style.legend(figure, entries)
    return figure


def _time_panel(axes: Axes, rows: pd.DataFrame, fits: pd.DataFrame, colour: str, *, above: bool) -> None:
    curve = rows[rows["part"] == "time"].sort_values("time")
    axes.loglog(curve["time"], curve["loss"], color=colour, lw=1.6)
    for _, one in list(rows[rows["part"] == "width"].groupby("instance"))[:4]:
        axes.loglog(one["time"], one["loss"], ":", color=colour, lw=0.8, alpha=0.7)
    for fit in fits.to_dict("records"):
        x = np.array([fit["x_min"], fit["x_max"]])
        axes.loglog(x, fit["prefactor"] * x ** -fit["value"], "--", color=BLACK, lw=1)
        middle = np.sqrt(x.prod())
        axes.annotate(
            f"{fit['value']:.3f}",
            (middle, fit["prefactor"] * middle ** -fit["value"]),
            xytext=(4, 6) if above else (-4, -8),
            textcoords="offset points",
            ha="left" if above else "right",
            va="bottom" if above else "top",
            color=colour,
        )


@style.styled
def crossover(rows: pd.DataFrame) -> Figure:
    """Draw the local exponent by time at every richness: how late the rich exponent sets in."""
    figure, panels = _task_panels(tasks := _tasks(rows), "time", "local exponent")
    curves = rows[rows["part"] == "time"]
    levels = dict(zip(sorted(curves["richness"].unique()), COLOURS, strict=False))
    for axes, (alpha, beta) in zip(panels, tasks, strict=True):
        of_task = _of_task(curves, (alpha, beta))
        for richness, colour in levels.items():
            curve = of_task[of_task["richness"] == richness].sort_values("time")
            resolved = curve[curve["loss"] > 10 * curve["floor"]]
            axes.semilogx(resolved["time"], local_exponents(resolved["time"], resolved["loss"]), color=colour)
        for rich, form in ((False, ":"), (True, "--")):
            axes.axhline(time_exponent(beta, rich=rich), color=BLACK, lw=0.8, ls=form)
        axes.set_ylim(0, 2.5 * time_exponent(beta))
    entries = [legend_entry(colour, "-", f"richness {level:g}") for level, colour in levels.items()]
    entries += [legend_entry(BLACK, ":", "theory, lazy"), legend_entry(BLACK, "--", "theory, rich")]
    style.legend(figure, entries)
    return figure


@style.styled
def sizes(rows: pd.DataFrame, fits: pd.DataFrame) -> Figure:
    """Draw the loss after infinite time by width and by samples: networks, and what theory expects."""
    figure, panels = style.panels(2, 2, 3.75, 2.7)
    parts: Any = (
        ("width", "width", "floor", width_limited_loss, "width N"),
        ("samples", "n_samples", "loss", sample_limited_loss, "samples P (lazy)"),
    )
    for axes, (part, size, value, equivalent, label) in zip(panels, parts, strict=True):
        chosen = rows[(rows["part"] == part) & rows["time"].isna()]
        for (alpha, beta), colour in zip(_tasks(rows), COLOURS, strict=False):
            one = _of_task(chosen, (alpha, beta))
            groups = one.groupby(size)[value]
            n = np.array(sorted(one[size].unique()))
            fit = _of_task(fits[fits["part"] == part], (alpha, beta)).iloc[0]
            text = f"{alpha:g}, {beta:g}: {fit['value']:.2f} ({fit['theory']:.2f})"
            axes.loglog(n, [equivalent(alpha, beta, int(k)) for k in n], color=colour, lw=1)
            mean, spread = groups.mean().loc[n], groups.std().loc[n]
            axes.errorbar(n, mean, spread, fmt="o", ms=3.5, color=colour, label=text, lw=0.8)
        axes.set_xlabel(label)
        axes.legend(title="alpha, beta: fitted (theory)", frameon=False, fontsize=7, title_fontsize=7)
    panels[0].set_ylabel("loss after infinite time")
    style.title(figure, "Points: mean and standard deviation of networks; lines: theory")
    return figure


@style.styled
def sgd(rows: pd.DataFrame) -> Figure:
    """Draw online SGD and gradient flow on the same networks."""
    tasks = sorted(set(zip(rows["alpha"], rows["beta"], strict=True)))
    figure, panels = _task_panels(tasks, "time = learning rate x steps", "loss")
    for axes, task in zip(panels, tasks, strict=True):
        of_task = _of_task(rows, task)
        for richness, colour in REGIMES.items():
            own = of_task[of_task["richness"] == richness]
            for name, form in (("flow", "-"), ("loss", ".")):
                mean = np.exp(np.log(own[name]).groupby(own["time"]).mean())
                axes.loglog(mean.index, mean, form, color=colour, lw=1, ms=5)
    entries = [legend_entry(BLUE, "-", "lazy, gradient flow"), legend_entry(VERMILION, "-", "rich, gradient flow")]
    style.legend(figure, [*entries, legend_entry(GREY, ".", "online SGD")])
    return figure


def _tasks(rows: pd.DataFrame) -> list[tuple[float, float]]:
    """Return the tasks in the order of their sources; of many, some spread over all."""
    tasks = sorted(set(zip(rows["alpha"], rows["beta"], strict=True)), key=lambda task: (task[1], task[0]))
    chosen = np.linspace(0, len(tasks) - 1, min(len(tasks), MAX_PANELS)).round().astype(int)
    return [tasks[i] for i in chosen]


def _of_task(rows: pd.DataFrame, task: tuple[float, float]) -> pd.DataFrame:
    return rows[(rows["alpha"] == task[0]) & (rows["beta"] == task[1])]


def _task_panels(tasks: list[tuple[float, float]], x: str, y: str) -> tuple[Figure, list[Axes]]:
    figure, panels = style.panels(len(tasks), 3, 2.9, 2.5)
    for axes, (alpha, beta) in zip(panels, tasks, strict=True):
        axes.set_title(f"{difficulty(alpha, beta)}: alpha {alpha:g}, beta {beta:g}")
        axes.set_xlabel(x)
    panels[0].set_ylabel(y)
    return figure, panels


@style.styled
def compute(rows: pd.DataFrame, found: Mapping[Any, "Frontier"]) -> Figure:
    """Draw the best loss and width by compute, lazy and rich, a column for each task."""
    tasks = sorted({key[:2] for key in found})
    figure = Figure(figsize=(max(3.2 * len(tasks), 5), 5.6), layout="constrained")
    grid = figure.subplots(2, len(tasks), squeeze=False)
    for (above, below), task in zip(grid.T, tasks, strict=True):
        alpha, beta = task
        for richness, colour in REGIMES.items():
            one = found[alpha, beta, richness]
            theory = compute_exponents(alpha, beta, rich=richness > 0)
            own = _of_task(rows, task)
            _compute_curves(above, own[own["richness"] == richness], colour)
            for axes, values, power in ((above, one.loss, -theory.loss), (below, one.width, theory.width)):
                axes.loglog(one.compute, values[0], ".", color=colour, ms=5)
                middle = len(one.compute) // 2
                line = values[0, middle] * (one.compute / one.compute[middle]) ** power
                axes.loglog(one.compute, line, "--", color=BLACK, lw=1)
        above.set_title(f"{difficulty(alpha, beta)}: alpha {alpha:g}, beta {beta:g}")
        below.set_xlabel("compute C = N t")
        low, high = below.get_ylim()
        ticks = [2.0**k for k in range(3, 12) if low <= 2**k <= high]
        below.yaxis.set_minor_locator(NullLocator())
        below.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    grid[0, 0].set_ylabel("loss")
    grid[1, 0].set_ylabel("best width")
    entries = [legend_entry(BLUE, ".", "lazy, measured"), legend_entry(VERMILION, ".", "rich, measured")]
    entries += [legend_entry(BLACK, "--", "predicted slope"), legend_entry(GREY, "-", "one width each")]
    style.legend(figure, entries, n_columns=4)
    return figure


def _compute_curves(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    """Draw the loss of every second width by compute, faintly."""
    for width in sorted(rows["width"].unique())[::2]:
        one = rows[rows["width"] == width]
        mean = np.exp(np.log(one["loss"]).groupby(one["time"]).mean())
        axes.loglog(mean.index * width, mean, color=colour, lw=0.6, alpha=0.45)


# Networks ---------------------------------------------------------------------------------------------


@style.styled
def circle(
    curves: pd.DataFrame, kernels: pd.DataFrame, fits: Mapping[tuple[str, float], PowerLaw | None]
) -> Figure:
    """Draw loss by time on the circle, a panel a target, with fits and with what the initial kernel would do."""
    targets = list(curves["target"].unique())
    fixed = kernels[kernels["target"].notna()] if "target" in kernels else kernels.iloc[:0]
    figure, panels = style.panels(len(targets), 2, 3.75, 2.9)
    for axes, target in zip(panels, targets, strict=True):
        of_target = curves[curves["target"] == target]
        mean = fixed[fixed["target"] == target].groupby("time")["loss"].mean()
        mean = mean[mean > of_target["loss"].min() / 2]
        axes.loglog(mean.index, mean, ":", color=BLACK, lw=1.2, label="initial kernel, kept")
        _richness_curves(axes, of_target, {g: law for (name, g), law in fits.items() if name == target})
        axes.set_title(f"{target} target")
        axes.set_xlabel("time = learning rate x steps")
    panels[0].set_ylabel("loss")
    style.legend(figure)
    return figure


def _richness_curves(axes: Axes, rows: pd.DataFrame, fits: Mapping[Any, PowerLaw | None]) -> None:
    """Draw a curve for every seed, and the fitted laws over the ranges that they were fitted to."""
    for height, ((richness, group), colour) in enumerate(zip(rows.groupby("richness"), COLOURS, strict=False)):
        for i, (_, one) in enumerate(group.groupby("seed")):
            label = f"richness {richness:g}" if i == 0 else None
            axes.loglog(one["time"], one["loss"], color=colour, lw=1.2, alpha=0.8, label=label)
        law = fits.get(richness)
        if law is not None:
            x = np.array([law.x_min, law.x_max])
            axes.loglog(x, law.predict(x), "--", color=BLACK, lw=1)
            middle = float(np.sqrt(x.prod()))
            axes.annotate(
                f"{law.decay.value:.2f}",
                (middle, float(law.predict(middle))),
                xytext=(8, 12 - 12 * height),
                textcoords="offset points",
                color=colour,
            )


@style.styled
def spectrum(eigenvalues: pd.Series, law: PowerLaw | None) -> Figure:
    """Draw the initial kernel's eigenvalue of every mode, with the fitted power law."""
    figure, (axes,) = style.panels(1, 1, 4.5, 2.6)
    axes.loglog(eigenvalues.index, eigenvalues, ".", color=BLUE, label="measured")
    if law is not None:
        x = np.array([law.x_min, law.x_max])
        axes.loglog(x, law.predict(x), "--", color=BLACK, lw=1, label=f"k^-{law.decay.value:.2f}")
    axes.set(xlabel="mode k", ylabel="eigenvalue")
    style.legend(figure)
    return figure


@style.styled
def success(table: pd.DataFrame, title: str) -> Figure:
    """Draw the share of networks that learn by richness, a line for each start, with 95 % Wilson intervals."""
    figure, (axes,) = style.panels(1, 1, 4.5, 2.8)
    for (start, line), colour in zip(table.groupby("start", sort=False), COLOURS, strict=False):
        spread = np.clip([line["rate"] - line["low"], line["high"] - line["rate"]], 0, None)
        axes.errorbar(line["richness"], line["rate"], spread, color=colour, fmt="o-", label=start)
    axes.set(xscale="log", ylim=(-0.03, 1.03), xlabel="richness", ylabel="share of networks that learn")
    style.legend(figure)
    style.title(figure, title)
    return figure


@style.styled
def images(rows: pd.DataFrame, fits: Mapping[Any, PowerLaw | None]) -> Figure:
    """Draw the loss on held-out images by time, for every richness."""
    figure, (axes,) = style.panels(1, 1, 4.8, 2.9)
    _richness_curves(axes, rows, fits)
    axes.set(xlabel="time = learning rate x steps", ylabel="loss on held-out images")
    style.legend(figure)
    return figure


@style.styled
def tables(means: pd.DataFrame, errors: pd.DataFrame) -> Figure:
    """Draw mean accuracies against the usual parametrisation by richness, a line for each start."""
    figure, (axes,) = style.panels(1, 1, 4.8, 2.8)
    for start, colour in zip(means.columns, COLOURS, strict=False):
        center, error = 100 * means[start], 100 * errors[start]
        axes.errorbar(means.index, center, error, color=colour, fmt="o-", capsize=2, label=start)
    axes.axhline(0, color=BLACK, lw=0.8)
    axes.set(xscale="log", xlabel="richness")
    axes.set_ylabel("accuracy minus that without\nrichness, percentage points")
    style.legend(figure)
    return figure
