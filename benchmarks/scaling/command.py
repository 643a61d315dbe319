"""Neural scaling laws, lazy and rich: a solvable model against theory, and networks beside it.

Finished cells are kept in a file and not done again, so that a run that was stopped goes on.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli import UsageError, add_common, make_folder

if TYPE_CHECKING:
    from benchmarks.scaling.experiment import Experiment
    from benchmarks.scaling.finished_cells import ScalingStore

HELP = "scaling laws, lazy and rich: a solvable model against theory, networks beside it"
NAMES = ("model", "circle", "images", "compute", "parity", "tables")
FOLDER = "scaling-laws"  # of the report, in the folder of results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``scaling-laws``."""
    add_common(parser)
    parser.add_argument(
        "--experiment", choices=(*NAMES, "all"), default="all", help="one of the experiments (default: all)"
    )


def run(args: argparse.Namespace) -> int:
    """ComputePool the cells that are not there, and write the report."""
    from benchmarks.scaling.finished_cells import ScalingStore

    known = experiments()
    chosen = {name: one for name, one in known.items() if args.experiment in (name, "all")}
    make_folder(args.results)
    store = ScalingStore(args.results)
    try:
        compute(chosen, args.profile, store)
        folder = args.results / FOLDER
        # What an earlier run has finished is in the report too.
        finished = {
            name: one
            for name, one in known.items()
            if name in chosen or not store.missing(name, one.cells(args.profile))
            if not store.rows(name, one.cells(args.profile)).empty  # its data could be had
        }
        if not finished:
            print("no cell could be computed, and none is there: no report was written", file=sys.stderr)
            return 1
        write_report(finished, args.profile, store, folder, args.command_line)
    except OSError as error:
        raise UsageError(f"--results {args.results} cannot be written: {error.strerror}") from error
    print(f"The report is at {folder / 'report.md'}")
    return 0


def experiments() -> dict[str, "Experiment"]:
    """Return the experiments by name."""
    from benchmarks.scaling import compute as scaling_compute
    from benchmarks.scaling import model as scaling_model
    from benchmarks.scaling.networks import EXPERIMENTS

    found = {"model": scaling_model.EXPERIMENT, "compute": scaling_compute.EXPERIMENT, **EXPERIMENTS}
    return {name: found[name] for name in NAMES}


def compute(chosen: Mapping[str, "Experiment"], profile: str, store: "ScalingStore") -> None:
    """ComputePool and store the cells that the store does not hold."""
    from benchmarks.data.tasks import DataUnavailableError
    from benchmarks.progress import progress

    pieces = []
    for name, experiment in chosen.items():
        cells = experiment.cells(profile)
        missing = store.missing(name, cells)
        if len(missing) < len(cells):
            print(f"{name}: {len(cells) - len(missing)} of {len(cells)} cells are there already", file=sys.stderr)
        pieces += [_Piece(name, cell) for cell in missing]
    for piece in progress(pieces):
        start = time.perf_counter()
        try:
            rows = chosen[piece.experiment].run_cell(piece.cell)
        except DataUnavailableError as error:
            print(error, file=sys.stderr)
            continue
        store.add(piece.experiment, piece.cell, rows, time.perf_counter() - start)


class _Piece:
    """A cell with what the progress bar says of it."""

    def __init__(self, experiment: str, cell: dict) -> None:
        self.experiment, self.cell = experiment, cell

    def __str__(self) -> str:
        fields = [f"{name} {value}" for name, value in self.cell.items() if isinstance(value, int | float | str)]
        return " ".join([self.experiment, *fields[:4]])


def write_report(
    finished: Mapping[str, "Experiment"], profile: str, store: "ScalingStore", folder: Path, command: str
) -> None:
    """Write report.md, the figures as PNG, and a CSV file of the rows of each experiment."""
    from benchmarks.environment import machine, versions
    from benchmarks.report import style

    folder.mkdir(parents=True, exist_ok=True)
    parts = ["# Scaling laws, lazy and rich"]
    for name, experiment in finished.items():
        cells = experiment.cells(profile)
        rows = store.rows(name, cells)
        parts.append(f"## {experiment.title}")
        rows.to_csv(folder / f"{name}.csv", index=False, float_format="%.5g")
        text, drawn = experiment.summary(rows)
        parts.append(text)
        for title, figure in drawn.items():
            style.save(figure, folder, title)
            parts.append(f"![{experiment.title}: {title}]({title}.png)")
        n_found = len(cells) - len(store.missing(name, cells))
        n_cells = f"{len(cells)}" if n_found == len(cells) else f"{n_found} of {len(cells)}"
        made = f"{n_cells} cells, {store.seconds(name, cells):.0f} seconds."
        if others := store.other_code(name, cells):
            made += f" Some are of other code of sparsemlp than the versions below say: {', '.join(others)}."
        parts.append(made)
        print(f"\n{experiment.title}\n\n{text}")
    hardware, software = (", ".join(f"{key} {value}" for key, value in d().items()) for d in (machine, versions))
    parts += [
        "## How these numbers were made",
        f"Profile {profile}. Machine: {hardware}. Versions: {software}. To run it again, in the project's folder:",
        f"```sh\n{command}\n```",
    ]
    (folder / "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
