"""Small tasks and competitors for tests of the benchmarks; also a plugin, by ``--plugin``."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from benchmarks.data.table import Data, DataUnavailableError
from benchmarks.data.tasks import Task
from benchmarks.models import Model


def words(text):
    return text.split()


def toy_data(n_rows=600):
    """Three informative columns and the row's own number in a fourth."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 4))
    y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(np.int64)
    X[:, 3] = np.arange(n_rows)
    return Data(X, y, 2 * n_rows, "a subset: half of it", False)


def unavailable():
    raise DataUnavailableError("gone (OpenML task 0) cannot be had: OSError: offline")


class Nearest(ClassifierMixin, BaseEstimator):
    """Says the class of the nearest mean; remembers in ``seen`` which rows it was fitted on."""

    seen: tuple = ()

    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, X, y):
        type(self).seen = (*self.seen, X[:, 3].astype(int))
        self.classes_ = np.unique(y)
        self.means_ = np.stack([X[y == label, :3].mean(0) for label in self.classes_])
        return self

    def predict_proba(self, X):
        distance = ((X[:, None, :3] - self.means_) ** 2).sum(-1)
        weights = np.exp(-self.scale * (distance - distance.min(1, keepdims=True)))
        return weights / weights.sum(1, keepdims=True)

    def predict(self, X):
        shifted = X + np.log(self.scale) / 10  # so that the score depends on what is tuned
        return self.classes_[self.predict_proba(shifted).argmax(1)]


class Slow(Nearest):
    """Takes as long as the environment says, and writes down that it was fitted if the environment says where."""

    def fit(self, X, y):
        time.sleep(float(os.environ.get("TOY_SECONDS", 0)))
        if "TOY_LOG" in os.environ:
            with Path(os.environ["TOY_LOG"]).open("a") as file:
                file.write("fit\n")
        return super().fit(X, y)


class Broken(Nearest):
    def fit(self, X, y):
        raise ValueError("this one\nnever fits")


class NotANumber(Nearest):
    def predict_proba(self, X):
        return np.full((len(X), 2), np.nan)


class Endless(Nearest):
    def fit(self, X, y):
        time.sleep(1000)


class Hungry(Nearest):
    def fit(self, X, y):
        self.memory_ = [np.ones(2**24) for _ in range(8)]  # 1 GiB, all of it touched
        time.sleep(1000)


class Crash(Nearest):
    def fit(self, X, y):
        os.kill(os.getpid(), signal.SIGKILL)


def competitor(name, estimator):
    return Model(
        name,
        name.title(),
        lambda seed, n_samples, n_features: Pipeline([("model", estimator())]),
        lambda trial, n_samples, n_features: {"model__scale": trial.suggest_float("scale", 0.01, 10, log=True)},
        lambda: {"scale": 1.0},
    )


MODELS = [
    competitor(name, estimator)
    for name, estimator in {
        "nearest": Nearest,
        "slow": Slow,
        "broken": Broken,
        "nan": NotANumber,
        "endless": Endless,
        "hungry": Hungry,
        "crash": Crash,
    }.items()
]
TASKS = [Task("toy", toy_data), Task("small", lambda: toy_data(60)), Task("gone", unavailable)]


def evaluation(**changes):
    """A row as the store takes it."""
    row = {
        "task": "toy",
        "size": "rows:100",
        "seed": 100,
        "model": "rf",
        "trial": -1,
        "n_train": 100,
        "fraction": 0.1,
        "n_test": 50,
        "parameters": {},
        "suggestions": {},
        "fold_scores": [],
        "pruned": False,
        "threads": 2,
        "baseline_score": 0.5,
        "test_accuracy": 0.8,
    }
    return row | changes


def measured(task, seed, model, accuracy, trial=-1, **changes):
    """A row with all that a report shows of it."""
    row = {
        "task": task,
        "size": "rows:1000",
        "seed": seed,
        "model": model,
        "trial": trial,
        "n_train": 1000,
        "n_test": 500,
        "validation": None,
        "validation_score": None,
        "test_accuracy": accuracy,
        "test_roc_auc": None if accuracy is None else accuracy + 0.05,
        "test_log_loss": None,
        "test_brier": None,
        "kind": "classification",
        "test_r2": None,
        "test_rmse": None,
        "fit_seconds": {"rf": 0.25, "sparse_mlp": 1.5, "dense_mlp": 1.25}[model],
        "predict_seconds": 0.01,
        "tuning_seconds": None,
        "peak_memory": 400.0,
        "calibration": None,
        "warnings": None,
        "failure": None,
    }
    return evaluation(**row | changes)


def stored(rows):
    """Return rows as the store gives them back, with numbers."""
    return pd.DataFrame([{"id": number} | row for number, row in enumerate(rows)])
