"""The regressor at its defaults against a random forest, paired by data set, size and seed.

The data are scikit-learn's diabetes and generated ones, of which every seed draws new rows. Finished fits are kept
in a file and not done again while the package's code is the same.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.cli import UsageError, add_common, known_names, make_folder, whole_number
from benchmarks.report.document import number
from benchmarks.results.finished_fits import FinishedFits

HELP = "the regressor against a random forest on scikit-learn's regression sets"
FILE = "regression.jsonl"
TABLE = "regression.md"
NET, FOREST = "net", "forest"
KEY = ["data", "n_rows", "seed", "model"]
N_TEST = 2000  # rows to test on, fewer where a data set has no more
Table = tuple[np.ndarray, np.ndarray]


def _diabetes(n_rows: int, seed: int) -> Table:
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    return X[order], y[order]


def _made(name: str, noise_share: float = 0.0, **options: Any) -> Callable[[int, int], Table]:
    """Return a function that draws from a generator of scikit-learn's.

    `noise_share` is the noise's standard deviation in units of the target's.
    """

    def draw(n_rows: int, seed: int) -> Table:
        from sklearn import datasets

        X, y = getattr(datasets, f"make_{name}")(n_rows, random_state=seed, **options)
        return X, y + noise_share * y.std() * np.random.default_rng(seed).standard_normal(n_rows)

    return draw


def _boxes(n_rows: int, seed: int) -> Table:
    """Draw a sum of 30 indicators of boxes in 3 of 10 inputs each: jumps along the axes, as trees make them."""
    rng = np.random.default_rng(seed)
    X = rng.random((n_rows, 10))
    y = 0.3 * rng.standard_normal(n_rows)
    for _ in range(30):
        features = rng.choice(10, 3, replace=False)
        above = rng.random(3) < 0.5
        y += rng.normal() * ((X[:, features] > rng.random(3)) == above).all(axis=1)
    return X, y


def _pairs(n_rows: int, seed: int) -> Table:
    """Draw the product of two of 20 inputs plus that of two others, which no input shows alone."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, 20))
    return X, X[:, 0] * X[:, 1] + X[:, 2] * X[:, 3] + 0.3 * rng.standard_normal(n_rows)


def _skewed(n_rows: int, seed: int) -> Table:
    """Draw the exponential of Friedman's first function: a target with a long tail."""
    X, y = _made("friedman1", noise=1.0)(n_rows, seed)
    return X, np.exp(y / 4)


DATA: dict[str, Callable[[int, int], Table]] = {
    "diabetes": _diabetes,
    "friedman1": _made("friedman1", noise=1.0),
    "friedman1, 100 inputs": _made("friedman1", noise=1.0, n_features=100),
    "friedman2": _made("friedman2", 0.3),
    "friedman3": _made("friedman3", 0.3),
    "linear": _made("regression", 0.3, n_features=20),
    "linear, 5 of 100 inputs": _made("regression", 0.3, n_features=100, n_informative=5),
    "boxes": _boxes,
    "pairs": _pairs,
    "skewed": _skewed,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``regression``."""
    add_common(parser, profiles=())
    parser.add_argument("--data", nargs="+", default=["all"], metavar="NAME", help="data sets (default: all)")
    parser.add_argument("--rows", type=whole_number(10), nargs="+", default=[100, 300, 1000, 5000], metavar="N")
    parser.add_argument("--seeds", type=whole_number(0), nargs="+", default=[100, 101, 102], metavar="SEED")


def run(args: argparse.Namespace) -> int:
    """Do the fits that are not there, print the table and write it."""
    names = known_names("data set", args.data, tuple(DATA))
    make_folder(args.results)
    rows = measured(names, args.rows, args.seeds, args.results / FILE)
    text = f"`{args.command_line}`\n\n{markdown(rows)}"
    (args.results / TABLE).write_text(text, encoding="utf-8")
    print(text)
    return 0


def measured(names: Sequence[str], sizes: Sequence[int], seeds: Sequence[int], store: Path) -> pd.DataFrame:
    """Return a row for every fit, done now or before: KEY, r2 and fit_seconds."""
    from benchmarks.progress import progress

    wanted = pd.MultiIndex.from_product([names, sizes, seeds, [NET, FOREST]], names=KEY)
    finished = FinishedFits(store, KEY)
    for piece in progress(list(finished.missing(wanted))):
        if (row := _fit(*piece)) is not None:
            finished.add(row)
    found = finished.chosen(wanted)
    if found.empty:
        raise UsageError("none of the data sets has so many rows")
    return found


def _fit(name: str, n_rows: int, seed: int, model: str) -> dict[str, Any] | None:
    """Return the row of one fit, or None where the data set has too few rows, too few to test on included."""
    X, y = DATA[name](n_rows + N_TEST, seed)
    if len(y) < 1.3 * n_rows:
        return None
    test = slice(n_rows, n_rows + N_TEST)
    estimator = _model(model, seed)
    start = time.perf_counter()
    estimator.fit(X[:n_rows], y[:n_rows])
    seconds = time.perf_counter() - start
    score = float(estimator.score(X[test], y[test]))
    return dict(zip(KEY, (name, n_rows, seed, model), strict=True)) | {"r2": score, "fit_seconds": seconds}


def _model(name: str, seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    from sparsemlp import SparseInitMLPRegressor

    if name == FOREST:
        return RandomForestRegressor(250, n_jobs=-1, random_state=seed)
    return SparseInitMLPRegressor(random_state=seed)


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """Return means over the seeds of both models' R^2, and of their difference with its standard error."""
    wide = rows.pivot_table(index=["n_rows", "data", "seed"], columns="model", values="r2", sort=False)
    wide["difference"] = wide[NET] - wide[FOREST]
    groups = wide.groupby(["n_rows", "data"], sort=False)
    return groups.mean().assign(error=groups["difference"].sem()).reset_index()


def markdown(rows: pd.DataFrame) -> str:
    """Return the comparison as a markdown table, with the net's losses in bold."""
    lines = ["| rows | data | net | forest | difference (standard error) |", "|---|---|---|---|---|"]
    for row in compared(rows).to_dict("records"):
        difference = f"{row['difference']:+.3f}"
        if row["difference"] < -np.nan_to_num(row["error"]):
            difference = f"**{difference}**"
        error = number(row["error"], "{:.3f}")
        scores = f"{row[NET]:.3f} | {row[FOREST]:.3f} | {difference} ({error})"
        lines.append(f"| {row['n_rows']} | {row['data']} | {scores} |")
    return "\n".join(lines) + "\n"
