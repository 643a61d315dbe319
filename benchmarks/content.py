"""What the report says: its sections, tables and captions, made from the numbers of the summary."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import figures, summary
from benchmarks.document import Best, Cell, Content, Picture, Section, Table
from benchmarks.models import MODELS
from benchmarks.store import Store
from benchmarks.summary import Setting
from benchmarks.tabular import REPORT_SEED

TITLE = "Sparse-initialised nets against random forests"
SUBJECT, RIVALS = "sparse_mlp", ("rf", "dense_mlp")


def build(store: Store, report_command: str) -> Content:
    """Read the store and make the report's content of it; ``report_command`` is what asked for it."""
    evaluations, runs, datasets = (store.frame(name) for name in ("evaluations", "parity_runs", "datasets"))
    found = summary.settings(evaluations)
    incomplete = set(datasets.loc[~datasets["complete"].astype(bool), "task"])
    sections = [setting_section(setting, incomplete) for setting in found]
    sections += [frontier_section(shared, cells) for shared, cells in summary.frontiers(runs)]
    if len(evaluations):
        sections.append(data_section(datasets, evaluations))
    sections += trouble_sections(evaluations)
    sections.append(method_section(store, evaluations, report_command))
    lead = [line for setting in found for line in headlines(setting)]
    lead += [frontier_headline(shared, cells) for shared, cells in summary.frontiers(runs)]
    return Content(TITLE, lead or ["There are no results yet."], sections)


def label(model: str) -> str:
    """Return what the report calls a model."""
    return MODELS[model].label if model in MODELS else model


# Tables of accuracies --------------------------------------------------------------------------------


def headlines(setting: Setting) -> list[str]:
    """Say in a sentence each how the sparse net fared against its rivals."""
    lines = []
    for rival in _rivals(setting):
        comparison = summary.paired(setting, SUBJECT, rival)
        wins, ties, losses = summary.counts(comparison)
        mean = 100 * comparison["difference"].mean()
        error = 100 * summary.standard_error(comparison["difference"])
        lines.append(
            f"{setting.title}: {label(SUBJECT).lower()} against {label(rival).lower()} on "
            f"{len(comparison)} tasks: {wins} won, {ties} tied, {losses} lost; mean accuracy difference "
            f"{mean:+.2f} ± {_number(error, '{:.2f}')} percentage points (standard error over tasks)."
        )
    return lines


def _rivals(setting: Setting) -> list[str]:
    return [rival for rival in RIVALS if {SUBJECT, rival} <= set(setting.models)]


def setting_section(setting: Setting, incomplete: set[str]) -> Section:
    """Return the section of one training-set size, at defaults or tuned."""
    section = Section(setting.title, [evidence(setting)], brief=2)
    section.tables = [model_table(setting), task_table(setting, incomplete)]
    for rival in _rivals(setting):
        comparison = summary.paired(setting, SUBJECT, rival)
        if comparison.empty:
            continue
        wins, ties, losses = summary.counts(comparison)
        section.figures.append(
            Picture(
                f"{setting.slug}-{SUBJECT}-minus-{rival}".replace("_", "-"),
                f"Accuracy of the {label(SUBJECT).lower()} minus that of the {label(rival).lower()} by "
                f"task: mean over {_seed_count(setting)}, one standard error of the paired difference, and "
                f"every seed as a stroke. {wins} won, {ties} tied, {losses} lost.",
                figures.differences(comparison, label(SUBJECT), label(rival), setting.title),
            )
        )
    return section


def evidence(setting: Setting) -> str:
    """Say how verdicts come about and how much they are worth with this many seeds."""
    n_seeds = len(setting.seeds)
    if n_seeds == 1:
        return (
            "With a single seed there is no standard error, every difference counts as a win or a loss, "
            "and any of them may be chance."
        )
    return (
        "A tie is a mean paired difference within one standard error over the seeds. Weak evidence task "
        f"by task: with {n_seeds} seeds, two models that are in truth equal are still called a win or a "
        f"loss on {summary.chance_of_a_verdict(n_seeds):.0%} of tasks."
    )


def _mean_words(setting: Setting) -> str:
    return "1 seed" if len(setting.seeds) == 1 else f"mean ± standard error over {_seed_count(setting)}"


