"""The figures of the parity study."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from benchmarks.parity.statistics import Edges
from benchmarks.report.style import STYLE

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito
#: column of a cell -> label of the vertical axis, logarithmic or not
QUANTITIES = {
    "rate": ("share of runs that succeed", False),
    "median_steps": ("median steps to success", True),
    "test_error": ("test error at the end, mean", False),
}
NAMES = {
    "n_samples": "training rows",
    "width": "width",
    "sparsity": "inputs a neuron starts with",
    "n_informative": "k",
    "flip_y": "share of wrong training labels",
    "weight_decay": "weight decay",
    "target": "target",
    "loss": "loss",
    "start": "start",
}
LOGARITHMIC = ("n_samples", "width")


def start_label(sparsity: int) -> str:
    """Return what a start is called; 0 is dense in the store."""
    return f"sparse, s = {sparsity}" if sparsity else "dense"


def value_label(name: str, value: Any) -> str:
    """Return what a line or a panel is called."""
    if name == "sparsity":
        return start_label(value)
    if name == "n_samples":
        return f"{value} training rows" if value else "fresh rows"
    if name == "n_informative":
        return f"k = {value}"
    if isinstance(value, str):
        return value.replace("_", " ")
    return f"{NAMES.get(name, name)} {value:g}"


def plane(cells: pd.DataFrame, title: str) -> Figure:
    """Draw the success rate in the plane of rows and width, a panel for each start, median steps below it."""
    sparsities = sorted(cells["sparsity"].unique(), key=lambda value: (value == 0, value))
    widths, sizes = sorted(cells["width"].unique()), sorted(cells["n_samples"].unique())
    with mpl.rc_context(STYLE | {"axes.spines.left": False, "axes.spines.bottom": False}):
        figure = Figure(
            figsize=(1.2 + len(sparsities) * max(1.6, 0.55 * len(widths)), 1.6 + 0.45 * len(sizes)),
            layout="constrained",
        )
        panels = np.atleast_1d(figure.subplots(1, len(sparsities), sharey=True))
        for axes, sparsity in zip(panels, sparsities, strict=True):
            image = _plane_panel(axes, cells[cells["sparsity"] == sparsity], widths, sizes)
            axes.set_title(start_label(sparsity))
            axes.set_xlabel("width")
        panels[0].set_ylabel("training rows")
        figure.colorbar(image, ax=panels, label="share of runs that succeed", shrink=0.9)
        figure.suptitle(title, fontsize=10, x=0.02, ha="left")
    return figure


def _plane_panel(axes: Axes, cells: pd.DataFrame, widths: Sequence[int], sizes: Sequence[int]) -> QuadMesh:
    grid = np.full((len(sizes), len(widths)), np.nan)
    axes.set_facecolor("#eeeeee")
    for cell in cells.to_dict("records"):
        y, x = sizes.index(cell["n_samples"]), widths.index(cell["width"])
        grid[y, x] = cell["rate"]
        words = f"{cell['successes']}/{cell['runs']}"
        if cell["successes"]:
            words += f"\n{cell['median_steps']:.0f}"
        color = "black" if cell["rate"] > 0.5 else "white"
        axes.text(x, y, words, ha="center", va="center", color=color, fontsize=7)
    edges = np.arange(len(widths) + 1) - 0.5, np.arange(len(sizes) + 1) - 0.5
    mesh = axes.pcolormesh(*edges, grid, vmin=0, vmax=1, cmap="cividis", edgecolors="white", linewidth=0.5)
    axes.set_xticks(range(len(widths)), [str(width) for width in widths])
    axes.set_yticks(range(len(sizes)), [str(size) if size else "fresh" for size in sizes])
    axes.tick_params(length=0)
    return mesh


def lines(
    cells: pd.DataFrame,
    x: str,
    line: str,
    panel: str,
    title: str,
    quantities: Sequence[str] = ("rate", "median_steps"),
) -> Figure:
    """Draw quantities of the cells, a row each, against a field of them; rates with 95 % Wilson intervals."""
    panels = sorted(cells[panel].unique(), key=_dense_last(panel))
    places = _Places(cells[x], x)
    with mpl.rc_context(STYLE):
        size = (1 + 2.9 * len(panels), 0.9 + 2.1 * len(quantities))
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(quantities), len(panels), sharex=True, sharey="row", squeeze=False)
        for column, value in zip(grid.T, panels, strict=True):
            column[0].set_title(value_label(panel, value))
            for axes, quantity in zip(column, quantities, strict=True):
                _draw_lines(axes, cells[cells[panel] == value], places, line, quantity)
            places.label(column[-1])
        for axes, quantity in zip(grid[:, 0], quantities, strict=True):
            axes.set_ylabel(QUANTITIES[quantity][0])
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False)
        figure.suptitle(title, fontsize=10, x=0.02, ha="left")
    return figure


def _dense_last(name: str) -> Callable[[Any], tuple[bool, Any]]:
    return lambda value: (name == "sparsity" and value == 0, value)


class _Places:
    """Where the values of a field stand on an axis: as numbers where those can be, else in a row."""

    def __init__(self, values: pd.Series, name: str) -> None:
        self.name = name
        ordered = sorted(values.unique(), key=_dense_last(name))
        self.unordered = isinstance(ordered[0], str)  # nothing lies between two of them: no lines
        self.in_a_row = self.unordered or name == "sparsity"
        self.place = {value: float(i) if self.in_a_row else value for i, value in enumerate(ordered)}

    def label(self, axes: Axes) -> None:
        axes.set_xlabel(NAMES.get(self.name, self.name))
        if self.in_a_row:
            names = ["dense" if self.name == "sparsity" and not value else str(value) for value in self.place]
            turned = max(map(len, names)) > 6
            axes.set_xticks(
                range(len(names)), names, rotation=30 if turned else 0, ha="right" if turned else "center"
            )
        elif self.name in LOGARITHMIC:
            axes.set_xscale("log")


def _draw_lines(axes: Axes, cells: pd.DataFrame, places: _Places, line: str, quantity: str) -> None:
    values = sorted(cells[line].unique(), key=_dense_last(line))
    ordered = line in ("width", "flip_y") and len(values) > 3
    shades = mpl.colormaps["viridis"](np.linspace(0.9, 0, len(values)))
    for i, value in enumerate(values):
        own = cells[cells[line] == value].copy()
        own["place"] = own[places.name].map(places.place)
        own = own.sort_values("place").dropna(subset=[quantity])
        colour = shades[i] if ordered else COLOURS[i % len(COLOURS)]
        style: Any = {"color": colour, "ms": 3.5, "lw": 1.2, "label": value_label(line, value)}
        if places.unordered:
            own["place"] += 0.12 * (i - (len(values) - 1) / 2)
        axes.plot(own["place"], own[quantity], "o" if places.unordered else "o-", **style)
        if quantity == "rate" and places.unordered:
            axes.vlines(own["place"], own["low"], own["high"], color=colour, lw=1.2, alpha=0.5)
        elif quantity == "rate":
            axes.fill_between(own["place"], own["low"], own["high"], color=colour, alpha=0.12, lw=0)
    if quantity == "rate":
        axes.set_ylim(-0.03, 1.03)
    if QUANTITIES[quantity][1] and cells[quantity].notna().any():
        axes.set_yscale("log")
    axes.grid(color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)


def edges(found: Edges, bound: Callable[[float], float], title: str) -> Figure:
    """Draw the rows at which half of the runs succeed against width, and the statistical-query bound.

    ``bound`` maps a width to the number of rows that the bound asks for.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5, 4), layout="constrained")
        axes = figure.subplots()
        sparsities = sorted({s for s, _ in found.tables}, key=_dense_last("sparsity"))
        widths = np.array(sorted({width for _, width in found.tables}))
        for colour, sparsity in zip(COLOURS, sparsities, strict=False):
            everywhere = {width: found.edge(sparsity, width) for width in found.widths(sparsity)}
            within = {width: edge for width, edge in everywhere.items() if 0 < edge.value < np.inf}
            estimates = list(within.values())
            bottom, top = found.sizes.min() / 2, 2 * found.sizes.max()  # where an interval has no end
            lows, highs = [max(e.low, bottom) for e in estimates], [min(e.high, top) for e in estimates]
            axes.plot(list(within), [e.value for e in estimates], "o-", color=colour, label=start_label(sparsity))
            axes.fill_between(list(within), lows, highs, color=colour, alpha=0.15, lw=0)
        axes.plot(widths, [bound(width) for width in widths], "k--", lw=1, label="statistical-query bound")
        axes.set_xscale("log")
        axes.set_xticks(widths, [str(width) for width in widths])
        axes.set_xticks([], minor=True)
        axes.set_yscale("log")
        axes.set_xlabel("width")
        axes.set_ylabel("rows at which half of the runs succeed")
        axes.grid(color="#dddddd", lw=0.6)
        axes.legend(frameon=False)
        figure.suptitle(title, fontsize=10, x=0.02, ha="left")
    return figure


