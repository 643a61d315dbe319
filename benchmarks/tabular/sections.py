"""What the report says of the tabular study: its first screen, and how scores grow with rows and tuning time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.data.splits import Size
from benchmarks.models import label
from benchmarks.report.document import Picture, Section, Table, mark, number, span
from benchmarks.results.store import Store
from benchmarks.tabular import comparisons, condition_sections, curves, figures, scores, target_sections
from benchmarks.tabular.comparisons import FOREST, SUBJECT, Comparison, compare
from benchmarks.tabular.scores import Condition, Metric, capitalised, counted

TITLE = "Sparse-initialised networks: benchmark results"
GOAL = 0.9  # of the accuracy on parities: the rows that reach it are told


def summary(store: Store) -> Section:
    """Return the report's first screen: headlines, the comparison on parities, tasks won, tied and lost."""
    evaluations = store.frame("evaluations")
    found = scores.conditions(evaluations)
    tables, parities = _apart(found)
    first = Section(TITLE, headlines(tables), brief=1)
    if parities:
        shown = _shown_first(parities)
        first.text += rows_in_words(shown)
        first.figures.append(rows_picture(shown, "parity-accuracy-by-rows"))
    first.text += target_sections.headlines(evaluations)
    table = comparison_table(tables, _incomplete(store))
    if table.rows:
        first.tables.append(table)
    elif tables:
        first.text.append(
            f"{len(evaluations)} evaluations, but the sparse net and another model share no task and seed."
        )
    return first


def sections(store: Store, results: Path) -> list[Section]:
    """Return the sections of the tabular study; it keeps nothing in ``results`` but the store."""
    evaluations = store.frame("evaluations")
    found = scores.conditions(evaluations)
    tables, parities = _apart(found)
    incomplete = _incomplete(store)
    return [
        *parity_sections(parities),
        *target_sections.sections(evaluations),
        *(condition_sections.section(one, incomplete) for one in tables),
        *rows_sections(tables),
        *seconds_section(tables, evaluations),
    ]


def _apart(found: Sequence[Condition]) -> tuple[list[Condition], list[Condition]]:
    """Return the conditions of tables, and those of parities."""
    tables = [one for one in found if one.group in scores.TABLES]
    return tables, [one for one in found if one.group == "parity"]


def _incomplete(store: Store) -> set[str]:
    """Return the tasks that are not the published data in full."""
    datasets = store.frame("datasets")
    return set(datasets.loc[~datasets["complete"].astype(bool), "task"])


# The first screen ------------------------------------------------------------------------------------


def headlines(conditions: Sequence[Condition]) -> list[str]:
    """Say how the sparse net does against the forest, by group, untuned and tuned: where most was compared."""
    lines = []
    for group, tuned in dict.fromkeys((one.group, tuned) for one in conditions for tuned in (False, True)):
        alike = [one for one in conditions if (one.group, one.tuned) == (group, tuned)]
        met = [(one, compare(one.of(SUBJECT), one.of(FOREST))) for one in alike]
        met = [(one, comparison) for one, comparison in met if len(comparison)]
        if met:
            condition, comparison = max(met, key=lambda pair: (len(pair[1]), pair[0].scores["n_train"].median()))
            won, tied, lost = comparison.record
            difference, p_value = difference_cells(comparison, condition)
            n_tasks = counted(len(comparison), len(comparison), "task")
            unit = f" {condition.metric.unit}" if condition.metric.unit else ""
            certainty = f" (standard error over tasks; p = {p_value})" if len(comparison) > 1 else ""
            lines.append(
                f"{condition.title}: {label(SUBJECT).lower()} against {label(FOREST).lower()} on {n_tasks}: "
                f"{won} won, {tied} tied, {lost} lost; mean {condition.metric.name} difference "
                f"{difference}{unit}{certainty}."
            )
    return lines


def difference_cells(comparison: Comparison, condition: Condition) -> list[str]:
    """Return the mean difference with its standard error over tasks, and Wilcoxon's p."""
    factor, digits = condition.metric.factor, 2 if condition.metric.factor == 100 else 3
    mean = number(factor * comparison.difference, f"{{:+.{digits}f}}")
    error = number(factor * comparison.standard_error, f"{{:.{digits}f}}")
    return [f"{mean} ± {error}", number(comparison.p_value, "{:.2g}")]


