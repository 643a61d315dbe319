"""Tables, parity frontier and report, one after the other: what `make benchmark` runs."""

import argparse
from types import ModuleType

from benchmarks import write_report
from benchmarks.cli import Parser, add_common
from benchmarks.parity import command as parity
from benchmarks.tabular import command as tabular

# The parity study has its own sizes of grid; `make benchmark` shows a corner of it.
PARITY_PROFILES = {"smoke": "smoke", "quick": "glance", "full": "quick"}

HELP = "tabular, parity and report with one profile"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``all``."""
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    """Run the three commands; the report is written even where a part of the runs could not be done."""
    shared = ["--results", str(args.results)]
    profile = ["--profile", args.profile]
    statuses = [
        _run(tabular, shared + profile, args.command_line),
        _run(parity, [*shared, "--profile", PARITY_PROFILES[args.profile]], args.command_line),
        _run(write_report, shared, args.command_line),
    ]
    return max(statuses)


def _run(command: ModuleType, arguments: list[str], command_line: str) -> int:
    parser = Parser()
    command.add_arguments(parser)
    args = parser.parse_args(arguments)
    args.command_line = command_line
    status: int = command.run(args)
    return status
