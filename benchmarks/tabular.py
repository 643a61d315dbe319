"""Compare classifiers on the tables, at several training-set sizes and over several seeds."""

import argparse
import os
from typing import TYPE_CHECKING, Any

from benchmarks.arguments import add_common, known_names, share, whole_number, with_profile

if TYPE_CHECKING:  # the libraries behind these take seconds to import, and --help should not
    from benchmarks.runner import Piece

HELP = "compare classifiers on the 16 OpenML tables"
REPORT_SEED = 100  # the first of the seeds that published numbers are drawn from

PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "tasks": ["credit", "pol"],
        "fractions": [],
        "train_size": [200],
        "models": ["rf", "sparse_mlp", "dense_mlp", "hgb"],
        "trials": 0,
        "seeds": 1,
        "first_seed": REPORT_SEED,
    },
    "quick": {
        "tasks": ["all"],
        "fractions": [],
        "train_size": [1000],
        "models": ["rf", "sparse_mlp", "dense_mlp", "hgb"],
        "trials": 0,
        "seeds": 2,
        "first_seed": REPORT_SEED,
    },
    "full": {
        "tasks": ["all"],
        "fractions": [1.0, 0.1, 0.01],
        "train_size": [],
        "models": ["rf", "sparse_mlp", "dense_mlp", "hgb"],
        "trials": 20,
        "seeds": 5,
        "first_seed": REPORT_SEED,
    },
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``tabular``; those of the profile are left out where not given."""
    add_common(parser)
    add = parser.add_argument
    hidden = argparse.SUPPRESS
    add("--tasks", nargs="+", default=hidden, metavar="NAME", help="tasks, or all: the 16 OpenML tables")
    add(
        "--fractions",
        nargs="+",
        type=share,
        default=hidden,
        metavar="F",
        help="training-set sizes as shares of the training pool: 70 %% of the rows, at most 10000",
    )
    add(
        "--train-size",
        nargs="+",
        type=whole_number(2),
        default=hidden,
        metavar="N",
        help="training-set sizes in rows (beside --fractions); the whole pool where a task is smaller",
    )
    add("--models", nargs="+", default=hidden, metavar="NAME", help="competitors, or all")
    add(
        "--trials",
        type=whole_number(0),
        default=hidden,
        metavar="N",
        help="tuning trials per study, scored on training rows only; 0: the defaults alone",
    )
    add(
        "--seeds",
        type=whole_number(1),
        default=hidden,
        metavar="N",
        help="how many seeds, each another split",
    )
    add(
        "--first-seed",
        type=whole_number(0),
        default=hidden,
        metavar="SEED",
        help=f"the first of the seeds (default: {REPORT_SEED}); 0-4 are for developing, that is for choosing "
        "defaults, and never for numbers that are reported",
    )
    add("--retry-failures", action="store_true", help="try again what failed in an earlier run")


def run(args: argparse.Namespace) -> int:
    """Do the evaluations that the store does not hold yet."""
    # On a machine that does anything else, boosted trees took up to 20 times as long with threads that spin at
    # every barrier. OpenMP reads this once, when the first library that uses it is imported: below.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from benchmarks.runner import run_pieces
    from benchmarks.store import Store

    pieces = plan(args)
    store = Store.open(args.results)
    try:
        store.record_command(args.command_line)
        if args.retry_failures:
            store.forget_failures()
        return run_pieces(pieces, store)
    finally:
        store.close()


def plan(args: argparse.Namespace) -> "list[Piece]":
    """Return all evaluations that the options ask for; the first seed is completed before the next begins."""
    from benchmarks.pipelines import MODELS
    from benchmarks.runner import Piece
    from benchmarks.splits import Size
    from benchmarks.tasks import OPENML_NAMES, TASKS

    if "fractions" in args or "train_size" in args:  # a size that is given replaces all sizes of the profile
        args.fractions = getattr(args, "fractions", [])
        args.train_size = getattr(args, "train_size", [])
    options = with_profile(args, PROFILES)
    tasks = known_names("task", options["tasks"], tuple(TASKS), OPENML_NAMES)
    models = known_names("model", options["models"], tuple(MODELS))
    sizes = [Size.fraction(value) for value in options["fractions"]]
    sizes += [Size.rows(value) for value in options["train_size"]]
    seeds = range(options["first_seed"], options["first_seed"] + options["seeds"])
    return [
        Piece(task, size, seed, model, trial)
        for seed in seeds
        for task in tasks
        for size in dict.fromkeys(sizes)
        for model in models
        for trial in range(-1, options["trials"])
    ]