def comparison_table(conditions: Sequence[Condition], incomplete: set[str]) -> Table:
    """Return the one table of the sparse net against every rival, a row for each condition and rival."""
    rows = []
    for condition in conditions:
        for name, against in _opponents(condition, conditions).items():
            comparison = compare(condition.of(SUBJECT), against)
            if len(comparison):
                n_seeds = comparison.tasks["values"].map(len)
                rows.append(
                    [
                        *(condition.title, name, str(len(comparison)), span(n_seeds.min(), n_seeds.max())),
                        "/".join(map(str, comparison.record)),
                        f"{comparison.points:g} of {len(comparison)}",
                        *difference_cells(comparison, condition),
                    ]
                )
    caption = (
        f"{label(SUBJECT)} against every rival. W/T/L: tasks won, tied and lost; points: tasks won, ties "
        "counting half; difference: mean over tasks with its standard error over tasks, of accuracy in "
        "percentage points or of R²; p: Wilcoxon signed-rank test over tasks."
    )
    if any("Stronger" in row[1] for row in rows):
        caption += (
            " Stronger forest: on each task the tuned or the untuned one, whichever has the better test score."
        )
    shown = sorted(incomplete & {task for one in conditions for task in one.tasks})
    if shown:
        caption += f" Not the published data in full, see Data: {', '.join(shown)}."
    head = ["sparse net", "against", "tasks", "seeds", "W/T/L", "points", "difference", "p"]
    return Table(caption, head, rows, words=(1,), long=True)


def _opponents(condition: Condition, conditions: Sequence[Condition]) -> dict[str, pd.DataFrame]:
    """Return the scores of the rivals by name: forests of the same size, tuned or not, and all others."""
    same_size = [one for one in conditions if (one.group, one.size) == (condition.group, condition.size)]
    forests = {
        "Tuned forest" if one.tuned else "Untuned forest": one.of(FOREST)
        for one in same_size
        if FOREST in one.models
    }
    if len(forests) > 1:
        forests = {"Stronger forest": comparisons.stronger_of(list(forests.values())), **forests}
    others = {label(model): condition.of(model) for model in condition.models if model not in (SUBJECT, FOREST)}
    return forests | others


# Scores by training rows -----------------------------------------------------------------------------


def _shown_first(parities: Sequence[Condition]) -> list[Condition]:
    """Return the conditions on parities for the first screen: the tuned ones, if there are any."""
    tuned = [one for one in parities if one.tuned]
    return tuned or list(parities)


def parity_sections(parities: Sequence[Condition]) -> list[Section]:
    """Return the sections on sparse parities, tuned or not, whose figure is not on the first screen already."""
    found = []
    for tuned in (True, False):
        alike = [one for one in parities if one.tuned == tuned]
        if alike:
            section = Section(f"Sparse parity, {_configurations(alike)}", tables=[rows_table(alike)])
            if alike != _shown_first(parities):
                section.text = rows_in_words(alike)
                section.figures = [rows_picture(alike, "parity-default-accuracy-by-rows")]
            found.append(section)
    return found


def _configurations(alike: Sequence[Condition]) -> str:
    if not alike[0].tuned:
        return "default configurations"
    fewest, most = zip(*(one.n_trials for one in alike), strict=True)
    return f"tuned with {counted(min(fewest), max(most), 'trial')}"


def rows_in_words(parities: Sequence[Condition]) -> list[str]:
    """Say for each parity at how many rows each model reaches GOAL, or that it does not."""
    lines = []
    for task, found in curves.rows_to_reach(parities, GOAL).groupby("task", sort=False):
        texts = [_rows(row) for _, row in found.sort_values("rows").iterrows()]
        lines.append(
            f"{task}, {_configurations(parities)}: training rows at which the mean accuracy reaches {GOAL:.0%} "
            f"(in brackets, over single seeds): {'; '.join(texts)}."
        )
    return lines


def _rows(row: pd.Series) -> str:
    """Say how many rows a model needs, as far as the rows that were tried tell."""
    name = label(row["model"])
    low, mean, high = (_bounded(row[key], row["fewest"], row["most"]) for key in ("low", "rows", "high"))
    seeds = "" if low == high else f" ({low} to {high})"
    if np.isinf(row["rows"]):
        return f"{name} not with {row['most']:.0f}, where it is at {row['last']:.0%}{seeds}"
    return f"{name} {mean}{seeds}"


def _bounded(rows: float, fewest: float, most: float) -> str:
    if np.isinf(rows):
        return f"more than {most:.0f}"
    return f"at most {rows:.0f}" if rows <= fewest else f"{rows:.0f}"


def rows_picture(alike: Sequence[Condition], name: str) -> Picture:
    """Return the figure of scores against training rows, a panel per task."""
    metric, is_parity = alike[0].metric, alike[0].group == "parity"
    words = f"Test {metric.name} against training rows by task, with standard errors over seeds."
    what = "Sparse parity" if is_parity else f"{_of_group(alike)}{capitalised(metric.name)} by training rows"
    heading = f"{what}, {_configurations(alike)}"
    goal = GOAL if is_parity else None
    caption = f"{words} The dotted line is at {GOAL:.0%}." if is_parity else words
    table = curves.by_size(alike)
    has_several = table.groupby("task")["size"].transform("nunique") > 1  # a task of one size has no curve
    shown = table[has_several] if has_several.any() else table
    return Picture(name, caption, figures.score_by_rows(shown, metric, heading, goal))


