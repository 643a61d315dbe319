"""Finished cells of the scaling-laws study: a line of JSON for each, so that a killed run goes on."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.environment import CODE, package_code
from benchmarks.results.jsonl import JsonLines
from benchmarks.scaling.experiment import Cell, Row

FILE = "scaling_laws.jsonl"


class ScalingStore:
    """The file of finished cells in a folder of results."""

    def __init__(self, folder: Path) -> None:
        self._file = JsonLines(folder / FILE)

    def missing(self, experiment: str, cells: Iterable[Cell]) -> list[Cell]:
        """Return the cells that are not there."""
        known = {_line_key(line) for line in self._file.read()}
        return [cell for cell in cells if _key(experiment, cell) not in known]

    def add(self, experiment: str, cell: Cell, rows: list[Row], seconds: float) -> None:
        """Append a finished cell."""
        line = {"experiment": experiment, "cell": cell, "seconds": round(seconds, 3), "rows": rows}
        self._file.append({CODE: package_code(), **line})

    def rows(self, experiment: str, cells: Iterable[Cell]) -> pd.DataFrame:
        """Return the rows of those of the cells that are there, the cells' own fields among their columns."""
        return pd.DataFrame(
            [line["cell"] | row for line in self._lines(experiment, cells) for row in line["rows"]]
        )

    def seconds(self, experiment: str, cells: Iterable[Cell]) -> float:
        """Return how long the cells took when they were computed."""
        return float(sum(line["seconds"] for line in self._lines(experiment, cells)))

    def other_code(self, experiment: str, cells: Iterable[Cell]) -> list[str]:
        """Return the fingerprints of the package's code, other than the present one, that the cells come from."""
        codes = {line.get(CODE, "unknown") for line in self._lines(experiment, cells)}
        return sorted(codes - {package_code()})

    def _lines(self, experiment: str, cells: Iterable[Cell]) -> list[dict[str, Any]]:
        """Return the line of each of the cells that are there, the latest of several."""
        wanted = {_key(experiment, cell) for cell in cells}
        found = {key: line for line in self._file.read() if (key := _line_key(line)) in wanted}
        return list(found.values())


def _line_key(line: dict[str, Any]) -> str:
    return _key(line["experiment"], line["cell"])


def _key(experiment: str, cell: Cell) -> str:
    return json.dumps([experiment, cell], sort_keys=True)
