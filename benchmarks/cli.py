"""What the subcommands share on the command line: options, one-line errors, checked numbers, a progress bar."""

import argparse
import math
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

PROFILE_NAMES = ("smoke", "quick", "full")
DEFAULT_RESULTS = Path("results")


class UsageError(Exception):
    """A mistake of the user's: said in one line, exit status 2, no traceback."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage text before it."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def whole_number(minimum: int) -> Any:
    """Return an argparse type: an integer of at least ``minimum``."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum:
            raise argparse.ArgumentTypeError(f"must be an integer of at least {minimum}, got {text!r}")
        return value

    return convert


def whole_number_or_all(minimum: int) -> Any:
    """Return an argparse type: an integer of at least ``minimum``, or ``all`` (None)."""
    convert = whole_number(minimum)

    def convert_or_all(text: str) -> int | None:
        return None if text == "all" else convert(text)

    return convert_or_all


def _finite(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def share(text: str) -> float:
    """Argparse type: a number above 0 and at most 1."""
    value = _finite(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, got {text!r}")
    return value


def positive(text: str) -> float:
    """Argparse type: a number above 0."""
    value = _finite(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return value


def not_negative(text: str) -> float:
    """Argparse type: a number of at least 0."""
    value = _finite(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, got {text!r}")
    return value


def sparsity(text: str) -> int | None:
    """Argparse type: nonzero weights per neuron, or ``dense`` (None)."""
    return _number_or(("dense", "none"), text)


def number_of_rows(text: str) -> int | None:
    """Argparse type: training rows, or ``online`` (None)."""
    return _number_or(("online",), text)


def _number_or(words: Sequence[str], text: str) -> int | None:
    """Return an integer of at least 1, or None for one of the words; errors name the first of them."""
    if text.lower() in words:
        return None
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, or {words[0]!r}, got {text!r}")
    return value


def flip_probability(text: str) -> float:
    """Argparse type: a number of at least 0 and below 0.5."""
    value = _finite(text)
    if not 0 <= value < 0.5:
        raise argparse.ArgumentTypeError(f"must be at least 0 and below 0.5, got {text!r}")
    return value


def add_common(parser: argparse.ArgumentParser, *, profiles: Sequence[str] = PROFILE_NAMES) -> None:
    """Add ``--results``, and ``--profile`` where there are any."""
    parser.add_argument(
        "--results",
        type=Path,
        default=DEFAULT_RESULTS,
        metavar="DIR",
        help="folder of the results file and the report (default: %(default)s)",
    )
    if profiles:
        parser.add_argument(
            "--profile",
            choices=profiles,
            default="quick",
            help="preset of every option that is not given (default: %(default)s)",
        )


#: Options that mean the same in every command that has them.
SHARED: dict[str, dict[str, Any]] = {
    "--seeds": {"type": whole_number(1), "metavar": "N", "help": "how many seeds"},
    "--first-seed": {"type": whole_number(0), "metavar": "SEED", "help": "the first of the seeds"},
    "--rows": {"nargs": "+", "type": whole_number(2), "metavar": "N", "help": "training-set sizes in rows"},
    "--jobs": {"type": whole_number(1), "metavar": "N", "help": "how much is computed at a time"},
    "--threads": {"type": whole_number(1), "metavar": "N", "help": "cores that each computation may use"},
    "--scheduler": {"metavar": "ADDRESS", "help": "a dask cluster's scheduler, such as tcp://host:8786"},
}


def add_shared(parser: argparse.ArgumentParser, name: str, **changes: Any) -> None:
    """Add one of the SHARED options; without a default it is left out where it is not given."""
    parser.add_argument(name, **({"default": argparse.SUPPRESS} | SHARED[name] | changes))


def make_folder(folder: Path) -> None:
    """Make the folder of the results; one that cannot be made is a UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--results {folder} cannot be made: {error.strerror}") from error


def with_profile(args: argparse.Namespace, profiles: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the options of the profile, overridden by those given on the command line.

    Options must be declared with ``default=argparse.SUPPRESS``, so that only given ones are in ``args``.
    """
    profile = profiles[args.profile]
    given = vars(args)
    return {name: given.get(name, value) for name, value in profile.items()}


def known_names(
    what: str, names: Sequence[str], choices: Sequence[str], every: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return ``names`` without repeats, ``all`` spelt out as ``every``; an unknown one is a UsageError."""
    wanted: list[str] = []
    for name in names:
        if name == "all":
            wanted.extend(choices if every is None else every)
        elif name in choices:
            wanted.append(name)
        else:
            raise UsageError(f"unknown {what} {name!r}; choose from: {', '.join(choices)}, or all")
    return tuple(dict.fromkeys(wanted))


def command_line(arguments: Sequence[str]) -> str:
    """Return the command as a user would repeat it, with no absolute path, address or password in it."""
    shown: list[str] = []
    for argument in arguments:
        option, equals, value = argument.rpartition("=")
        path = Path(value)
        if "://" in value or (shown and shown[-1] == "--scheduler") or option == "--scheduler":
            value = "URL" if "://" in value else "ADDRESS"
        elif path.is_absolute():
            inside = path.is_relative_to(Path.cwd())
            value = str(path.relative_to(Path.cwd())) if inside else path.name
        shown.append(f"{option}{equals}{value}")
    return shlex.join(["python", "-m", "benchmarks", *shown])


def progress_bar(total: int, **changes: Any) -> "tqdm[Any]":
    """Return a bar on stderr with the time left, which a file that is no terminal gets every few seconds only."""
    terminal = sys.stderr.isatty()
    form = "{percentage:3.0f}% |{bar:20}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left] {desc}"
    options = {"bar_format": form, "mininterval": 0.1 if terminal else 10.0, "dynamic_ncols": terminal}
    return tqdm(total=total, disable=not total, **(options | changes))


def progress(items: Sequence[Item]) -> Iterator[Item]:
    """Yield the items under a bar that names the one that is being worked on."""
    with progress_bar(len(items)) as bar:
        for item in items:
            bar.set_description_str(str(item), refresh=sys.stderr.isatty())
            yield item
            bar.update()
        bar.set_description_str("")
