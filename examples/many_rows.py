"""Compare training as "auto" has it for many rows with that of small tables, in time and in accuracy.

    OMP_NUM_THREADS=1 python -m examples.many_rows docs/results/many_rows.csv

Both train on the same rows, one after the other, in one process. A row of the file has the seconds of a fit and of
the processor, the number of epochs, and the score (accuracy or R²) and log loss on at most 20,000 other rows. Run
it in a clone of the repository; what the file has already is left out. Words after the file choose tables,
--precision that of both fits, and --seeds how often each table is made or put in another order.
"""

import argparse
import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.datasets import make_classification, make_friedman1
from sklearn.metrics import log_loss

from benchmarks.data.tasks import TASKS, Task
from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor, _many_rows

N_TRAIN = {
    "make_classification": 100_000,
    "thresholds": 100_000,
    "covertype": 100_000,
    "Higgs": 40_000,
    "336/diamonds": 40_000,
    "336/nyc-taxi-green-dec-2016": 40_000,
    "friedman": 100_000,
}
REGRESSION = {"friedman", "336/diamonds", "336/nyc-taxi-green-dec-2016"}
N_TEST = 20_000


def thresholds(n_rows: int, n_columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and noisy classes that depend on twelve corners of two columns each, and on two products."""
    rng, of_target = np.random.default_rng(seed), np.random.default_rng(1234)
    X = rng.normal(size=(n_rows, n_columns))
    score = 0.7 * np.sin(2 * X[:, 0]) * X[:, 1] + 0.5 * np.abs(X[:, 2]) * np.sign(X[:, 3])
    for _ in range(12):
        a, b = of_target.choice(15, 2, replace=False)
        at_a, at_b = of_target.normal(size=2) / 2
        sign, size = of_target.choice([-1, 1]), of_target.uniform(0.5, 1.5)
        score += size * ((X[:, a] > at_a) & (sign * (X[:, b] - at_b) > 0))
    return X, (rng.random(n_rows) < 1 / (1 + np.exp(-3 * (score - np.median(score))))).astype(int)


def friedman(n_rows: int, n_columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and noisy numbers: the sum of Friedman's first function of five columns and of five others."""
    tables = [make_friedman1(n_rows, n_columns // 2, noise=3.0, random_state=seed + half) for half in (0, 1000)]
    return np.hstack([X for X, _ in tables]), sum(y for _, y in tables)


def rows_of(table: str, seed: int) -> tuple[Any, np.ndarray]:
    """Return a table, its rows in random order."""
    n_rows = N_TRAIN[table] + N_TEST
    if table == "make_classification":
        options: dict[str, Any] = {"n_informative": 10, "n_clusters_per_class": 1, "random_state": seed}
        return make_classification(n_rows, 30, **options)
    if table in ("thresholds", "friedman"):
        return {"thresholds": thresholds, "friedman": friedman}[table](n_rows, 30, seed)
    data = cast(Task, TASKS[table]).data()
    order = np.random.default_rng(seed).permutation(len(data.y))[:n_rows]
    return np.asarray(data.X)[order], data.y[order]


def measure(table: str, seed: int, precision: str) -> list[dict[str, Any]]:
    """Return a row for each way to train; odd seeds have them in the other order."""
    X, y = rows_of(table, seed)
    n_train = N_TRAIN[table]
    estimator: Any = SparseInitMLPRegressor if table in REGRESSION else SparseInitMLPClassifier
    as_small = mock.patch.multiple(_many_rows, FEW_ROWS=n_train, MANY_ROWS=n_train, MAX_SEEN=10**12)
    measured = []
    ways: list[tuple[str, AbstractContextManager]] = [("as small", as_small), ("auto", nullcontext())]
    for name, way in ways[:: 1 - 2 * (seed % 2)]:
        started, started_cpu = time.perf_counter(), time.process_time()
        with way:
            net = estimator(random_state=seed, precision=precision).fit(X[:n_train], y[:n_train])
        seconds, cpu = time.perf_counter() - started, time.process_time() - started_cpu
        loss = log_loss(y[n_train:], net.predict_proba(X[n_train:])) if is_classifier(net) else np.nan
        measured.append(
            {
                "table": table,
                "rows": n_train,
                "columns": X.shape[1],
                "seed": seed,
                "precision": precision,
                "training": name,
                "seconds": round(seconds, 1),
                "cpu_seconds": round(cpu, 1),
                "epochs": net.n_iter_,
                "score": round(100 * net.score(X[n_train:], y[n_train:]), 2),
                "log_loss": round(loss, 4),
            }
        )
        print(measured[-1], flush=True)
    return measured


def main() -> None:
    """Append rows to the file that the command names."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("tables", nargs="*", default=list(N_TRAIN))
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    path, precision = options.path, options.precision
    rows: list[dict[Any, Any]] = pd.read_csv(path).to_dict("records") if path.exists() else []
    SparseInitMLPClassifier(max_epochs=1).fit([[0.0], [1.0]] * 20, [0, 1] * 20)  # what a process does once
    for seed in range(options.seeds):
        for table in options.tables:
            if (table, seed, precision) not in {(row["table"], row["seed"], row["precision"]) for row in rows}:
                rows += measure(table, seed, precision)
                pd.DataFrame(rows).to_csv(path, index=False)


if __name__ == "__main__":
    main()
