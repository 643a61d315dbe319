"""Measurements in a file of JSON, which is there as a whole or not at all."""

import json
from pathlib import Path
from typing import Any

from benchmarks.cli import UsageError


def write(path: Path, measured: dict[str, Any]) -> None:
    """Put the file in place once all of it is written; a place that cannot be written is a UsageError."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(json.dumps(measured, indent=1), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def read(path: Path) -> dict[str, Any]:
    """Return what is in the file; one that is damaged is a UsageError."""
    try:
        measured = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is damaged ({error}); measure again, or remove it") from error
    if not isinstance(measured, dict):
        raise UsageError(f"{path} is damaged (no object); measure again, or remove it")
    return measured
