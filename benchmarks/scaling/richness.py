"""Sparse parity by richness: no kernel that stands still learns it from few rows, a rich network does.

The bridge between scaling laws and sparse parity: a lazy network is a kernel machine, which needs about as many
rows as there are parities of that degree, C(n, k); features that move need far fewer.
"""

from itertools import product
from math import comb
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn.utils import gen_batches
from torch import Tensor

from benchmarks.report.document import Picture, Section, Table
from benchmarks.scaling import figures
from benchmarks.scaling.experiment import Experiment, Row, Setting, run_all
from sparsemlp import SparseInitMLP
from sparsemlp.datasets import make_sparse_parity
from sparsemlp.training import train

#: number of features n, degree k, rows m, width r
SETTING = {"n_features": 40, "n_informative": 3, "n_samples": 3000, "width": 200}
STARTS = {"sparse, s = 2": 2, "dense": None}
TRAINING = {"learning_rate": 0.2, "batch_size": 32}
N_TEST, N_EVALUATIONS, BATCH_RUNS = 2000, 40, 10
SUCCESS = 0.01  # test error
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {"richness": (0.03, 3.0), "n_runs": 4, "n_steps": 100},
    "quick": {"richness": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0), "n_runs": 20, "n_steps": 5000},
    "full": {"richness": (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 3.0, 10.0, 30.0), "n_runs": 100, "n_steps": 50_000},
}


def settings(profile: str) -> list[Setting]:
    """Return a piece of work for every richness and start."""
    plan = PROFILES[profile]
    sizes = SETTING | TRAINING | {"n_steps": plan["n_steps"], "n_runs": plan["n_runs"]}
    return [{"start": start, "richness": g, **sizes} for start, g in product(STARTS, plan["richness"])]


def compute(setting: Setting) -> list[Row]:
    """Train the networks of a setting, some at once as the members of one."""
    parts = gen_batches(setting["n_runs"], BATCH_RUNS)
    found = run_all(_runs, [(setting, range(part.start, part.stop)) for part in parts])
    return [row for rows in found for row in rows]


def _runs(setting: Setting, runs: range) -> list[Row]:
    """Train a network on rows of its own for every number of a run; it starts the same at every richness."""
    sampled = [_data(setting, run) for run in runs]
    rows, labels = (torch.from_numpy(np.stack([data[i] for data in sampled])) for i in (0, 1))
    n_train = setting["n_samples"]
    generator = torch.Generator().manual_seed(runs[0])
    module = SparseInitMLP(
        *(setting["n_features"], 1, setting["width"], STARTS[setting["start"]]),
        bias_init="uniform",
        richness=setting["richness"],
        n_members=len(runs),
        generator=generator,
    )
    member = torch.arange(len(runs))[:, None]
    evaluations = set(np.linspace(0, setting["n_steps"], N_EVALUATIONS + 1).astype(int).tolist()[1:])
    succeeded = np.full(len(runs), np.nan)
    train_error = test_error = succeeded

    def next_batch() -> tuple[Tensor, Tensor]:
        index = torch.randint(n_train, (len(runs), setting["batch_size"]), generator=generator)
        return rows[member, index], labels[member, index]

    def all_succeeded(n_done: int, _: Tensor) -> bool:
        nonlocal train_error, test_error
        if n_done not in evaluations:
            return False
        wrong = (module(rows) * labels <= 0).float().squeeze(-1)
        train_error, test_error = wrong[:, :n_train].mean(1).numpy(), wrong[:, n_train:].mean(1).numpy()
        succeeded[np.isnan(succeeded) & (test_error <= SUCCESS)] = n_done
        return not np.isnan(succeeded).any()

    rate = setting["learning_rate"]
    train(module, next_batch, setting["n_steps"], loss="hinge", learning_rate=rate, callback=all_succeeded)
    return [
        {
            "run": run,
            "steps": None if np.isnan(succeeded[j]) else int(succeeded[j]),
            "train_error": float(train_error[j]),
            "test_error": float(test_error[j]),
        }
        for j, run in enumerate(runs)
    ]


def _data(setting: Setting, run: int) -> tuple[np.ndarray, np.ndarray]:
    n_rows = setting["n_samples"] + N_TEST
    X, y = make_sparse_parity(n_rows, setting["n_features"], setting["n_informative"], random_state=run)[:2]
    return X, (2 * y[:, None] - 1).astype(np.float32)


def section(rows: pd.DataFrame) -> Section:
    """Return how many networks learned at every richness."""
    counted = []
    for (start, richness), group in rows.groupby(["start", "richness"], sort=False):
        n = int(group["steps"].notna().sum())
        ci = stats.binomtest(n, len(group)).proportion_ci(method="wilson")
        counted.append(
            {"start": start, "richness": richness, "successes": n, "runs": len(group), "rate": n / len(group)}
            | {"low": ci.low, "high": ci.high, "steps": group["steps"].median()}
            | {name: group[name].mean() for name in ("train_error", "test_error")}
        )
    table = pd.DataFrame(counted)
    lines = [
        [
            *(row["start"], f"{row['richness']:g}", f"{row['successes']} of {row['runs']}"),
            f"{row['low']:.2f} to {row['high']:.2f}",
            "-" if np.isnan(row["steps"]) else f"{row['steps']:.0f}",
            *(f"{row[name]:.3f}" for name in ("train_error", "test_error")),
        ]
        for row in table.to_dict("records")
    ]
    first = rows.iloc[0]
    n, k = int(first["n_features"]), int(first["n_informative"])
    title = f"({n}, {k})-parity, {first['n_samples']} rows, width {first['width']}"
    head = ["start", "richness", "learned", "95 % interval", "median steps", "train error", "test error"]
    text = (
        f"{title}, SGD of {first['n_steps']} steps at the same learning rate. A network has learned when its "
        f"error on fresh rows is {SUCCESS:g} or less. There are {comb(n, k)} parities of {k} out of {n} inputs; a "
        "kernel needs about as many rows."
    )
    picture = Picture("parity-richness", "Networks that learn, by richness.", figures.success(table, title))
    return Section(EXPERIMENT.title, [text], [Table("By start and richness.", head, lines)], [picture])


EXPERIMENT = Experiment("Sparse parity: success against richness", settings, compute, section)
