"""How a cell of the parity study reads in a table."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmarks.document import Cell

OUTCOME = ["succeeded", "95 % interval", "median steps", "train error", "test error"]


def outcome_cells(cell: Mapping[Any, Any]) -> list[Cell]:
    """Return what came of the runs of a cell."""
    return [
        Cell(f"{cell['successes']}/{cell['runs']}"),
        Cell(f"{cell['low']:.2f} to {cell['high']:.2f}"),
        Cell(_number(cell["median_steps"], "{:.0f}")),
        Cell(_number(cell["train_error"], "{:.3f}")),
        Cell(_number(cell["test_error"], "{:.3f}")),
    ]


def rows_label(n_samples: int) -> str:
    """Return the number of training rows; 0 stands for fresh ones at every step."""
    return str(n_samples) if n_samples else "fresh"


def _number(value: Any, form: str) -> str:
    return "-" if pd.isna(value) else form.format(value)


def spaced(number: int) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}".replace(",", " ")
