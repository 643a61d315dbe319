"""The speed section of the report, from the file that `speed` writes."""

from pathlib import Path
from typing import Any

from benchmarks.report.document import Picture, Section, Table, mark
from benchmarks.results import jsonl
from benchmarks.results.store import Store
from benchmarks.speed import figures
from benchmarks.speed.command import FILE

OURS = "sparsemlp"
TIMES = "Time and memory; the ratio is over sparsemlp, or over the same fit alone"


def sections(store: Store, results: Path) -> list[Section]:
    """Return the section on speed, if it has been measured: in a file in ``results``, not in the store."""
    path = results / FILE
    if not path.exists():
        return []
    measured = jsonl.read(path)
    machine = ", ".join(f"{name}: {value}" for name, value in measured["machine"].items())
    text = [
        "Medians over interleaved rounds in one process. The floor is the time of the step's matrix products "
        "alone, on buffers that stay; for memory it is the training rows, the weights with gradients, moments "
        "and best copy, and the activations of one batch.",
        f"Machine: {machine}.",
    ]
    figure = figures.over_floor(measured["rows"])
    picture = Picture("speed", "Time per step over that of the matrix products alone.", figure)
    return [Section("Speed", text, tables(measured), [picture], [measured["command"]], brief=1)]


def tables(measured: dict[str, Any]) -> list[Table]:
    """Return the table of times and memory, and of how times grow."""
    lines = []
    last = None
    for row in measured["rows"]:
        floor = "" if row["floor"] is None else f"{row['floor']:.2f}"
        title = row["case"] if row["case"] != last else ""
        last = row["case"]
        contender = mark(row["contender"], row["contender"] == OURS)
        if row["value"] is None:
            lines.append([title, contender, f"failed: {row['failure']}", "", ""])
            continue
        lines.append([title, contender, f"{row['value']:.4g} {row['unit']}", f"{row['ratio']:.2f}", floor])
    slopes = [
        [row["what"], row["contender"], f"{row['from']:g} to {row['to']:g}", f"{row['power']:.2f}"]
        for row in measured["slopes"]
    ]
    return [
        Table(TIMES, ["what", "who", "median", "ratio", "over floor"], lines, words=(0, 1)),
        Table("How time grows", ["as a power of", "who", "between", "power"], slopes, words=(0, 1)),
    ]
