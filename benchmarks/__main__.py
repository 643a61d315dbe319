"""The command line: ``python -m benchmarks COMMAND``.

A command is a module or an object with ``HELP``, ``add_arguments(parser)`` and ``run(args)``, named in COMMANDS.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import everything, write_report
from benchmarks.cli import Parser, UsageError, command_line
from benchmarks.parity import command as parity
from benchmarks.scaling import command as scaling_laws
from benchmarks.speed import command as speed
from benchmarks.tabular import command as tabular
from benchmarks.tabular import presets

COMMANDS: dict[str, Any] = {
    "tabular": tabular,
    "parity": parity,
    "speed": speed,
    "ablation": presets.ABLATION,
    "sparse-targets": presets.SPARSE_TARGETS,
    "scaling-laws": scaling_laws,
    "report": write_report,
    "all": everything,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 (nothing could be done) or 2 (bad arguments)."""
    _make_streams_usable()
    given = sys.argv[1:] if arguments is None else list(arguments)
    args = _parser().parse_args(given)
    args.command_line = command_line(given)
    try:
        status: int = COMMANDS[args.command].run(args)
    except UsageError as error:
        print(f"python -m benchmarks {args.command}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return status


def _make_streams_usable() -> None:
    """Let no output end the work: what a stream cannot encode is replaced, and what has no stream is dropped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # without a console, or closed by the shell
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m benchmarks", description="Benchmarks of sparsemlp.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        subparser = commands.add_parser(name, help=module.HELP, description=module.__doc__, allow_abbrev=False)
        module.add_arguments(subparser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
