"""One evaluation: fit a pipeline on training rows, measure it on test rows, never raise."""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline

MAX_FOLDS = 5
MAX_MESSAGE = 500

Features = NDArray[np.float64]
Labels = NDArray[np.int64]


def measure(
    make: Callable[[], Pipeline], X: Features, y: Labels, X_test: Features, y_test: Labels
) -> dict[str, Any]:
    """Fit what ``make`` returns and measure it on the test rows.

    Returns
    -------
    dict
        ``test_accuracy``, ``test_roc_auc``, ``test_log_loss``, ``test_brier``, ``fit_seconds``,
        ``predict_seconds``, ``warnings`` and ``failure``: None, or the reason, with the scores None.
    """
    row: dict[str, Any] = dict.fromkeys(
        (
            "test_accuracy",
            "test_roc_auc",
            "test_log_loss",
            "test_brier",
            "fit_seconds",
            "predict_seconds",
            "failure",
        )
    )
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
    return row


def cross_validate(
    make: Callable[[], Pipeline], X: Features, y: Labels, seed: int
) -> tuple[str, float | None, float, str | None]:
    """Return how it was validated, the mean accuracy on held-out folds, the seconds, and a failure's reason.

    The folds are stratified and drawn from ``seed`` alone, so that every trial and model sees the same.
    """
    n_folds = int(min(MAX_FOLDS, np.bincount(y)[np.unique(y)].min()))
    start = time.perf_counter()
    score, failure = None, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(X, y)
            score = float(np.mean([_fold_accuracy(make(), X, y, *fold) for fold in folds]))
        except Exception as error:  # as above
            failure = reason(error)
    return f"{n_folds}-fold", score, time.perf_counter() - start, failure


def _fold_accuracy(pipeline: Pipeline, X: Features, y: Labels, train: Any, held_out: Any) -> float:
    pipeline.fit(X[train], y[train])
    return float(accuracy_score(y[held_out], pipeline.predict(X[held_out])))


def chance_accuracy(y: Labels, y_test: Labels) -> float:
    """Return the test accuracy of always saying the commonest class of the training rows."""
    return float(np.mean(y_test == np.bincount(y).argmax()))


def reason(error: Exception) -> str:
    """Say an exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:MAX_MESSAGE]


def _scores(pipeline: Pipeline, X_test: Features, y_test: Labels, predicted: Any) -> dict[str, float]:
    scores = {"test_accuracy": float(accuracy_score(y_test, predicted))}
    if not hasattr(pipeline, "predict_proba"):
        return scores
    probabilities = np.asarray(pipeline.predict_proba(X_test), dtype=np.float64)
    if not np.isfinite(probabilities).all():
        raise ValueError("predict_proba returned values that are not finite")
    classes = pipeline.classes_
    scores["test_log_loss"] = float(log_loss(y_test, probabilities, labels=classes))
    scores["test_brier"] = float(brier_score_loss(y_test, probabilities, labels=classes, scale_by_half=True))
    if len(classes) == 2:
        scores["test_roc_auc"] = float(roc_auc_score(y_test == classes[1], probabilities[:, 1]))
    else:
        scores["test_roc_auc"] = float(roc_auc_score(y_test, probabilities, multi_class="ovr", labels=classes))
    return scores


def _messages(caught: list[warnings.WarningMessage]) -> str | None:
    """Return the distinct warnings in one line each."""
    lines = dict.fromkeys(" ".join(f"{item.category.__name__}: {item.message}".split()) for item in caught)
    return "\n".join(lines)[:MAX_MESSAGE] or None
