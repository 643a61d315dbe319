"""One evaluation: fit a pipeline on training rows, measure it on test rows, never raise."""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.pipeline import Pipeline

from benchmarks.results.schema import MEASURED
from benchmarks.tabular.memory import forget_peak, peak_mib

MAX_MESSAGE = 500

N_BINS = 10

Features = NDArray[np.float64]
Labels = NDArray[np.int64]


def measure(
    make: Callable[[], Pipeline], X: Features, y: Labels, X_test: Features, y_test: Labels
) -> dict[str, Any]:
    """Fit what ``make`` returns and measure it on the test rows.

    Returns
    -------
    dict
        MEASURED: ``failure`` is None, or the reason, with the scores None.
    """
    row: dict[str, Any] = dict.fromkeys(MEASURED)
    forget_peak()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            pipeline = make()
            start = time.perf_counter()
            pipeline.fit(X, y)
            row["fit_seconds"] = time.perf_counter() - start
            start = time.perf_counter()
            predicted = pipeline.predict(X_test)
            row["predict_seconds"] = time.perf_counter() - start
            row |= _scores(pipeline, X_test, y_test, predicted)
        except Exception as error:  # whatever goes wrong is the model's result, and the run goes on
            row["failure"] = reason(error)
    row["warnings"] = _messages(caught)
    row["peak_memory"] = peak_mib()
    return row


def baseline_score(y: Labels, y_test: Labels) -> float:
    """Return the test accuracy of always predicting the majority class of the training rows."""
    return float(np.mean(y_test == np.bincount(y).argmax()))


def reason(error: Exception) -> str:
    """Say an exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:MAX_MESSAGE]


def _scores(pipeline: Pipeline, X_test: Features, y_test: Labels, predicted: Any) -> dict[str, Any]:
    scores: dict[str, Any] = {"test_accuracy": float(accuracy_score(y_test, predicted))}
    if not hasattr(pipeline, "predict_proba"):
        return scores
    probabilities = np.asarray(pipeline.predict_proba(X_test), dtype=np.float64)
    if not np.isfinite(probabilities).all():
        raise ValueError("predict_proba returned values that are not finite")
    classes = pipeline.classes_
    scores["test_log_loss"] = float(log_loss(y_test, probabilities, labels=classes))
    truth = np.asarray(y_test)[:, np.newaxis] == classes
    scores["test_brier"] = float(((probabilities - truth) ** 2).sum(axis=1).mean() / 2)
    if len(classes) == 2:
        scores["test_roc_auc"] = float(roc_auc_score(y_test == classes[1], probabilities[:, 1]))
    else:
        scores["test_roc_auc"] = float(roc_auc_score(y_test, probabilities, multi_class="ovr", labels=classes))
    scores["calibration"] = calibration(probabilities, y_test == classes[probabilities.argmax(axis=1)])
    return scores


def calibration(probabilities: NDArray[np.float64], hits: NDArray[np.bool_]) -> dict[str, list[float]]:
    """Return by bin of confidence, N_BINS of equal width: rows, their summed confidence, and hits.

    Confidence is the probability of the class that is said, and a hit is a row whose class that is.
    """
    confidence = probabilities.max(axis=1)
    bins = np.minimum((N_BINS * confidence).astype(int), N_BINS - 1)
    return {
        name: np.bincount(bins, weights, N_BINS).tolist()
        for name, weights in (("rows", None), ("confidence", confidence), ("hits", hits))
    }


def _messages(caught: list[warnings.WarningMessage]) -> str | None:
    """Return the distinct warnings in one line each."""
    lines = dict.fromkeys(" ".join(f"{item.category.__name__}: {item.message}".split()) for item in caught)
    return "\n".join(lines)[:MAX_MESSAGE] or None
