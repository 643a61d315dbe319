"""Measure how often a net learns sparse parity, by sample size, width and sparsity of initialisation."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.arguments import (
    UsageError,
    add_common,
    not_negative,
    positive,
    sparsity,
    whole_number,
    with_profile,
)

if TYPE_CHECKING:
    from benchmarks.store import Store

HELP = "success frontier on sparse parity: sample size against width, sparse against dense"
LOSSES = ("hinge", "cross_entropy", "squared")

_PAPER = {
    "n_features": 50,
    "n_informative": 3,
    "sparsities": [2, None],
    "loss": "hinge",
    "learning_rate": 0.1,
    "weight_decay": 0.01,
    "batch_size": 32,
    "device": "auto",
    "first_seed": 0,
}
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": _PAPER
    | {"n_features": 10, "n_informative": 2, "widths": [20, 50], "sizes": [50, 200]}
    | {"runs": 2, "max_steps": 500},
    "quick": _PAPER | {"widths": [30, 100, 300], "sizes": [1000, 1500, 2000], "runs": 6, "max_steps": 10_000},
    "full": _PAPER
    | {
        "widths": [10, 30, 100, 300, 1000, 3000, 10_000],
        "sizes": [100, 200, 300, 600, 1000, 2000, 3000, 6000, 10_000],
        "runs": 50,
        "max_steps": 100_000,
    },
}


@dataclass(frozen=True)
class Cell:
    """One cell of the frontier: its runs share everything but their random numbers."""

    n_features: int
    n_informative: int
    n_samples: int
    width: int
    sparsity: int  # 0: dense, since a key of the store cannot be null
    max_steps: int
    loss: str
    learning_rate: float
    weight_decay: float
    batch_size: int
    random_state: int

    def __str__(self) -> str:
        what = f"s={self.sparsity}" if self.sparsity else "dense"
        return f"parity ({self.n_features}, {self.n_informative}) m={self.n_samples} width={self.width} {what}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``parity``; those of the profile are left out where not given."""
    add_common(parser)
    hidden = argparse.SUPPRESS

    def add(name: str, type_: Any, help_: str, **options: Any) -> None:
        parser.add_argument(name, type=type_, default=hidden, help=help_, **options)

    add("--n-features", whole_number(1), "length n of the inputs (default: 50)", metavar="N")
    add("--n-informative", whole_number(1), "degree k of the parity (default: 3)", metavar="K")
    add("--widths", whole_number(1), "hidden neurons", nargs="+", metavar="R")
    add("--sizes", whole_number(1), "training rows", nargs="+", metavar="M")
    add("--sparsities", sparsity, "nonzero weights per neuron, or dense", nargs="+", metavar="S")
    add("--runs", whole_number(1), "runs of every cell", metavar="N")
    add("--max-steps", whole_number(1), "training steps after which a run has failed", metavar="T")
    add("--loss", str, "loss of the nets (default: hinge)", choices=LOSSES)
    add("--learning-rate", positive, "learning rate of SGD (default: 0.1)", metavar="LR")
    add("--weight-decay", not_negative, "weight decay, torch's convention (default: 0.01)", metavar="WD")
    add("--batch-size", whole_number(1), "rows of a batch (default: 32)", metavar="B")
    add("--device", str, "where to train: auto, cpu, cuda (default: auto)", metavar="NAME")
    add("--first-seed", whole_number(0), "random_state of the frontier (default: 0)", metavar="SEED")


def run(args: argparse.Namespace) -> int:
    """Train the runs of every cell that the store does not hold in full."""
    options = with_profile(args, PROFILES)
    cells = plan(options)

    from benchmarks.store import Store

    store = Store.open(args.results)
    try:
        store.record_command(args.command_line)
        return run_cells(cells, options["runs"], options["device"], store)
    finally:
        store.close()


def plan(options: dict[str, Any]) -> list[Cell]:
    """Return the cells, the cheap ones first, having checked that they make sense together."""
    n_features, n_informative = options["n_features"], options["n_informative"]
    if n_informative > n_features:
        raise UsageError(f"--n-informative {n_informative} must be at most --n-features {n_features}")
    for value in options["sparsities"]:
        if value is not None and value > n_features:
            raise UsageError(f"--sparsities {value} must be at most --n-features {n_features}")
    return [
        Cell(
            n_features,
            n_informative,
            n_samples,
            width,
            value or 0,
            options["max_steps"],
            options["loss"],
            options["learning_rate"],
            options["weight_decay"],
            options["batch_size"],
            options["first_seed"],
        )
        for width in dict.fromkeys(options["widths"])
        for n_samples in dict.fromkeys(options["sizes"])
        for value in dict.fromkeys(options["sparsities"])
    ]


def run_cells(cells: Sequence[Cell], n_runs: int, device: str, store: "Store") -> int:
    """Do the cells that miss a run; return the exit status, 1 where every cell failed."""
    from benchmarks.progress import progress

    finished = store.finished_parity()
    missing = [cell for cell in cells if _missing_runs(cell, n_runs, finished)]
    if len(missing) < len(cells):
        print(f"{len(cells) - len(missing)} of {len(cells)} parity cells are there already", file=sys.stderr)
    n_failed = 0
    for cell in progress(missing):
        rows = train_cell(cell, n_runs, device)
        wanted = _missing_runs(cell, n_runs, finished)
        store.add_parity_runs([row for row in rows if row["run"] in wanted])
        n_failed += rows[0]["failure"] is not None
    if n_failed:
        print(f"{n_failed} parity cells failed; the report says why", file=sys.stderr)
    return 1 if missing and n_failed == len(missing) else 0


def train_cell(cell: Cell, n_runs: int, device: str) -> list[dict[str, Any]]:
    """Train the runs of a cell together and return a row for each; a failure is a row too."""
    import time

    from benchmarks.evaluation import reason
    from sparsemlp.frontier import success_frontier

    start = time.perf_counter()
    try:
        frame = success_frontier(
            n_features=cell.n_features,
            n_informative=cell.n_informative,
            n_samples=(cell.n_samples,),
            width=(cell.width,),
            sparsity=(cell.sparsity or None,),
            n_runs=n_runs,
            max_steps=cell.max_steps,
            loss=cell.loss,
            learning_rate=cell.learning_rate,
            weight_decay=cell.weight_decay,
            batch_size=cell.batch_size,
            device=device,
            random_state=cell.random_state,
        )
        outcomes = [
            {
                "run": int(row["run"]),
                "succeeded": bool(row["succeeded"]),
                "steps_to_success": _number(row["steps_to_success"]),
                "test_error": _number(row["test_error"]),
                "failure": None,
            }
            for row in frame.to_dict("records")
        ]
    except Exception as error:  # out of memory, a device that is not there: recorded, and the rest goes on
        lost: dict[str, Any] = {
            "succeeded": False,
            "steps_to_success": None,
            "test_error": None,
            "failure": reason(error),
        }
        outcomes = [{"run": number} | lost for number in range(n_runs)]
    seconds = time.perf_counter() - start
    return [asdict(cell) | outcome | {"cell_seconds": seconds} for outcome in outcomes]


def _missing_runs(cell: Cell, n_runs: int, finished: set[tuple[Any, ...]]) -> set[int]:
    key = tuple(asdict(cell).values())
    return {number for number in range(n_runs) if (*key, number) not in finished}


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)
