"""The numbers of the report, computed from the rows of the store and from nothing else."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.data.splits import Size
from benchmarks.results.schema import DEFAULT_TRIAL


@dataclass(frozen=True)
class Setting:
    """Evaluations that can be compared: one training-set size, all at defaults or all tuned.

    Attributes
    ----------
    size : str
        As the store writes it: ``rows:1000``, ``fraction:0.1``.
    tuned : bool
    scores : DataFrame
        A row per task, seed and model. ``accuracy`` is the test accuracy; a failed evaluation has that of
        always saying the commonest class, and ``failed`` set.
    n_trials : tuple of int
        Fewest and most trials of a study; (0, 0) at the defaults.
    """

    size: str
    tuned: bool
    scores: pd.DataFrame
    n_trials: tuple[int, int] = (0, 0)

    @property
    def title(self) -> str:
        """What the section of the report is called."""
        if not self.tuned:
            return f"{self.size_label}, default configurations"
        return f"{self.size_label}, tuned with {span(*self.n_trials)} trials"

    @property
    def size_label(self) -> str:
        """The size in words."""
        text = str(Size.parse(self.size))
        return text[0].upper() + text[1:]

    @property
    def slug(self) -> str:
        """The setting as a part of a file name."""
        return f"{re.sub('[:/]', '-', self.size).replace('.', 'p')}-{'tuned' if self.tuned else 'default'}"

    @property
    def models(self) -> list[str]:
        """The models in this setting, in the order in which they were first evaluated."""
        return list(dict.fromkeys(self.scores.sort_values("id")["model"]))

    @property
    def tasks(self) -> list[str]:
        """The tasks in this setting, in the order in which they were first evaluated."""
        return list(dict.fromkeys(self.scores.sort_values("id")["task"]))

    @property
    def seeds(self) -> list[int]:
        """The seeds in this setting."""
        return sorted(int(seed) for seed in self.scores["seed"].unique())

    @property
    def n_seeds(self) -> tuple[int, int]:
        """Fewest and most seeds of a task."""
        counts = self.scores.groupby("task")["seed"].nunique()
        return int(counts.min()), int(counts.max())

    def complete(self) -> pd.DataFrame:
        """Return the scores of those pairs of task and seed that every model has."""
        counts = self.scores.groupby(["task", "seed"])["model"].transform("nunique")
        return self.scores[counts == len(self.models)]


def span(fewest: int, most: int) -> str:
    """Return how many there are, in words where that is not the same everywhere."""
    return str(fewest) if fewest == most else f"{fewest} to {most}"


def settings(evaluations: pd.DataFrame) -> list[Setting]:
    """Return the settings in the store: defaults before tuned, few rows before many."""
    found = []
    for size in sorted(evaluations["size"].unique(), key=_size_order):
        rows = evaluations[evaluations["size"] == size]
        default = rows[rows["trial"] == DEFAULT_TRIAL]
        trials = rows[rows["trial"] != DEFAULT_TRIAL]
        if len(default):
            found.append(Setting(size, False, with_accuracy(default)))
        if len(trials):
            counts = trials.groupby(["task", "seed", "model"]).size()
            found.append(
                Setting(size, True, with_accuracy(choose_trials(trials)), (int(counts.min()), int(counts.max())))
            )
    return found


def _size_order(size: str) -> tuple[str, float]:
    parsed = Size.parse(size)
    return parsed.kind, parsed.value


def choose_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Return of every study the trial of the best validation score; the test scores have no say."""
    order = trials.sort_values(["validation_score", "trial"], ascending=[False, True], na_position="last")
    return order.groupby(["task", "seed", "model"], sort=False).head(1)


def with_accuracy(rows: pd.DataFrame) -> pd.DataFrame:
    """Add ``failed``, and ``accuracy``: on the test rows or, where it failed, of saying the commonest class."""
    failed = rows["failure"].notna() | rows["test_accuracy"].isna()
    accuracy = rows["test_accuracy"].where(~failed, rows["baseline_score"]).astype(float)
    return rows.assign(accuracy=accuracy, failed=failed)


def standard_error(values: Iterable[float]) -> float:
    """Return the standard error of the mean; NaN for a single value."""
    array = np.asarray(list(values), dtype=float)
    return float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else float("nan")


def per_task(setting: Setting) -> pd.DataFrame:
    """Return the mean accuracy over seeds, its standard error and the failures, per task and model."""
    grouped = setting.scores.groupby(["task", "model"])
    return pd.DataFrame(
        {
            "mean": grouped["accuracy"].mean(),
            "standard_error": grouped["accuracy"].agg(standard_error),
            "n_seeds": grouped.size(),
            "n_failed": grouped["failed"].sum(),
        }
    )


def per_model(setting: Setting) -> pd.DataFrame:
    """Return one row per model: accuracy, rank, other scores and seconds, averaged over tasks.

    Only pairs of task and seed that all models have are counted, so that the averages are of the same
    tasks; a model that lacks a score on one of them, as it failed there or has no probabilities, has no average of
    it. Seconds are medians over evaluations.
    """
    scores = setting.complete()
    columns = ["accuracy", "test_roc_auc", "test_log_loss", "test_brier"]
    by_task = scores.groupby(["model", "task"])[columns].mean()
    ranks = by_task["accuracy"].unstack("task").rank(ascending=False)
    has_all = scores[columns].notna().groupby(scores["model"]).all()
    table = by_task.groupby("model").mean().where(has_all)
    table["rank"] = ranks.mean(axis=1)
    by_model = scores.groupby("model")
    table["fit_seconds"] = by_model["fit_seconds"].median()
    table["predict_seconds"] = by_model["predict_seconds"].median()
    table["peak_memory"] = by_model["peak_memory"].median()
    table["n_failed"] = by_model["failed"].sum()
    return table.reindex(setting.models)


def paired(setting: Setting, model: str, against: str) -> pd.DataFrame:
    """Compare two models task by task over the seeds that both have.

    Returns
    -------
    DataFrame
        Indexed by task: ``difference`` (mean of accuracy of ``model`` minus that of ``against``),
        ``standard_error`` of the paired differences, ``values`` (one per seed) and ``verdict``: ``tie``
        where the difference is within one standard error, else ``win`` or ``loss``.
    """
    scores = setting.scores.pivot(index=["task", "seed"], columns="model", values="accuracy")
    differences = (scores[model] - scores[against]).dropna()
    rows = []
    for task, values in differences.groupby(level="task"):
        mean, error = float(values.mean()), standard_error(values)
        tie = abs(mean) <= error if np.isfinite(error) else mean == 0
        verdict = "tie" if tie else ("win" if mean > 0 else "loss")
        rows.append((task, mean, error, [float(value) for value in values], verdict))
    columns = ["task", "difference", "standard_error", "values", "verdict"]
    return pd.DataFrame(rows, columns=columns).set_index("task")


def counts(comparison: pd.DataFrame) -> tuple[int, int, int]:
    """Return wins, ties and losses of a comparison by `paired`."""
    verdicts = comparison["verdict"].tolist()
    return verdicts.count("win"), verdicts.count("tie"), verdicts.count("loss")


def chance_of_a_verdict(n_seeds: int) -> float:
    """Return how often two equal models are called a win or a loss on a task, with normal differences."""
    return float(2 * stats.t.sf(1, n_seeds - 1)) if n_seeds > 1 else 1.0
