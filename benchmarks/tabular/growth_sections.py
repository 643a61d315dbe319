"""The report's sections on how accuracy grows: with training rows, and with seconds of tuning."""

from collections.abc import Sequence

import pandas as pd

from benchmarks.data.splits import Size
from benchmarks.models import label
from benchmarks.report.document import Picture, Section, Table, number
from benchmarks.tabular import curves, figures
from benchmarks.tabular.summary import Setting


def sections(settings: Sequence[Setting], evaluations: pd.DataFrame) -> list[Section]:
    """Return the sections for which there are enough results."""
    found = []
    for tuned in (False, True):
        alike = [s for s in settings if s.tuned == tuned and Size.parse(s.size).kind == "fraction"]
        if len(alike) > 1:
            found.append(rows_section(alike, tuned))
    pictures = [seconds_picture(evaluations, s) for s in settings if s.tuned and s.n_trials[1] > 1]
    if pictures:
        text = (
            "How accurate the best trial so far is on the test rows as trials are spent, averaged over tasks and "
            "seeds; seconds are those of all fits on validation folds. The grey line is the best that any model "
            "reaches in that time."
        )
        found.append(Section("Accuracy against seconds of tuning", [text], figures=pictures))
    return found


def rows_section(settings: Sequence[Setting], tuned: bool) -> Section:
    """Return the section on accuracy against training rows."""
    words = "tuned" if tuned else "default configurations"
    table = curves.by_size(settings)
    labels = {model: label(model) for model in table["model"].unique()}
    averaged = curves.averaged(table)
    slug = "tuned" if tuned else "default"
    pictures = [
        Picture(
            f"{slug}-accuracy-by-rows",
            "Test accuracy against training rows by task, with standard errors over seeds.",
            figures.accuracy_by_rows(table, labels, f"Accuracy by training rows, {words}"),
        )
    ]
    if len(averaged):
        caption = (
            f"Normalised accuracy averaged over {averaged['n_tasks'].max()} tasks, with standard errors: "
            "0 is always saying the commonest class, 1 the best of any model at any size."
        )
        figure = figures.averaged_accuracy(averaged, labels, f"Normalised accuracy, {words}")
        pictures.insert(0, Picture(f"{slug}-normalised-accuracy", caption, figure))
    return Section(
        f"Accuracy against training rows, {words}", tables=_averages(averaged, labels), figures=pictures
    )


def _averages(averaged: pd.DataFrame, labels: dict[str, str]) -> list[Table]:
    if averaged.empty:
        return []
    models = list(dict.fromkeys(averaged["model"]))
    rows = []
    for size, of_size in averaged.groupby("size", sort=False):
        means = of_size.set_index("model")["mean"]
        rows.append([str(Size.parse(str(size))), *(number(means.get(model), "{:.3f}") for model in models)])
    return [Table("Normalised accuracy, mean over tasks.", ["training set", *(labels[m] for m in models)], rows)]


def seconds_picture(evaluations: pd.DataFrame, setting: Setting) -> Picture:
    """Return the figure of accuracy against seconds of tuning at one size."""
    table = curves.tuning_curves(evaluations, setting.size)
    labels = {model: label(model) for model in table["model"].unique()}
    figure = figures.accuracy_by_seconds(table, curves.pareto_front(table), labels, setting.title)
    return Picture(f"{setting.slug}-accuracy-by-seconds", f"{setting.title}.", figure)
