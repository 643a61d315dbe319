"""Compare models on the tasks, at several training-set sizes and over several seeds."""

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cli import (
    UsageError,
    add_common,
    add_shared,
    positive,
    share,
    whole_number,
    whole_number_or_all,
    with_profile,
)
from benchmarks.data import suites
from benchmarks.data.splits import REPORT_SEED, Size

if TYPE_CHECKING:  # the libraries behind these take seconds to import, and --help should not
    from benchmarks.engine import Workers
    from benchmarks.models import Model
    from benchmarks.results.store import Store
    from benchmarks.tabular.plan import Plan

HELP = "compare models on the tables of four OpenML suites, and on other tasks"

_QUICK: dict[str, Any] = {
    "suite": [suites.NUMERIC],
    "tasks": ["all"],
    "fractions": [],
    "rows": [1000],
    "models": ["rf", "sparse_mlp", "dense_mlp", "hgb"],
    "trials": 0,
    "seeds": 2,
    "first_seed": REPORT_SEED,
}
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": _QUICK | {"tasks": ["credit", "pol"], "rows": [200], "seeds": 1},
    "quick": _QUICK,
    "full": _QUICK | {"fractions": [1.0, 0.1, 0.01], "rows": [], "trials": 20, "seeds": 5},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``tabular``; those of the profile are left out where not given."""
    add_common(parser)
    parser.set_defaults(own_rows={})  # task -> training rows, in place of all other sizes; for presets
    add = parser.add_argument
    hidden = argparse.SUPPRESS
    add(
        "--tasks",
        nargs="+",
        default=hidden,
        metavar="NAME",
        help="tasks, all (the tables of --suite), or sparse targets: parity-N-K, product-N-K, sum-N-K or box-N-K, "
        "functions of K of N inputs",
    )
    add_suite(parser)
    add(
        "--fractions",
        nargs="+",
        type=share,
        default=hidden,
        metavar="F",
        help="training-set sizes as shares of the training pool: 70 %% of the rows, at most --max-train",
    )
    add_shared(
        parser,
        "--rows",
        help="training-set sizes in rows (besides --fractions); the whole pool where a table is smaller",
    )
    add("--models", nargs="+", default=hidden, metavar="NAME", help="those that docs/benchmark.md lists, or all")
    add_variant(parser)
    add(
        "--trials",
        type=whole_number(0),
        default=hidden,
        metavar="N",
        help="tuning trials per study, scored on training rows only; 0: the defaults alone",
    )
    add_shared(parser, "--seeds", help="how many seeds, each another split")
    add_shared(
        parser,
        "--first-seed",
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
    add_workers(parser)


def add_suite(parser: argparse.ArgumentParser) -> None:
    """Add ``--suite``."""
    parser.add_argument(
        "--suite",
        nargs="+",
        type=int,
        choices=list(suites.SUITES),
        default=argparse.SUPPRESS,
        metavar="SUITE",
        help="OpenML suites whose tables --tasks all means: "
        + ", ".join(f"{suite} ({words})" for suite, words in suites.WORDS.items())
        + f"; {suites.NUMERIC} if left out",
    )


def add_variant(parser: argparse.ArgumentParser) -> None:
    """Add ``--variant``."""
    parser.add_argument(
        "--variant",
        nargs="+",
        action="extend",
        type=_variant,
        default=[],
        metavar="NAME={JSON}",
        help="more competitors: sparse_mlp with other parameters",
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add the options on where evaluations are done."""
    add_shared(
        parser,
        "--jobs",
        default=None,
        help="evaluations at a time, each in a process of its own (default: 1; with --scheduler one a worker)",
    )
    add_shared(
        parser,
        "--threads",
        default=None,
        help="cores that each evaluation may use (default: its share of this machine; 1 with --scheduler)",
    )
    add_shared(parser, "--scheduler", default=None)
    parser.add_argument(
        "--time-limit",
        type=positive,
        metavar="S",
        help="seconds after which an evaluation (all fits of a trial) has failed; none by default",
    )
    parser.add_argument(
        "--memory-limit",
        type=positive,
        metavar="GIB",
        help="GiB of memory of a process, with which an evaluation has failed; none by default",
    )


