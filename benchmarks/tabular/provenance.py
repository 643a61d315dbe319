"""What the report's numbers stand on: data, failures, raw rows, protocol, statistics, versions and machine."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmarks.data.splits import REPORT_SEED
from benchmarks.data.suites import SUITES, names
from benchmarks.data.table import REGRESSION
from benchmarks.models import MODELS, label
from benchmarks.report.document import CsvFile, Section, Table
from benchmarks.results.store import Store
from benchmarks.tabular import scores
from benchmarks.tabular.comparisons import RIVALS, SUBJECT, compare, correction
from benchmarks.tabular.scores import Condition

#: columns of scores.csv: one row per condition, task, seed and model
SCORES = ["kind", "size", "tuned", "task", "seed", "model", "n_train", "fraction", "n_test", "score", "failed"]


def sections(store: Store, report_command: str) -> list[Section]:
    """Return the sections at the end of the report; ``report_command`` is what asked for it."""
    evaluations, environments = store.frame("evaluations"), store.frame("environments")
    commands = store.frame("commands").sort_values("id")["command"].tolist()
    method = method_section(evaluations, environments, list(dict.fromkeys([*commands, report_command])))
    if evaluations.empty:
        return [method]
    return [
        data_section(store.frame("datasets"), evaluations),
        *trouble_sections(evaluations),
        files_section(evaluations, environments),
        method,
    ]


# Data and failures -----------------------------------------------------------------------------------


def data_section(datasets: pd.DataFrame, evaluations: pd.DataFrame) -> Section:
    """Return the section that says what the data are, and which are not the published ones in full."""
    used = datasets[datasets["task"].isin(evaluations["task"])]
    published = used[used["n_published"].notna()]
    incomplete = published[~published["complete"].astype(bool)]
    text = []
    for suite in SUITES:
        if n_tables := int(used["task"].isin(names(suite)).sum()):
            text.append(f"{n_tables} tables are of OpenML suite {suite} (Grinsztajn et al. 2022).")
    if len(incomplete):
        statements = "; ".join(f"{row['task']} ({row['statement']})" for _, row in incomplete.iterrows())
        text.append(f"Not the published data in full, {len(incomplete)} of {len(published)} tables: {statements}.")
    elif len(published):
        text.append("All are the published data in full.")
    rows = [
        [
            f"{row['task']} *" if row["task"] in set(incomplete["task"]) else row["task"],
            str(row["n_rows"]) if row["n_rows"] else "new for every seed",
            str(row["n_features"]),
            row["statement"],
        ]
        for _, row in used.iterrows()
    ]
    head = ["task", "rows", "features", "what they are"]
    return Section("Data", [" ".join(text)] if text else [], [Table("Rows in use.", head, rows, words=(3,))])


def trouble_sections(evaluations: pd.DataFrame) -> list[Section]:
    """Return the sections on failed fits and on warnings, where there are any."""
    sections = []
    for column, title, text in (
        ("failure", "Failures", "These evaluations failed; they are scored as the baseline."),
        ("warnings", "Warnings", "These models were fitted and measured, with warnings."),
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


# Raw rows --------------------------------------------------------------------------------------------


def files_section(evaluations: pd.DataFrame, environments: pd.DataFrame) -> Section:
    """Return the section with the rows that every number and interval on tables can be computed from."""
    found = scores.conditions(evaluations)
    files = [
        CsvFile("evaluations.csv", "every evaluation, trials of tuning included", evaluations.drop(columns="id")),
        CsvFile("scores.csv", "what the tables average: the chosen trial by task, seed and model", _rows(found)),
        CsvFile(
            "comparisons.csv", "the sparse net's paired differences to its main rivals by task", _paired(found)
        ),
        CsvFile("environments.csv", "versions and machines", environments.rename(columns={"id": "environment"})),
    ]
    return Section("Raw rows", files=files)


def _rows(found: Sequence[Condition]) -> pd.DataFrame:
    tables = [condition.scores.assign(tuned=condition.tuned) for condition in found]
    return pd.concat(tables).sort_values("id")[[*SCORES, "fit_seconds"]]


def _paired(found: Sequence[Condition]) -> pd.DataFrame:
    columns = ["kind", "size", "tuned", "against", "task", "difference", "standard_error"]
    columns += ["corrected_error", "n_seeds", "verdict"]
    tables = []
    for condition in found:
        known: dict[str, Any] = {"kind": condition.kind, "size": condition.size, "tuned": condition.tuned}
        for rival in RIVALS:
            table = compare(condition.of(SUBJECT), condition.of(rival)).tasks.reset_index()
            tables.append(table.assign(against=rival, n_seeds=table["values"].map(len), **known))
    return pd.concat([table for table in tables if len(table)] or tables)[columns]


# Method ----------------------------------------------------------------------------------------------


def method_section(evaluations: pd.DataFrame, environments: pd.DataFrame, commands: list[str]) -> Section:
    """Return the section on protocol, statistics, versions, machine and how to run it again."""
    text = []
    if len(evaluations):
        text += [_protocol(evaluations), _statistics(evaluations), _threads(evaluations)]
        absent = [label(name) for name in MODELS if name not in set(evaluations["model"])]
        if absent:
            text.append(f"Models without results here, which no rank or comparison includes: {', '.join(absent)}.")
    if len(environments) > 1:
        text.append(
            "Caution: the results come from several machines, versions or states of the code; all are listed."
        )
    text += [_environment(row) for _, row in environments.iterrows()]
    text.append("To run it again, in the project's folder:")
    return Section("How these numbers were made", text, commands=commands)


def _protocol(evaluations: pd.DataFrame) -> str:
    split = (
        "Every task and seed has one stratified split, the same for every model: a training pool of 70 % of the "
        "rows and at most 10000 test rows of the rest. Smaller training sets are the first rows of the pool, so "
        "they are nested; fractions are of the pool's first 10000 rows unless said otherwise. "
    )
    return (
        f"{split if (evaluations['fraction'] > 0).any() else ''}Tuning scores "
        "trials by cross-validation on the training rows (repeated where there are few, a holdout where there "
        "are many), the default configuration first; it never sees the test rows, and gives up a trial that is "
        f"surely worse on the same folds. {_splits(evaluations)}{_samples(evaluations)}{_validation(evaluations)}"
        f"{_seeds(evaluations)}"
    )


def _statistics(evaluations: pd.DataFrame) -> str:
    """Say once what every error, tie, test and point is."""
    n_seeds = evaluations.groupby(["task", "size"])["seed"].nunique()
    overlaps = scores.with_scores(evaluations).groupby(["task", "size"])["overlap"].mean()
    factors = [correction(n, overlap) for n, overlap in zip(n_seeds, overlaps, strict=True) if n > 1]
    overlap = ""
    if max(factors, default=1.0) > 1:
        overlap = (
            " The splits of a task overlap, so errors over seeds are too small: with the corrected variance of "
            f"Nadeau and Bengio (2003) they are up to {max(factors):.1f} times as large. Paired t-tests on "
            "single tasks use the corrected variance, ties do not."
        )
    return (
        "Two models are compared by the differences of their scores on the same task and seed. The error of a "
        "mean over tasks is the standard error over tasks; that of a single task, the standard error over its "
        "seeds. A tie is a mean difference on a task within one standard error over its seeds; with one seed "
        f"only equal scores tie. Points are tasks won, ties counting half.{overlap} p-values over tasks are of "
        "Wilcoxon's signed-rank test; ranks are compared by the Friedman and Nemenyi tests (Demšar 2006). A "
        "failed evaluation is scored as a majority-class prediction, or as a prediction of the mean in "
        "regression."
    )


def _splits(evaluations: pd.DataFrame) -> str:
    return "Splits of regression tasks are not stratified. " if (evaluations["kind"] == REGRESSION).any() else ""


def _samples(evaluations: pd.DataFrame) -> str:
    """Say which tasks have no fixed rows."""
    sampled = evaluations.loc[evaluations["fraction"] == 0, "task"].unique()
    return f"Without a split, sampled for every seed: {', '.join(sampled)}. " if len(sampled) else ""


def _validation(evaluations: pd.DataFrame) -> str:
    """Say how trials were validated, and how many were given up."""
    trials = evaluations[evaluations["validation"].notna()]
    if trials.empty:
        return ""
    shares = trials["validation"].value_counts(normalize=True)
    schemes = ", ".join(f"{name} ({share:.0%} of the trials)" for name, share in shares.items())
    return f"Validation: {schemes}; {trials['pruned'].astype(bool).mean():.0%} of the trials were given up. "


def _threads(evaluations: pd.DataFrame) -> str:
    """Say which seconds can be compared."""
    threads = sorted(evaluations["threads"].unique())
    cores = "1 core" if threads == [1] else f"{_ranges(threads)} cores"
    return (
        f"Every fit could use {cores}; seconds are comparable if that is one number and the machines were "
        "otherwise idle."
    )


def _seeds(evaluations: pd.DataFrame) -> str:
    seeds = sorted(int(seed) for seed in evaluations["seed"].unique())
    text = f"Seeds: {_ranges(seeds)}."
    if seeds[0] < REPORT_SEED:
        text += (
            f" Caution: seeds below {REPORT_SEED} are for developing; defaults were chosen with a view of their "
            "results."
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
