"""Neural scaling laws, lazy and rich: a solvable model against theory, and networks.

Finished settings are kept in a file and not done again, so that a run that was stopped goes on.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.cli import UsageError, add_common, make_folder

if TYPE_CHECKING:
    from benchmarks.scaling.experiment import Experiment
    from benchmarks.scaling.finished_settings import FinishedSettings

HELP = "scaling laws, lazy and rich: a solvable model against theory, and networks"
#: name -> module, in the order of the report
MODULES = {
    "model": "solvable",
    "circle": "circle",
    "images": "images",
    "compute": "compute",
    "parity": "richness",
    "tables": "openml_tables",
}
FOLDER = "scaling-laws"  # of the report, in the folder of results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``scaling-laws``."""
    add_common(parser)
    parser.add_argument(
        "--experiment", choices=(*MODULES, "all"), default="all", help="one of the experiments (default: all)"
    )


def run(args: argparse.Namespace) -> int:
    """Compute the settings that are not there, and write the report."""
    from benchmarks.report import render
    from benchmarks.scaling import sections
    from benchmarks.scaling.finished_settings import FinishedSettings

    known = experiments()
    chosen = {name: one for name, one in known.items() if args.experiment in (name, "all")}
    make_folder(args.results)
    done = FinishedSettings(args.results)
    try:
        compute(chosen, args.profile, done)
        folder = args.results / FOLDER
        # What an earlier run has finished is in the report too.
        finished = {
            name: one
            for name, one in known.items()
            if name in chosen or not done.missing(name, one.settings(args.profile))
            if not done.rows(name, one.settings(args.profile)).empty  # its data could be had
        }
        if not finished:
            print("no setting could be computed, and none is there: no report was written", file=sys.stderr)
            return 1
        report = sections.write(finished, args.profile, done, folder, args.command_line)
    except OSError as error:
        raise UsageError(f"--results {args.results} cannot be written: {error.strerror}") from error
    print(render.for_terminal(report))
    print(f"The report is at {folder / 'index.html'}")
    return 0


def experiments() -> dict[str, "Experiment"]:
    """Return the experiments by name."""
    from importlib import import_module

    return {name: import_module(f"benchmarks.scaling.{module}").EXPERIMENT for name, module in MODULES.items()}


def compute(chosen: Mapping[str, "Experiment"], profile: str, done: "FinishedSettings") -> None:
    """Compute and store the settings that are not there."""
    from benchmarks.cli import progress
    from benchmarks.data.table import DataUnavailableError

    pieces = []
    for name, experiment in chosen.items():
        settings = experiment.settings(profile)
        missing = done.missing(name, settings)
        if len(missing) < len(settings):
            n_there = len(settings) - len(missing)
            print(f"{name}: {n_there} of {len(settings)} settings are there already", file=sys.stderr)
        pieces += [_Piece(name, setting) for setting in missing]
    for piece in progress(pieces):
        start = time.perf_counter()
        try:
            rows = chosen[piece.experiment].compute(piece.setting)
        except DataUnavailableError as error:
            print(error, file=sys.stderr)
            continue
        done.add(piece.experiment, piece.setting, rows, time.perf_counter() - start)


class _Piece(NamedTuple):
    """A setting, with what the progress bar says of it."""

    experiment: str
    setting: dict[str, Any]

    def __str__(self) -> str:
        fields = [
            f"{name} {value}" for name, value in self.setting.items() if isinstance(value, int | float | str)
        ]
        return " ".join([self.experiment, *fields[:4]])
