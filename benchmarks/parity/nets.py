"""What the frontier cannot train: deeper nets, first layers that start from trees, and the paper's net on tables.

``python -m benchmarks.parity.nets depth --results FOLDER`` trains what the folder does not hold yet, one setting
after the other, and writes FOLDER/nets-depth.csv and its figure. Seeds are those of a setting: stopping changes no
row.
"""

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.cli import make_folder, progress_bar
from benchmarks.data.splits import REPORT_SEED, Size, make_split
from benchmarks.data.tasks import OPENML_NAMES, load
from benchmarks.parity import nets_figures
from benchmarks.report import style
from benchmarks.results.jsonl import JsonLines
from sparsemlp import SparseInitMLP, paper_net
from sparsemlp.datasets import make_sparse_parity, make_sparse_polynomial, make_staircase
from sparsemlp.training import train

Row = dict[str, Any]

N_FEATURES, N_INFORMATIVE, BATCH = 50, 3, 32
N_RUNS, N_TEST = 20, 2000
STEPS_BETWEEN_EVALUATIONS = 250
SUCCESS_ERROR = 0.1

# Depth ------------------------------------------------------------------------------------------------

DEPTH_WIDTH, DEPTH_STEPS = 100, 20_000


def depth_settings() -> list[Row]:
    """Return the settings of hidden layers of 100 neurons each; 0 rows are fresh ones at every step."""
    names = ("depth", "sparsity", "n_samples")
    settings = [dict(zip(names, values, strict=True)) for values in product((1, 2, 3), (2, 0), (2000, 1000, 0))]
    return sorted(settings, key=lambda setting: setting["n_samples"] == 0)  # on fresh rows deep nets take long


def train_depths(setting: Row) -> list[Row]:
    """Train the runs of a setting, as members of one network, and return a row for each."""
    depth, sparsity, n_samples = (setting[name] for name in ("depth", "sparsity", "n_samples"))
    generator = torch.Generator().manual_seed(1000 * depth + sparsity)
    module = SparseInitMLP(
        N_FEATURES,
        1,
        [DEPTH_WIDTH] * depth,
        sparsity or None,
        bias_init="zeros" if sparsity else "uniform",
        n_members=N_RUNS,
        generator=generator,
        dtype=torch.float32,
    )
    samples = [
        make_sparse_parity(N_TEST + n_samples, N_FEATURES, N_INFORMATIVE, random_state=run, return_support=True)
        for run in range(N_RUNS)
    ]
    x = torch.from_numpy(np.stack([sample[0] for sample in samples]))
    target = torch.from_numpy(np.stack([sample[1] for sample in samples])).float().unsqueeze(2) * 2 - 1
    support = torch.from_numpy(np.stack([sample[2] for sample in samples]))
    rows = x[:, N_TEST:], target[:, N_TEST:]
    next_batch = _passes(*rows, generator) if n_samples else _fresh_rows(support, generator)
    steps = np.zeros(N_RUNS, dtype=int)

    def evaluate(n_steps: int, _: Tensor) -> bool:
        if n_steps % STEPS_BETWEEN_EVALUATIONS:
            return False
        wrong = (module(x[:, :N_TEST]) * target[:, :N_TEST] <= 0).float().mean(dim=(1, 2)).numpy()
        steps[(steps == 0) & (wrong <= SUCCESS_ERROR)] = n_steps
        return bool((steps > 0).all())

    train(module, next_batch, DEPTH_STEPS, loss="hinge", learning_rate=0.1, weight_decay=0.01, callback=evaluate)
    return [
        {"run": run, "succeeded": int(n > 0), "steps": int(n) if n else DEPTH_STEPS} for run, n in enumerate(steps)
    ]


def _passes(x: Tensor, target: Tensor, generator: torch.Generator) -> Callable[[], tuple[Tensor, Tensor]]:
    """Return batches from pass after pass over the rows, each member's in an order of its own."""
    members = torch.arange(len(x)).unsqueeze(1)
    order = torch.empty(len(x), 0, dtype=torch.int64)

    def next_batch() -> tuple[Tensor, Tensor]:
        nonlocal order
        if order.shape[1] < BATCH:
            order = torch.cat([order, torch.rand(x.shape[:2], generator=generator).argsort(dim=1)], dim=1)
        index, order = order[:, :BATCH], order[:, BATCH:]
        return x[members, index], target[members, index]

    return next_batch


def _fresh_rows(support: Tensor, generator: torch.Generator) -> Callable[[], tuple[Tensor, Tensor]]:
    """Return batches of new rows."""
    shape = len(support), BATCH, N_FEATURES

    def next_batch() -> tuple[Tensor, Tensor]:
        x = torch.randint(2, shape, generator=generator).float() * 2 - 1
        hidden = x.gather(2, support.unsqueeze(1).expand(-1, BATCH, -1))
        return x, hidden.prod(dim=2, keepdim=True)

    return next_batch