def _variant(text: str) -> tuple[str, dict[str, Any]]:
    """Read ``NAME={"parameter": value, ...}``; lists are tuples, as widths are."""
    name, _, parameters = text.partition("=")
    try:
        values = json.loads(parameters)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"must be NAME={{JSON}}, got {text!r}: {error}") from error
    if not name or not isinstance(values, dict):
        raise argparse.ArgumentTypeError(f"must be NAME={{JSON}}, got {text!r}")
    return name, {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def run(args: argparse.Namespace) -> int:
    """Do the evaluations that the store does not hold yet, or say what they are."""
    from sqlalchemy.exc import DBAPIError, IntegrityError

    from benchmarks.results.store import Store
    from benchmarks.tabular.forecast import forecast
    from benchmarks.tabular.plugins import register
    from benchmarks.tabular.runner import run_plan

    workers = _workers(args)
    for path in args.plugin:
        register(path)
    plan = make_plan(args)
    if args.dry_run:
        print(forecast(plan, args.results, workers.jobs or 1))
        return 0
    store = Store.open(args.results)
    try:
        _check_variants(store, plan.variants)
        store.record_command(args.command_line)
        if args.retry_failures:
            store.forget_failures(plan.keys())
        return run_plan(plan, store, workers)
    except IntegrityError as error:
        raise UsageError(
            f"another command is adding to the same results in {args.results}: wait for it"
        ) from error
    except DBAPIError as error:
        raise UsageError(f"the results store gave up: {' '.join(str(error.orig).split())}") from error
    finally:
        store.close()


def _workers(args: argparse.Namespace) -> "Workers":
    from benchmarks.engine import Workers

    if args.scheduler is not None and args.memory_limit is not None:
        raise UsageError(
            "--memory-limit is for workers on this machine; those of --scheduler have limits of their own"
        )
    return Workers(args.jobs, args.threads, args.scheduler, args.time_limit, args.memory_limit)


def make_plan(args: argparse.Namespace) -> "Plan":
    """Return all evaluations that the options ask for; the first seed is completed before the next begins."""
    from benchmarks.data.tasks import SampledTask, chosen_tasks, task_of
    from benchmarks.models import chosen
    from benchmarks.tabular.plan import Plan, Study

    if "fractions" in args or "rows" in args:  # a size that is given replaces all sizes of the profile
        args.fractions = getattr(args, "fractions", [])
        args.rows = getattr(args, "rows", [])
    if "suite" in args and "tasks" not in args:
        args.tasks = ["all"]
    options = with_profile(args, PROFILES)
    tasks = chosen_tasks(options["tasks"], suites.names(*options["suite"]))
    own_rows = {task: [Size.rows(n)] for task, n in args.own_rows.items()}
    sampled = [name for name in tasks if isinstance(task_of(name), SampledTask)]
    if sampled and options["fractions"]:
        raise UsageError(f"task {sampled[0]!r} has no pool that --fractions could be of; give it --rows")
    variants = tuple(_model(name, values) for name, values in args.variant)
    models = chosen(options["models"], {task_of(name).kind for name in tasks})
    models += tuple(model.name for model in variants)
    if repeated := {name for name in models if models.count(name) > 1}:
        raise UsageError(f"--variant: the name {min(repeated)!r} is given twice")
    sizes = [Size.fraction(value, args.max_train) for value in options["fractions"]]
    sizes += [Size.rows(value) for value in options["rows"]]
    seeds = range(options["first_seed"], options["first_seed"] + options["seeds"])
    studies = (
        Study(task, size, seed, model)
        for seed in seeds
        for task in tasks
        for size in own_rows.get(task, dict.fromkeys(sizes))
        for model in models
    )
    return Plan(tuple(studies), options["trials"], variants)


def _model(name: str, values: Mapping[str, Any]) -> "Model":
    """Return the competitor of a variant."""
    from benchmarks.models import MODELS
    from sparsemlp import SparseInitMLPClassifier

    if name in MODELS:
        raise UsageError(f"--variant {name}: there is a competitor of this name; choose another")
    for parameter in values:
        if parameter not in SparseInitMLPClassifier().get_params():
            raise UsageError(f"--variant {name}: the estimator has no parameter {parameter!r}")
    pinned = {f"model__{parameter}": value for parameter, value in values.items()}
    return replace(MODELS["sparse_mlp"], name=name, label=name, pinned=pinned)


def _check_variants(store: "Store", variants: Iterable["Model"]) -> None:
    """Refuse variants of which the results hold others under the same name."""
    rows = store.frame("evaluations")
    untuned = rows[rows["trial"] == -1].drop_duplicates("model").set_index("model")["parameters"]
    for model in variants:
        if untuned.get(model.name, held := json.dumps(model.pinned, sort_keys=True)) != held:
            raise UsageError(
                f"the results hold the variant {model.name!r} with other parameters; choose another name"
            )