def rows_table(alike: Sequence[Condition]) -> Table:
    """Return the table of scores by task and training rows."""
    table, metric = curves.by_size(alike), alike[0].metric
    models = list(dict.fromkeys(table["model"]))
    rows = []
    for _, group in table.sort_values(["task", "n_train"], kind="stable").groupby(["task", "size"], sort=False):
        cells = group.set_index("model")
        best = cells["mean"].max()
        texts = [_mean(cells.loc[model], metric, best) if model in cells.index else "-" for model in models]
        rows.append(
            [str(group["task"].iloc[0]), f"{cells['n_train'].mean():.0f}", span(*_range(cells["n_seeds"])), *texts]
        )
    head = ["task", "rows", "seeds", *map(label, models)]
    return Table(
        f"{capitalised(metric.axis)}: mean ± standard error over seeds; the best mean is bold.", head, rows
    )


def _range(values: pd.Series) -> tuple[int, int]:
    return int(values.min()), int(values.max())


def _mean(row: pd.Series, metric: Metric, best: float) -> str:
    error = "" if np.isnan(row["standard_error"]) else f" ± {metric.text(row['standard_error'])}"
    return mark(f"{metric.text(row['mean'])}{error}", row["mean"] == best)


def rows_sections(tables: Sequence[Condition]) -> list[Section]:
    """Return the sections on scores against training rows, where there are at least two sizes of a group."""
    groups: dict[tuple[str, bool, str], list[Condition]] = {}
    for one in tables:
        groups.setdefault((one.group, one.tuned, Size.parse(one.size).kind), []).append(one)
    return [_rows_section(alike, size_kind) for (_, _, size_kind), alike in groups.items() if len(alike) > 1]


def _rows_section(alike: Sequence[Condition], size_kind: str) -> Section:
    metric = alike[0].metric
    slug = alike[0].slug_of(size_kind)
    averaged = curves.averaged(curves.by_size(alike))
    title = f"{_of_group(alike)}{capitalised(metric.name)} against training rows, {_configurations(alike)}"
    section = Section(title, figures=[rows_picture(alike, f"{slug}-score-by-rows")])
    if len(averaged):
        caption = (
            f"Normalised {metric.name}, mean over {averaged['n_tasks'].max()} tasks with its standard error: 0 is "
            "the baseline (majority class, or mean of the target), 1 the best of any model at any size."
        )
        x_label = "training rows" if size_kind == "rows" else "share of the training rows"
        figure = figures.normalised_score(averaged, metric, x_label, f"{title}, normalised")
        section.figures.insert(0, Picture(f"{slug}-normalised-score", caption, figure))
        section.tables.append(_averages(averaged, caption))
    return section


def _of_group(alike: Sequence[Condition]) -> str:
    return f"{capitalised(alike[0].group)}: " if alike[0].group else ""


def _averages(averaged: pd.DataFrame, caption: str) -> Table:
    models = list(dict.fromkeys(averaged["model"]))
    rows = []
    for size, of_size in averaged.groupby("size", sort=False):
        cells = of_size.set_index("model").reindex(models)
        texts = [
            f"{number(row['mean'], '{:.3f}')} ± {number(row['standard_error'], '{:.3f}')}"
            for _, row in cells.iterrows()
        ]
        rows.append([str(Size.parse(str(size))), *texts])
    return Table(caption, ["training set", *map(label, models)], rows)


# Scores by tuning time -------------------------------------------------------------------------------


def seconds_section(tables: Sequence[Condition], evaluations: pd.DataFrame) -> list[Section]:
    """Return the section on scores against seconds of tuning, where there is more than one trial."""
    pictures = []
    for one in tables:
        if one.tuned and one.n_trials[1] > 1:
            alike = evaluations[
                evaluations["task"].isin(one.tasks)
                & (evaluations["size"] == one.size)
                & (evaluations["kind"] == one.kind)
            ]
            table = curves.tuning_curves(alike)
            figure = figures.score_by_seconds(table, curves.pareto_front(table), one.metric, one.title)
            pictures.append(Picture(f"{one.slug}-score-by-seconds", f"{one.title}.", figure))
    text = (
        "Test score of the best trial so far, by validation, as trials are spent: mean over tasks and seeds. "
        "Seconds are those of all fits on validation folds. The grey line is the best that any model reaches in "
        "that time."
    )
    return [Section("Scores against seconds of tuning", [text], figures=pictures)] if pictures else []
