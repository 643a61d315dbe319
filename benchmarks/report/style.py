"""The figures of the report, as matplotlib Figures; narrow, so that they can be read on a phone."""

import re
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "svg.hashsalt": "sparsemlp",  # the same numbers give the same file
}


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
