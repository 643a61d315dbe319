"""The speed section of the report, from the file that `speed` writes."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.report.document import Picture, Section, Table, mark
from benchmarks.results import json_file
from benchmarks.speed.command import FILE

OURS = "sparsemlp"
COLOURS = {"floor": "#777777", "sparsemlp, bf16": "#56b4e9", "plain PyTorch loop": "#d55e00", "skorch": "#009e73"}


def section(results: Path) -> Section | None:
    """Return the section, or None where speed has not been measured."""
    path = results / FILE
    if not path.exists():
        return None
    measured = json_file.read(path)
    machine = ", ".join(f"{name}: {value}" for name, value in measured["machine"].items())
    return Section(
        "Speed",
        [
            "Medians over interleaved rounds in one process. The floor is the time of the step's matrix products "
            "alone, on buffers that stay; for memory it is the training rows, the weights with gradients, moments "
            "and best copy, and the activations of one batch.",
            f"Machine: {machine}.",
        ],
        [_table(measured["rows"]), _slopes(measured["slopes"])],
        [Picture("speed", "Time per step over that of the matrix products alone.", _figure(measured["rows"]))],
        [measured["command"]],
        brief=1,
    )


def _table(rows: list[dict[str, Any]]) -> Table:
    cells = []
    last = None
    for row in rows:
        floor = "" if row["floor"] is None else f"{row['floor']:.2f}"
        title = row["case"] if row["case"] != last else ""
        last = row["case"]
        value = f"{row['value']:.4g} {row['unit']}"
        contender = mark(row["contender"], row["contender"] == OURS)
        cells.append([title, contender, value, f"{row['ratio']:.2f}", floor])
    head = ["what", "who", "median", "over sparsemlp", "over floor"]
    return Table("Time and memory", head, cells, words=(0, 1))


def _slopes(found: list[dict[str, Any]]) -> Table:
    cells = [
        [
            row["what"],
            row["contender"],
            f"{row['from']:g} to {row['to']:g}",
            f"{row['power']:.2f}",
        ]
        for row in found
    ]
    return Table("How time grows", ["as a power of", "who", "between", "power"], cells, words=(0, 1))


def _figure(rows: list[dict[str, Any]]) -> Figure:
    """Draw every contender's time over the floor, a line for each comparison that has a floor."""
    timed = [row for row in rows if row["floor"] is not None and row["unit"] == "us"]
    cases = list(dict.fromkeys(row["case"] for row in timed))
    contenders = [name for name in dict.fromkeys(row["contender"] for row in timed) if name != "floor"]
    markers = dict(zip(contenders, "os^Dv", strict=False))
    figure = Figure(figsize=(8, 1.5 + 0.42 * len(cases)), layout="constrained")
    axes = figure.subplots()
    for name in contenders:
        own = [row for row in timed if row["contender"] == name]
        heights = [cases.index(row["case"]) for row in own]
        axes.plot([row["floor"] for row in own], heights, markers[name], label=name, color=_colour(name), ms=8)
    axes.axvline(1, color="black", linewidth=1)
    axes.set(xscale="log", xlabel="time per step over the matrix products alone", ylim=(len(cases) - 0.5, -0.5))
    axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()
    axes.set_yticks(range(len(cases)), [case.removesuffix(", a step") for case in cases])
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _colour(name: str) -> str:
    return COLOURS.get(name, "#0072b2" if name == OURS else "#cc79a7")
