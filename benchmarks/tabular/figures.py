"""The figures on tables beyond differences by task: ranks, growth with rows and time, calibration."""

from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.models import MODELS
from benchmarks.report.style import STYLE
from benchmarks.tabular.ranking import Ranking

# Okabe and Ito's colours that can be told apart without seeing colour, and a marker each.
COLORS = ("#0072B2", "#D55E00", "#56B4E9", "#009E73", "#CC79A7", "#E69F00", "#000000", "#888888", "#8B5A2B")
MARKERS = "oDs^vPX*<"
AHEAD, BEHIND, TIED = "#0072B2", "#D55E00", "#777777"  # blue, vermilion (Okabe and Ito), grey
VERDICTS = {"win": (AHEAD, "o"), "tie": (TIED, "s"), "loss": (BEHIND, "D")}


def differences(comparison: pd.DataFrame, model: str, against: str, subtitle: str) -> Figure:
    """Draw every task's accuracy difference: a mark for the mean, a bar of one standard error, the seeds.

    Parameters
    ----------
    comparison : DataFrame
        From `benchmarks.tabular.summary.paired`.
    model, against : str
        What the two are called.
    subtitle : str
        The setting.
    """
    table = comparison.sort_values("difference")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5, 1.3 + 0.25 * max(len(table), 3)), layout="constrained")
        axes = figure.subplots()
        for height, (_, row) in enumerate(table.iterrows()):
            color, marker = VERDICTS[row["verdict"]]
            center, values = 100 * row["difference"], 100 * np.asarray(row["values"])
            error = 100 * row["standard_error"]
            if np.isfinite(error):
                axes.plot([center - error, center + error], [height, height], color=color, lw=1.5)
            axes.plot(values, np.full(len(values), height), "|", color=color, ms=7, alpha=0.7)
            axes.plot(center, height, marker, color=color, ms=6)
        axes.axvline(0, color="black", lw=0.8)
        axes.set_yticks(range(len(table)), [str(name) for name in table.index])
        axes.set_ylim(-0.7, len(table) - 0.3)
        axes.grid(axis="x", color="#dddddd", lw=0.6)
        axes.set_axisbelow(True)
        # One blank on either side of 0 at the least: a single exact tie would leave no axis.
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, -0.5), max(high, 0.5))
        axes.set_xlabel("accuracy difference, percentage points")
        figure.suptitle(f"{model} minus {against.lower()}\n{subtitle}", fontsize=10, x=0.02, ha="left")
        handles = [
            axes.plot([], [], marker, color=color, label=label)[0]
            for label, (color, marker) in zip(
                (
                    f"ahead: {_count(table, 'win')}",
                    f"tie: {_count(table, 'tie')}",
                    f"behind: {_count(table, 'loss')}",
                ),
                VERDICTS.values(),
                strict=True,
            )
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, handletextpad=0.1)
    return figure


def _count(table: pd.DataFrame, verdict: str) -> int:
    return int((table["verdict"] == verdict).sum())


