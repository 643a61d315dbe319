"""What the figures are drawn from: scores by training rows and by tuning time, and accuracy by confidence."""

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from benchmarks.data.splits import Size
from benchmarks.results.schema import STUDY_KEY
from benchmarks.tabular.scores import Condition, standard_error, with_scores

# Scores by training rows -----------------------------------------------------------------------------


def by_size(conditions: Sequence[Condition]) -> pd.DataFrame:
    """Return the score of every model on every task by training rows.

    Returns
    -------
    DataFrame
        A row per task, size and model: ``n_train``, ``value`` (of the size asked for), ``mean`` and
        ``standard_error`` over seeds, ``n_seeds``, and ``normalised``: 0 for the baseline (majority class, or mean
        of the target), 1 for the best mean of any model at any size.
    """
    rows = []
    for condition in conditions:
        size = Size.parse(condition.size)
        for (task, model), scores in condition.scores.sort_values("id").groupby(["task", "model"], sort=False):
            rows.append(
                {
                    "task": task,
                    "size": condition.size,
                    "value": size.value,
                    "model": model,
                    "n_train": scores["n_train"].mean(),
                    "mean": scores["score"].mean(),
                    "standard_error": standard_error(scores["score"]),
                    "n_seeds": len(scores),
                    "baseline": scores["baseline_score"].mean(),
                }
            )
    table = pd.DataFrame(rows)
    baseline = table.groupby("task")["baseline"].transform("mean")
    best = table.groupby("task")["mean"].transform("max")
    table["normalised"] = (table["mean"] - baseline) / (best - baseline).where(best > baseline)
    return table


def averaged(table: pd.DataFrame) -> pd.DataFrame:
    """Average the normalised scores of `by_size` over those tasks that have every model at every size.

    Returns
    -------
    DataFrame
        A row per size and model: ``value``, ``mean``, ``standard_error`` over tasks, ``n_tasks``.
    """
    n_cells = table[["size", "model"]].drop_duplicates().shape[0]
    complete = table.groupby("task")["normalised"].transform("count") == n_cells
    groups = table[complete].groupby(["size", "model", "value"], sort=False)["normalised"]
    found = groups.agg(mean="mean", standard_error=standard_error, n_tasks="size").reset_index()
    return found.sort_values("value")


def rows_to_reach(conditions: Sequence[Condition], score: float) -> pd.DataFrame:
    """Return how many training rows each model needs to reach a score on each task.

    Returns
    -------
    DataFrame
        A row per task and model: ``rows`` at which the mean over seeds reaches the score, interpolated in the
        logarithm of rows; ``low`` and ``high``, the fewest and the most rows of a single seed; infinite where the
        score is not reached. ``fewest`` and ``most`` rows that were tried, and ``last``, the mean score with most.
    """
    scores = pd.concat([condition.scores for condition in conditions]).sort_values(["id", "n_train"])
    found = []
    for (task, model), own in scores.groupby(["task", "model"], sort=False):
        mean = own.groupby("n_train")["score"].mean()
        seeds = [_first_reached(one["n_train"], one["score"], score) for _, one in own.groupby("seed")]
        rows = _first_reached(mean.index, mean, score)
        found.append((task, model, rows, min(seeds), max(seeds), mean.index[0], mean.index[-1], mean.iloc[-1]))
    return pd.DataFrame(found, columns=["task", "model", "rows", "low", "high", "fewest", "most", "last"])


def _first_reached(n_train: ArrayLike, scores: ArrayLike, score: float) -> float:
    """Return the first number of rows with this score; infinite if there is none."""
    order = np.argsort(n_train)
    rows, y = np.asarray(n_train, float)[order], np.asarray(scores, float)[order]
    reached = np.flatnonzero(y >= score)
    if not len(reached):
        return float("inf")
    i = int(reached[0])
    return float(rows[0] if i == 0 else np.exp(np.interp(score, y[i - 1 : i + 1], np.log(rows[i - 1 : i + 1]))))


# Scores by tuning time -------------------------------------------------------------------------------


