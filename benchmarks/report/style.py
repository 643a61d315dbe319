"""How every figure looks: palette, markers, legends, grids and saving; narrow, so that a phone can show it."""

import re
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

# Colours that can be told apart with any colour vision (Okabe and Ito 2008), but their yellow, too pale on white.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
GREY, LIGHT_GREY = "#757575", "#dddddd"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
MARKERS = "oDs^vPX*<"  # one more than colours: 72 pairs before one comes again

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "svg.hashsalt": "sparsemlp",  # the same numbers give the same file
}

#: decorates a function that makes a figure
styled = mpl.rc_context(STYLE)


def styles(names: Iterable[str], known: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """Return colour and marker by name; ``known`` names have theirs whichever others are shown."""
    shown = set(names)
    ordered = dict.fromkeys([*known, *sorted(shown)])
    return {
        name: {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
        for i, name in enumerate(ordered)
        if name in shown
    }


def panels(n: int, n_columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of ``n`` axes in rows of at most ``n_columns``, of so many inches each."""
    n_columns = min(n_columns, n)
    n_rows = -(-n // n_columns)
    figure = Figure(figsize=(width * n_columns, 0.9 + height * n_rows), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes in grid[n:]:
        axes.remove()
    return figure, list(grid[:n])


def title(figure: Figure, text: str) -> None:
    """Write the figure's title, from the left."""
    figure.suptitle(text, fontsize=10, x=0.02, ha="left")


def grid(axes: Axes, axis: Literal["both", "x", "y"] = "both") -> None:
    """Draw pale grid lines below everything else."""
    axes.grid(axis=axis, color=LIGHT_GREY, lw=0.6)
    axes.set_axisbelow(True)


def legend(figure: Figure, handles: Sequence[Artist] | None = None, n_columns: int = 3) -> None:
    """Put one legend below all panels: of ``handles``, or of what is labelled in the first panel."""
    entries = figure.axes[0].get_legend_handles_labels()[0] if handles is None else handles
    n_columns = min(n_columns, len(entries))
    figure.legend(handles=entries, loc="outside lower center", ncols=n_columns, frameon=False, fontsize=8)


def legend_entry(colour: str, form: str, label: str) -> Line2D:
    """Return an entry for a legend that is not of one line in the figure: ``form`` is a line style or a marker."""
    is_line = form in ("-", "--", ":", "-.")
    kind: Any = {"linestyle": form} if is_line else {"linestyle": "none", "marker": form}
    return Line2D([], [], color=colour, label=label, **kind)


def log_x(axes: Axes) -> None:
    """Make the x axis logarithmic, with plain numbers that do not run into each other."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    within_a_decade = high < 20 * low
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if within_a_decade else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write the figure as ``name``.png."""
    figure.savefig(folder / f"{name}.png", dpi=160, facecolor="white")


def svg(figure: Figure) -> str:
    """Return the figure as the text of an SVG file."""
    buffer = StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def inline(svg_text: str, name: str) -> str:
    """Return the SVG as an element for an HTML page, its ids made unique to the figure called ``name``."""
    element = svg_text[svg_text.index("<svg") :]
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
