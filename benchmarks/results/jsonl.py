"""Results in files of JSON: finished pieces, a line each, or one object.

A killed process leaves lines from which the next one can go on, and an object that is complete or the one before.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cli import UsageError


class JsonLines:
    """A file with one JSON object a line, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """Return all lines but those of which a killed process has written half."""
        if not self.path.exists():
            return []
        lines = []
        for text in self.path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError:  # its piece is done again
                continue
        return lines

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line in one write, which is on the disk afterwards; numbers of numpy become Python's."""
        text = json.dumps(line, default=_plain) + "\n"
        if self._ends_within_a_line():
            text = "\n" + text
        with self.path.open("ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())

    def _ends_within_a_line(self) -> bool:
        if not self.path.exists() or not self.path.stat().st_size:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(
        f"a line must hold numbers, texts, lists and dicts, got {value!r} of type {type(value).__name__}"
    )


def write(path: Path, measured: Mapping[str, Any]) -> None:
    """Put a file of one object in place once all of it is written; UsageError where that fails."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(json.dumps(measured, indent=1), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def read(path: Path) -> dict[str, Any]:
    """Return the object of a file; UsageError where it is damaged."""
    try:
        measured = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is damaged ({error}); measure again, or remove it") from error
    if not isinstance(measured, dict):
        raise UsageError(f"{path} is damaged (no object); measure again, or remove it")
    return measured
