"""Finished settings of the scaling-laws study: a line of JSON for each, so that a killed run goes on."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.environment import CODE, package_code
from benchmarks.results.jsonl import JsonLines
from benchmarks.scaling.experiment import Row, Setting

FILE = "scaling_laws.jsonl"


class FinishedSettings:
    """The file of finished settings in a folder of results."""

    def __init__(self, folder: Path) -> None:
        self._file = JsonLines(folder / FILE)

    def missing(self, experiment: str, settings: Iterable[Setting]) -> list[Setting]:
        """Return the settings that are not there."""
        known = {_line_key(line) for line in self._file.read()}
        return [setting for setting in settings if _key(experiment, setting) not in known]

    def add(self, experiment: str, setting: Setting, rows: list[Row], seconds: float) -> None:
        """Append a finished setting."""
        line = {"experiment": experiment, "setting": setting, "seconds": round(seconds, 3), "rows": rows}
        self._file.append({CODE: package_code(), **line})

    def rows(self, experiment: str, settings: Iterable[Setting]) -> pd.DataFrame:
        """Return the rows of those of the settings that are there, whose fields are among the columns."""
        return pd.DataFrame(
            [line["setting"] | row for line in self._lines(experiment, settings) for row in line["rows"]]
        )

    def seconds(self, experiment: str, settings: Iterable[Setting]) -> float:
        """Return how long the settings took when they were computed."""
        return float(sum(line["seconds"] for line in self._lines(experiment, settings)))

    def other_code(self, experiment: str, settings: Iterable[Setting]) -> list[str]:
        """Return the fingerprints of the other code of the package that some of the settings come from."""
        codes = {line.get(CODE, "unknown") for line in self._lines(experiment, settings)}
        return sorted(codes - {package_code()})

    def _lines(self, experiment: str, settings: Iterable[Setting]) -> list[dict[str, Any]]:
        """Return the line of each of the settings that are there, the latest of several."""
        wanted = {_key(experiment, setting) for setting in settings}
        found = {key: line for line in self._file.read() if (key := _line_key(line)) in wanted}
        return list(found.values())


def _line_key(line: dict[str, Any]) -> str:
    return _key(line["experiment"], line["setting"])


def _key(experiment: str, setting: Setting) -> str:
    return json.dumps([experiment, setting], sort_keys=True)
