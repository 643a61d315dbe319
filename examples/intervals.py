"""Measure coverage and width of 90 % intervals on regression tables, next to MAPIE's CV+ around a forest.

    pip install mapie
    OMP_NUM_THREADS=1 python -m examples.intervals docs/results/intervals.csv

1000 training rows and at most 3000 test rows of each table of suites 335 and 336, one seed. Widths are in standard
deviations of the test targets. Run it in a clone of the repository; what the file has already is left out.
"""

import sys
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from mapie.regression import CrossConformalRegressor
from sklearn.ensemble import RandomForestRegressor

from benchmarks.data import suites
from benchmarks.data.table import DataUnavailableError
from benchmarks.data.tasks import TASKS, Task
from benchmarks.models.categories import CategoryEncoder
from sparsemlp import SparseInitMLPRegressor

N_TRAIN, N_TEST, SEED, COVERAGE = 1000, 3000, 100, 0.9


def measure(X: pd.DataFrame, y: np.ndarray) -> dict[str, float]:
    """Return coverage and width of both."""
    order = np.random.default_rng(7 * SEED + 1).permutation(len(y))
    train, test = order[: min(N_TRAIN, int(0.7 * len(y)))], order[int(0.7 * len(y)) :][:N_TEST]
    ours = SparseInitMLPRegressor(random_state=SEED).fit(X.iloc[train], y[train])
    columns = np.asarray(CategoryEncoder("ordinal").fit(X).transform(X), dtype=float)
    forest = CrossConformalRegressor(
        RandomForestRegressor(100, random_state=SEED),
        confidence_level=COVERAGE,
        method="plus",
        cv=8,
        random_state=SEED,
    ).fit_conformalize(columns[train], y[train])
    found = {}
    intervals = {
        "": ours.predict_interval(X.iloc[test], COVERAGE),
        "forest_": forest.predict_interval(columns[test])[1][:, :, 0],
    }
    for name, (low, high) in ((name, ends.T) for name, ends in intervals.items()):
        found[f"{name}coverage"] = ((low <= y[test]) & (y[test] <= high)).mean().round(4)
        found[f"{name}width"] = ((high - low).mean() / y[test].std()).round(4)
    return found


def main() -> None:
    """Append a row for each table to the file that the command names."""
    warnings.simplefilter("ignore")
    path = Path(sys.argv[1])
    rows: list[dict[Any, Any]] = pd.read_csv(path).to_dict("records") if path.exists() else []
    for task in suites.names(335, 336):
        if task in {row["table"] for row in rows}:
            continue
        try:
            data = cast(Task, TASKS[task]).data()
        except DataUnavailableError as error:
            print(error)
            continue
        measured = measure(pd.DataFrame(data.X), np.asarray(data.y, dtype=float))
        rows.append(dict(table=task, seed=SEED, **measured))
        pd.DataFrame(rows).to_csv(path, index=False)


if __name__ == "__main__":
    main()
