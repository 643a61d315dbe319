"""The figures of the parity study."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from benchmarks.parity.success import Edges
from benchmarks.report import style
from benchmarks.report.style import BLACK, COLOURS

#: column of the rates -> label of the vertical axis, its interval, logarithmic or not
QUANTITIES = {
    "rate": ("share of runs that succeed", ("low", "high"), False),
    "median_steps": ("median steps to success", ("steps_low", "steps_high"), True),
}
NAMES = {
    "n_samples": "training rows",
    "flip_y": "share of wrong training labels",
    "weight_decay": "weight decay",
    "n_informative": "k",
    "n_features": "number of inputs",
    "batch_size": "rows of a batch",
    "init_scale": "factor on the weights",
}
LOGARITHMIC = ("n_samples", "width", "batch_size")


def rows_name(n_samples: int) -> str:
    """Return the number of training rows; 0 stands for fresh ones at every step."""
    return str(n_samples) if n_samples else "fresh"


def value_name(name: str, value: Any) -> str:
    """Return what a line or a panel is called."""
    if name == "n_samples":
        return f"{value} training rows" if value else "fresh rows"
    if name == "n_informative":
        return f"k = {value}"
    return value.replace("_", " ") if isinstance(value, str) else f"{NAMES.get(name, name)} {value:g}"


def values_of(column: pd.Series) -> list[Any]:
    """Return the values of a column: numbers in order, fresh rows after all others, words as they come."""
    values = list(dict.fromkeys(column))
    return values if isinstance(values[0], str) else sorted(values, key=_fresh_last(str(column.name)))


def _fresh_last(name: str) -> Callable[[Any], tuple[bool, Any]]:
    return lambda value: (name == "n_samples" and value == 0, value)


@mpl.rc_context(style.STYLE | {"axes.spines.left": False, "axes.spines.bottom": False})
def plane(rates: pd.DataFrame, title: str) -> Figure:
    """Draw the success rate in the plane of rows and width, a panel for each start, median steps below it."""
    starts, widths, sizes = (values_of(rates[name]) for name in ("start", "width", "n_samples"))
    figure = Figure(
        figsize=(1.2 + len(starts) * max(1.8, 0.55 * len(widths)), 1.6 + 0.45 * len(sizes)), layout="constrained"
    )
    panels = np.atleast_1d(figure.subplots(1, len(starts), sharey=True))
    for axes, start in zip(panels, starts, strict=True):
        image = _plane_panel(axes, rates[rates["start"] == start], widths, sizes)
        axes.set_title(start)
        axes.set_xlabel("width")
    panels[0].set_ylabel("training rows")
    figure.colorbar(image, ax=panels, label="share of runs that succeed", shrink=0.9)
    style.title(figure, title)
    return figure


def _plane_panel(axes: Axes, rates: pd.DataFrame, widths: Sequence[int], sizes: Sequence[int]) -> QuadMesh:
    plane = np.full((len(sizes), len(widths)), np.nan)
    axes.set_facecolor("#eeeeee")
    for row in rates.to_dict("records"):
        y, x = sizes.index(row["n_samples"]), widths.index(row["width"])
        plane[y, x] = row["rate"]
        words = f"{row['successes']}/{row['runs']}"
        if row["successes"]:
            words += f"\n{row['median_steps']:.0f}"
        color = "black" if row["rate"] > 0.5 else "white"
        axes.text(x, y, words, ha="center", va="center", color=color, fontsize=7)
    edges = np.arange(len(widths) + 1) - 0.5, np.arange(len(sizes) + 1) - 0.5
    mesh = axes.pcolormesh(*edges, plane, vmin=0, vmax=1, cmap="cividis", edgecolors="white", linewidth=0.5)
    axes.set_xticks(range(len(widths)), [str(width) for width in widths])
    axes.set_yticks(range(len(sizes)), [rows_name(size) for size in sizes])
    axes.tick_params(length=0)
    return mesh


@style.styled
def lines(rates: pd.DataFrame, x: str, line: str, panel: str, title: str) -> Figure:
    """Draw rate and median steps, a row each, against a field, with 95 % intervals."""
    panels = values_of(rates[panel])
    places = _Places(rates[x])
    figure = Figure(figsize=(1 + 2.9 * len(panels), 0.9 + 2.1 * len(QUANTITIES)), layout="constrained")
    grid = figure.subplots(len(QUANTITIES), len(panels), sharex=True, sharey="row", squeeze=False)
    names = values_of(rates[line])
    shades: Any = COLOURS
    if line in ("width", "flip_y") and len(names) > 3:
        shades = mpl.colormaps["viridis"](np.linspace(0.9, 0, len(names)))
    for column, value in zip(grid.T, panels, strict=True):
        column[0].set_title(value_name(panel, value))
        for axes, quantity in zip(column, QUANTITIES, strict=True):
            for i, name in enumerate(names):
                own = rates[(rates[panel] == value) & (rates[line] == name)]
                shift = 0.12 * (i - (len(names) - 1) / 2)
                _draw_line(axes, own, places, quantity, shift, color=shades[i], label=value_name(line, name))
            style.grid(axes)
        places.label(column[-1])
    for axes, (quantity, (label, _, logarithmic)) in zip(grid[:, 0], QUANTITIES.items(), strict=True):
        axes.set_ylabel(label)
        if logarithmic and rates[quantity].notna().any():  # where no run succeeds, there is nothing to draw
            axes.set_yscale("log")
        else:
            axes.set_ylim(-0.03, 1.03)
    style.legend(figure)
    style.title(figure, title)
    return figure


class _Places:
    """Where the values of a field stand on an axis: numbers where they belong, words in a row."""

    def __init__(self, column: pd.Series) -> None:
        self.name = str(column.name)
        self.values = values_of(column)
        self.are_words = isinstance(self.values[0], str)  # nothing lies between two of them: no lines
        self.place = {value: float(i) if self.are_words else value for i, value in enumerate(self.values)}
        if self.name == "n_samples" and 0 in self.place:
            self.place[0] = 3 * max(self.values)

    def label(self, axes: Axes) -> None:
        axes.set_xlabel(NAMES.get(self.name, self.name))
        if self.are_words:
            axes.set_xticks(range(len(self.values)), self.values, rotation=30, ha="right")
        elif self.name in LOGARITHMIC:
            style.log_x(axes)
        if self.name == "n_samples" and 0 in self.place:
            powers = [10**e for e in range(1, 8) if min(self.place.values()) <= 10**e < self.place[0]]
            axes.set_xticks([*powers, self.place[0]], [*map(str, powers), "fresh"])
            axes.set_xticks([], minor=True)


def _draw_line(
    axes: Axes, rates: pd.DataFrame, places: _Places, quantity: str, shift: float, *, color: Any, label: str
) -> None:
    low, high = QUANTITIES[quantity][1]
    own = rates.assign(place=rates[places.name].map(places.place).astype(float))
    own = own.sort_values("place").dropna(subset=[quantity])
    x = own["place"] + (shift if places.are_words else 0)
    axes.plot(x, own[quantity], "o" if places.are_words else "o-", color=color, ms=3.5, lw=1.2, label=label)
    if places.are_words:
        axes.vlines(x, own[low], own[high], color=color, lw=1.2, alpha=0.5)
    else:
        axes.fill_between(x, own[low], own[high], color=color, alpha=0.12, lw=0)


@style.styled
def edges(found: Edges, bound: Callable[[int], float], title: str) -> Figure:
    """Draw the rows at which half of the runs succeed against width, and far below it the statistical-query bound.

    ``bound`` maps a width to the number of rows that the bound asks for.
    """
    figure = Figure(figsize=(5, 4.6), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    bottom, top = found.sizes.min() / 2, 2 * found.sizes.max()  # where an interval has no end
    for colour, start in zip(COLOURS, found.starts, strict=False):
        estimates = {width: found.edge(start, width) for width in found.widths(start)}
        known = {width: one for width, one in estimates.items() if one.is_known}
        axes.plot(list(known), [one.least for one in known.values()], "o-", color=colour, label=start)
        lows = [max(one.low, bottom) for one in known.values()]
        highs = [min(one.high, top) for one in known.values()]
        axes.fill_between(list(known), lows, highs, color=colour, alpha=0.15, lw=0)
    widths = sorted({width for _, width in found.ends})
    below.plot(widths, [bound(width) for width in widths], "--", color=BLACK, lw=1)
    axes.set(xscale="log", yscale="log", ylim=(bottom, top), ylabel="rows at which half\nof the runs succeed")
    below.set(yscale="log", xlabel="width", ylabel="statistical-\nquery bound")
    below.set_xticks(widths, [str(width) for width in widths])
    below.set_xticks([], minor=True)
    for each in (axes, below):
        style.grid(each)
    style.legend(figure)
    style.title(figure, title)
    return figure


@style.styled
def curves(runs: Sequence[tuple[str, np.ndarray]], title: str) -> Figure:
    """Draw train and test error of single runs by step."""
    figure, panels = style.panels(len(runs), 3, 2.6, 1.7)
    for axes, (name, curve) in zip(panels, runs, strict=True):
        steps, train, test = curve.T
        axes.plot(steps, test, color=COLOURS[1], lw=1.2, label="test")
        axes.plot(steps, train, color=COLOURS[0], lw=1.2, label="train")
        axes.axhline(0.1, color=BLACK, lw=0.6, ls=":")
        axes.set_title(name, fontsize=8)
        axes.set(ylim=(-0.02, 0.56), xlabel="steps", ylabel="error")
    style.legend(figure)
    style.title(figure, title)
    return figure


@style.styled
def tickets(counts: pd.DataFrame, title: str) -> Figure:
    """Draw how many full nets, tickets and random neurons learn, with 95 % Wilson intervals."""
    settings, nets = values_of(counts["setting"]), values_of(counts["net"])
    figure = Figure(figsize=(1.2 + 1.7 * len(settings), 3.2), layout="constrained")
    axes = figure.subplots()
    for i, net in enumerate(nets):
        own = counts[counts["net"] == net].set_index("setting").loc[settings]
        x = np.arange(len(settings)) + 0.26 * (i - 1)
        errors = [own["rate"] - own["low"], own["high"] - own["rate"]]
        axes.bar(x, own["rate"], 0.24, color=COLOURS[i], yerr=errors, ecolor="#555555", label=net)
    axes.set_xticks(range(len(settings)), settings)
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("share of nets that learn")
    style.legend(figure)
    style.title(figure, title)
    return figure


@style.styled
def seconds(table: pd.DataFrame, title: str) -> Figure:
    """Draw steps to success, and the seconds they take, by width."""
    figure, (left, right) = style.panels(2, 2, 3.2, 2.6)
    left.plot(table["width"], table["median_steps"], "o-", color=BLACK)
    left.set_ylabel("median steps to success")
    names = {"loop": "plain loop, one run", "frontier": "in batches, a run's share"}
    for (column, name), colour in zip(names.items(), COLOURS, strict=False):
        right.plot(table["width"], table["median_steps"] * table[column] / 1e6, "o-", color=colour, label=name)
    right.set_ylabel("seconds to success")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="width")
        style.grid(axes)
    style.legend(figure, right.get_legend_handles_labels()[0])
    style.title(figure, title)
    return figure
