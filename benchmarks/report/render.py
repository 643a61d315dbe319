"""Write a document: one HTML page that stands on its own, Markdown with PNG files, and text for a terminal."""

import itertools
import re
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

import jinja2
from markupsafe import Markup

from benchmarks.report import style
from benchmarks.report.document import Best, Document, Section

TEMPLATES = Path(__file__).with_name("templates")
PAGES = {"report.html": "index.html", "report.md": "report.md"}


def write(document: Document, folder: Path, *, with_svg: bool = False) -> None:
    """Write index.html with its figures inside, report.md, the figures as PNG, and the CSV files.

    Parameters
    ----------
    document : Document
    folder : Path
        Where to; made if it is not there.
    with_svg : bool
        Whether to write every figure as an SVG file too.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in (file for section in _all_sections(document) for file in section.files):
        file.rows.to_csv(folder / file.name, index=False, float_format="%.7g")
    drawn = {}
    for picture in (picture for section in _all_sections(document) for picture in section.figures):
        style.save(picture.figure, folder, picture.name)
        text = style.svg(picture.figure)
        drawn[picture.name] = Markup(style.inline(text, picture.name))
        if with_svg:
            (folder / f"{picture.name}.svg").write_text(text, encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["anchor"] = _anchor
    environment.filters["alike"] = _alike
    environment.tests["best"] = lambda cell: isinstance(cell, Best)
    for template, name in PAGES.items():
        text = environment.get_template(template).render(document=document, drawn=drawn)
        (folder / name).write_text(text.rstrip() + "\n", encoding="utf-8")


def for_terminal(document: Document) -> str:
    """Return the summary and the main tables as text."""
    lines = ["", *document.summary.text]
    for section in _all_sections(document):
        for table in section.tables[: section.brief]:
            lines += ["", f"{section.title}. {table.caption}", table.markdown()]
    return "\n".join([*lines, ""])


def _all_sections(document: Document) -> list[Section]:
    return [document.summary, *document.sections]


def _alike(rows: Sequence[Sequence[str]]) -> list[tuple[str, list[Sequence[str]]]]:
    """Return the rows in groups that follow one another and share the first cell, which is then written once."""
    return [(head, list(group)) for head, group in itertools.groupby(rows, key=itemgetter(0))]


def _anchor(title: str) -> str:
    """Return a title as the id of a heading."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")
