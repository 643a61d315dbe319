"""The parts a report is made of, before any markup: sections, tables, pictures."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure


class Best(str):
    """The text of a table cell that is the best of its row or column: bold."""


def mark(text: str, best: bool) -> str:
    """Return the text of a table cell, bold if it is the best."""
    return Best(text) if best else text


def number(value: Any, form: str) -> str:
    """Return a number in a format, or a dash where there is none; what rounds to zero has no minus."""
    if pd.isna(value):
        return "-"
    text = form.format(value)
    return form.format(0.0) if isinstance(value, float) and float(text) == 0 else text


def span(fewest: int, most: int) -> str:
    """Return a count, or its range where that is not the same everywhere."""
    return str(fewest) if fewest == most else f"{fewest} to {most}"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], words: Collection[int] = ()) -> str:
    """Return a Markdown table with aligned columns: the first and those in ``words`` to the left, others right."""
    marked = [[f"**{cell}**" if isinstance(cell, Best) else cell for cell in row] for row in rows]
    texts = [[text.replace("|", "\\|").replace("\n", " ") for text in row] for row in [head, *marked]]
    widths = [max(3, *(len(row[column]) for row in texts)) for column in range(len(head))]
    left = {0, *words}
    rule = ["-" * width if n in left else "-" * (width - 1) + ":" for n, width in enumerate(widths)]
    padded = [
        [text.ljust(width) if n in left else text.rjust(width) for n, (text, width) in enumerate(pairs)]
        for pairs in (zip(row, widths, strict=True) for row in texts)
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in [padded[0], rule, *padded[1:]])


@dataclass
class Table:
    """A table of texts; columns in ``words`` hold sentences, a ``long`` table stands after the figures."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: tuple[int, ...] = ()
    long: bool = False

    def markdown(self) -> str:
        """Return the table in Markdown, without its caption."""
        return markdown_table(self.head, self.rows, self.words)


@dataclass
class Picture:
    """A figure with its file name and caption."""

    name: str
    caption: str
    figure: Figure


@dataclass
class CsvFile:
    """Rows that are written as a CSV file next to the page, with a line on what they are."""

    name: str
    caption: str
    rows: pd.DataFrame


@dataclass
class Section:
    """A section: paragraphs, tables, figures, commands that make its numbers, and CSV files.

    ``brief`` says how many of its tables the terminal shows too.
    """

    title: str
    text: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Picture] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    files: list[CsvFile] = field(default_factory=list)
    brief: int = 0


@dataclass
class Document:
    """A whole report: ``summary`` is its first screen, whose title is that of the report."""

    summary: Section
    sections: list[Section]
