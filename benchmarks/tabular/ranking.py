"""Comparing models over many tasks: Wilcoxon, Friedman and Nemenyi tests (Demšar, JMLR 7, 2006)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.tabular.summary import Setting

LEVEL = 0.05


def wilcoxon(differences: pd.Series) -> float:
    """Return the p-value of the signed-rank test on a difference per task; NaN for fewer than two tasks."""
    values = differences.dropna().to_numpy(float)
    if len(values) < 2:
        return float("nan")
    # With zsplit, tasks without a difference count half for either side (Demšar, section 3.1.3).
    return float(stats.wilcoxon(values, zero_method="zsplit", method="asymptotic").pvalue)


@dataclass(frozen=True)
class Ranking:
    """Models by their mean rank over tasks, 1 being the best.

    Attributes
    ----------
    ranks : Series
        Mean rank by model, ascending.
    n_tasks : int
    friedman : float
        p-value of the hypothesis that all models are equal; NaN where there are too few to ask.
    critical_difference : float
        Two models whose mean ranks are closer than this are not told apart (Nemenyi, level LEVEL).
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


def ranking(setting: Setting) -> Ranking | None:
    """Rank the models of a setting by mean accuracy per task; None where there is nothing to rank."""
    accuracy = setting.complete().groupby(["task", "model"])["accuracy"].mean().unstack("model")
    n_tasks, n_models = accuracy.shape
    if n_tasks < 2 or n_models < 2:
        return None
    ranks = accuracy.rank(axis=1, ascending=False).mean().sort_values()
    friedman = stats.friedmanchisquare(*accuracy.to_numpy().T).pvalue if n_models > 2 else np.nan
    q = stats.studentized_range.ppf(1 - LEVEL, n_models, np.inf) / np.sqrt(2)
    difference = q * np.sqrt(n_models * (n_models + 1) / (6 * n_tasks))
    return Ranking(ranks, n_tasks, float(friedman), float(difference))


def as_good_as_the_best(setting: Setting) -> set[tuple[str, str]]:
    """Return the (task, model) whose accuracies a paired t-test over seeds cannot tell from the best of the task.

    With a single seed there is no test, and no such pair.
    """
    found = set()
    for task, scores in setting.scores.groupby("task"):
        accuracy = scores.pivot(index="seed", columns="model", values="accuracy")
        best = accuracy.mean().idxmax()
        for model in accuracy.columns.drop([best]):
            differences = (accuracy[best] - accuracy[model]).dropna()
            if len(differences) > 1 and _p_of_no_difference(differences.to_numpy()) >= LEVEL:
                found.add((str(task), str(model)))
    return found


def _p_of_no_difference(differences: np.ndarray) -> float:
    if np.allclose(differences, differences[0], rtol=0, atol=1e-12):  # no spread to test against
        return float(abs(differences[0]) < 1e-12)
    return float(stats.ttest_1samp(differences, 0.0).pvalue)
