"""The grids of the parity study: the profiles, and the experiments on what the paper leaves open.

A grid names a value or a list of values for the fields of :class:`sparsemlp.frontier.Setting`; lists are combined.
"""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsemlp.frontier import Setting

Grid = dict[str, Any]

SPARSE_AND_DENSE = [2, None]
QUICK: Grid = {
    "width": [10, 30, 100, 300, 1000],
    "n_samples": [100, 200, 300, 600, 1000, 2000, 3000],
    "sparsity": SPARSE_AND_DENSE,
    "max_steps": 20_000,
}


@dataclass(frozen=True)
class Profile:
    """A grid and the number of runs of its settings."""

    grid: Grid
    runs: int
    ask: bool = False  # train only where --yes says that the cost is known


PROFILES = {
    "smoke": Profile(
        {"n_features": 10, "n_informative": 2, "width": [20, 50], "n_samples": [50, 200]}
        | {"sparsity": SPARSE_AND_DENSE, "max_steps": 500},
        runs=2,
    ),
    "glance": Profile(
        {
            "width": [300, 1000],
            "n_samples": [600, 700, 800, 1000],
            "sparsity": SPARSE_AND_DENSE,
            "max_steps": 10_000,
        },
        runs=8,
    ),
    "quick": Profile(QUICK, runs=10),
    "full": Profile(QUICK | {"max_steps": 100_000}, runs=50),
    "paper": Profile(
        {
            "n_features": [50, 100, 150, 200, 250, 300],
            "n_informative": [3, 4],
            "n_samples": [m * 10**e for e in (2, 3, 4, 5) for m in (1, 2, 3, 6)] + [1_000_000, None],
            "width": [10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000],
            "sparsity": SPARSE_AND_DENSE,
            "max_steps": 100_000,
        },
        runs=50,
        ask=True,
    ),
}


@dataclass(frozen=True)
class Experiment:
    """A question, the grids that answer it, and how its figure is laid out.

    Attributes
    ----------
    title, question : str
    grids : tuple of Grid
        Their settings together.
    runs : int
        Runs of every setting.
    x, line, panel : str
        Fields of a setting: the horizontal axis, what a line stands for, and what a panel stands for.
    curves : bool
        Whether the errors at every evaluation are kept and plotted.
    """

    title: str
    question: str
    grids: tuple[Grid, ...]
    runs: int
    x: str
    line: str
    panel: str
    curves: bool = False

    @property
    def settings(self) -> list["Setting"]:
        """All settings."""
        return [setting for grid in self.grids for setting in settings_of(grid)]


