"""Compare classifiers on the tables, at several training-set sizes and over several seeds."""

import argparse
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cli import (
    UsageError,
    add_common,
    add_storage,
    known_names,
    positive,
    share,
    whole_number,
    whole_number_or_all,
    with_profile,
)

if TYPE_CHECKING:  # the libraries behind these take seconds to import, and --help should not
    from benchmarks.tabular.plan import Plan
    from benchmarks.tabular.worker import WorkerConfig

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
        help="training-set sizes as shares of the training pool: 70 %% of the rows, at most --max-train",
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
    add(
        "--max-train",
        type=whole_number_or_all(2),
        default=10_000,
        metavar="N",
        help="rows of the training pool that --fractions are of, or all (default: %(default)s)",
    )
    add("--retry-failures", action="store_true", help="try again what failed in an earlier run")
    add("--dry-run", action="store_true", help="print the plan and the estimated time, and do nothing")
    add(
        "--plugin",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a Python file with competitors (MODELS) or tasks (TASKS) of your own",
    )
    _add_machinery(parser)


def _add_machinery(parser: argparse.ArgumentParser) -> None:
    """Add the options on where evaluations are done and kept."""
    add = parser.add_argument
    add_storage(parser)
    add(
        "--jobs",
        type=whole_number(1),
        default=1,
        metavar="N",
        help="evaluations at a time, each in a process of its own (default: %(default)s)",
    )
    add(
        "--threads",
        type=whole_number(1),
        metavar="N",
        help="cores that each evaluation may use (default: all that this machine has for a job; 1 on dask)",
    )
    add("--backend", choices=("loky", "dask"), default="loky", help="who runs the jobs (default: %(default)s)")
    add("--scheduler", metavar="ADDRESS", help="address of the dask scheduler, such as tcp://host:8786")
    add(
        "--time-limit",
        type=positive,
        metavar="S",
        help="seconds after which an evaluation (all fits of a trial) has failed; none by default",
    )
    add(
        "--memory-limit",
        type=positive,
        metavar="GIB",
        help="GiB of memory with which an evaluation has failed; none by default",
    )
    add(
        "--lease",
        type=positive,
        default=60.0,
        metavar="S",
        help="seconds after which another worker takes over from one that is gone (default: %(default)g)",
    )


def run(args: argparse.Namespace) -> int:
    """Do the evaluations that the store does not hold yet, or say what they are."""
    # On a machine that does anything else, boosted trees took up to 20 times as long with threads that spin at
    # every barrier. OpenMP reads this once, when the first library that uses it is imported: below.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from sqlalchemy.exc import DBAPIError

    from benchmarks.results.database import locate
    from benchmarks.results.store import Store
    from benchmarks.tabular.forecast import forecast
    from benchmarks.tabular.runner import run_plan

    config = make_config(args)
    if args.dry_run:
        print(forecast(config.plan, args.results, args.storage, args.jobs))
        return 0
    store = Store.open(locate(args.results, args.storage))
    try:
        store.record_command(args.command_line)
        if args.retry_failures:
            store.forget_failures(config.plan.keys())
        return run_plan(config, store, jobs=args.jobs, scheduler=args.scheduler)
    except DBAPIError as error:
        raise UsageError(f"the results store gave up: {' '.join(str(error.orig).split())}") from error
    finally:
        store.close()


def make_config(args: argparse.Namespace) -> "WorkerConfig":
    """Return what workers are to be told, having checked that the options make sense together."""
    from uuid import uuid4

    from benchmarks.environment import n_cores
    from benchmarks.results.database import locate
    from benchmarks.tabular.isolation import NO_LIMITS, Limits
    from benchmarks.tabular.plugins import Plugin, register
    from benchmarks.tabular.worker import WorkerConfig

    if (args.backend == "dask") != (args.scheduler is not None):
        raise UsageError("--backend dask and --scheduler ADDRESS belong together")
    if args.scheduler is not None and find_spec("distributed") is None:
        raise UsageError("--backend dask needs the package distributed: pip install 'sparsemlp[cluster]'")
    plugins = tuple(Plugin.read(path) for path in args.plugin)
    register(plugins)
    limits = Limits(args.time_limit, args.memory_limit)
    threads = args.threads
    if threads is None and args.scheduler is not None:
        threads = 1
    elif threads is None and (args.jobs > 1 or limits != NO_LIMITS):
        threads = max(1, n_cores() // args.jobs)
    return WorkerConfig(
        make_plan(args),
        locate(args.results, args.storage).render_as_string(hide_password=False),
        uuid4().hex[:12],
        threads,
        limits,
        plugins,
        args.lease,
    )


def make_plan(args: argparse.Namespace) -> "Plan":
    """Return all evaluations that the options ask for; the first seed is completed before the next begins."""
    from benchmarks.data.splits import Size
    from benchmarks.data.tasks import OPENML_NAMES, TASKS
    from benchmarks.models import chosen
    from benchmarks.tabular.plan import Plan, Study

    if "fractions" in args or "train_size" in args:  # a size that is given replaces all sizes of the profile
        args.fractions = getattr(args, "fractions", [])
        args.train_size = getattr(args, "train_size", [])
    options = with_profile(args, PROFILES)
    tasks = known_names("task", options["tasks"], tuple(TASKS), OPENML_NAMES)
    models = chosen(options["models"])
    sizes = [Size.fraction(value, args.max_train) for value in options["fractions"]]
    sizes += [Size.rows(value) for value in options["train_size"]]
    seeds = range(options["first_seed"], options["first_seed"] + options["seeds"])
    studies = (
        Study(task, size, seed, model)
        for seed in seeds
        for task in tasks
        for size in dict.fromkeys(sizes)
        for model in models
    )
    return Plan(tuple(studies), options["trials"])
