"""The 16 tables by richness: what feature learning is worth there, and whether a sparse start changes it."""

import warnings
from itertools import product
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from benchmarks.data.splits import REPORT_SEED, Size, make_split
from benchmarks.data.tasks import OPENML_NAMES, load
from benchmarks.report.document import Picture, Section, Table, number
from benchmarks.scaling import figures
from benchmarks.scaling.experiment import Experiment, Row, Setting, run_all
from benchmarks.tabular.comparisons import Comparison, compare
from sparsemlp import SparseInitMLPClassifier

STARTS: dict[str, Any] = {"sparse": "auto", "dense": None}
#: what stands for None, the usual parametrisation, in a setting
USUAL = 0.0
TEST_CAP = 5000
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {"tasks": 2, "richness": (USUAL, 1.0), "n_rows": 200, "n_seeds": 1, "net": ((32, 16), 1)},
    "quick": {
        "tasks": 16,
        "richness": (USUAL, 0.03, 0.3, 1.0, 3.0),
        "n_rows": 1000,
        "n_seeds": 2,
        "net": ((256, 64), 2),
    },
    "full": {
        "tasks": 16,
        "richness": (USUAL, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
        "n_rows": 10_000,
        "n_seeds": 5,
        "net": ((512, 128), 8),
    },
}


def settings(profile: str) -> list[Setting]:
    """Return a piece of work for every task and seed."""
    plan = PROFILES[profile]
    width, n_members = plan["net"]
    shared = {
        "richness_values": list(plan["richness"]),
        "n_rows": plan["n_rows"],
        "width": list(width),
        "n_members": n_members,
    }
    tasks = OPENML_NAMES[: plan["tasks"]]
    seeds = range(REPORT_SEED, REPORT_SEED + plan["n_seeds"])
    return [{"task": task, "seed": seed, **shared} for seed in seeds for task in tasks]


def compute(setting: Setting) -> list[Row]:
    """Fit a network at every richness and start, on the same rows; all else at its default."""
    data = load(setting["task"])
    split = make_split(setting["task"], data.y, setting["seed"])
    train, test = split.training_rows(Size.rows(setting["n_rows"]), data.y), split.test[:TEST_CAP]
    parts = data.X[train], data.y[train], data.X[test], data.y[test]
    variants = list(product(STARTS, setting["richness_values"]))
    found = run_all(_accuracy, [(setting, start, richness, *parts) for start, richness in variants])
    return [
        {"start": start, "richness": richness, "accuracy": accuracy}
        for (start, richness), accuracy in zip(variants, found, strict=True)
    ]


def _accuracy(
    setting: Setting, start: str, richness: float, X: NDArray, y: NDArray, X_test: NDArray, y_test: NDArray
) -> float:
    net = SparseInitMLPClassifier(
        width=tuple(setting["width"]),
        sparsity=STARTS[start],
        richness=None if richness == USUAL else richness,
        n_members=setting["n_members"],
        random_state=setting["seed"],
        device="cpu",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of divergence: the best weights are back, and the accuracy tells
        return float(net.fit(X, y).score(X_test, y_test))


def section(rows: pd.DataFrame) -> Section:
    """Return mean accuracies, and differences from the usual parametrisation with their errors over tables."""
    scores = rows.rename(columns={"accuracy": "score"}).assign(overlap=0.0)
    fits: dict[Any, pd.DataFrame] = dict(iter(scores.groupby(["start", "richness"])))
    values = sorted({richness for _, richness in fits})
    from_usual = {
        start: {richness: compare(fits[start, richness], fits[start, USUAL]) for richness in values if richness}
        for start in STARTS
    }
    lines = [
        [
            f"{richness:g}" if richness else "none",
            *(_accuracy_text(fits[start, richness], from_usual[start].get(richness)) for start in STARTS),
            _difference_text(compare(fits["sparse", richness], fits["dense", richness])),
        ]
        for richness in values
    ]
    first = rows.iloc[0]
    text = (
        f"{rows['task'].nunique()} tables, {first['n_rows']} training rows, {rows['seed'].nunique()} seeds, "
        f"{first['n_members']} members of width {tuple(first['width'])}; learning rate and all else at the "
        "defaults, the same at every richness. Mean accuracy, and its difference from no richness (the usual "
        "parametrisation), in percentage points with one standard error over tables."
    )
    means, errors = (
        pd.DataFrame(
            {start: {r: getattr(one, name) for r, one in found.items()} for start, found in from_usual.items()}
        )
        for name in ("difference", "standard_error")
    )
    picture = Picture("tables-richness", "Accuracy by richness.", figures.tables(means, errors))
    head = ["richness", *STARTS, "sparse minus dense"]
    return Section(EXPERIMENT.title, [text], [Table("By richness.", head, lines)], [picture])


def _accuracy_text(fits: pd.DataFrame, from_usual: Comparison | None) -> str:
    text = f"{100 * fits.groupby('task')['score'].mean().mean():.2f}"
    return text if from_usual is None else f"{text} ({_difference_text(from_usual)})"


def _difference_text(found: Comparison) -> str:
    return f"{100 * found.difference:+.2f} ± {number(100 * found.standard_error, '{:.2f}')}"


EXPERIMENT = Experiment("The tables by richness, sparse and dense", settings, compute, section)
