"""The report's sections on one training-set size each, at defaults or tuned, and the table over all of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.models import label
from benchmarks.report.document import Picture, Section, Table, mark, number
from benchmarks.tabular import calibration, chosen, figures, summary
from benchmarks.tabular.ranking import LEVEL, Ranking, as_good_as_the_best, ranking, wilcoxon
from benchmarks.tabular.summary import Setting

SUBJECT, RIVALS = "sparse_mlp", ("rf", "dense_mlp")


def headlines(setting: Setting) -> list[str]:
    """Say in a sentence how the sparse net fared against the forest."""
    lines = []
    for rival in _rivals(setting)[:1]:
        comparison = summary.paired(setting, SUBJECT, rival)
        wins, ties, losses = summary.counts(comparison)
        mean = 100 * comparison["difference"].mean()
        error = 100 * summary.standard_error(comparison["difference"])
        lines.append(
            f"{setting.title}: {label(SUBJECT).lower()} against {label(rival).lower()} on "
            f"{len(comparison)} tasks: {wins} won, {ties} tied, {losses} lost; mean accuracy difference "
            f"{mean:+.2f} ± {number(error, '{:.2f}')} percentage points (standard error over tasks); "
            f"Wilcoxon test over tasks: p = {_p_value(comparison)}."
        )
    return lines


def _rivals(setting: Setting) -> list[str]:
    """Return the rivals that the sparse net has met, on the same task and seed."""
    present = [rival for rival in RIVALS if {SUBJECT, rival} <= set(setting.models)]
    return [rival for rival in present if len(summary.paired(setting, SUBJECT, rival))]


def _p_value(comparison: pd.DataFrame) -> str:
    return number(wilcoxon(comparison["difference"]), "{:.2g}")


def difference_cells(comparison: pd.DataFrame) -> list[str]:
    """Return the mean difference in percentage points with its standard error over tasks, and Wilcoxon's p."""
    mean, error = comparison["difference"].mean(), summary.standard_error(comparison["difference"])
    return [f"{100 * mean:+.2f} ± {number(100 * error, '{:.2f}')}", _p_value(comparison)]


def overview(settings: Sequence[Setting]) -> list[Section]:
    """Return a section with one table of all duels of the sparse net, where there are any."""
    rows = []
    for setting in settings:
        for rival in _rivals(setting):
            comparison = summary.paired(setting, SUBJECT, rival)
            rows.append(
                [
                    setting.title,
                    label(rival).lower(),
                    str(len(comparison)),
                    "/".join(map(str, summary.counts(comparison))),
                    *difference_cells(comparison),
                ]
            )
    if not rows:
        return []
    table = Table(
        "Tasks won, tied and lost (W/T/L); mean difference of accuracy in percentage points and its standard "
        "error over tasks; p-value of the Wilcoxon signed-rank test over tasks.",
        ["setting", "against", "tasks", "W/T/L", "difference", "p"],
        rows,
    )
    return [Section(f"{label(SUBJECT)} against forests and against itself started dense", tables=[table])]


def section(setting: Setting, incomplete: set[str]) -> Section:
    """Return the section of one training-set size, at defaults or tuned."""
    found = Section(setting.title, [evidence(setting)], brief=2)
    found.tables = [model_table(setting), task_table(setting, incomplete)]
    found.figures = [_difference_picture(setting, rival) for rival in _rivals(setting)]
    ranks = ranking(setting)
    if ranks is not None:
        found.text.append(ranks_in_words(ranks))
        found.figures.append(_ranks_picture(setting, ranks))
    reliability = calibration.reliability(setting)
    if len(reliability):
        found.figures.append(_calibration_picture(setting, reliability))
    if setting.tuned and (choices := chosen_table(setting)).rows:  # none where no net was tuned
        found.tables.append(choices)
    return found


def _difference_picture(setting: Setting, rival: str) -> Picture:
    comparison = summary.paired(setting, SUBJECT, rival)
    wins, ties, losses = summary.counts(comparison)
    return Picture(
        f"{setting.slug}-{SUBJECT}-minus-{rival}".replace("_", "-"),
        f"Accuracy of the {label(SUBJECT).lower()} minus that of the {label(rival).lower()} by "
        f"task: mean over {_seed_count(setting)}, one standard error of the paired difference, and "
        f"every seed as a stroke. {wins} won, {ties} tied, {losses} lost.",
        figures.differences(comparison, label(SUBJECT), label(rival), setting.title),
    )


def _ranks_picture(setting: Setting, ranks: Ranking) -> Picture:
    return Picture(
        f"{setting.slug}-ranks",
        f"Mean rank over {ranks.n_tasks} tasks, 1 is best. A bar joins models that the Nemenyi test does not tell "
        f"apart at level {LEVEL:g} (Demšar 2006).",
        figures.critical_difference(ranks, _labels(setting), setting.title),
    )


def _calibration_picture(setting: Setting, reliability: pd.DataFrame) -> Picture:
    return Picture(
        f"{setting.slug}-calibration",
        "How often models are right when they are so sure, over all test rows; larger marks stand for more rows. "
        "Below the dotted line a model is surer than it should be.",
        figures.reliability(reliability, _labels(setting), f"Calibration\n{setting.title}"),
    )


def _labels(setting: Setting) -> dict[str, str]:
    return {model: label(model) for model in setting.models}


