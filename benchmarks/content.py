"""What the report says: its sections, tables and captions, made from the numbers of the summary."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmarks import figures, growth_sections, setting_sections, summary
from benchmarks.document import Cell, Content, Picture, Section, Table, number
from benchmarks.store import Store
from benchmarks.tabular import REPORT_SEED

TITLE = "Sparse-initialised nets against random forests"


def build(store: Store, report_command: str) -> Content:
    """Read the store and make the report's content of it; ``report_command`` is what asked for it."""
    evaluations, runs, datasets = (store.frame(name) for name in ("evaluations", "parity_runs", "datasets"))
    found = summary.settings(evaluations)
    incomplete = set(datasets.loc[~datasets["complete"].astype(bool), "task"])
    sections = setting_sections.overview(found)
    sections += [setting_sections.section(setting, incomplete) for setting in found]
    sections += growth_sections.sections(found, evaluations)
    sections += [frontier_section(shared, cells) for shared, cells in summary.frontiers(runs)]
    if len(evaluations):
        sections.append(data_section(datasets, evaluations))
    sections += trouble_sections(evaluations)
    sections.append(method_section(store, evaluations, report_command))
    lead = [line for setting in found for line in setting_sections.headlines(setting)]
    lead += [frontier_headline(shared, cells) for shared, cells in summary.frontiers(runs)]
    return Content(TITLE, lead or [_without_duels(evaluations)], sections)


def _without_duels(evaluations: pd.DataFrame) -> str:
    """Say what there is where the sparse net has met no forest."""
    if evaluations.empty:
        return "There are no results yet."
    return f"{len(evaluations)} evaluations, but the sparse net and the random forest have met on no task."


# Sparse parity ---------------------------------------------------------------------------------------


def frontier_section(shared: dict[str, Any], cells: pd.DataFrame) -> Section:
    """Return the section of one success frontier."""
    name = f"({shared['n_features']}, {shared['n_informative']})-parity"
    steps = f"{shared['max_steps']:,}".replace(",", " ")
    text = (
        f"Labels are the product of {shared['n_informative']} hidden inputs out of {shared['n_features']}. "
        f"A run succeeds when its test error is at most 10 % within {steps} steps of SGD ({shared['loss']} "
        f"loss, learning rate {shared['learning_rate']:g}, weight decay {shared['weight_decay']:g} in "
        f"torch's convention, batches of {shared['batch_size']}, seed {shared['random_state']})."
    )
    slug = f"parity-{shared['n_features']}-{shared['n_informative']}-{shared['max_steps']}-{shared['loss']}"
    slug += f"-{shared['learning_rate']:g}-{shared['weight_decay']:g}-{shared['batch_size']}"
    slug += f"-seed-{shared['random_state']}"
    picture = Picture(
        slug.replace("_", "-").replace(".", "p"),
        f"Success frontier of {name} by training rows and width: runs that succeeded out of all, and below "
        "it the median steps they took.",
        figures.frontier(cells, f"{name}, at most {steps} steps"),
    )
    return Section(f"Success frontier: {name}", [text], [frontier_table(cells)], [picture])


def frontier_table(cells: pd.DataFrame) -> Table:
    """Return the table of a frontier, a row per cell."""
    rows = [
        [
            Cell(f"s = {cell['sparsity']}" if cell["sparsity"] else "dense"),
            Cell(str(cell["n_samples"])),
            Cell(str(cell["width"])),
            Cell(f"{cell['successes']}/{cell['runs']}" if cell["runs"] else f"failed: {cell['failure']}"),
            Cell("-" if pd.isna(cell["low"]) else f"{cell['low']:.2f} to {cell['high']:.2f}"),
            Cell(number(cell["median_steps"], "{:.0f}")),
        ]
        for _, cell in cells.iterrows()
    ]
    head = ["initialisation", "training rows", "width", "succeeded", "95 % interval", "median steps"]
    return Table("Every cell: runs that succeeded, Wilson interval, steps of those.", head, rows, long=True)


def frontier_headline(shared: dict[str, Any], cells: pd.DataFrame) -> str:
    """Say how many runs succeeded for each sparsity."""
    parts = []
    for value, group in cells.groupby("sparsity"):
        what = f"s = {value!s}" if value else "dense"
        parts.append(f"{what}: {group['successes'].sum()} of {group['runs'].sum()}")
    return (
        f"Sparse parity ({shared['n_features']}, {shared['n_informative']}), runs that succeed within "
        f"{shared['max_steps']} steps over the same grid of training rows and widths: "
        f"{'; '.join(reversed(parts))}."
    )


# What the numbers stand on ---------------------------------------------------------------------------


