"""The report of the scaling-laws study."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.environment import machine, versions
from benchmarks.report import render
from benchmarks.report.document import CsvFile, Document, Section
from benchmarks.scaling.experiment import Experiment
from benchmarks.scaling.finished_settings import FinishedSettings


def write(
    finished: Mapping[str, Experiment], profile: str, done: FinishedSettings, folder: Path, command: str
) -> Document:
    """Write the report, and a CSV file of the rows of each experiment; return the report."""
    folder.mkdir(parents=True, exist_ok=True)
    sections = [_section(name, experiment, profile, done) for name, experiment in finished.items()]
    hardware, software = (", ".join(f"{key} {value}" for key, value in d().items()) for d in (machine, versions))
    how = (
        f"Profile {profile}. Machine: {hardware}. Versions: {software}. To run it again, in the project's folder:"
    )
    sections.append(Section("How these numbers were made", [how], commands=[command]))
    document = Document(Section("Scaling laws, lazy and rich"), sections)
    render.write(document, folder)
    return document


def _section(name: str, experiment: Experiment, profile: str, done: FinishedSettings) -> Section:
    settings = experiment.settings(profile)
    rows = done.rows(name, settings)
    section = experiment.section(rows)
    n_found = len(settings) - len(done.missing(name, settings))
    n_settings = f"{len(settings)}" if n_found == len(settings) else f"{n_found} of {len(settings)}"
    made = f"{n_settings} settings, {done.seconds(name, settings):.0f} seconds."
    if others := done.other_code(name, settings):
        made += f" Some are of other code of sparsemlp than the versions below say: {', '.join(others)}."
    section.text.append(made)
    section.files.append(CsvFile(f"{name}.csv", "all rows", rows))
    section.brief = len(section.tables)
    return section
