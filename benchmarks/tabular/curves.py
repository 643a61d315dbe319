"""Accuracy as it grows with training rows and with tuning time."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.data.splits import Size
from benchmarks.results.schema import STUDY_KEY
from benchmarks.tabular.summary import Setting, standard_error, with_accuracy


def by_size(settings: Sequence[Setting]) -> pd.DataFrame:
    """Return the accuracy of every model on every task by training rows.

    Returns
    -------
    DataFrame
        A row per task, size and model: ``n_train``, ``fraction`` (the value asked for), ``mean`` and
        ``standard_error`` over seeds, and ``normalised``: 0 for always saying the commonest class, 1 for the best
        mean of any model at any size.
    """
    rows = []
    for setting in settings:
        size = Size.parse(setting.size)
        for (task, model), scores in setting.scores.sort_values("id").groupby(["task", "model"], sort=False):
            rows.append(
                {
                    "task": task,
                    "size": setting.size,
                    "fraction": size.value,
                    "model": model,
                    "n_train": scores["n_train"].mean(),
                    "mean": scores["accuracy"].mean(),
                    "standard_error": standard_error(scores["accuracy"]),
                    "chance": scores["baseline_score"].mean(),
                }
            )
    table = pd.DataFrame(rows)
    chance = table.groupby("task")["chance"].transform("mean")
    best = table.groupby("task")["mean"].transform("max")
    table["normalised"] = (table["mean"] - chance) / (best - chance).where(best > chance)
    return table


def averaged(table: pd.DataFrame) -> pd.DataFrame:
    """Average the normalised accuracies of `by_size` over those tasks that have every model at every size.

    Returns
    -------
    DataFrame
        A row per size and model: ``fraction``, ``mean``, ``standard_error`` over tasks, ``n_tasks``.
    """
    n_cells = table[["size", "model"]].drop_duplicates().shape[0]
    complete = table.groupby("task")["normalised"].transform("count") == n_cells
    groups = table[complete].groupby(["size", "model", "fraction"], sort=False)["normalised"]
    found = groups.agg(mean="mean", standard_error=standard_error, n_tasks="size").reset_index()
    return found.sort_values("fraction")


def tuning_curves(evaluations: pd.DataFrame, size: str) -> pd.DataFrame:
    """Return how accuracy grows as trials are spent, judged at each point by the best trial so far.

    Returns
    -------
    DataFrame
        A row per model and number of trials: ``trials``, ``seconds`` (geometric mean over studies of what these
        trials took on the validation folds) and ``accuracy`` (mean over studies), over the tasks and
        seeds that every model has. A failed or missing test score counts as always saying the commonest class.
    """
    trials = evaluations[(evaluations["size"] == size) & (evaluations["trial"] >= 0)].sort_values("trial")
    n_models = trials["model"].nunique()
    shared = trials.groupby(["task", "seed"])["model"].transform("nunique") == n_models
    rows = []
    for (task, _, seed, model), study in with_accuracy(trials[shared]).groupby(list(STUDY_KEY)):
        seconds = study["tuning_seconds"].fillna(0.0).cumsum().to_numpy()
        scores = study["validation_score"].fillna(-np.inf).to_numpy()
        accuracy = study["accuracy"].to_numpy()
        for number in range(len(study)):
            best = accuracy[np.argmax(scores[: number + 1])]
            rows.append((task, seed, model, number + 1, seconds[number], best))
    if not rows:
        return pd.DataFrame(columns=["model", "trials", "seconds", "accuracy"])
    columns = ["task", "seed", "model", "trials", "seconds", "accuracy"]
    groups = pd.DataFrame(rows, columns=columns).groupby(["model", "trials"], sort=False)
    table = groups.agg(
        seconds=("seconds", lambda values: float(np.exp(np.log(values.clip(lower=1e-3)).mean()))),
        accuracy=("accuracy", "mean"),
        n_studies=("accuracy", "size"),
    ).reset_index()
    # As many trials as all studies of the model have: an average over ever fewer studies would not be one curve.
    return table[table["n_studies"] == table.groupby("model")["n_studies"].transform("max")]


def pareto_front(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that no other row beats in both ``seconds`` and ``accuracy``, by seconds."""
    ordered = table.sort_values(["seconds", "accuracy"], ascending=[True, False])
    best_before = ordered["accuracy"].cummax().shift(fill_value=-np.inf)
    return ordered[ordered["accuracy"] > best_before]
