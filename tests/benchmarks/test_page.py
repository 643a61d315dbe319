"""The report as an HTML page: its tables are those of the Markdown, links lead somewhere, text can be read."""

import html
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from matplotlib.figure import Figure

from benchmarks.report import render
from benchmarks.report.document import Best, CsvFile, Document, Picture, Section, Table
from benchmarks.report.style import GREY

LIGHT, DARK = "#ffffff", "#121212"  # Canvas in both schemes


class Tables(HTMLParser):
    """Collects the tables of a page as rows of cells; a cell of several rows is in each of them."""

    def __init__(self):
        super().__init__()
        self.tables, self.cell = [], None

    def handle_starttag(self, tag, attributes):
        if tag == "table":
            self.tables.append([])
            self.several = {}
        elif tag == "tr":
            self.tables[-1].append([])
            if self.several.get("left"):
                self.several["left"] -= 1
                self.tables[-1][-1].append(self.several["text"])
        elif tag in ("th", "td"):
            self.cell, self.n_rows = "", int(dict(attributes).get("rowspan", 1))

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data

    def handle_endtag(self, tag):
        if tag in ("th", "td"):
            self.tables[-1][-1].append(self.cell)
            if self.n_rows > 1:
                self.several = {"left": self.n_rows - 1, "text": self.cell}
            self.cell = None


def picture(name):
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([0, 1], [0, 1], "o-")
    return Picture(name, f"The {name} one.", figure)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rows = [
        ["100 rows", "forest", Best("+0.30")],
        ["100 rows", "a & b", "-0.10"],
        ["1000 rows", "forest", "+0.00"],
    ]
    again = [["100 rows", "net", "1"], ["<b>", "net", "2"], ["100 rows", "net", "3"]]
    first = Section("Results", ["The headline."], [Table("Against all.", ["rows", "against", "points"], rows)])
    second = Section(
        "More & more",
        tables=[Table("A long one.", ["rows", "what", "value"], again, words=(1,), long=True)],
        figures=[picture("first"), picture("second")],
        files=[CsvFile("scores.csv", "every score", pd.DataFrame({"score": [0.5]}))],
    )
    folder = tmp_path_factory.mktemp("report")
    render.write(Document(first, [second]), folder, with_svg=True)
    return folder


def test_the_tables_of_the_page_are_those_of_the_markdown_and_a_repeated_first_cell_is_written_once(folder):
    page = (folder / "index.html").read_text(encoding="utf-8")
    lines = (folder / "report.md").read_text(encoding="utf-8").splitlines()
    written = [
        [cell.strip().strip("*") for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    parser = Tables()
    parser.feed(page)
    assert [row for table in parser.tables for row in table] == [row for row in written if row[1].strip("-:")]
    assert page.count("100 rows") == 3, (
        "once for two rows that follow one another, and twice where others are between"
    )
    assert '<th scope="rowgroup" rowspan="2">100 rows</th>' in page


def test_the_headline_comes_first_and_every_link_leads_somewhere(folder):
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.index("The headline.") < page.index("<table>") < page.index("Contents")
    links = [html.unescape(link) for link in re.findall(r' href="([^"]*)"', page)]
    assert [link for link in links if not re.match("#(first|second)-", link)] == ["#more-more", "scores.csv"]
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids)), "also those inside the two figures"
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', page)) <= set(ids)
    assert pd.read_csv(folder / "scores.csv")["score"].tolist() == [0.5]


def test_figures_are_in_the_page_and_files_that_the_markdown_refers_to(folder):
    assert (folder / "index.html").read_text(encoding="utf-8").count("<svg") == 2
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\(([^)]*\.png)\)", text) == ["first.png", "second.png"]
    for name in ("first", "second"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / f"{name}.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_svg_files_are_written_on_request_only(tmp_path):
    document = Document(Section("Results", figures=[picture("first")]), [])
    render.write(document, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["first.png", "index.html", "report.md"]


def test_what_is_wide_scrolls_by_itself_and_can_be_reached_by_keyboard(folder):
    page = (folder / "index.html").read_text(encoding="utf-8")
    scrollers = re.findall(r'<div class="scroll" tabindex="0" role="region" aria-label="[^"]+"><table>', page)
    assert len(scrollers) == page.count("<table>") == 2
    assert re.search(r"\.scroll \{ overflow-x: auto;", page)


def contrast(colour, background):
    """Return the ratio that the Web Content Accessibility Guidelines define."""
    lightness = []
    for text in (colour, background):
        parts = [int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lightness.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lightness) + 0.05) / (min(lightness) + 0.05)


def test_quiet_text_has_the_contrast_of_level_aa_in_both_schemes(folder):
    page = (folder / "index.html").read_text(encoding="utf-8")
    light, dark = re.search(r"--quiet: light-dark\((#\w+), (#\w+)\)", page).groups()
    assert contrast(light, LIGHT) >= 4.5
    assert contrast(dark, DARK) >= 4.5
    assert contrast(GREY, LIGHT) >= 4.5, "ties are grey in figures"
