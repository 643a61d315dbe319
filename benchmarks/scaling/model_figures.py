"""The figures of the solvable model."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.report.style import STYLE
from sparsemlp.scaling_laws import (
    difficulty,
    local_exponents,
    sample_limited_loss,
    time_exponent,
    width_limited_loss,
)

LAZY, RICH_COLOUR = "#0072B2", "#D55E00"  # Okabe and Ito
SHADES = ("#0072B2", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#000000")
MAX_PANELS = 9


def time_curves(rows: pd.DataFrame, fits: pd.DataFrame) -> Figure:
    """Draw loss by time, lazy and rich: infinite width, its fits, and draws of finite width; a panel a task."""
    tasks = _tasks(rows)
    with mpl.rc_context(STYLE):
        figure, panels = _panels(len(tasks))
        for axes, (alpha, beta) in zip(panels, tasks, strict=True):
            of_task = rows[(rows["alpha"] == alpha) & (rows["beta"] == beta)]
            for richness, colour in ((0.0, LAZY), (1.0, RICH_COLOUR)):
                _time_panel(axes, of_task, fits, (alpha, beta, richness), colour)
            axes.set_title(task_label(alpha, beta))
            axes.set_xlabel("time")
        panels[0].set_ylabel("loss")
        _legend(
            figure,
            panels[0],
            [
                (LAZY, "-", "lazy"),
                (RICH_COLOUR, "-", "rich"),
                ("#888888", ":", "draws of the widest network"),
                ("#000000", "--", "fitted power law"),
            ],
        )
    return figure


def _time_panel(axes: Axes, rows: pd.DataFrame, fits: pd.DataFrame, key: tuple, colour: str) -> None:
    alpha, beta, richness = key
    curve = rows[(rows["part"] == "time") & (rows["richness"] == richness)].sort_values("time")
    axes.loglog(curve["time"], curve["loss"], color=colour, lw=1.6)
    drawn = rows[(rows["part"] == "width") & (rows["richness"] == richness)]
    for _, one in list(drawn.groupby("instance"))[:4]:
        axes.loglog(one["time"], one["loss"], ":", color=colour, lw=0.8, alpha=0.7)
    fit = fits[
        (fits["part"] == "time")
        & (fits["alpha"] == alpha)
        & (fits["beta"] == beta)
        & (fits["richness"] == richness)
    ]
    for one in fit.to_dict("records"):
        x = np.array([one["x_min"], one["x_max"]])
        axes.loglog(x, one["prefactor"] * x ** -one["value"], "k--", lw=1)
        above = richness == 0
        axes.annotate(
            f"{one['value']:.3f}",
            (np.sqrt(x[0] * x[1]), one["prefactor"] * np.sqrt(x[0] * x[1]) ** -one["value"]),
            xytext=(4, 6) if above else (-4, -8),
            textcoords="offset points",
            ha="left" if above else "right",
            va="bottom" if above else "top",
            color=colour,
        )


def crossover(rows: pd.DataFrame) -> Figure:
    """Draw the local exponent by time at every richness: how late the rich exponent sets in."""
    tasks = _tasks(rows)
    with mpl.rc_context(STYLE):
        figure, panels = _panels(len(tasks))
        curves = rows[rows["part"] == "time"]
        levels = sorted(curves["richness"].unique())
        for axes, (alpha, beta) in zip(panels, tasks, strict=True):
            of_task = curves[(curves["alpha"] == alpha) & (curves["beta"] == beta)]
            for richness, colour in zip(levels, SHADES, strict=False):
                curve = of_task[of_task["richness"] == richness].sort_values("time")
                resolved = curve[curve["loss"] > 10 * curve["floor"]]
                axes.semilogx(resolved["time"], local_exponents(resolved["time"], resolved["loss"]), color=colour)
            for rich, style in ((False, ":"), (True, "--")):
                axes.axhline(time_exponent(beta, rich=rich), color="black", lw=0.8, ls=style)
            axes.set_ylim(0, 2.5 * time_exponent(beta))
            axes.set_title(task_label(alpha, beta))
            axes.set_xlabel("time")
        panels[0].set_ylabel("local exponent")
        lines = [(colour, "-", f"richness {level:g}") for level, colour in zip(levels, SHADES, strict=False)]
        _legend(figure, panels[0], [*lines, ("black", ":", "theory, lazy"), ("black", "--", "theory, rich")])
    return figure


def sizes(rows: pd.DataFrame, fits: pd.DataFrame) -> Figure:
    """Draw the loss after infinite time by width and by samples: draws, and what theory expects."""
    tasks = _tasks(rows)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.5, 3.6), layout="constrained")
        parts: Any = (
            ("width", "width", "floor", width_limited_loss, "width N"),
            ("samples", "n_samples", "loss", sample_limited_loss, "samples P (lazy)"),
        )
        for axes, (part, size, value, equivalent, label) in zip(
            figure.subplots(1, 2, sharey=True), parts, strict=True
        ):
            chosen = rows[(rows["part"] == part) & rows["time"].isna()]
            for (alpha, beta), colour in zip(tasks, SHADES, strict=False):
                one = chosen[(chosen["alpha"] == alpha) & (chosen["beta"] == beta)]
                groups = one.groupby(size)[value]
                n = np.array(sorted(one[size].unique()))
                fit = fits[(fits["part"] == part) & (fits["alpha"] == alpha) & (fits["beta"] == beta)].iloc[0]
                text = f"{alpha:g}, {beta:g}: {fit['value']:.2f} ({fit['theory']:.2f})"
                axes.loglog(n, [equivalent(alpha, beta, int(k)) for k in n], color=colour, lw=1)
                mean, spread = groups.mean().loc[n], groups.std().loc[n]
                axes.errorbar(n, mean, spread, fmt="o", ms=3.5, color=colour, label=text, lw=0.8)
            axes.set_xlabel(label)
            axes.legend(title="alpha, beta: fitted (theory)", frameon=False, fontsize=7, title_fontsize=7)
        figure.axes[0].set_ylabel("loss after infinite time")
        figure.suptitle(
            "Points: mean and standard deviation of draws; lines: theory", fontsize=10, x=0.02, ha="left"
        )
    return figure


def sgd(rows: pd.DataFrame) -> Figure:
    """Draw online SGD beside gradient flow on the same networks."""
    chosen = rows[rows["part"] == "sgd"]
    tasks = sorted(set(zip(chosen["alpha"], chosen["beta"], strict=True)))
    with mpl.rc_context(STYLE):
        figure, panels = _panels(len(tasks))
        for axes, (alpha, beta) in zip(panels, tasks, strict=True):
            for richness, colour in ((0.0, LAZY), (1.0, RICH_COLOUR)):
                of_setting = chosen[
                    (chosen["alpha"] == alpha) & (chosen["beta"] == beta) & (chosen["richness"] == richness)
                ]
                means = np.exp(np.log(of_setting[["loss", "flow"]]).groupby(of_setting["time"]).mean())
                axes.loglog(means.index, means["flow"], color=colour, lw=1)
                axes.loglog(means.index, means["loss"], ".", color=colour, ms=5)
            axes.set_title(task_label(alpha, beta))
            axes.set_xlabel("time = learning rate x steps")
        panels[0].set_ylabel("loss")
        lines = [(LAZY, "-", "lazy, gradient flow"), (RICH_COLOUR, "-", "rich, gradient flow")]
        _legend(figure, panels[0], [*lines, ("#888888", ".", "online SGD")])
    return figure


def task_label(alpha: float, beta: float) -> str:
    """Return what a task is called."""
    return f"{difficulty(alpha, beta)}: alpha {alpha:g}, beta {beta:g}"


def _tasks(rows: pd.DataFrame) -> list[tuple[float, float]]:
    """Return the tasks in the order of their sources; of many, some spread over all."""
    tasks = sorted(set(zip(rows["alpha"], rows["beta"], strict=True)), key=lambda task: (task[1], task[0]))
    chosen = np.linspace(0, len(tasks) - 1, min(len(tasks), MAX_PANELS)).round().astype(int)
    return [tasks[i] for i in chosen]


def _panels(n: int) -> tuple[Figure, list[Axes]]:
    n_columns = min(3, n)
    n_rows = -(-n // n_columns)
    figure = Figure(figsize=(2.9 * n_columns, 0.7 + 2.5 * n_rows), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes in grid[n:]:
        axes.remove()
    return figure, list(grid[:n])


def _legend(figure: Figure, axes: Axes, entries: list[tuple[str, str, str]]) -> None:
    handles = [axes.plot([], [], style, color=colour, label=label)[0] for colour, style, label in entries]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