def data_section(datasets: pd.DataFrame, evaluations: pd.DataFrame) -> Section:
    """Return the section that says what the data are, and which are not the published ones in full."""
    used = datasets[datasets["task"].isin(evaluations["task"])]
    incomplete = used[~used["complete"].astype(bool)]
    rows = [
        [
            Cell(row["task"] if row["complete"] else f"{row['task']} *"),
            Cell(str(row["n_rows"])),
            Cell(str(row["n_features"])),
            Cell(row["statement"]),
        ]
        for _, row in used.iterrows()
    ]
    text = []
    if used["n_published"].notna().any():
        text.append("The tables are those of OpenML suite 337 (Grinsztajn et al. 2022).")
    subsets = incomplete[incomplete["n_rows"] < incomplete["n_published"]]["task"]
    others = incomplete[incomplete["n_rows"] >= incomplete["n_published"]]["task"]
    if len(subsets):
        text.append(f"Subsets of the published data: {', '.join(subsets)}.")
    if len(others):
        text.append(f"Not exactly the published data: {', '.join(others)}.")
    if incomplete.empty:
        text.append("All are the published data in full.")
    head = ["task", "rows", "features", "what they are"]
    return Section("Data", [" ".join(text)], [Table("Rows in use.", head, rows, words=(3,))])


def trouble_sections(evaluations: pd.DataFrame) -> list[Section]:
    """Return the sections on failed fits and on warnings, where there are any."""
    sections = []
    for column, title, text in (
        ("failure", "Failures", "These evaluations failed and count against their models."),
        ("warnings", "Warnings", "Models were fitted and measured, but said this."),
    ):
        rows = evaluations[evaluations[column].notna()]
        if rows.empty:
            continue
        groups = rows.groupby(["model", column])["task"].agg(["size", "unique"]).reset_index()
        table = [
            [Cell(row["model"]), Cell(str(row["size"])), Cell(", ".join(row["unique"])), Cell(row[column])]
            for _, row in groups.iterrows()
        ]
        head = ["model", "evaluations", "tasks", "message"]
        sections.append(Section(title, [text], [Table(f"{title} by model.", head, table, (2, 3))]))
    return sections


def method_section(store: Store, evaluations: pd.DataFrame, report_command: str) -> Section:
    """Return the section on protocol, versions, machine and how to run it again."""
    environments = store.frame("environments")
    commands = store.frame("commands").sort_values("id")["command"].tolist()
    text = []
    if len(evaluations):
        text = [
            "Every task and seed has one stratified split, the same for every model: a training pool of "
            "70 % of the rows and at most 10000 test rows of the rest. Smaller training sets are the "
            "first rows of the pool, so they are nested; fractions are of the pool's first 10000 rows unless "
            "said otherwise. Where models are tuned, trials are scored by cross-validation on the training "
            "rows (repeated where there are few, a holdout where there are many), the default configuration "
            "first, and the test rows have no say; a trial that is surely worse on the same folds is given up.",
            f"{_validation(evaluations)}{_seeds(evaluations)} {_threads(evaluations)}",
        ]
    if len(environments) > 1:
        text.append("Caution: the results come from several machines or versions; all are listed.")
    if len(environments):
        text += [_environment(row) for _, row in environments.iterrows()]
    text.append("To run it again, in the project's folder:")
    commands = list(dict.fromkeys([*commands, report_command]))
    return Section("How these numbers were made", text, commands=commands)


def _validation(evaluations: pd.DataFrame) -> str:
    """Say how trials were validated, and how many were given up."""
    trials = evaluations[evaluations["validation"].notna()]
    if trials.empty:
        return ""
    shares = trials["validation"].value_counts(normalize=True)
    schemes = ", ".join(f"{name} ({share:.0%} of the trials)" for name, share in shares.items())
    return f"Validation: {schemes}; {trials['pruned'].astype(bool).mean():.0%} of the trials were given up. "


def _threads(evaluations: pd.DataFrame) -> str:
    """Say what seconds are worth."""
    threads = sorted(evaluations["threads"].unique())
    cores = "1 core" if threads == [1] else f"{_ranges(threads)} cores"
    return (
        f"Every fit could use {cores} (OpenMP threads wait passively); seconds compare like with like as far as "
        "that is one number and the machines were otherwise idle."
    )


def _seeds(evaluations: pd.DataFrame) -> str:
    seeds = sorted(int(seed) for seed in evaluations["seed"].unique())
    text = f"Seeds: {_ranges(seeds)}."
    if seeds[0] < REPORT_SEED:
        text += (
            f" Caution: seeds below {REPORT_SEED} are for developing; numbers drawn from them were looked "
            "at while defaults were chosen."
        )
    return text


def _ranges(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) if len(numbers) <= 10 else f"{numbers[0]} to {numbers[-1]}"


def _environment(row: pd.Series) -> str:
    machine, versions = json.loads(row["machine"]), json.loads(row["versions"])
    hardware = ", ".join(
        [
            machine["cpu"],
            f"{machine['cores']} cores",
            *(machine[key] for key in ("memory", "system") if key in machine),
        ]
    )
    software = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"Machine: {hardware}. Versions: {software}."