def _seed_count(setting: Setting) -> str:
    return "1 seed" if len(setting.seeds) == 1 else f"{len(setting.seeds)} seeds"


def model_table(setting: Setting) -> Table:
    """Return the table of averages, a row per model."""
    table = summary.per_model(setting)
    head = ["model", "accuracy %", "mean rank", "ROC AUC", "log loss", "fit s", "predict s", "failed"]
    against = [rival for rival in RIVALS if rival in setting.models]
    head[3:3] = [f"W/T/L against {rival}" for rival in against]
    best_accuracy, best_rank = table["accuracy"].max(), table["rank"].min()
    rows = []
    for model, row in table.iterrows():
        duels = [_duel(setting, str(model), rival) for rival in against]
        rows.append(
            [
                Cell(f"{label(str(model))} ({model})"),
                _mark(f"{100 * row['accuracy']:.2f}", row["accuracy"] == best_accuracy),
                _mark(f"{row['rank']:.2f}", row["rank"] == best_rank),
                *map(Cell, duels),
                *(Cell(_number(row[name], "{:.3f}")) for name in ("test_roc_auc", "test_log_loss")),
                *(Cell(_number(row[name], "{:.2f}")) for name in ("fit_seconds", "predict_seconds")),
                Cell(_number(row["n_failed"], "{:.0f}")),
            ]
        )
    complete = setting.complete()
    caption = (
        f"Means over {complete['task'].nunique()} of {len(setting.tasks)} tasks and {_seed_count(setting)} "
        "(those that all models have); seconds are medians. W/T/L: tasks won, tied and lost."
    )
    return Table(caption, head, rows)


def _duel(setting: Setting, model: str, rival: str) -> str:
    if model == rival:
        return "-"
    return "/".join(map(str, summary.counts(summary.paired(setting, model, rival))))


def _mark(text: str, best: bool) -> Cell:
    return Best(text) if best else Cell(text)


def _number(value: Any, form: str) -> str:
    return "-" if pd.isna(value) else form.format(value)


def task_table(setting: Setting, incomplete: set[str]) -> Table:
    """Return the table of accuracies, a row per task; the best mean of a row is bold."""
    table = summary.per_task(setting)
    models = setting.models
    rows = []
    for task in setting.tasks:
        of_task = table.loc[task]
        best = of_task["mean"].max()
        n_train = setting.scores.loc[setting.scores["task"] == task, "n_train"].iloc[0]
        cells = [_accuracy(of_task.loc[model], best) if model in of_task.index else Cell("-") for model in models]
        rows.append([Cell(f"{task} *" if task in incomplete else task), Cell(str(n_train)), *cells])
    caption = (
        f"Test accuracy in percent, {_mean_words(setting)}; the best mean of a task is bold; rows: training rows."
    )
    if incomplete & set(setting.tasks):
        caption += " * a subset or not exactly the published data, see Data."
    if table["n_failed"].any():
        caption += " † with failed fits, which count as always saying the commonest class."
    return Table(caption, ["task", "rows", *map(label, models)], rows)


def _accuracy(row: Any, best: float) -> Cell:
    text = f"{100 * row['mean']:.1f}"
    if np.isfinite(row["standard_error"]):
        text += f" ± {100 * row['standard_error']:.1f}"
    return _mark(text + (" †" if row["n_failed"] else ""), row["mean"] == best)


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
            Cell(_number(cell["median_steps"], "{:.0f}")),
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
            "first rows of the pool, so they are nested; fractions are of the pool's first 10000 rows. "
            "Where models are tuned, trials are scored by stratified cross-validation on the training "
            "rows, the default configuration first, and the test rows have no say.",
            f"{_seeds(evaluations)} Fits ran one at a time and each could use every core (OpenMP threads wait "
            "passively), so seconds compare like with like as far as the machine was otherwise idle.",
        ]
    if len(environments) > 1:
        text.append("Caution: the results come from several machines or versions; all are listed.")
    if len(environments):
        text += [_environment(row) for _, row in environments.iterrows()]
    text.append("To run it again, in the project's folder:")
    commands = list(dict.fromkeys([*commands, report_command]))
    return Section("How these numbers were made", text, commands=commands)


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