def tuning_curves(evaluations: pd.DataFrame) -> pd.DataFrame:
    """Return how the score grows as trials are spent, judged at each point by the best trial so far.

    Parameters
    ----------
    evaluations : DataFrame
        The trials of one kind of task and one size.

    Returns
    -------
    DataFrame
        A row per model and number of trials: ``trials``, ``seconds`` (geometric mean over studies of what these
        trials took on the validation folds), ``score`` (mean over studies) and ``n_studies``, over the tasks and
        seeds that every model has. A failed or missing test score is the baseline's.
    """
    trials = evaluations[evaluations["trial"] >= 0].sort_values("trial")
    n_models = trials["model"].nunique()
    shared = trials.groupby(["task", "seed"])["model"].transform("nunique") == n_models
    rows = []
    for (task, _, seed, model), study in with_scores(trials[shared]).groupby(list(STUDY_KEY)):
        seconds = study["tuning_seconds"].fillna(0.0).cumsum().to_numpy()
        validation = study["validation_score"].fillna(-np.inf).to_numpy()
        scores = study["score"].to_numpy()
        for number in range(len(study)):
            best = scores[np.argmax(validation[: number + 1])]
            rows.append((task, seed, model, number + 1, seconds[number], best))
    if not rows:
        return pd.DataFrame(columns=["model", "trials", "seconds", "score", "n_studies"])
    columns = ["task", "seed", "model", "trials", "seconds", "score"]
    groups = pd.DataFrame(rows, columns=columns).groupby(["model", "trials"], sort=False)
    table = groups.agg(
        seconds=("seconds", lambda values: float(np.exp(np.log(values.clip(lower=1e-3)).mean()))),
        score=("score", "mean"),
        n_studies=("score", "size"),
    ).reset_index()
    # As many trials as all studies of the model have: an average over ever fewer studies would not be one curve.
    return table[table["n_studies"] == table.groupby("model")["n_studies"].transform("max")]


def pareto_front(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that no other row beats in both ``seconds`` and ``score``, by seconds."""
    ordered = table.sort_values(["seconds", "score"], ascending=[True, False])
    best_before = ordered["score"].cummax().shift(fill_value=-np.inf)
    return ordered[ordered["score"] > best_before]


# Accuracy by confidence ------------------------------------------------------------------------------


def reliability(condition: Condition) -> pd.DataFrame:
    """Return for every model and bin of confidence the share of rows, the mean confidence and the accuracy.

    Every evaluation has the same weight, however large its test set. Only tasks and seeds count that all models
    have, and only models that have probabilities for all of them.

    Returns
    -------
    DataFrame
        A row per model and bin that has rows: ``share``, ``confidence``, ``accuracy``.
    """
    found = []
    for model, scores in _with_probabilities(condition):
        rows, confidence, hits = _shares(scores).mean(axis=0)
        for number in np.flatnonzero(rows):
            share = rows[number]
            found.append((model, int(number), share, confidence[number] / share, hits[number] / share))
    return pd.DataFrame(found, columns=["model", "bin", "share", "confidence", "accuracy"])


def expected_calibration_error(condition: Condition) -> pd.Series:
    """Return by model the distance of a row's confidence from its bin's accuracy, a mean over tasks.

    Bins are pooled over the seeds of a task and not over tasks, where too much confidence on one and too little on
    another would cancel.
    """
    errors = {}
    for model, scores in _with_probabilities(condition):
        of_tasks = [_shares(rows).mean(axis=0) for _, rows in scores.groupby("task")]
        errors[model] = np.mean([np.abs(confidence - hits).sum() for _, confidence, hits in of_tasks])
    return pd.Series(errors, dtype=float)


def _with_probabilities(condition: Condition) -> Iterator[tuple[str, pd.DataFrame]]:
    for model, scores in condition.complete().groupby("model"):
        if scores["calibration"].notna().all():
            yield str(model), scores


def _shares(scores: pd.DataFrame) -> NDArray[np.float64]:
    """Return rows, confidence and hits by bin as shares of all rows, of shape (evaluations, 3, bins)."""
    names = ("rows", "confidence", "hits")
    bins = np.array([[json.loads(text)[name] for name in names] for text in scores["calibration"]], dtype=float)
    return bins / bins[:, :1].sum(axis=2, keepdims=True)
