"""Finished pieces in a file of JSON lines: what a killed process leaves behind, the next one can go on from."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


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
