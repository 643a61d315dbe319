"""How well models know how often they are right: reliability by bin of confidence."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.tabular.summary import Setting


def reliability(setting: Setting) -> pd.DataFrame:
    """Return for every model and bin of confidence the share of rows, the mean confidence and the accuracy.

    Every evaluation has the same weight, however large its test set. Only tasks and seeds count that all models
    have, and only models that have probabilities for all of them.

    Returns
    -------
    DataFrame
        A row per model and bin that has rows: ``share``, ``confidence``, ``accuracy``.
    """
    found = []
    for model, scores in _with_probabilities(setting):
        rows, confidence, hits = _shares(scores).mean(axis=0)
        for number in np.flatnonzero(rows):
            found.append(
                {
                    "model": model,
                    "bin": int(number),
                    "share": rows[number],
                    "confidence": confidence[number] / rows[number],
                    "accuracy": hits[number] / rows[number],
                }
            )
    return pd.DataFrame(found, columns=["model", "bin", "share", "confidence", "accuracy"])


def expected_calibration_error(setting: Setting) -> pd.Series:
    """Return by model the distance of a row's confidence from its bin's accuracy, a mean over tasks.

    Bins are pooled over the seeds of a task and not over tasks, where too much confidence on one and too little on
    another would cancel.
    """
    errors = {}
    for model, scores in _with_probabilities(setting):
        of_tasks = [_shares(rows).mean(axis=0) for _, rows in scores.groupby("task")]
        errors[model] = np.mean([np.abs(confidence - hits).sum() for _, confidence, hits in of_tasks])
    return pd.Series(errors, dtype=float)


def _with_probabilities(setting: Setting) -> Iterator[tuple[str, pd.DataFrame]]:
    for model, scores in setting.complete().groupby("model"):
        if scores["calibration"].notna().all():
            yield str(model), scores


def _shares(scores: pd.DataFrame) -> NDArray[np.float64]:
    """Return rows, confidence and hits by bin as shares of all rows, of shape (evaluations, 3, bins)."""
    names = ("rows", "confidence", "hits")
    bins = np.array([[json.loads(text)[name] for name in names] for text in scores["calibration"]], dtype=float)
    return bins / bins[:, :1].sum(axis=2, keepdims=True)