#: both dense baselines, torch's own first
_DENSE: Grid = {"sparsity": None, "bias_init": ["auto", "zeros"]}
_STARTS: tuple[Grid, ...] = (
    {"sparsity": 2, "init": ["sign", "ones", "normal"]},
    {"sparsity": 2, "init_scale": [0.25, 4.0]},
    _DENSE,
)
_ROWS: Grid = {
    "n_samples": [800, 1500, 3000, 6000, 10_000, 30_000, None],
    "width": [30, 300],
    "max_steps": 20_000,
}
_SPARSITIES: tuple[Grid, ...] = (
    {"n_informative": [3, 4, 5], "n_samples": None},
    {"n_informative": 3, "n_samples": 400},
)
EXPERIMENTS = {
    "loss": Experiment(
        "Loss, initial weights and weight decay",
        "The paper does not state its loss, the sign and scale of the initial weights, or whether weight decay is "
        "multiplied by the learning rate (coupled) or not. All combinations, at one setting of the task.",
        tuple(
            start
            | {"width": 300, "n_samples": 1000, "max_steps": 10_000}
            | {"loss": ["hinge", "cross_entropy", "squared"], "decay": ["coupled", "uncoupled"]}
            for start in _STARTS
        ),
        runs=10,
        x="start",
        line="loss",
        panel="decay",
    ),
    "rows": Experiment(
        "More rows",
        "Success, and steps to success, from few rows to fresh ones at every step: a sparse start and both dense "
        "baselines, narrow and wide. The paper saw success and steps get worse with more rows.",
        (_ROWS | {"sparsity": 2}, _ROWS | _DENSE),
        runs=20,
        x="n_samples",
        line="start",
        panel="width",
    ),
    "sparsity": Experiment(
        "How many inputs a neuron starts with",
        "s from 1 to 8, and dense, of 30 inputs: parities of degree 3, 4 and 5 on fresh rows at every step, where "
        "nothing is short but time and width, and of degree 3 with 400 rows.",
        tuple(
            task | {"n_features": 30, "width": 300, "max_steps": 20_000} | start
            for task in _SPARSITIES
            for start in ({"sparsity": [1, 2, 3, 4, 5, 6, 8]}, _DENSE)
        ),
        runs=20,
        x="start",
        line="n_informative",
        panel="n_samples",
    ),
    "targets": Experiment(
        "Other hidden targets",
        "A staircase x1 + x1 x2 + x1 x2 x3, the sign of a random quadratic polynomial of three Gaussian inputs, "
        "and the exclusive or of two intervals, with the parity; three hidden inputs each (the intervals: two).",
        (
            {"target": ["parity", "staircase", "polynomial"], "n_samples": [300, 1000, 3000, 10_000], "width": 300}
            | {"sparsity": SPARSE_AND_DENSE, "max_steps": 10_000},
            {"target": "interval_parity", "n_informative": 2, "n_samples": [300, 1000, 3000, 10_000], "width": 300}
            | {"sparsity": SPARSE_AND_DENSE, "max_steps": 10_000},
        ),
        runs=10,
        x="n_samples",
        line="target",
        panel="start",
    ),
    "relu": Experiment(
        "Parity of active ReLUs",
        "Whether an odd number of three hidden ReLUs, max(0, x_i) for uniform x_i, are active: a parity whose "
        "inputs are no signs, so that their thresholds count as well.",
        (
            {"target": ["parity", "relu_parity"], "n_samples": [1000, 3000, 10_000, None], "width": 300}
            | {"sparsity": SPARSE_AND_DENSE, "max_steps": 20_000},
        ),
        runs=5,
        x="n_samples",
        line="target",
        panel="start",
    ),
    "full-parity": Experiment(
        "Signs against Gaussian weights on the parity of all inputs",
        "Every neuron starts with all inputs, and all are hidden, on fresh rows: weights of +-1 or Gaussian "
        "ones, at the usual scale and at a quarter of it (Abbe and others 2025, arXiv 2412.04910).",
        tuple(
            {"n_features": n, "n_informative": n, "sparsity": n, "init": ["sign", "normal"]}
            | {"init_scale": [1.0, 0.25], "n_samples": None, "width": 100, "max_steps": 10_000}
            for n in (8, 12, 16, 20)
        ),
        runs=10,
        x="n_features",
        line="init",
        panel="init_scale",
    ),
    "batch": Experiment(
        "Rows of a batch",
        "Steps to success by the size of a batch, on rows that come again and on fresh ones.",
        (
            {"batch_size": [8, 32, 128, 512], "n_samples": [3000, None], "width": 100}
            | {"sparsity": SPARSE_AND_DENSE, "max_steps": 40_000},
        ),
        runs=10,
        x="batch_size",
        line="n_samples",
        panel="start",
    ),
    "noise": Experiment(
        "Wrong labels",
        "A share of the training labels is wrong; test labels are right.",
        (
            {"flip_y": [0.0, 0.05, 0.1, 0.2, 0.3], "n_samples": [1000, 2000, 5000], "width": 300}
            | {"sparsity": SPARSE_AND_DENSE, "max_steps": 10_000},
        ),
        runs=10,
        x="flip_y",
        line="n_samples",
        panel="start",
    ),
    "seconds": Experiment(
        "Width in steps and in seconds",
        "A wider net may take fewer steps to success, and each costs more: when does more width pay on the clock?",
        ({"n_samples": 2000, "width": [30, 100, 300, 1000, 3000], "sparsity": 2, "max_steps": 20_000},),
        runs=10,
        x="width",
        line="start",
        panel="n_samples",
    ),
    "descent": Experiment(
        "More rows, worse nets",
        "Success, and steps to success, of dense starts by the number of rows, with and without weight decay: the "
        "paper saw columns that are not monotone (sample-wise double descent).",
        (
            {
                "n_samples": [100, 200, 300, 600, 1000, 2000, 3000, 6000, 10_000, 30_000, None],
                "width": [10, 30, 300],
            }
            | {"sparsity": None, "weight_decay": [0.0, 0.01], "max_steps": 20_000},
        ),
        runs=10,
        x="n_samples",
        line="weight_decay",
        panel="width",
    ),
    "curves": Experiment(
        "Errors while single runs train",
        "Train and test error of a few runs with few, enough and many rows, sparse and dense.",
        (
            {"n_samples": [600, 1000, 2000], "width": 300, "sparsity": SPARSE_AND_DENSE}
            | {"max_steps": 20_000, "random_state": 1},
        ),
        runs=1,
        x="n_samples",
        line="start",
        panel="width",
        curves=True,
    ),
    "slopes": Experiment(
        "How the smallest feasible number of rows falls with width",
        "The quick grid with more numbers of rows near the edge.",
        (QUICK, QUICK | {"width": [30, 100, 300, 1000], "n_samples": [400, 800, 1500]}),
        runs=10,
        x="n_samples",
        line="width",
        panel="start",
    ),
}


def settings_of(grid: Grid) -> list["Setting"]:
    """Return the settings of a grid, the narrow ones first."""
    from sparsemlp.frontier import Setting

    combinations = product(*(value if isinstance(value, list) else [value] for value in grid.values()))
    settings = [Setting(**dict(zip(grid, values, strict=True))) for values in combinations]
    return sorted(dict.fromkeys(settings), key=lambda setting: setting.width)
