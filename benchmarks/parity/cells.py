"""How cells and runs of the parity study read in a table, and single runs in a figure."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.parity import figures
from benchmarks.report.document import Picture

N_CURVES = 6

OUTCOME = ["succeeded", "95 % interval", "median steps", "train error", "test error"]


def outcome_cells(cell: Mapping[Any, Any]) -> list[str]:
    """Return what came of the runs of a cell."""
    return [
        f"{cell['successes']}/{cell['runs']}",
        f"{cell['low']:.2f} to {cell['high']:.2f}",
        _number(cell["median_steps"], "{:.0f}"),
        _number(cell["train_error"], "{:.3f}"),
        _number(cell["test_error"], "{:.3f}"),
    ]


def rows_label(n_samples: int) -> str:
    """Return the number of training rows; 0 stands for fresh ones at every step."""
    return str(n_samples) if n_samples else "fresh"


def _number(value: Any, form: str) -> str:
    return "-" if pd.isna(value) else form.format(value)


def spaced(number: int) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}".replace(",", " ")


def curves_picture(runs: pd.DataFrame, name: str, title: str) -> Picture:
    """Return the figure of errors while training, of a few runs."""
    caption = "Train and test error of single runs. The dotted line is success, which ends a run."
    return Picture(name, caption, figures.curves(_single_runs(runs), title))


def _single_runs(runs: pd.DataFrame) -> list[tuple[str, np.ndarray]]:
    """Return the curves of the runs that took longest to succeed, one of a cell."""
    with_curve = runs[runs["curve"].notna()]
    slow = with_curve[with_curve["succeeded"].astype(bool)].sort_values("steps", ascending=False)
    chosen = pd.concat([slow, with_curve]).drop_duplicates("id")
    chosen = chosen.drop_duplicates(["n_samples", "width", "sparsity"]).head(N_CURVES)
    return [(_run_name(row), np.array(json.loads(row["curve"]))) for row in chosen.to_dict("records")]


def _run_name(row: Mapping[Any, Any]) -> str:
    start = f"s = {row['sparsity']}" if row["sparsity"] else "dense"
    return f"{start}, {row['width']} neurons, {row['n_samples']} rows"
