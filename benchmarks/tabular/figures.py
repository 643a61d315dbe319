"""The figures on tables: differences by task, ranks, scores by rows and by tuning time, calibration."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.models import MODELS, label
from benchmarks.report.style import (
    BLACK,
    BLUE,
    GREY,
    LIGHT_GREY,
    VERMILION,
    grid,
    legend,
    legend_entry,
    log_x,
    panels,
    styled,
    styles,
    title,
)
from benchmarks.tabular.comparisons import SUBJECT, Comparison, Ranking
from benchmarks.tabular.scores import Metric

VERDICTS = {"win": ("ahead", BLUE, "o"), "tie": ("tie", GREY, "s"), "loss": ("behind", VERMILION, "D")}


@styled
def differences(comparison: Comparison, metric: Metric, heading: str) -> Figure:
    """Draw the difference on every task: a mark for the mean, a bar of one standard error, the seeds."""
    table = comparison.tasks.sort_values("difference")
    figure = Figure(figsize=(5, 1.3 + 0.25 * max(len(table), 3)), layout="constrained")
    axes = figure.subplots()
    for height, (_, row) in enumerate(table.iterrows()):
        _, color, marker = VERDICTS[row["verdict"]]
        center, values = metric.factor * row["difference"], metric.factor * np.asarray(row["values"])
        error = metric.factor * row["standard_error"]
        if np.isfinite(error):
            axes.plot([center - error, center + error], [height, height], color=color, lw=1.5)
        axes.plot(values, np.full(len(values), height), "|", color=color, ms=7, alpha=0.7)
        axes.plot(center, height, marker, color=color, ms=6)
    axes.axvline(0, color=BLACK, lw=0.8)
    axes.set_yticks(range(len(table)), [str(name) for name in table.index])
    axes.set_ylim(-0.7, len(table) - 0.3)
    grid(axes, "x")
    # Half a point on either side of 0 at the least: a single exact tie would leave no axis.
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.005 * metric.factor), max(high, 0.005 * metric.factor))
    axes.set_xlabel(metric.difference_axis)
    title(figure, heading)
    legend(
        figure,
        [
            legend_entry(color, marker, f"{words}: {comparison.count(verdict)}")
            for verdict, (words, color, marker) in VERDICTS.items()
        ],
    )
    return figure


@styled
def critical_difference(ranking: Ranking, heading: str) -> Figure:
    """Draw mean ranks on a line, a bar over models that are not told apart (Demšar 2006, figure 1)."""
    ranks, cliques = ranking.ranks, ranking.cliques()
    n_models = len(ranks)
    n_left = (n_models + 1) // 2
    top = 0.3 * len(cliques) + 0.3
    figure = Figure(figsize=(5.2, 0.9 + 0.25 * n_left + 0.14 * len(cliques)), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    low, high = 1, max(n_models, 2)
    span = high - low
    axes.plot([low, high], [0, 0], color=BLACK, lw=1)
    for tick in range(low, high + 1):
        axes.plot([tick, tick], [0, 0.15], color=BLACK, lw=1)
        axes.text(tick, 0.25, str(tick), ha="center", va="bottom", fontsize=8)
    for number, (model, rank) in enumerate(ranks.items()):
        on_left = number < n_left
        depth = top + 0.7 * (number + 1 if on_left else n_models - number)
        end = low - 0.08 * span if on_left else high + 0.08 * span
        axes.plot([rank, rank, end], [0, -depth, -depth], color=BLACK, lw=0.8)
        text = f" {label(str(model))} {rank:.2f} "
        axes.text(end, -depth, text, ha="right" if on_left else "left", va="center", fontsize=9)
    for number, (first, last) in enumerate(cliques):
        height = -0.3 * (number + 1)
        axes.plot([first - 0.02 * span, last + 0.02 * span], [height, height], color=BLACK, lw=3.5)
    end = min(low + ranking.critical_difference, high)
    axes.plot([low, end], [1.3, 1.3], color=BLACK, lw=1.2, marker="|")
    axes.text(low, 1.5, f"critical difference {ranking.critical_difference:.2f}", va="bottom", fontsize=8)
    axes.set_xlim(low - 0.75 * span, high + 0.75 * span)
    axes.set_ylim(-top - 0.7 * n_left - 0.5, 2.4)
    title(figure, heading)
    return figure


@styled
def score_by_rows(table: pd.DataFrame, metric: Metric, heading: str, goal: float | None = None) -> Figure:
    """Draw the score against training rows, a panel per task, with a line at ``goal``; from `curves.by_size`."""
    tasks = list(dict.fromkeys(table["task"]))
    width, height = 2.6 if len(tasks) > 1 else 5, 1.55 if len(tasks) > 4 else 2.4
    figure, grid_of_axes = panels(len(tasks), 2, width, height)
    for axes, task in zip(grid_of_axes, tasks, strict=True):
        for model, style in _styles(table).items():
            rows = table[(table["task"] == task) & (table["model"] == model)].sort_values("n_train")
            error = metric.factor * rows["standard_error"].fillna(0)
            axes.errorbar(rows["n_train"], metric.factor * rows["mean"], error, label=label(model), **_line(style))
        if goal is not None:
            axes.axhline(metric.factor * goal, color=GREY, lw=0.8, ls=":")
        log_x(axes)
        axes.set_title(str(task), fontsize=9)
        axes.tick_params(labelsize=8)
        grid(axes)
    for axes in grid_of_axes[-2:]:
        axes.set_xlabel("training rows", fontsize=9)
    figure.supylabel(metric.axis, fontsize=9)
    legend(figure)
    title(figure, heading)
    return figure


@styled
def score_by_target(table: pd.DataFrame, metric: Metric, heading: str) -> Figure:
    """Draw the score on every target, a row each and a mark per model; from `target_sections.by_target`."""
    targets, models = list(dict.fromkeys(table["title"])), set(table["model"])
    looks = styles(models, [name for name in MODELS if name in models])  # a colour of its own for each
    step = 0.8 / len(looks)
    figure = Figure(figsize=(5.6, 1.3 + 0.085 * (2 + len(looks)) * len(targets)), layout="constrained")
    axes = figure.subplots()
    for place, (model, style) in enumerate(looks.items()):
        rows = table[table["model"] == model]
        heights = rows["title"].map(targets.index) + (place - (len(looks) - 1) / 2) * step
        error = metric.factor * rows["standard_error"].fillna(0)
        look = {**style, "linestyle": "none", "markersize": 7 if model == SUBJECT else 5, "elinewidth": 1}
        axes.errorbar(metric.factor * rows["mean"], heights, xerr=error, label=label(model), **look)
    for place in range(0, len(targets), 2):
        axes.axhspan(place - 0.5, place + 0.5, color=LIGHT_GREY, alpha=0.35, lw=0, zorder=0)
    axes.set_yticks(range(len(targets)), [target.replace(" (", "\n(") for target in targets])
    axes.set_ylim(len(targets) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(metric.axis)
    grid(axes, "x")
    legend(figure)
    title(figure, heading)
    return figure


@styled
def normalised_score(table: pd.DataFrame, metric: Metric, x_label: str, heading: str) -> Figure:
    """Draw the normalised score, averaged over tasks, against the size; from `curves.averaged`."""
    figure, axes = _one_panel()
    for model, style in _styles(table).items():
        rows = table[table["model"] == model]
        error = rows["standard_error"].fillna(0)
        axes.errorbar(rows["value"], rows["mean"], error, label=label(model), **_line(style))
    log_x(axes)
    axes.set_xlabel(x_label)
    axes.set_ylabel(f"normalised {metric.name}")
    grid(axes)
    legend(figure)
    title(figure, heading)
    return figure


@styled
def score_by_seconds(curves: pd.DataFrame, front: pd.DataFrame, metric: Metric, heading: str) -> Figure:
    """Draw the score against seconds of tuning, and the Pareto front of all models together."""
    figure, axes = _one_panel()
    options: Any = {"where": "post", "color": LIGHT_GREY, "linewidth": 4, "zorder": 0, "label": "Pareto front"}
    axes.step(front["seconds"], metric.factor * front["score"], **options)
    for model, style in _styles(curves).items():
        rows = curves[curves["model"] == model]
        options = _line(style) | {"markevery": [len(rows) - 1], "markersize": 6}
        axes.plot(rows["seconds"], metric.factor * rows["score"], label=label(model), **options)
    log_x(axes)
    axes.set_xlabel("seconds of tuning, geometric mean over studies")
    axes.set_ylabel(metric.axis)
    grid(axes)
    legend(figure)
    title(figure, heading)
    return figure


@styled
def reliability(table: pd.DataFrame, heading: str) -> Figure:
    """Draw accuracy against confidence, marks growing with the share of rows; from `curves.reliability`."""
    figure, axes = _one_panel()
    low = min(table["confidence"].min(), table["accuracy"].min(), 0.5)
    axes.plot([low, 1], [low, 1], color=GREY, lw=0.8, ls=":")
    for model, style in _styles(table).items():
        rows = table[table["model"] == model]
        axes.plot(rows["confidence"], rows["accuracy"], color=style["color"], lw=1.2)
        sizes = 8 + 150 * rows["share"]
        axes.scatter(rows["confidence"], rows["accuracy"], s=sizes, label=label(model), **style)
    axes.set_xlabel("confidence: probability of the predicted class")
    axes.set_ylabel("accuracy")
    grid(axes)
    legend(figure)
    title(figure, heading)
    return figure


def _one_panel() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5, 3.8), layout="constrained")
    return figure, figure.subplots()


def _styles(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return styles(table["model"], MODELS)


def _line(style: Mapping[str, Any]) -> dict[str, Any]:
    return {**style, "linewidth": 1.3, "markersize": 4}
