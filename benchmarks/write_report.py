"""Write the report: one page with its figures inside, the same as Markdown with PNG files, and CSV files."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli import UsageError, add_common, add_storage

if TYPE_CHECKING:
    from benchmarks.report.document import Document
    from benchmarks.results.store import Store

HELP = "write the report of the results: index.html, report.md, figures and CSV files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``report``."""
    add_common(parser, profiles=())
    add_storage(parser)
    parser.add_argument("--svg", action="store_true", help="write every figure as an SVG file too")


def run(args: argparse.Namespace) -> int:
    """Write the report, print its main tables and say where it is."""
    from benchmarks.report import render
    from benchmarks.results.database import locate
    from benchmarks.results.store import Store

    store = Store.open(locate(args.results, args.storage), create=False)
    folder = args.results / "report"
    try:
        document = write(store, folder, args.command_line, with_svg=args.svg)
    except OSError as error:
        raise UsageError(f"the report cannot be written to {folder}: {error.strerror}") from error
    finally:
        store.close()
    print(render.for_terminal(document))
    print(f"The report is at {folder / 'index.html'}")
    return 0


def write(store: "Store", folder: Path, command: str, *, with_svg: bool = False) -> "Document":
    """Write the report and its CSV files into ``folder``, and return it; ``command`` is what asked for it."""
    from benchmarks.report import render
    from benchmarks.speed import sections as speed_report
    from benchmarks.tabular import content, csv_files

    document = content.build(store, folder.parent, command)
    if (speed := speed_report.section(folder.parent)) is not None:
        document.sections.insert(-1, speed)
    render.write(document, folder, with_svg=with_svg)
    csv_files.write(folder, store.frame("evaluations"), store.frame("environments"))
    return document
