"""The figure of the speed benchmark."""

from typing import Any

from matplotlib.figure import Figure

from benchmarks.report import style

CONTENDERS = ("sparsemlp", "plain PyTorch loop", "skorch", "scikit-learn MLPClassifier", "memory alone")
TICKS = (1, 2, 5, 10, 20, 50)


@style.styled
def over_floor(rows: list[dict[str, Any]]) -> Figure:
    """Draw every contender's time over the floor, a line for each comparison that has a floor."""
    timed = [
        row for row in rows if row["floor"] is not None and row["unit"] == "us" and row["contender"] != "floor"
    ]
    cases = list(dict.fromkeys(row["case"] for row in timed))
    figure = Figure(figsize=(8, 1.5 + 0.42 * len(cases)), layout="constrained")
    axes = figure.subplots()
    for name, appearance in style.styles({row["contender"] for row in timed}, CONTENDERS).items():
        own = [row for row in timed if row["contender"] == name]
        heights = [cases.index(row["case"]) for row in own]
        axes.plot([row["floor"] for row in own], heights, label=name, ls="none", ms=8, **appearance)
    axes.axvline(1, color=style.BLACK, linewidth=1)
    axes.set(xscale="log", xlabel="time per step over the matrix products alone", ylim=(len(cases) - 0.5, -0.5))
    axes.set_xticks(TICKS, map(str, TICKS))
    axes.minorticks_off()
    axes.set_yticks(range(len(cases)), [case.removesuffix(", a step") for case in cases])
    style.grid(axes, "x")
    style.legend(figure, n_columns=2)
    return figure
