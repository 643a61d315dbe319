"""Two models compared task by task, and many models over all tasks (Demšar, JMLR 7, 2006)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.tabular.scores import Condition, standard_error

#: the model that the report is about, and those that it is always compared with
SUBJECT, FOREST, DENSE = "sparse_mlp", "rf", "dense_mlp"
RIVALS = (FOREST, DENSE)
LEVEL = 0.05
ROUNDING = 1e-12  # a difference of scores this small is none


@dataclass(frozen=True)
class Comparison:
    """The paired difference of two models over many tasks.

    Attributes
    ----------
    tasks : DataFrame
        Indexed by task: ``difference`` (mean over seeds), ``standard_error`` (over seeds; NaN for one seed),
        ``corrected_error`` (the same for overlapping splits, `correction`), ``values`` (a difference per seed) and
        ``verdict``: ``tie`` where the difference is within one standard error, else ``win`` or ``loss``.
    """

    tasks: pd.DataFrame

    def __len__(self) -> int:
        return len(self.tasks)

    def count(self, verdict: str) -> int:
        """Return on how many tasks this is the verdict."""
        return int((self.tasks["verdict"] == verdict).sum())

    @property
    def record(self) -> tuple[int, int, int]:
        """Tasks won, tied and lost."""
        return self.count("win"), self.count("tie"), self.count("loss")

    @property
    def points(self) -> float:
        """The tasks won, ties counting half."""
        return self.count("win") + self.count("tie") / 2

    @property
    def difference(self) -> float:
        """The mean difference over tasks."""
        return float(self.tasks["difference"].mean())

    @property
    def standard_error(self) -> float:
        """The standard error of the mean difference, over tasks."""
        return standard_error(self.tasks["difference"])

    @property
    def p_value(self) -> float:
        """The p-value of Wilcoxon's signed-rank test over tasks; NaN for fewer than two tasks."""
        if len(self) < 2:
            return float("nan")
        # With zsplit, tasks without a difference count half for either side (Demšar, section 3.1.3). Of up to 50
        # tasks that all differ, and by different amounts, p is exact.
        values = self.tasks["difference"].to_numpy()
        return float(stats.wilcoxon(values, zero_method="zsplit", method="auto").pvalue)


def compare(scores: pd.DataFrame, against: pd.DataFrame) -> Comparison:
    """Compare the scores of two models on the tasks and seeds that both have.

    Parameters
    ----------
    scores, against : DataFrame
        Columns task, seed, score and overlap (from `scores.with_scores`), one row for each pair of task and seed.

    Returns
    -------
    Comparison
    """
    key = ["task", "seed"]
    both = scores.merge(against, on=key, suffixes=("", "_against"), validate="one_to_one").sort_values(key)
    rows = []
    for task, seeds in both.groupby("task"):
        values = (seeds["score"] - seeds["score_against"]).to_numpy()
        mean, error = float(values.mean()), standard_error(values)
        tie = abs(mean) <= np.nan_to_num(error) + ROUNDING
        verdict = "tie" if tie else "win" if mean > 0 else "loss"
        corrected = error * correction(len(values), float(seeds["overlap"].mean()))
        rows.append((task, mean, error, corrected, values.tolist(), verdict))
    columns = ["task", "difference", "standard_error", "corrected_error", "values", "verdict"]
    return Comparison(pd.DataFrame(rows, columns=columns).set_index("task"))


def correction(n_seeds: int, overlap: float) -> float:
    """Return what a standard error over seeds is multiplied by, as the splits of a task overlap.

    The variance of the mean over n splits is (1/n + test rows / pool rows) times that of a split, instead of 1/n
    (Nadeau and Bengio, Machine Learning 52, 2003).
    """
    return float(np.sqrt(1 + n_seeds * overlap))


def chance_of_a_verdict(n_seeds: int) -> float:
    """Return how often two equal models are called a win or a loss on a task, with normal differences."""
    return float(2 * stats.t.sf(1, n_seeds - 1)) if n_seeds > 1 else 1.0


def stronger_of(candidates: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return for every task the scores of that candidate that is better there.

    Better on the test rows, on the seeds that both have; so the choice favours the candidates.

    Parameters
    ----------
    candidates : sequence of DataFrame
        Columns task, seed and score.
    """
    best: dict[str, pd.DataFrame] = {}
    for candidate in candidates:
        for task, rows in candidate.groupby("task"):
            known = best.get(str(task))
            if known is None or (len(found := compare(rows, known)) and found.difference > 0):
                best[str(task)] = rows
    return pd.concat(best.values())


def as_good_as_the_best(condition: Condition) -> set[tuple[str, str]]:
    """Return the (task, model) that a paired t-test over seeds cannot tell from the best of the task.

    The test uses the corrected error. With a single seed there is no test, and no such pair.
    """
    means = condition.scores.groupby(["task", "model"])["score"].mean().unstack("model")
    best: dict[Any, Any] = means.idxmax(axis=1).to_dict()
    found = set()
    for (task, model), scores in condition.scores.groupby(["task", "model"]):
        if model == best[task]:
            continue
        of_best = condition.of(best[task])
        for _, row in compare(of_best[of_best["task"] == task], scores).tasks.iterrows():
            t = abs(row["difference"]) / (row["corrected_error"] + ROUNDING)
            if 2 * stats.t.sf(t, len(row["values"]) - 1) >= LEVEL:
                found.add((str(task), str(model)))
    return found


@dataclass(frozen=True)
class Ranking:
    """Models by their mean rank over tasks, 1 being the best.

    Attributes
    ----------
    ranks : Series
        Mean rank by model, ascending.
    n_tasks : int
    friedman : float
        p-value of the hypothesis that all models are equal; NaN for two models.
    critical_difference : float
        Two models whose mean ranks are closer than this are not told apart (Nemenyi test, level LEVEL).
    """

    ranks: pd.Series
    n_tasks: int
    friedman: float
    critical_difference: float

    def cliques(self) -> list[tuple[float, float]]:
        """Return the stretches of the rank axis that hold models not told apart, none within another."""
        values = self.ranks.to_numpy()
        found: list[tuple[float, float]] = []
        for number, low in enumerate(values):
            high = values[values <= low + self.critical_difference].max()
            reaches_further = not found or high > found[-1][1]
            if reaches_further and (values[number:] <= high).sum() > 1:
                found.append((float(low), float(high)))
        return found


def ranking(condition: Condition) -> Ranking | None:
    """Rank the models of a condition by mean score per task; None for a single task or model."""
    scores = condition.complete().groupby(["task", "model"])["score"].mean().unstack("model")
    n_tasks, n_models = scores.shape
    if n_tasks < 2 or n_models < 2:
        return None
    ranks = scores.rank(axis=1, ascending=False).mean().sort_values()
    friedman = stats.friedmanchisquare(*scores.to_numpy().T).pvalue if n_models > 2 else np.nan
    q = stats.studentized_range.ppf(1 - LEVEL, n_models, np.inf) / np.sqrt(2)
    difference = q * np.sqrt(n_models * (n_models + 1) / (6 * n_tasks))
    return Ranking(ranks, n_tasks, float(friedman), float(difference))
