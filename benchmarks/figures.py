"""The figures of the report, as matplotlib Figures; narrow, so that they can be read on a phone."""

import re
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
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
