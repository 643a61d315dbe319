"""The benchmark in one command, which `make benchmark` runs: tables, sparse targets, frontier and report."""

import argparse
from typing import Any

from benchmarks import write_report
from benchmarks.cli import Parser, add_common
from benchmarks.parity import command as parity
from benchmarks.tabular import command as tabular
from benchmarks.tabular import presets

HELP = "tables untuned and tuned, sparse targets, frontier and report with one profile"

_PARITY_MODELS = "rf hgb paper_net dense_paper_net sparse_mlp"
#: the commands of each profile, and their options
STEPS: dict[str, tuple[tuple[Any, str], ...]] = {
    "smoke": (
        (tabular, "--profile smoke"),
        (tabular, f"--tasks parity-10-2 --rows 100 --models {_PARITY_MODELS} --trials 0 --seeds 1"),
        (parity, "--profile smoke"),
    ),
    "quick": (
        (tabular, "--profile quick"),
        (tabular, "--tasks credit pol california --rows 100 --models rf sparse_mlp --trials 5 --seeds 1 --jobs 2"),
        (
            tabular,
            f"--tasks parity-50-3 --rows 500 1000 2000 --models {_PARITY_MODELS} --trials 0 --seeds 2 --jobs 2",
        ),
        (
            presets.SPARSE_TARGETS,
            "--tasks product-20-2 box-50-2 --models rf hgb sparse_mlp --seeds 1 --jobs 2",
        ),
        (parity, "--profile glance"),
    ),
    "full": (
        (tabular, "--profile full"),
        (
            tabular,
            f"--tasks parity-50-3 parity-50-4 --rows 200 500 1000 2000 5000 10000 --models {_PARITY_MODELS}"
            " --trials 20 --seeds 3",
        ),
        (parity, "--profile quick"),
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``all``."""
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Run the commands; the report is written even where a part of the runs could not be done."""
    steps = (*STEPS[args.profile], (write_report, ""))
    return max([_run(command, options, args) for command, options in steps])


def _run(command: Any, options: str, args: argparse.Namespace) -> int:
    parser = Parser()
    command.add_arguments(parser)
    parsed = parser.parse_args([*options.split(), "--results", str(args.results)])
    parsed.command_line = args.command_line
    status: int = command.run(parsed)
    return status