def curves(runs: Sequence[tuple[str, np.ndarray]], title: str) -> Figure:
    """Draw train and test error of single runs by step."""
    with mpl.rc_context(STYLE):
        n_columns = min(3, len(runs))
        n_rows = -(-len(runs) // n_columns)
        figure = Figure(figsize=(0.6 + 2.4 * n_columns, 0.8 + 1.7 * n_rows), layout="constrained")
        grid = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
        for axes, (name, curve) in zip(grid.flat, runs, strict=False):
            steps, train, test = curve.T
            axes.plot(steps, test, color=COLOURS[1], lw=1.2, label="test")
            axes.plot(steps, train, color=COLOURS[0], lw=1.2, label="train")
            axes.axhline(0.1, color="black", lw=0.6, ls=":")
            axes.set_title(name, fontsize=8)
            axes.set_ylim(-0.02, 0.56)
        for axes in grid.flat[len(runs) :]:
            axes.axis("off")
        for axes in grid[-1]:
            axes.set_xlabel("steps")
        for axes in grid[:, 0]:
            axes.set_ylabel("error")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
        figure.suptitle(title, fontsize=10, x=0.02, ha="left")
    return figure


def tickets(counts: pd.DataFrame, title: str) -> Figure:
    """Draw how many full nets, tickets and random neurons learn, with 95 % Wilson intervals."""
    settings, nets = list(dict.fromkeys(counts["setting"])), list(dict.fromkeys(counts["net"]))
    with mpl.rc_context(STYLE):
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
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        figure.suptitle(title, fontsize=10, x=0.02, ha="left")
    return figure


def seconds(table: pd.DataFrame, title: str) -> Figure:
    """Draw steps to success, and the seconds they take, by width."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.3), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot(table["width"], table["median_steps"], "o-", color="black")
        left.set_ylabel("median steps to success")
        names = {"loop": "plain loop, one run", "frontier": "in batches, a run's share"}
        for (column, name), colour in zip(names.items(), COLOURS, strict=False):
            right.plot(table["width"], table["median_steps"] * table[column] / 1e6, "o-", color=colour, label=name)
        right.set_ylabel("seconds to success")
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        for axes in (left, right):
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel("width")
            axes.grid(color="#dddddd", lw=0.6)
        figure.suptitle(title, fontsize=10, x=0.02, ha="left")
    return figure
