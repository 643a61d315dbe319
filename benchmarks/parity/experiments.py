"""The sections on the experiments of the parity study, the lottery experiment among them."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmarks.parity import figures as parity_figures
from benchmarks.parity.cells import OUTCOME, curves_picture, outcome_cells, rows_label
from benchmarks.parity.grids import Experiment
from benchmarks.parity.statistics import by_cell
from benchmarks.report.document import Picture, Section, Table


def experiment_section(
    name: str, experiment: Experiment, runs: pd.DataFrame, cost: dict[str, Any] | None
) -> Section:
    """Return the section of one experiment: its question, its figure, its cells."""
    runs = runs.assign(start=[_start(row) for row in runs.to_dict("records")])
    by = tuple(dict.fromkeys((experiment.panel, experiment.line, experiment.x)))
    cells = by_cell(runs, by)
    quantities = ("rate", "test_error") if name == "descent" else ("rate", "median_steps")
    caption = f"{experiment.title}: success with 95 % Wilson intervals, {experiment.runs} runs a cell."
    figures = [
        Picture(
            f"parity-{name}",
            caption,
            parity_figures.lines(
                cells, experiment.x, experiment.line, experiment.panel, experiment.title, quantities
            ),
        )
    ]
    if experiment.curves:
        figures = [curves_picture(runs, f"parity-{name}", experiment.title)]
    if name == "seconds" and cost is not None:
        figures.append(seconds_picture(cells, cost))
    rows = [
        [*(_field(field, cell[field]) for field in by), *outcome_cells(cell)] for cell in cells.to_dict("records")
    ]
    head = [*(parity_figures.NAMES.get(field, field) for field in by), *OUTCOME]
    table = Table("Every cell.", head, rows, long=True)
    return Section(f"Experiment: {experiment.title}", [experiment.question], [table], figures)


def _start(row: Mapping[Any, Any]) -> str:
    if not row["sparsity"]:
        return "dense"
    words = {"sign": "±1", "ones": "1", "normal": "normal"}[row["init"]]
    return words if row["init_scale"] == 1 else f"{words} x {row['init_scale']:g}"


def _field(name: str, value: Any) -> str:
    if name == "sparsity":
        return str(value) if value else "dense"
    return rows_label(value) if name == "n_samples" else (value if isinstance(value, str) else f"{value:g}")


def seconds_picture(cells: pd.DataFrame, cost: dict[str, Any]) -> Picture:
    """Return the figure of seconds to success by width."""
    times = pd.DataFrame(cost["rows"])
    table = cells.merge(times, on="width").dropna(subset=["median_steps"])
    return Picture(
        "parity-seconds-clock",
        "Median steps to success by width, and the seconds these take on the measured machine: one run in a plain "
        "PyTorch loop, and its share of a batch of runs.",
        parity_figures.seconds(table, "What width costs and saves"),
    )


NETS = ("full", "ticket", "random re-initialisation")


def ticket_section(nets: pd.DataFrame) -> Section:
    """Return the section of the lottery experiment."""
    by = ("n_informative", "n_samples", "loss", "width", "n_neurons", "net")
    counts = by_cell(nets, by).merge(nets.groupby(list(by))["n_lucky"].sum().reset_index())
    counts["setting"] = [
        f"k = {row['n_informative']}, {rows_label(row['n_samples'])} rows,\n{row['loss'].replace('_', ' ')}"
        for row in counts.to_dict("records")
    ]
    counts["order"] = counts["net"].map(NETS.index)
    counts = counts.sort_values(["n_informative", "n_samples", "loss", "order"])
    rows = [
        [row["setting"], row["net"], *outcome_cells(row)[:3], str(row["n_lucky"])]
        for row in counts.to_dict("records")
    ]
    width, n_neurons = (int(nets[name].iloc[0]) for name in ("width", "n_neurons"))
    text = (
        f"The {n_neurons} neurons of largest weight norm of a trained net of {width} are put back to their "
        f"initialisation and trained alone (ticket), beside {n_neurons} neurons of a newly drawn net."
    )
    picture = Picture(
        "parity-tickets",
        "Share of nets that learn: full nets, winning tickets, and random neurons; 95 % Wilson intervals.",
        parity_figures.tickets(counts, "Winning tickets"),
    )
    head = ["setting", "net", "succeeded", "95 % interval", "median steps", "lucky neurons"]
    return Section("Winning tickets", [text], [Table("Nets that learn.", head, rows)], [picture], brief=1)
