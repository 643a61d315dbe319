"""The parts a report is made of, before any markup: sections, tables, pictures."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure


class Cell(str):
    """The text of a table cell, which may be the best of its row."""

    best = False


class Best(Cell):
    """The best of its row: bold."""

    best = True


def mark(text: str, best: bool) -> Cell:
    """Return a cell, bold if it is the best."""
    return Best(text) if best else Cell(text)


def number(value: Any, form: str) -> str:
    """Return a number in a format, or a dash where there is none."""
    return "-" if pd.isna(value) else form.format(value)


@dataclass
class Table:
    """A table of texts; columns in ``words`` hold sentences, a ``long`` table stands after the figures."""

    caption: str
    head: list[str]
    rows: list[list[Cell]]
    words: tuple[int, ...] = ()
    long: bool = False

    def markdown(self) -> str:
        """Return the table as markdown whose columns stand under each other."""
        rows = [[f"**{cell}**" if cell.best else str(cell) for cell in row] for row in self.rows]
        texts = [[text.replace("|", "\\|").replace("\n", " ") for text in row] for row in [self.head, *rows]]
        widths = [max(3, *(len(row[column]) for row in texts)) for column in range(len(self.head))]
        left = {0, *self.words}
        rule = ["-" * width if n in left else "-" * (width - 1) + ":" for n, width in enumerate(widths)]
        padded = [
            [text.ljust(width) if n in left else text.rjust(width) for n, (text, width) in enumerate(pairs)]
            for pairs in (zip(row, widths, strict=True) for row in texts)
        ]
        return "\n".join("| " + " | ".join(row) + " |" for row in [padded[0], rule, *padded[1:]])


@dataclass
class Picture:
    """A figure with its file name and caption; ``svg`` is filled in when it is written."""

    name: str
    caption: str
    figure: Figure
    svg: str = ""


@dataclass
class Section:
    """A section of the report; ``brief`` says which of its tables the terminal shows too."""

    title: str
    text: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Picture] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    brief: int = 0


@dataclass
class Content:
    """The whole report."""

    title: str
    lead: list[str]
    sections: list[Section]
