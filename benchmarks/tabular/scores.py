"""Scores that can be compared: of one kind of task and one training size, all at the defaults or all tuned."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import pandas as pd

from benchmarks.data.splits import Size
from benchmarks.data.suites import NUMERIC, SUITES, suite_of
from benchmarks.data.table import REGRESSION
from benchmarks.data.tasks import family
from benchmarks.report.document import span
from benchmarks.results.schema import DEFAULT_TRIAL

_SUITES = {suite: f"suite {suite}" for suite in SUITES if suite != NUMERIC}
TABLES = ("", *_SUITES.values(), "regression")  # groups of tasks that are averaged together
GROUPS = (*TABLES, "parity", "sparse targets")
PARAMETER_PREFIX = "model__"


class Metric(NamedTuple):
    """The primary score of a kind of task: its column, its name, and how the report writes it."""

    column: str
    name: str
    unit: str  # of a difference
    factor: int
    digits: int  # after the point, of factor times the score
    others: dict[str, str]  # further columns of the store that are averaged, and their names

    def text(self, value: float, digits: int | None = None) -> str:
        """Return a score as text, or a dash where there is none."""
        return "-" if pd.isna(value) else f"{self.factor * value:.{self.digits if digits is None else digits}f}"

    @property
    def axis(self) -> str:
        """The label of an axis of scores."""
        return f"test {self.name}, percent" if self.factor == 100 else f"test {self.name}"

    @property
    def difference_axis(self) -> str:
        """The label of an axis of differences."""
        return ", ".join([f"{self.name} difference", *([self.unit] if self.unit else [])])


ACCURACY = Metric(
    *("test_accuracy", "accuracy", "percentage points", 100, 1),
    {"test_roc_auc": "ROC AUC", "test_log_loss": "log loss", "test_brier": "Brier"},
)
METRICS = {
    "classification": ACCURACY,
    "regression": Metric("test_r2", "R²", "", 1, 3, {"relative_rmse": "relative RMSE"}),
}


@dataclass(frozen=True)
class Condition:
    """Evaluations that can be compared: one training size, all at the defaults or all tuned.

    Attributes
    ----------
    kind : str
        "classification" or "regression", of all its tasks.
    group : str
        One of GROUPS: the tasks in a word, where they are not classification of tables of numbers.
    size : str
        As the store writes it: ``rows:1000``, ``fraction:0.1``.
    tuned : bool
    scores : DataFrame
        A row per task, seed and model, from `with_scores`.
    n_trials : tuple of int
        Fewest and most trials of a study; (0, 0) at the defaults.
    """

    kind: str
    group: str
    size: str
    tuned: bool
    scores: pd.DataFrame
    n_trials: tuple[int, int] = (0, 0)

    @property
    def metric(self) -> Metric:
        """The primary score."""
        return METRICS[self.kind]

    @property
    def title(self) -> str:
        """What the report calls it."""
        parts = [self.group, str(Size.parse(self.size)), self.configurations]
        return capitalised(", ".join(filter(None, parts)))

    @property
    def configurations(self) -> str:
        """How the models are configured."""
        return f"tuned with {counted(*self.n_trials, 'trial')}" if self.tuned else "default configurations"

    @property
    def slug(self) -> str:
        """The condition as a part of a file name."""
        return self.slug_of(re.sub("[:/]", "-", self.size).replace(".", "p"))

    def slug_of(self, size: str) -> str:
        """Return a part of a file name for the group and configurations, and `size`."""
        group = self.group.replace(" ", "-")
        return "-".join(filter(None, [group, size, "tuned" if self.tuned else "default"]))

    @property
    def models(self) -> list[str]:
        """The models, in the order in which they were first evaluated."""
        return list(dict.fromkeys(self.scores.sort_values("id")["model"]))

    @property
    def tasks(self) -> list[str]:
        """The tasks, in the order in which they were first evaluated."""
        return list(dict.fromkeys(self.scores.sort_values("id")["task"]))

    @property
    def n_seeds(self) -> tuple[int, int]:
        """Fewest and most seeds of a task."""
        return _fewest_and_most_seeds(self.scores)

    @property
    def n_complete_seeds(self) -> tuple[int, int]:
        """The same, of the seeds that every model has."""
        return _fewest_and_most_seeds(self.complete())

    def of(self, model: str) -> pd.DataFrame:
        """Return the scores of one model."""
        return self.scores[self.scores["model"] == model]

    def complete(self) -> pd.DataFrame:
        """Return the scores of those pairs of task and seed that every model has."""
        counts = self.scores.groupby(["task", "seed"])["model"].transform("nunique")
        return self.scores[counts == len(self.models)]


def _fewest_and_most_seeds(scores: pd.DataFrame) -> tuple[int, int]:
    counts = scores.groupby("task")["seed"].nunique()
    return (int(counts.min()), int(counts.max())) if len(counts) else (0, 0)


def capitalised(text: str) -> str:
    """Return the text with its first letter in upper case and all others as they are."""
    return text[:1].upper() + text[1:]


def counted(fewest: int, most: int, what: str) -> str:
    """Return a count of things, whose name has an s unless there is one."""
    return f"{span(fewest, most)} {what}" if most == 1 else f"{span(fewest, most)} {what}s"


def conditions(evaluations: pd.DataFrame) -> list[Condition]:
    """Return the conditions in the store: tables first, few rows before many, defaults before tuned."""
    groups = [_group(task, kind) for task, kind in zip(evaluations["task"], evaluations["kind"], strict=True)]
    found = []
    for key, rows in evaluations.groupby([pd.Series(groups, evaluations.index, dtype=object), "kind", "size"]):
        group, kind, size = cast(tuple[str, str, str], key)
        default, trials = rows[rows["trial"] == DEFAULT_TRIAL], rows[rows["trial"] != DEFAULT_TRIAL]
        if len(default):
            found.append(Condition(kind, group, size, False, with_scores(default)))
        if len(trials):
            counts = trials.groupby(["task", "seed", "model"]).size()
            chosen = with_scores(choose_trials(trials))
            found.append(Condition(kind, group, size, True, chosen, (int(counts.min()), int(counts.max()))))
    return sorted(found, key=lambda one: (GROUPS.index(one.group), _size_order(one.size), one.tuned))


def _group(task: str, kind: str) -> str:
    if suite_of(task) in _SUITES:
        return _SUITES[suite_of(task)]
    of = family(task)
    return of if of == "parity" else "sparse targets" if of else REGRESSION if kind == REGRESSION else ""


def _size_order(size: str) -> tuple[str, float]:
    parsed = Size.parse(size)
    return parsed.kind, parsed.value


def choose_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trial of the best validation score of every study; test scores are not looked at."""
    order = trials.sort_values(["validation_score", "trial"], ascending=[False, True], na_position="last")
    return order.groupby(["task", "seed", "model"], sort=False).head(1)