# Starts from trees ------------------------------------------------------------------------------------

TARGETS = {"parity": make_sparse_parity, "staircase": make_staircase, "polynomial": make_sparse_polynomial}
TREE_WIDTH, TREE_STEPS, TREE_RUNS = 100, 5000, 10


def tree_settings() -> list[Row]:
    """Return the targets, by numbers of rows and by how the first layer chooses its inputs."""
    names = ("target", "n_samples", "sampling", "run")
    values = product(TARGETS, (300, 1000, 3000), ("uniform", "trees"), range(TREE_RUNS))
    return [dict(zip(names, each, strict=True)) for each in values]


def train_from_trees(setting: Row) -> list[Row]:
    """Fit the paper's net, and return its error on new rows after the last step."""
    n_samples, n_test = setting["n_samples"], 10_000
    make = TARGETS[setting["target"]]
    x, y = make(n_test + n_samples, N_FEATURES, N_INFORMATIVE, random_state=setting["run"])
    net = paper_net(
        TREE_WIDTH,
        feature_sampling=setting["sampling"],
        max_epochs=_epochs(TREE_STEPS, n_samples),
        random_state=setting["run"],
        device="cpu",
    )
    net.fit(x[n_test:], y[n_test:])
    return [{"test_error": round(1 - float(net.score(x[:n_test], y[:n_test])), 4)}]


# Tables -----------------------------------------------------------------------------------------------

TABLE_STEPS = {100: 300, 1000: 600}
TEST_CAP = 5000


def table_settings() -> list[Row]:
    """Return the paper's tabular grid in small, the narrow nets first; sparsity 0 is dense."""
    names = ("n_rows", "width", "depth", "sparsity", "task")
    values = product(TABLE_STEPS, (128, 512, 2048), (1, 2, 3), (1, 2, 4, 0), OPENML_NAMES)
    ordered = sorted(values, key=lambda each: (each[1], each[0]))
    return [dict(zip(names, each, strict=True)) for each in ordered]


def train_on_table(setting: Row) -> list[Row]:
    """Fit the paper's net to a few rows of a table, and return its accuracy on other rows.

    Layers after the first have an eighth of its neurons, as the paper's wide nets taper.
    """
    data = load(setting["task"])
    split = make_split(setting["task"], data.y, REPORT_SEED)
    rows, test = split.training_rows(Size.rows(setting["n_rows"]), data.y), split.test[:TEST_CAP]
    width, depth = setting["width"], setting["depth"]
    net = paper_net(
        (width, *[width // 8] * (depth - 1)),  # type: ignore[arg-type]
        setting["sparsity"] or None,
        scaling="quantile",
        max_epochs=_epochs(TABLE_STEPS[setting["n_rows"]], len(rows)),
        random_state=REPORT_SEED,
        device="cpu",
    )
    net.fit(data.X[rows], data.y[rows])
    return [{"accuracy": round(float(net.score(data.X[test], data.y[test])), 4)}]


def _epochs(n_steps: int, n_samples: int) -> int:
    return -(-n_steps // max(1, n_samples // BATCH))


# The command ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Experiment:
    """What is trained: the settings, what makes the rows of one, and the figure of all rows."""

    settings: Callable[[], list[Row]]
    compute: Callable[[Row], list[Row]]
    figure: Callable[[pd.DataFrame], Figure]


EXPERIMENTS = {
    "depth": Experiment(depth_settings, train_depths, nets_figures.depth),
    "trees": Experiment(tree_settings, train_from_trees, nets_figures.trees),
    "tables": Experiment(table_settings, train_on_table, nets_figures.tables),
}


def run(name: str, results: Path) -> pd.DataFrame:
    """Train the settings that the folder does not hold, write the rows and their figure, and return the rows."""
    make_folder(results)
    experiment, store = EXPERIMENTS[name], JsonLines(results / f"nets-{name}.jsonl")
    finished = [line["setting"] for line in store.read()]
    missing = [setting for setting in experiment.settings() if setting not in finished]
    for setting in progress_bar(len(missing), iterable=missing):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nets that diverge are rows as well
            store.append({"setting": setting, "rows": experiment.compute(setting)})
    table = pd.DataFrame([line["setting"] | row for line in store.read() for row in line["rows"]])
    table.to_csv(results / f"nets-{name}.csv", index=False)
    style.save(experiment.figure(table), results, f"nets-{name}")
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", choices=tuple(EXPERIMENTS))
    parser.add_argument("--results", type=Path, required=True, help="folder of the rows")
    arguments = parser.parse_args()
    run(arguments.experiment, arguments.results)