def styles(models: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return colour and marker by model, those that the benchmarks know first and always in the same way."""
    shown = set(models)
    known = [*MODELS, *sorted(shown.difference(MODELS))]
    return {
        model: {"color": COLORS[number % len(COLORS)], "marker": MARKERS[number % len(MARKERS)]}
        for number, model in enumerate(known)
        if model in shown
    }


def critical_difference(ranking: Ranking, labels: Mapping[str, str], title: str) -> Figure:
    """Draw mean ranks on a line, a bar over models that are not told apart (Demšar 2006, figure 1)."""
    ranks, cliques = ranking.ranks, ranking.cliques()
    n_models = len(ranks)
    n_left = (n_models + 1) // 2
    top = 0.3 * len(cliques) + 0.3
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 0.9 + 0.25 * n_left + 0.14 * len(cliques)), layout="constrained")
        axes = figure.subplots()
        axes.axis("off")
        low, high = 1, max(n_models, 2)
        span = high - low
        axes.plot([low, high], [0, 0], color="black", lw=1)
        for tick in range(low, high + 1):
            axes.plot([tick, tick], [0, 0.15], color="black", lw=1)
            axes.text(tick, 0.25, str(tick), ha="center", va="bottom", fontsize=8)
        for number, (model, rank) in enumerate(ranks.items()):
            on_left = number < n_left
            depth = top + 0.7 * (number + 1 if on_left else n_models - number)
            end = low - 0.08 * span if on_left else high + 0.08 * span
            axes.plot([rank, rank, end], [0, -depth, -depth], color="black", lw=0.8)
            text = f"{labels.get(str(model), str(model))} {rank:.2f}"
            axes.text(end, -depth, f" {text} ", ha="right" if on_left else "left", va="center", fontsize=9)
        for number, (first, last) in enumerate(cliques):
            height = -0.3 * (number + 1)
            axes.plot([first - 0.02 * span, last + 0.02 * span], [height, height], color="black", lw=3.5)
        end = min(low + ranking.critical_difference, high)
        axes.plot([low, end], [1.3, 1.3], color="black", lw=1.2, marker="|")
        axes.text(low, 1.5, f"critical difference {ranking.critical_difference:.2f}", va="bottom", fontsize=8)
        axes.set_xlim(low - 0.75 * span, high + 0.75 * span)
        axes.set_ylim(-top - 0.7 * n_left - 0.5, 2.4)
        figure.suptitle(f"Mean rank\n{title}", fontsize=10, x=0.02, ha="left")
    return figure


def accuracy_by_rows(table: pd.DataFrame, labels: Mapping[str, str], title: str) -> Figure:
    """Draw accuracy against training rows, a panel per task; from `curves.by_size`."""
    tasks = list(dict.fromkeys(table["task"]))
    n_columns = min(2, len(tasks))
    n_rows = -(-len(tasks) // n_columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 0.9 + 1.55 * n_rows), layout="constrained")
        panels = np.atleast_1d(figure.subplots(n_rows, n_columns)).ravel()
        for axes, task in zip(panels, tasks, strict=False):
            for model, style in styles(table["model"]).items():
                rows = table[(table["task"] == task) & (table["model"] == model)].sort_values("n_train")
                error = 100 * rows["standard_error"].fillna(0)
                axes.errorbar(rows["n_train"], 100 * rows["mean"], error, label=labels[model], **_line(style))
            _log_x(axes)
            axes.set_title(str(task), fontsize=9)
            axes.tick_params(labelsize=8)
            _grid(axes)
        for axes in panels[len(tasks) :]:
            axes.axis("off")
        for axes in panels[max(0, len(tasks) - n_columns) : len(tasks)]:
            axes.set_xlabel("training rows", fontsize=9)
        figure.supylabel("test accuracy, percent", fontsize=9)
        _legend(figure, panels[0], title)
    return figure


def averaged_accuracy(table: pd.DataFrame, labels: Mapping[str, str], title: str) -> Figure:
    """Draw normalised accuracy, averaged over tasks, against the share of rows; from `curves.averaged`."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5, 3.6), layout="constrained")
        axes = figure.subplots()
        for model, style in styles(table["model"]).items():
            rows = table[table["model"] == model]
            error = rows["standard_error"].fillna(0)
            axes.errorbar(rows["fraction"], rows["mean"], error, label=labels[model], **_line(style))
        _log_x(axes)
        axes.set_xlabel("share of the training rows")
        axes.set_ylabel("normalised accuracy")
        _grid(axes)
        _legend(figure, axes, title)
    return figure


def accuracy_by_seconds(
    curves: pd.DataFrame, front: pd.DataFrame, labels: Mapping[str, str], title: str
) -> Figure:
    """Draw accuracy against seconds of tuning, and the Pareto front of all models together."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.step(
            front["seconds"],
            100 * front["accuracy"],
            where="post",
            color="#cccccc",
            linewidth=4,
            zorder=0,
            label="Pareto front",
        )
        for model, style in styles(curves["model"]).items():
            rows = curves[curves["model"] == model]
            options = _line(style) | {"markevery": [len(rows) - 1], "markersize": 6}
            axes.plot(rows["seconds"], 100 * rows["accuracy"], label=labels[model], **options)
        _log_x(axes)
        axes.set_xlabel("seconds of tuning, geometric mean over studies")
        axes.set_ylabel("test accuracy, percent")
        _grid(axes)
        _legend(figure, axes, title)
    return figure


def reliability(table: pd.DataFrame, labels: Mapping[str, str], title: str) -> Figure:
    """Draw accuracy against confidence; marks grow with the share of rows; `calibration.reliability` made it."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 4.2), layout="constrained")
        axes = figure.subplots()
        low = min(table["confidence"].min(), table["accuracy"].min(), 0.5)
        axes.plot([low, 1], [low, 1], color="#888888", lw=0.8, ls=":")
        for model, style in styles(table["model"]).items():
            rows = table[table["model"] == model]
            axes.plot(rows["confidence"], rows["accuracy"], color=style["color"], lw=1.2)
            axes.scatter(
                rows["confidence"], rows["accuracy"], s=8 + 150 * rows["share"], label=labels[model], **style
            )
        axes.set_xlabel("confidence: probability of the class that is said")
        axes.set_ylabel("share that is right")
        _grid(axes)
        _legend(figure, axes, title)
    return figure


def _line(style: Mapping[str, Any]) -> dict[str, Any]:
    return {**style, "linewidth": 1.3, "markersize": 4}


def _log_x(axes: Axes) -> None:
    """Let the x axis be logarithmic, with plain numbers that do not run into each other."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    within_a_decade = high < 20 * low
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if within_a_decade else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _grid(axes: Axes) -> None:
    axes.grid(color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)


def _legend(figure: Figure, axes: Axes, title: str) -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(3, len(names)), frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10, x=0.02, ha="left")
