"""What the report says: its sections, tables and captions, made from the numbers of the summary."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.parity import sections as parity_report
from benchmarks.report.document import Document, Section, Table
from benchmarks.results.store import Store
from benchmarks.tabular import duels, growth_sections, setting_sections, summary
from benchmarks.tabular.command import REPORT_SEED

TITLE = "Sparse-initialised nets against random forests"
PARITY_TITLE = "The parity study"


def build(store: Store, results: Path, report_command: str) -> Document:
    """Read the store and make the report's content of it; ``report_command`` is what asked for it."""
    evaluations, datasets = (store.frame(name) for name in ("evaluations", "datasets"))
    found = summary.settings(evaluations)
    incomplete = set(datasets.loc[~datasets["complete"].astype(bool), "task"])
    sections = setting_sections.overview(found) + duels.sections(found)
    sections += [setting_sections.section(setting, incomplete) for setting in found]
    sections += growth_sections.sections(found, evaluations)
    sections += parity_report.sections(store, results)
    if len(evaluations):
        sections.append(data_section(datasets, evaluations))
    sections += trouble_sections(evaluations)
    sections.append(method_section(store, evaluations, report_command))
    lead = [line for setting in found for line in setting_sections.headlines(setting)]
    lead += parity_report.headlines(store)
    title = TITLE if len(evaluations) else PARITY_TITLE
    return Document(Section(title, lead or [_without_duels(evaluations)]), sections)


def _without_duels(evaluations: pd.DataFrame) -> str:
    """Say what there is where the sparse net has met no forest."""
    if evaluations.empty:
        return "There are no results yet."
    return f"{len(evaluations)} evaluations, but the sparse net and the random forest have met on no task."


# What the numbers stand on ---------------------------------------------------------------------------


def data_section(datasets: pd.DataFrame, evaluations: pd.DataFrame) -> Section:
    """Return the section that says what the data are, and which are not the published ones in full."""
    used = datasets[datasets["task"].isin(evaluations["task"])]
    incomplete = used[~used["complete"].astype(bool)]
    rows = [
        [
            row["task"] if row["complete"] else f"{row['task']} *",
            str(row["n_rows"]),
            str(row["n_features"]),
            row["statement"],
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
    if incomplete.empty and used["n_published"].notna().any():
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
            [row["model"], str(row["size"]), ", ".join(row["unique"]), row[column]] for _, row in groups.iterrows()
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
        text.append(
            "Caution: the results come from several machines, versions or states of the code; all are listed."
        )
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