def with_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Add what comparisons take.

    ``score`` is the primary score on the test rows, or the baseline's where the evaluation ``failed``; ``overlap``
    the test rows for each row of the pool that is not for testing, 0 where every seed samples its own rows;
    ``relative_rmse`` the RMSE of regression in units of the baseline's.
    """
    columns = rows["kind"].map(lambda kind: METRICS[kind].column)
    score = pd.Series(np.nan, rows.index)
    for column in columns.unique():
        score = score.where(columns != column, rows[column].astype(float))
    failed = rows["failure"].notna() | score.isna()
    score = score.where(~failed, rows["baseline_score"]).astype(float)
    overlap = rows["n_test"] * rows["fraction"] / rows["n_train"]
    ratio = ((1 - score) / (1 - rows["baseline_score"])).where((rows["kind"] == REGRESSION) & ~failed)
    return rows.assign(score=score, failed=failed, overlap=overlap, relative_rmse=np.sqrt(ratio.astype(float)))


def standard_error(values: Iterable[float]) -> float:
    """Return the standard error of the mean; NaN for a single value."""
    array = np.asarray(list(values), dtype=float)
    return float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else float("nan")


def per_task(condition: Condition) -> pd.DataFrame:
    """Return the mean score over seeds, its standard error and the failures, per task and model."""
    grouped = condition.scores.groupby(["task", "model"])
    return pd.DataFrame(
        {
            "mean": grouped["score"].mean(),
            "standard_error": grouped["score"].agg(standard_error),
            "n_seeds": grouped.size(),
            "n_failed": grouped["failed"].sum(),
        }
    )


def per_model(condition: Condition) -> pd.DataFrame:
    """Return one row per model: score, rank, other scores and seconds, averaged over tasks.

    Only pairs of task and seed that all models have are counted, so that the averages are of the same
    tasks; a model that lacks a score on one of them, as it failed there or has no probabilities, has no average of
    it. Seconds and memory are medians over evaluations.
    """
    scores = condition.complete()
    columns = ["score", *condition.metric.others]
    by_task = scores.groupby(["model", "task"])[columns].mean()
    ranks = by_task["score"].unstack("task").rank(ascending=False)
    has_all = scores[columns].notna().groupby(scores["model"]).all()
    table = by_task.groupby("model").mean().where(has_all)
    table["rank"] = ranks.mean(axis=1)
    by_model = scores.groupby("model")
    for name in ("fit_seconds", "predict_seconds", "peak_memory"):
        table[name] = by_model[name].median()
    table["n_failed"] = by_model["failed"].sum()
    return table.reindex(condition.models)


def chosen_parameters(condition: Condition, model: str) -> pd.DataFrame:
    """Return the parameters of a model's chosen trials, a row per task and seed, a column per parameter."""
    found = [json.loads(text) for text in condition.of(model)["parameters"]]
    rows = [{name.removeprefix(PARAMETER_PREFIX): value for name, value in row.items()} for row in found]
    return pd.DataFrame(rows, dtype=object)  # None stays None
