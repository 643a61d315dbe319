"""The report's section on sparse targets: accuracy by target, and how far the sparse net is behind the best."""

import numpy as np
import pandas as pd

from benchmarks.data.splits import Size
from benchmarks.data.tasks import PANEL, family
from benchmarks.models import label
from benchmarks.report.document import Picture, Section, Table, mark, span
from benchmarks.results.schema import DEFAULT_TRIAL
from benchmarks.tabular import curves, figures
from benchmarks.tabular.comparisons import SUBJECT, Comparison, compare
from benchmarks.tabular.scores import ACCURACY, capitalised, conditions, with_scores

TITLE = "Sparse targets"


def panel(evaluations: pd.DataFrame) -> pd.DataFrame:
    """Return the untuned evaluations on sparse targets, of parities those alone that belong to the panel.

    None where all of them are parities, which have sections of their own.
    """
    sizes = {task: Size.rows(n_rows).key for task, n_rows in PANEL.items()}
    untuned = evaluations[evaluations["trial"] == DEFAULT_TRIAL]
    is_other = ~untuned["task"].map(family).isin(("", "parity"))
    in_panel = untuned["task"].map(sizes) == untuned["size"]
    return untuned[(is_other | in_panel) if is_other.any() else is_other]


def headlines(evaluations: pd.DataFrame) -> list[str]:
    """Say on how many targets no model is better than the sparse net."""
    rows = panel(evaluations)
    found = [] if rows.empty else list(against_the_best(rows).values())
    n_best = sum(comparison.count("loss") == 0 for _, comparison in found)
    words = f"{label(SUBJECT)} ahead of every other model, or tied with the best (within one standard error)"
    return [f"{TITLE}, default configurations: {words}, on {n_best} of {len(found)} targets."] if found else []


def sections(evaluations: pd.DataFrame) -> list[Section]:
    """Return the section on sparse targets, where there are any."""
    rows = panel(evaluations)
    if rows.empty:
        return []
    heading = f"{TITLE}, default configurations"
    caption = f"{capitalised(ACCURACY.axis)}, by target: mean over seeds and one standard error."
    picture = Picture("sparse-targets", caption, figures.score_by_target(by_target(rows), ACCURACY, heading))
    return [Section(heading, behind(rows), [table(rows)], [picture], brief=1)]


def by_target(rows: pd.DataFrame) -> pd.DataFrame:
    """Return `curves.by_size`, the targets of the panel first and in its order, with their ``title``."""
    found = curves.by_size(conditions(rows))
    place = found["task"].map({task: place for place, task in enumerate(PANEL)}).fillna(len(PANEL))
    found = found.assign(
        place=place, title=[_title(*pair) for pair in zip(found["task"], found["size"], strict=True)]
    )
    return found.sort_values(["place", "task", "n_train"], kind="stable")


def _title(task: str, size: str) -> str:
    return f"{task} ({Size.parse(size).value:.0f} rows)"


def table(rows: pd.DataFrame) -> Table:
    """Return the table of mean scores: targets down, models across."""
    found = by_target(rows)
    models = list(dict.fromkeys(rows.sort_values("id")["model"]))
    lines = []
    for _, group in found.groupby(["task", "size"], sort=False):
        cells = group.set_index("model")
        best = ACCURACY.text(cells["mean"].max())
        texts = []
        for model in models:
            text = ACCURACY.text(cells["mean"].get(model, np.nan))
            error = ACCURACY.text(cells["standard_error"].get(model, np.nan))
            texts.append(mark(text if error == "-" else f"{text} ± {error}", text == best))
        n_seeds = span(int(cells["n_seeds"].min()), int(cells["n_seeds"].max()))
        lines.append([str(group["task"].iloc[0]), f"{cells['n_train'].mean():.0f}", n_seeds, *texts])
    caption = f"{capitalised(ACCURACY.axis)}: mean ± standard error over seeds; the best mean is bold."
    return Table(caption, ["target", "rows", "seeds", *map(label, models)], lines)


def against_the_best(rows: pd.DataFrame) -> dict[str, tuple[str, Comparison]]:
    """Return for every target the best of all models but the sparse net, and how that compares with it."""
    found = {}
    scored = with_scores(rows)
    for (task, size), group in by_target(rows).groupby(["task", "size"], sort=False):
        means = group.set_index("model")["mean"]
        others = means.drop(SUBJECT, errors="ignore")
        if SUBJECT in means and len(others):
            best = str(others.idxmax())
            own = scored[(scored["task"] == task) & (scored["size"] == size)]
            comparison = compare(own[own["model"] == SUBJECT], own[own["model"] == best])
            if len(comparison):
                found[_title(str(task), str(size))] = (best, comparison)
    return found


def behind(rows: pd.DataFrame) -> list[str]:
    """Say for every target how far the sparse net is behind the best of the other models."""
    losses, others = [], []
    for title, (best, comparison) in against_the_best(rows).items():
        if comparison.difference < 0:
            error = comparison.tasks["standard_error"].iloc[0]
            text = "" if np.isnan(error) else f" ± {ACCURACY.text(error)}"
            losses.append(f"{title} by {ACCURACY.text(-comparison.difference)}{text} ({label(best)})")
        else:
            others.append(title)
    what = f"{label(SUBJECT)} behind the best other model, in {ACCURACY.unit} of {ACCURACY.name}"
    lines = []
    if losses:
        lines.append(f"{what} (± standard error of the paired difference over seeds): {'; '.join(losses)}.")
    if others:
        lines.append(f"{label(SUBJECT)} not behind any model: {'; '.join(others)}.")
    return [" ".join(lines)] if lines else []
