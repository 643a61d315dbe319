"""The figures of the report, as matplotlib Figures; narrow, so that they can be read on a phone."""

import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

AHEAD, BEHIND, TIED = "#0072B2", "#D55E00", "#777777"  # blue, vermilion (Okabe and Ito), grey
MARKERS = {"win": (AHEAD, "o"), "tie": (TIED, "s"), "loss": (BEHIND, "D")}

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "svg.hashsalt": "sparsemlp",  # the same numbers give the same file
}


def differences(comparison: pd.DataFrame, model: str, against: str, subtitle: str) -> Figure:
    """Draw every task's accuracy difference: a mark for the mean, a bar of one standard error, the seeds.

    Parameters
    ----------
    comparison : DataFrame
        From `benchmarks.summary.paired`.
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
            color, marker = MARKERS[row["verdict"]]
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
                MARKERS.values(),
                strict=True,
            )
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, handletextpad=0.1)
    return figure


def _count(table: pd.DataFrame, verdict: str) -> int:
    return int((table["verdict"] == verdict).sum())


def frontier(cells: pd.DataFrame, title: str) -> Figure:
    """Draw the success rate in the plane of sample size and width, one panel per sparsity.

    Under the counts stand the median steps of the runs that succeeded.

    Parameters
    ----------
    cells : DataFrame
        From `benchmarks.summary.frontiers`.
    title : str
    """
    sparsities = sorted(cells["sparsity"].unique(), key=lambda value: (value == 0, value))
    widths, sizes = sorted(cells["width"].unique()), sorted(cells["n_samples"].unique())
    with mpl.rc_context(STYLE | {"axes.spines.left": False, "axes.spines.bottom": False}):
        figure = Figure(
            figsize=(1.2 + len(sparsities) * max(1.6, 0.55 * len(widths)), 1.6 + 0.45 * len(sizes)),
            layout="constrained",
        )
        panels = np.atleast_1d(figure.subplots(1, len(sparsities), sharey=True))
        for axes, sparsity in zip(panels, sparsities, strict=True):
            image = _panel(axes, cells[cells["sparsity"] == sparsity], widths, sizes)
            axes.set_title(f"sparse, s = {sparsity}" if sparsity else "dense")
            axes.set_xlabel("width")
        panels[0].set_ylabel("training rows")
        figure.colorbar(image, ax=panels, label="share of runs that succeed", shrink=0.9)
        figure.suptitle(title, fontsize=10, x=0.02, ha="left")
    return figure


def _panel(axes: Axes, cells: pd.DataFrame, widths: Sequence[int], sizes: Sequence[int]) -> QuadMesh:
    grid = np.full((len(sizes), len(widths)), np.nan)
    axes.set_facecolor("#eeeeee")
    for _, cell in cells.iterrows():
        y, x = sizes.index(cell["n_samples"]), widths.index(cell["width"])
        grid[y, x] = cell["rate"]
        words = f"{cell['successes']}/{cell['runs']}" if cell["runs"] else "failed"
        if cell["successes"]:
            words += f"\n{cell['median_steps']:.0f}"
        color = "black" if cell["rate"] > 0.5 or not cell["runs"] else "white"
        axes.text(x, y, words, ha="center", va="center", color=color, fontsize=8)
    edges = np.arange(len(widths) + 1) - 0.5, np.arange(len(sizes) + 1) - 0.5
    mesh = axes.pcolormesh(*edges, grid, vmin=0, vmax=1, cmap="cividis", edgecolors="white", linewidth=0.5)
    axes.set_xticks(range(len(widths)), [str(width) for width in widths])
    axes.set_yticks(range(len(sizes)), [str(size) for size in sizes])
    axes.tick_params(length=0)
    return mesh


def save(figure: Figure, folder: Path, name: str) -> str:
    """Write the figure as PNG and SVG, and return the SVG as an element to put into a page."""
    figure.savefig(folder / f"{name}.png", dpi=160, facecolor="white")
    buffer = StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    (folder / f"{name}.svg").write_text(buffer.getvalue())
    return inline(buffer.getvalue(), name)


def inline(svg: str, name: str) -> str:
    """Return the svg element without what only a file needs, its ids made unique to the figure."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r'\bid="', f'id="{name}-', element)
    element = element.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    return re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', _opening, element, count=1, flags=re.DOTALL)


def _opening(match: re.Match[str]) -> str:
    """Return the opening tag with a width that follows the page; ``viewBox`` keeps the shape."""
    width = float(match.group(1).split()[2]) * 96 / 72
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{match.group(1)}" style="width: 100%; max-width: {width:.0f}px" aria-hidden="true">'
    )
