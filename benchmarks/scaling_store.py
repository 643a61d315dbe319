"""Finished cells of the scaling-laws study: a line of JSON for each, so that a killed run goes on."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.scaling_experiment import Cell, Row

FILE = "scaling_laws.jsonl"


class ScalingStore:
    """The file of finished cells in a folder of results."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def missing(self, experiment: str, cells: Iterable[Cell]) -> list[Cell]:
        """Return the cells that are not there."""
        known = {_line_key(line) for line in self._lines()}
        return [cell for cell in cells if _key(experiment, cell) not in known]

    def add(self, experiment: str, cell: Cell, rows: list[Row], seconds: float) -> None:
        """Append a finished cell in one write."""
        line = {"experiment": experiment, "cell": cell, "seconds": round(seconds, 3), "rows": rows}
        # A former process that was killed while writing may have left half a line.
        text = ("\n" if self._ends_within_a_line() else "") + json.dumps(line) + "\n"
        with self.path.open("ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())

    def rows(self, experiment: str, cells: Iterable[Cell]) -> pd.DataFrame:
        """Return the rows of those of the cells that are there, the cells' own fields among their columns."""
        wanted = {_key(experiment, cell) for cell in cells}
        found = {}
        for line in self._lines():
            if (key := _line_key(line)) in wanted:
                found[key] = [line["cell"] | row for row in line["rows"]]
        return pd.DataFrame([row for rows in found.values() for row in rows])

    def seconds(self, experiment: str, cells: Iterable[Cell]) -> float:
        """Return how long the cells took when they were computed."""
        wanted = {_key(experiment, cell) for cell in cells}
        took = {key: line["seconds"] for line in self._lines() if (key := _line_key(line)) in wanted}
        return float(sum(took.values()))

    def _lines(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        lines = []
        for text in self.path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError:  # half a line of a process that was killed: its cell is done again
                continue
        return lines

    def _ends_within_a_line(self) -> bool:
        if not self.path.exists() or not self.path.stat().st_size:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"


def _line_key(line: dict[str, Any]) -> str:
    return _key(line["experiment"], line["cell"])


def _key(experiment: str, cell: Cell) -> str:
    return json.dumps([experiment, cell], sort_keys=True)
