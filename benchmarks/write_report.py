"""Write the report: one page with its figures inside, the same as markdown, and the figures as files."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli import UsageError, add_common

if TYPE_CHECKING:
    from benchmarks.report.document import Content
    from benchmarks.results.store import Store

HELP = "write the report of the results: index.html, report.md, figures and CSV files"
TEMPLATES = Path(__file__).parent / "report" / "templates"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``report``."""
    add_common(parser, profiles=())


def run(args: argparse.Namespace) -> int:
    """Write the report, print its main tables and say where it is."""
    from benchmarks.results.store import Store

    store = Store.open(args.results, create=False)
    folder = args.results / "report"
    try:
        content = write(store, folder, args.command_line)
    except OSError as error:
        raise UsageError(f"the report cannot be written to {folder}: {error.strerror}") from error
    finally:
        store.close()
    print(for_terminal(content))
    print(f"The report is at {folder / 'index.html'}")
    return 0


def write(store: "Store", folder: Path, command: str) -> "Content":
    """Write index.html, report.md, the figures and CSV files into ``folder``; return what they say.

    ``command`` is what asked for the report, for its last section.
    """
    import jinja2
    from markupsafe import Markup

    from benchmarks.report import style
    from benchmarks.speed import sections as speed_report
    from benchmarks.tabular import content, csv_files

    folder.mkdir(parents=True, exist_ok=True)
    report = content.build(store, folder.parent, command)
    if (speed := speed_report.section(folder.parent)) is not None:
        report.sections.insert(-1, speed)
    for section in report.sections:
        for picture in section.figures:
            picture.svg = Markup(style.save(picture.figure, folder, picture.name))
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
    )
    for template, name in (("report.html", "index.html"), ("report.md", "report.md")):
        text = templates.get_template(template).render(vars(report))
        (folder / name).write_text(text.rstrip() + "\n", encoding="utf-8")
    csv_files.write(folder, store.frame("evaluations"), store.frame("environments"))
    return report


def for_terminal(report: "Content") -> str:
    """Return the headlines and the main tables as text."""
    lines = ["", *report.lead]
    for section in report.sections:
        for table in section.tables[: section.brief]:
            lines += ["", f"{section.title}. {table.caption}", table.markdown()]
    return "\n".join([*lines, ""])
