"""The report's section on one condition: averages, scores by task, differences, ranks, calibration, choices."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data.table import REGRESSION
from benchmarks.models import label
from benchmarks.report.document import Picture, Section, Table, mark, number
from benchmarks.tabular import comparisons, curves, figures, scores
from benchmarks.tabular.comparisons import DENSE, LEVEL, RIVALS, SUBJECT, Comparison, Ranking, compare
from benchmarks.tabular.scores import Condition, capitalised, counted

MANY_VALUES = 6  # of a tuned number: more are summed up by quartiles


def section(condition: Condition, incomplete: set[str]) -> Section:
    """Return the section of one training size, at the defaults or tuned."""
    ranks = comparisons.ranking(condition)
    found = Section(condition.title, [evidence(condition)], brief=2)
    found.tables = [model_table(condition, ranks), task_table(condition, incomplete)]
    if condition.kind == REGRESSION:
        found.tables.append(rmse_table(condition))
    for rival in RIVALS:
        comparison = compare(condition.of(SUBJECT), condition.of(rival))
        if len(comparison):
            found.figures.append(_difference_picture(condition, rival, comparison))
    if ranks is not None:
        found.figures.append(_ranks_picture(condition, ranks))
    if condition.kind == "classification" and len(reliability := curves.reliability(condition)):
        found.figures.append(_calibration_picture(condition, reliability))
    if condition.tuned and (choices := chosen_table(condition)).rows:  # none where no net was tuned
        found.tables.append(choices)
    return found


def evidence(condition: Condition) -> str:
    """Say how much the verdict on a single task is worth with this many seeds."""
    fewest, most = condition.n_seeds
    single = (
        "With a single seed there is no standard error: every difference counts as won or lost, by chance too."
    )
    if most == 1:
        return single
    words = (
        f"Verdicts on single tasks are weak evidence: with {most} seeds, two models that are in truth equal are "
        f"called a win or a loss on {comparisons.chance_of_a_verdict(most):.0%} of tasks."
    )
    return words if fewest > 1 else f"{words} {single}"


def model_table(condition: Condition, ranks: Ranking | None) -> Table:
    """Return the table of averages, a row per model."""
    table, metric = scores.per_model(condition), condition.metric
    others = dict(metric.others)
    if condition.kind == "classification":
        table["calibration_error"] = curves.expected_calibration_error(condition)
        others["calibration_error"] = "calibration error"
    against = [rival for rival in RIVALS if rival in condition.models]
    head = ["model", f"{metric.name} %" if metric.factor == 100 else metric.name, "mean rank"]
    head += [f"W/T/L against {rival}" for rival in against]
    head += [*others.values(), "fit s", "predict s", "MiB", "failed"]
    best_score, best_rank = table["score"].max(), table["rank"].min()
    rows = []
    for model, row in table.iterrows():
        rows.append(
            [
                f"{label(str(model))} ({model})",
                mark(metric.text(row["score"], max(2, metric.digits)), row["score"] == best_score),
                mark(number(row["rank"], "{:.2f}"), row["rank"] == best_rank),
                *(_record(condition, str(model), rival) for rival in against),
                *(number(row[name], "{:.3f}") for name in others),
                *(number(row[name], "{:.2f}") for name in ("fit_seconds", "predict_seconds")),
                *(number(row[name], "{:.0f}") for name in ("peak_memory", "n_failed")),
            ]
        )
    complete = condition.complete()
    caption = (
        f"Means over {complete['task'].nunique()} of {len(condition.tasks)} tasks and "
        f"{counted(*condition.n_complete_seeds, 'seed')} (those that all models have); seconds and peak memory of "
        "the whole process are medians. W/T/L: tasks won, tied and lost."
    )
    if condition.kind == REGRESSION:
        caption += " Relative RMSE: in units of the RMSE of predicting the training rows' mean."
    return Table(caption if ranks is None else f"{caption} {ranks_in_words(ranks)}", head, rows)


def ranks_in_words(ranks: Ranking) -> str:
    """Say which mean ranks are told apart, among how many models."""
    text = (
        f"Mean ranks are among these {len(ranks.ranks)} models; ranks that differ by less than the critical "
        f"difference, {ranks.critical_difference:.2f}, are not told apart (Nemenyi test, level {LEVEL:g})"
    )
    if np.isfinite(ranks.friedman):
        text += f"; the hypothesis that all models are equal has p = {ranks.friedman:.2g} (Friedman test)"
    return f"{text}."


def _record(condition: Condition, model: str, rival: str) -> str:
    if model == rival:
        return "-"
    return "/".join(map(str, compare(condition.of(model), condition.of(rival)).record))


def task_table(condition: Condition, incomplete: set[str]) -> Table:
    """Return the table of scores, a row per task; the best mean of a row is bold."""
    table, metric = scores.per_task(condition), condition.metric
    models, as_good = condition.models, comparisons.as_good_as_the_best(condition)
    rows = []
    for task in condition.tasks:
        of_task = table.loc[task]
        best = of_task["mean"].max()
        n_train = condition.scores.loc[condition.scores["task"] == task, "n_train"].iloc[0]
        cells = [
            _score_cell(condition, of_task.loc[model], best, (task, model) in as_good)
            if model in of_task.index
            else "-"
            for model in models
        ]
        rows.append([f"{task} *" if task in incomplete else task, str(n_train), *cells])
    what = "1 seed" if condition.n_seeds == (1, 1) else f"mean ± standard error over {_seed_count(condition)}"
    caption = f"{capitalised(metric.axis)}, {what}; the best mean of a task is bold; rows: training rows."
    if as_good:
        caption += f" ≈ not told from the best by a paired t-test over the seeds (level {LEVEL:g})."
    if incomplete & set(condition.tasks):
        caption += " * a subset or not exactly the published data, see Data."
    if table["n_failed"].any():
        caption += " † with failed fits, which are scored as the baseline."
    return Table(caption, ["task", "rows", *map(label, models)], rows)


def rmse_table(condition: Condition) -> Table:
    """Return the table of RMSE, a row per task, in the units of its target."""
    means = condition.scores.groupby(["task", "model"])["test_rmse"].mean().unstack("model")
    rows = [
        [
            task,
            *(
                mark(number(value, "{:.4g}"), value == means.loc[task].min())
                for value in means.loc[task, condition.models]
            ),
        ]
        for task in condition.tasks
    ]
    caption = f"Test RMSE in the target's units, mean over {_seed_count(condition)}; the best of a task is bold."
    return Table(caption, ["task", *map(label, condition.models)], rows, long=True)


def _score_cell(condition: Condition, row: Any, best: float, as_good: bool) -> str:
    text = condition.metric.text(row["mean"])
    if np.isfinite(row["standard_error"]):
        text += f" ± {condition.metric.text(row['standard_error'])}"
    text += (" ≈" if as_good else "") + (" †" if row["n_failed"] else "")
    return mark(text, row["mean"] == best)


def _seed_count(condition: Condition) -> str:
    return counted(*condition.n_seeds, "seed")


def _difference_picture(condition: Condition, rival: str, comparison: Comparison) -> Picture:
    won, tied, lost = comparison.record
    heading = f"{label(SUBJECT)} minus {label(rival).lower()}\n{condition.title}"
    return Picture(
        f"{condition.slug}-{SUBJECT}-minus-{rival}".replace("_", "-"),
        f"{capitalised(condition.metric.name)} of the {label(SUBJECT).lower()} minus that of the "
        f"{label(rival).lower()} by task: mean over {_seed_count(condition)}, one standard error of the paired "
        f"difference, and every seed as a stroke. {won} won, {tied} tied, {lost} lost.",
        figures.differences(comparison, condition.metric, heading),
    )


def _ranks_picture(condition: Condition, ranks: Ranking) -> Picture:
    return Picture(
        f"{condition.slug}-ranks",
        f"Mean rank over {ranks.n_tasks} tasks, 1 is best. A bar joins models that the Nemenyi test does not tell "
        f"apart at level {LEVEL:g} (Demšar 2006).",
        figures.critical_difference(ranks, f"Mean rank\n{condition.title}"),
    )


def _calibration_picture(condition: Condition, reliability: pd.DataFrame) -> Picture:
    return Picture(
        f"{condition.slug}-calibration",
        "Accuracy by confidence over all test rows; larger marks stand for more rows. Below the dotted line a "
        "model is overconfident.",
        figures.reliability(reliability, f"Calibration\n{condition.title}"),
    )


def chosen_table(condition: Condition) -> Table:
    """Return the table of what tuning chose for the nets, a row per parameter."""
    models = [model for model in (SUBJECT, DENSE) if model in condition.models]
    found = {model: scores.chosen_parameters(condition, model) for model in models}
    names = list(dict.fromkeys(name for table in found.values() for name in table.columns))
    rows = [[name, *(in_words(found[m][name]) if name in found[m] else "-" for m in models)] for name in names]
    caption = "What tuning chose: shares of the studies, or median and quartiles."
    return Table(caption, ["parameter", *map(label, models)], rows, words=(1, 2), long=True)


def in_words(values: pd.Series) -> str:
    """Return the shares of the values, the most frequent first, or median and quartiles of numbers."""
    counts = Counter(map(_text, values))
    if len(counts) > MANY_VALUES and values.map(lambda value: type(value) in (int, float)).all():
        low, middle, high = values.astype(float).quantile([0.25, 0.5, 0.75])
        return f"{middle:.3g} ({low:.3g} to {high:.3g})"
    return ", ".join(f"{value}: {count / len(values):.0%}" for value, count in counts.most_common())


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return " x ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
