"""How well models know how often they are right: reliability by bin of confidence, pooled over tasks and seeds."""

import json

import numpy as np
import pandas as pd

from benchmarks.summary import Setting


def reliability(setting: Setting) -> pd.DataFrame:
    """Return for every model and bin of confidence the share of rows, the mean confidence and the accuracy.

    Every evaluation has the same weight, however large its test set, and only tasks and seeds count that all
    models have.

    Returns
    -------
    DataFrame
        A row per model and bin that has rows: ``share``, ``confidence``, ``accuracy``.
    """
    found = []
    for model, scores in setting.complete().groupby("model"):
        texts = scores["calibration"].dropna()
        if texts.empty:
            continue
        # Shape (evaluations, 3, bins): rows, summed confidence, hits
        bins = np.array([[json.loads(text)[name] for name in ("rows", "confidence", "hits")] for text in texts])
        rows, confidence, hits = (bins / bins[:, :1].sum(axis=2, keepdims=True)).mean(axis=0)
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


def expected_calibration_error(table: pd.DataFrame) -> pd.Series:
    """Return by model the mean distance between confidence and accuracy of a row of `reliability`'s bins."""
    distance = table["share"] * (table["confidence"] - table["accuracy"]).abs()
    return distance.groupby(table["model"]).sum()
