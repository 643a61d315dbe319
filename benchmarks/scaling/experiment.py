"""What an experiment of the scaling-laws study is: cells to compute, and what becomes of their rows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

#: a piece of work as JSON can hold it: the names and values that say what to compute
Cell = dict[str, Any]
#: numbers of a finished cell, as JSON can hold them
Row = dict[str, Any]


class Experiment(NamedTuple):
    """One experiment of the study.

    Attributes
    ----------
    title : str
        What it is called in the report.
    cells : callable
        Maps a profile ("smoke", "quick", "full") to its pieces of work. A cell is its own key: what is
        stored under it is not computed again.
    run_cell : callable
        Computes one cell, and returns its rows. The same cell gives the same rows.
    summary : callable
        Maps the rows of all finished cells, the cells' own fields among their columns, to a section in
        Markdown and its figures by name.
    """

    title: str
    cells: Callable[[str], list[Cell]]
    run_cell: Callable[[Cell], list[Row]]
    summary: Callable[[pd.DataFrame], tuple[str, dict[str, Figure]]]
