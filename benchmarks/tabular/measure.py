"""One evaluation: fit a pipeline on training rows, measure it on test rows, never raise."""

import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, log_loss, r2_score, roc_auc_score, root_mean_squared_error
from sklearn.pipeline import Pipeline

from benchmarks.data.table import Features
from benchmarks.results.schema import MEASURED

MAX_MESSAGE = 500

N_BINS = 10
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")

Targets = NDArray[Any]


def measure(
    make: Callable[[], Pipeline],
    X: Features,
    y: Targets,
    X_test: Features,
    y_test: Targets,
    kind: str = "classification",
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
            if kind == "regression":
                row |= _regression_scores(y_test, predicted)
            else:
                row |= _scores(pipeline, X_test, y_test, predicted)
        except Exception as error:  # whatever goes wrong is the model's result, and the run goes on
            row["failure"] = reason(error)
    row["warnings"] = _messages(caught)
    row["peak_memory"] = peak_mib()
    return row


def score(kind: str, y_true: Targets, predicted: Any) -> float:
    """Return what decides: accuracy, or R2."""
    return float(r2_score(y_true, predicted) if kind == "regression" else accuracy_score(y_true, predicted))


def baseline_score(kind: str, y: Targets, y_test: Targets) -> float:
    """Return the score of predicting the majority class of the training rows, or their mean."""
    constant = y.mean() if kind == "regression" else np.bincount(y).argmax()
    return score(kind, y_test, np.full(len(y_test), constant))


def reason(error: Exception) -> str:
    """Say an exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:MAX_MESSAGE]


def _regression_scores(y_test: Targets, predicted: Any) -> dict[str, Any]:
    if not np.isfinite(predicted).all():
        raise ValueError("predict returned values that are not finite")
    rmse = float(root_mean_squared_error(y_test, predicted))
    return {"test_r2": score("regression", y_test, predicted), "test_rmse": rmse}


def _scores(pipeline: Pipeline, X_test: Features, y_test: Targets, predicted: Any) -> dict[str, Any]:
    scores: dict[str, Any] = {"test_accuracy": score("classification", y_test, predicted)}
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

    Confidence is the probability of the predicted class, and a hit is a row of that class.
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


# The most memory that a process held, from the kernel's high-water mark -------------------------------


def forget_peak() -> None:
    """Reset the high-water mark to what the process holds now, where the kernel can."""
    try:
        _RESET.write_text("5")
    except OSError:  # not Linux
        return


def peak_mib() -> float | None:
    """Return the high-water mark in MiB; None where the kernel does not tell."""
    try:
        kilobytes = re.search(r"VmHWM:\s+(\d+)", _STATUS.read_text())
    except OSError:
        return None
    return int(kilobytes.group(1)) / 1024 if kilobytes else None
