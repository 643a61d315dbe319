"""Write the report: one page with its figures inside, the same as Markdown with PNG files, and CSV files."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli import UsageError, add_common

if TYPE_CHECKING:
    from benchmarks.report.document import Document
    from benchmarks.results.store import Store

HELP = "write the report of the results: index.html, report.md, figures and CSV files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``report``."""
    add_common(parser, profiles=())
    parser.add_argument("--svg", action="store_true", help="write every figure as an SVG file too")


def run(args: argparse.Namespace) -> int:
    """Write the report, print its main tables and say where it is."""
    from benchmarks.report import render
    from benchmarks.results.store import Store

    store = Store.open(args.results, create=False)
    folder = args.results / "report"
    try:
        document = compose(store, args.results, args.command_line)
        render.write(document, folder, with_svg=args.svg)
    except OSError as error:
        raise UsageError(f"the report cannot be written to {folder}: {error.strerror}") from error
    finally:
        store.close()
    print(render.for_terminal(document))
    print(f"The report is at {folder / 'index.html'}")
    return 0


def compose(store: "Store", results: Path, command: str) -> "Document":
    """Return the report on all studies; ``command`` is what asked for it."""
    from benchmarks.parity import sections as parity
    from benchmarks.report.document import Document
    from benchmarks.speed import sections as speed
    from benchmarks.tabular import provenance
    from benchmarks.tabular import sections as tabular

    summary = tabular.summary(store)
    summary.text += parity.headlines(store)
    found = [section for study in (tabular, parity, speed) for section in study.sections(store, results)]
    if not (found or summary.text or summary.tables):
        summary.text.append("There are no results yet.")
    return Document(summary, [*found, *provenance.sections(store, command)])