def ranks_in_words(ranks: Ranking) -> str:
    """Say what the tests over tasks find."""
    text = f"Over {ranks.n_tasks} tasks, mean ranks that differ by less than {ranks.critical_difference:.2f} "
    text += f"are not told apart (Nemenyi test, level {LEVEL:g})"
    if np.isfinite(ranks.friedman):
        text += f"; that all models are equal has p = {ranks.friedman:.2g} (Friedman test)"
    return text + "."


def chosen_table(setting: Setting) -> Table:
    """Return the table of what tuning chose for the nets, a row per parameter."""
    models = [model for model in (SUBJECT, "dense_mlp") if model in setting.models]
    found = {model: chosen.parameters(setting, model) for model in models}
    names = list(dict.fromkeys(name for table in found.values() for name in table.columns))
    rows = [
        [name, *(chosen.in_words(found[m][name]) if name in found[m] else "-" for m in models)] for name in names
    ]
    caption = "What tuning chose: shares of the studies, or median and quartiles."
    return Table(caption, ["parameter", *map(label, models)], rows, words=(1, 2), long=True)


def evidence(setting: Setting) -> str:
    """Say how verdicts come about and how much they are worth with this many seeds."""
    fewest, most = setting.n_seeds
    single = (
        "With a single seed there is no standard error, every difference counts as a win or a loss, "
        "and any of them may be chance."
    )
    if most == 1:
        return single
    words = (
        "A tie is a mean paired difference within one standard error over the seeds. Weak evidence task "
        f"by task: with {most} seeds, two models that are in truth equal are still called a win or a "
        f"loss on {summary.chance_of_a_verdict(most):.0%} of tasks."
    )
    return words if fewest > 1 else f"{words} {single}"


def _mean_words(setting: Setting) -> str:
    return "1 seed" if setting.n_seeds == (1, 1) else f"mean ± standard error over {_seed_count(setting)}"


def _seed_count(setting: Setting) -> str:
    return "1 seed" if setting.n_seeds == (1, 1) else f"{summary.span(*setting.n_seeds)} seeds"


SCORES = ("test_roc_auc", "test_log_loss", "test_brier", "calibration_error")


def model_table(setting: Setting) -> Table:
    """Return the table of averages, a row per model."""
    table = summary.per_model(setting)
    table["calibration_error"] = calibration.expected_calibration_error(setting)
    scores = ["ROC AUC", "log loss", "Brier", "calibration error"]
    head = ["model", "accuracy %", "mean rank", *scores, "fit s", "predict s", "MiB", "failed"]
    against = [rival for rival in RIVALS if rival in setting.models]
    head[3:3] = [f"W/T/L against {rival}" for rival in against]
    best_accuracy, best_rank = table["accuracy"].max(), table["rank"].min()
    rows = []
    for model, row in table.iterrows():
        duels = [_duel(setting, str(model), rival) for rival in against]
        rows.append(
            [
                f"{label(str(model))} ({model})",
                mark(number(100 * row["accuracy"], "{:.2f}"), row["accuracy"] == best_accuracy),
                mark(number(row["rank"], "{:.2f}"), row["rank"] == best_rank),
                *duels,
                *(number(row[name], "{:.3f}") for name in SCORES),
                *(number(row[name], "{:.2f}") for name in ("fit_seconds", "predict_seconds")),
                *(number(row[name], "{:.0f}") for name in ("peak_memory", "n_failed")),
            ]
        )
    complete = setting.complete()
    caption = (
        f"Means over {complete['task'].nunique()} of {len(setting.tasks)} tasks and {_seed_count(setting)} "
        "(those that all models have); seconds and peak memory of the whole process are medians. "
        "W/T/L: tasks won, tied and lost."
    )
    return Table(caption, head, rows)


def _duel(setting: Setting, model: str, rival: str) -> str:
    if model == rival:
        return "-"
    return "/".join(map(str, summary.counts(summary.paired(setting, model, rival))))


def task_table(setting: Setting, incomplete: set[str]) -> Table:
    """Return the table of accuracies, a row per task; the best mean of a row is bold."""
    table = summary.per_task(setting)
    models, as_good = setting.models, as_good_as_the_best(setting)
    rows = []
    for task in setting.tasks:
        of_task = table.loc[task]
        best = of_task["mean"].max()
        n_train = setting.scores.loc[setting.scores["task"] == task, "n_train"].iloc[0]
        cells = [
            _accuracy(of_task.loc[model], best, (task, model) in as_good) if model in of_task.index else "-"
            for model in models
        ]
        rows.append([f"{task} *" if task in incomplete else task, str(n_train), *cells])
    caption = (
        f"Test accuracy in percent, {_mean_words(setting)}; the best mean of a task is bold; rows: training rows."
    )
    if as_good:
        caption += f" ≈ not told from the best by a paired t-test over the seeds (level {LEVEL:g})."
    if incomplete & set(setting.tasks):
        caption += " * a subset or not exactly the published data, see Data."
    if table["n_failed"].any():
        caption += " † with failed fits, which count as always saying the commonest class."
    return Table(caption, ["task", "rows", *map(label, models)], rows)


def _accuracy(row: Any, best: float, as_good: bool) -> str:
    text = f"{100 * row['mean']:.1f}"
    if np.isfinite(row["standard_error"]):
        text += f" ± {100 * row['standard_error']:.1f}"
    text += (" ≈" if as_good else "") + (" †" if row["n_failed"] else "")
    return mark(text, row["mean"] == best)
