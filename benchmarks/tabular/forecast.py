"""What a command would do and how long it would take, judged by the evaluations that are stored."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from benchmarks.report.document import Table
from benchmarks.results.database import NoResultsError
from benchmarks.results.schema import DEFAULT_TRIAL
from benchmarks.results.store import Store
from benchmarks.tabular.plan import Evaluation, Plan

# An evaluation is likened to those that share the most of these with it.
ALIKE = (("task", "size", "model"), ("size", "model"), ("model",))


def forecast(plan: Plan, results: Path, jobs: int) -> str:
    """Return the plan as text: what is there, what is missing, and the time it would take."""
    try:
        store = Store.open(results, create=False)
    except NoResultsError:
        rows, finished = pd.DataFrame(), set()
    else:
        rows, finished = store.frame("evaluations"), store.finished()
        store.close()
    missing = plan.all_missing(finished)
    known = [seconds for evaluation, seconds in zip(missing, estimates(missing, rows), strict=True) if seconds]
    lines = [
        _table(plan, missing).markdown(),
        "",
        f"{len(plan)} evaluations: {len(plan) - len(missing)} are there, {len(missing)} are missing.",
    ]
    if known:
        text = f"Estimated time of {len(known)} of them: {in_words(sum(known) / jobs)}"
        lines.append(f"{text} with {jobs} at a time, judged by stored evaluations.")
    if len(known) < len(missing):
        lines.append(f"For {len(missing) - len(known)} nothing is stored that they could be judged by.")
    return "\n".join(lines)


def estimates(evaluations: Iterable[Evaluation], rows: pd.DataFrame) -> list[float | None]:
    """Return the seconds of each evaluation: the mean over those stored ones that are most like it, or None."""
    if rows.empty:
        return [None for _ in evaluations]
    seconds = rows[["fit_seconds", "predict_seconds", "tuning_seconds"]].fillna(0.0).sum(axis=1)
    rows = rows.assign(seconds=seconds, untuned=rows["trial"] == DEFAULT_TRIAL)
    means = [rows.groupby([*names, "untuned"])["seconds"].mean().to_dict() for names in ALIKE]
    found: list[float | None] = []
    for evaluation in evaluations:
        study = evaluation.study
        about = {"task": study.task, "size": study.size.key, "model": study.model}
        keys = [(*(about[name] for name in names), evaluation.is_default) for names in ALIKE]
        found.append(next((mean[key] for mean, key in zip(means, keys, strict=True) if key in mean), None))
    return found


def _table(plan: Plan, missing: list[Evaluation]) -> Table:
    """Return a table with a row per model and a column per size: evaluations that are missing, of all."""
    sizes = list(dict.fromkeys(study.size for study in plan.studies))
    models = list(dict.fromkeys(study.model for study in plan.studies))
    rows = []
    for model in models:
        cells = [model]
        for size in sizes:
            n_all = sum((study.size, study.model) == (size, model) for study in plan.studies) * (1 + plan.n_trials)
            n_missing = sum(
                (evaluation.study.size, evaluation.study.model) == (size, model) for evaluation in missing
            )
            cells.append(f"{n_missing} of {n_all}")
        rows.append(cells)
    return Table("Evaluations that are missing.", ["model", *map(str, sizes)], rows)


def in_words(seconds: float) -> str:
    """Return a duration with a unit that fits."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"
