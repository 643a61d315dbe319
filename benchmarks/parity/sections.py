"""What the report says of the parity study."""

from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.parity import experiments as parity_experiments
from benchmarks.parity import figures, frontier, statistics
from benchmarks.parity import tables as parity_store
from benchmarks.parity.cells import spaced
from benchmarks.parity.cost import FILE as COST_FILE
from benchmarks.parity.cost import LONG
from benchmarks.parity.grids import EXPERIMENTS, PROFILES, settings_of
from benchmarks.parity.tables import rows_of
from benchmarks.report.document import Section, Table
from benchmarks.results import json_file
from benchmarks.results.store import Store


def sections(store: Store, results: Path) -> list[Section]:
    """Return the sections of the parity study: frontiers, experiments, tickets, cost."""
    runs = store.frame(parity_store.RUNS)
    found = [part for shared, rows in _frontiers(runs) for part in frontier.sections(shared, rows)]
    cost = _cost(results)
    if cost is not None and len(runs):
        found.append(cost_section(cost, rows_of(runs, settings_of(PROFILES["quick"].grid))))
    for name, experiment in EXPERIMENTS.items():
        rows = rows_of(runs, experiment.settings)
        whole = len(rows.groupby(list(parity_store.SETTING_FIELDS))) == len(set(experiment.settings))
        if experiment.curves:  # the same cells may have been trained for another reason, without them
            whole = whole and bool(rows["curve"].notna().any())
        if name != "slopes" and whole:
            found.append(parity_experiments.experiment_section(name, experiment, rows, cost))
    tickets = store.frame(parity_store.TICKETS)
    if len(tickets):
        found.append(parity_experiments.ticket_section(tickets))
    return found


def _frontiers(runs: pd.DataFrame) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Return the frontiers, without the cells that an experiment has to itself.

    The cells of the quick grid, and those that "slopes" adds to it, stay where other experiments have them too.
    """
    owned: set[int] = set()
    shared: set[int] = set()
    for name, experiment in EXPERIMENTS.items():
        ids = shared if name == "slopes" else owned
        ids.update(rows_of(runs, experiment.settings)["id"])
    return statistics.frontiers(runs[~runs["id"].isin(owned - shared)])


def headlines(store: Store) -> list[str]:
    """Say in a sentence for every grid how many runs succeeded, in the cells that all its starts have."""
    words = []
    for shared, rows in _frontiers(store.frame(parity_store.RUNS)):
        n_starts = rows.groupby(["n_samples", "width"])["sparsity"].transform("nunique")
        rows = rows[n_starts == rows["sparsity"].nunique()]
        if rows.empty:
            continue
        parts = [
            f"{figures.start_label(s)}: {int(group['succeeded'].sum())} of {len(group)}"
            for s in sorted(rows["sparsity"].unique(), reverse=True)
            for group in [rows[rows["sparsity"] == s]]
        ]
        name = f"{shared['target'].replace('_', ' ')} ({shared['n_features']}, {shared['n_informative']})"
        words.append(
            f"Sparse {name}, runs that succeed within {spaced(shared['max_steps'])} steps over the same grid: "
            f"{'; '.join(parts)}."
        )
    return words


def _cost(results: Path) -> dict[str, Any] | None:
    path = results / COST_FILE
    return json_file.read(path) if path.exists() else None


def cost_section(cost: dict[str, Any], runs: pd.DataFrame) -> Section:
    """Return the section on what training in batches saves."""
    rows = [
        [
            str(row["width"]),
            f"{row['loop']:.0f}",
            f"{row['frontier']:.1f}",
            f"{row['loop'] / row['frontier']:.1f}",
        ]
        for row in cost["rows"]
    ]
    machine = ", ".join(f"{name}: {value}" for name, value in cost["machine"].items())
    text = [
        "Microseconds of a step and run: a plain PyTorch loop that trains one run after another, without looking "
        f"at test errors, and the frontier's batches, with everything. Machine: {machine}."
    ]
    if len(runs):
        steps = runs.groupby("width")["steps"].sum()
        times = pd.DataFrame(cost["rows"]).set_index("width").loc[steps.index]
        loop, batches = (float((steps * times[name]).sum()) / 6e7 for name in ("loop", "frontier"))
        text.append(
            f"The {len(runs)} runs of the quick grid took {spaced(int(steps.sum()))} steps: {loop:.0f} minutes in "
            f"such a loop, {batches:.1f} minutes in batches, a factor of {loop / batches:.1f}."
        )
    ends = "; ".join(
        f"{decay} decay: {row['first']:.1f} and {row['last']:.1f} us" for decay, row in cost["long_runs"].items()
    )
    text.append(f"A step and run at the two ends of a training of {spaced(LONG)} steps (width 100): {ends}.")
    table = Table("A step and run.", ["width", "loop us", "frontier us", "factor"], rows)
    return Section("Cost of the parity study", text, [table], commands=[cost["command"]], brief=1)
