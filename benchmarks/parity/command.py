"""Measure how often a net learns sparse parity, by sample size, width and sparsity of initialisation."""

import argparse
from typing import TYPE_CHECKING, Any

from benchmarks.cli import (
    UsageError,
    add_common,
    flip_probability,
    not_negative,
    number_of_rows,
    positive,
    sparsity,
    whole_number,
)
from benchmarks.parity.grids import EXPERIMENTS, PROFILES, settings_of

if TYPE_CHECKING:
    import torch

    from benchmarks.parity.budget import Budget
    from sparsemlp.frontier import Setting

    #: settings, runs of each, and whether the errors at every evaluation are kept
    Plan = tuple[list[Setting], int, bool]

HELP = "success frontier on sparse parity: sample size against width, sparse against dense"
OTHER_EXPERIMENTS = ("tickets", "cost")  # they have commands of their own below
DEFAULT_PROFILE = "quick"

CHOICES = {
    "target": ("parity", "staircase", "polynomial", "interval_parity", "relu_parity"),
    "init": ("sign", "ones", "normal", "uniform"),
    "bias_init": ("auto", "zeros", "uniform"),
    "loss": ("hinge", "cross_entropy", "squared"),
    "decay": ("coupled", "uncoupled"),
}
#: option, field of a setting, type of a value, what it is
OPTIONS: tuple[tuple[str, str, Any, str], ...] = (
    ("--n-features", "n_features", whole_number(1), "length n of the inputs (default: 50)"),
    ("--n-informative", "n_informative", whole_number(1), "degree k of the parity (default: 3)"),
    ("--rows", "n_samples", number_of_rows, "training rows, or online"),
    ("--widths", "width", whole_number(1), "hidden neurons"),
    ("--sparsities", "sparsity", sparsity, "nonzero weights per neuron, or dense"),
    ("--target", "target", str, "what the labels are (default: parity)"),
    ("--flip-y", "flip_y", flip_probability, "share of wrong training labels (default: 0)"),
    ("--init", "init", str, "nonzero weights of a sparse start (default: sign)"),
    ("--init-scale", "init_scale", positive, "factor on those (default: 1)"),
    ("--bias-init", "bias_init", str, "first-layer biases (default: auto, torch's own where dense, else zeros)"),
    ("--loss", "loss", str, "loss of the nets (default: hinge)"),
    ("--learning-rate", "learning_rate", positive, "learning rate of SGD (default: 0.1)"),
    ("--weight-decay", "weight_decay", not_negative, "weight decay (default: 0.01)"),
    ("--decay", "decay", str, "whether the learning rate multiplies it, as in torch (default: coupled)"),
    ("--batch-size", "batch_size", whole_number(1), "rows of a batch (default: 32)"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``parity``; those that an experiment may refuse are left out where not given."""
    add_common(parser, profiles=())
    hidden = argparse.SUPPRESS
    parser.add_argument(
        "--profile",
        choices=tuple(PROFILES),
        default=hidden,
        help=f"preset of every option that is not given (default: {DEFAULT_PROFILE})",
    )
    for option, field, type_, help_ in OPTIONS:
        choices = CHOICES.get(field)
        metavar = None if choices else field.upper()
        parser.add_argument(
            option, dest=field, type=type_, nargs="+", choices=choices, metavar=metavar, default=hidden, help=help_
        )
    parser.add_argument("--runs", type=whole_number(1), default=hidden, metavar="N", help="runs of every setting")
    parser.add_argument(
        "--max-steps", type=whole_number(1), default=hidden, metavar="T", help="steps after which a run has failed"
    )
    parser.add_argument(
        "--experiment",
        choices=(*EXPERIMENTS, *OTHER_EXPERIMENTS, "all"),
        help="one of the study's experiments in place of a grid",
    )
    parser.add_argument(
        "--curves", action="store_true", default=hidden, help="keep the train and test errors at every evaluation"
    )
    parser.add_argument(
        "--device", default=hidden, metavar="NAME", help="where to train: auto, cpu, cuda (default: auto)"
    )
    parser.add_argument(
        "--first-seed",
        type=whole_number(0),
        default=hidden,
        metavar="SEED",
        help="seed of everything (default: 0)",
    )
    parser.add_argument(
        "--budget",
        type=positive,
        default=hidden,
        metavar="HOURS",
        help="train the cheapest runs first, hand out none after so many hours, and print what is left",
    )
    parser.add_argument("--yes", action="store_true", help="train the paper profile, whose cost is printed first")


def run(args: argparse.Namespace) -> int:
    """Train the runs that the store does not hold."""
    plans = _experiments(args) if args.experiment else [_grid(args)]

    from sqlalchemy.exc import DBAPIError

    from benchmarks.parity import train
    from benchmarks.results.store import Store

    device = train.device(getattr(args, "device", "auto"))
    budget = _budget(args, plans, device)
    store = Store.open(args.results)
    try:
        store.record_command(args.command_line)
        for settings, n_runs, with_curves in plans:
            train.train(settings, n_runs, store, device, with_curves=with_curves, budget=budget)
        if args.experiment in ("tickets", "all"):
            train.train_tickets(store, device)
    except DBAPIError as error:
        raise UsageError(f"the results store gave up: {' '.join(str(error.orig).split())}") from error
    except (MemoryError, RuntimeError) as error:  # with the second torch says that memory is short
        reason = (str(error) or "out of memory").splitlines()[0]
        raise UsageError(f"a batch of runs could not be trained: {reason}; what had ended is stored") from error
    finally:
        store.close()
    if args.experiment in ("cost", "all"):
        from benchmarks.parity import cost

        cost.measure(args.results, args.command_line)
    return 0


def _budget(args: argparse.Namespace, plans: list["Plan"], device: "torch.device") -> "Budget | None":
    """Say what a grid costs that is left alone otherwise, and return the hours to spend if they are limited."""
    from benchmarks.parity.budget import Budget, StepTimes, cost

    profile = getattr(args, "profile", DEFAULT_PROFILE)
    is_large, is_limited = not args.experiment and PROFILES[profile].ask, hasattr(args, "budget")
    if not (is_large or is_limited):
        return None
    settings, n_runs, _ = plans[0]
    times = StepTimes.measured(settings, device)
    if is_large:
        print(cost(settings, n_runs, times, device))
        if not (args.yes or is_limited):
            raise UsageError(f"--profile {profile} is left alone without --yes or --budget HOURS")
    return Budget(args.budget, times, device) if is_limited else None


def _experiments(args: argparse.Namespace) -> list["Plan"]:
    for option, field in _settled_by(args.experiment).items():
        if hasattr(args, field):
            raise UsageError(f"--experiment {args.experiment} has settings of its own; leave out {option}")
    names = list(EXPERIMENTS) if args.experiment == "all" else [args.experiment]
    chosen = [EXPERIMENTS[name] for name in names if name in EXPERIMENTS]
    curves = hasattr(args, "curves")
    return [(each.settings, getattr(args, "runs", each.runs), each.curves or curves) for each in chosen]


def _settled_by(experiment: str) -> dict[str, str]:
    """Return the options that an experiment does not take, and their fields."""
    settled = {option: field for option, field, *_ in OPTIONS}
    settled |= {"--profile": "profile", "--max-steps": "max_steps", "--first-seed": "first_seed"}
    if experiment not in EXPERIMENTS:
        settled |= {"--runs": "runs", "--curves": "curves", "--budget": "budget"}
    return settled | ({"--device": "device"} if experiment == "cost" else {})


def _grid(args: argparse.Namespace) -> "Plan":
    """Return what the profile trains, with the options given on the command line."""
    profile = PROFILES[getattr(args, "profile", DEFAULT_PROFILE)]
    given = {name: getattr(args, name) for _, name, *_ in OPTIONS if hasattr(args, name)}
    given |= {"max_steps": args.max_steps} if hasattr(args, "max_steps") else {}
    grid = dict(profile.grid) | given | {"random_state": getattr(args, "first_seed", 0)}
    _check(grid)
    try:
        return settings_of(grid), getattr(args, "runs", profile.runs), hasattr(args, "curves")
    except ValueError as error:  # what a setting alone knows, such as a target that has no online form
        raise UsageError(str(error)) from error


def _check(grid: dict[str, Any]) -> None:
    """Refuse, in the words of the command line, settings that do not go together."""
    n_features = min(_listed(grid.get("n_features", 50)))
    for option, field in (("--n-informative", "n_informative"), ("--sparsities", "sparsity")):
        largest = max((value for value in _listed(grid.get(field, 3)) if value is not None), default=0)
        if largest > n_features:
            raise UsageError(f"{option} {largest} must be at most --n-features {n_features}")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
