"""The sparse net against forests, untuned, tuned and the stronger of the two, and each rival, in points."""

from collections.abc import Sequence

import pandas as pd

from benchmarks.models import label
from benchmarks.report.document import Section, Table
from benchmarks.tabular import summary
from benchmarks.tabular.setting_sections import SUBJECT, difference_cells
from benchmarks.tabular.summary import Setting

FOREST = "rf"
SCORES = ["task", "seed", "accuracy"]
STRONGER = "Stronger forest"
#: what the forest is called, untuned and tuned
FORESTS = {False: "Untuned forest", True: "Tuned forest"}


def stronger_forest(settings: Sequence[Setting]) -> pd.DataFrame:
    """Return the scores of the tuned or untuned forest of one size, for every task the better of the two.

    Better on the test rows, on the seeds that both have; so the choice favours the forest.

    Parameters
    ----------
    settings : sequence of Setting
        Those of one size.

    Returns
    -------
    DataFrame
        Columns task, seed and accuracy.
    """
    best: dict[str, pd.DataFrame] = {}
    for setting in settings:
        for task, rows in _forest_scores(setting).groupby("task"):
            known = best.get(str(task))
            both = None if known is None else known.merge(rows, on=["task", "seed"], suffixes=("_known", ""))
            if both is None or (len(both) and both["accuracy"].mean() > both["accuracy_known"].mean()):
                best[str(task)] = rows
    return pd.concat(best.values()) if best else pd.DataFrame(columns=SCORES)


def _forest_scores(setting: Setting) -> pd.DataFrame:
    return setting.scores.loc[setting.scores["model"] == FOREST, SCORES]


def points(comparison: pd.DataFrame) -> float:
    """Return the tasks won, those within one standard error counting half."""
    wins, ties, _ = summary.counts(comparison)
    return wins + ties / 2


def sections(settings: Sequence[Setting]) -> list[Section]:
    """Return the section with one row for each duel, where there are any."""
    rows = [row for size in dict.fromkeys(one.size for one in settings) for row in _rows(settings, size)]
    if not rows:
        return []
    table = Table(
        "Points: tasks won, those within one standard error of the paired difference counting half. The stronger "
        "forest is on every task the tuned or the untuned one, whichever scored better on the test rows. Mean "
        "difference of accuracy in percentage points and its standard error over tasks; p-value of the Wilcoxon "
        "signed-rank test over tasks.",
        ["net", "against", "seeds", "points", "difference", "p"],
        rows,
    )
    return [Section(f"{label(SUBJECT)} against each rival, in points", tables=[table])]


def _rows(settings: Sequence[Setting], size: str) -> list[list[str]]:
    same_size = [one for one in settings if one.size == size]
    forests = _forests(same_size)
    rows = []
    for setting in same_size:
        if SUBJECT not in setting.models:
            continue
        own = setting.scores[[*SCORES, "model"]]
        scores = pd.concat([own, forests]) if len(forests) else own
        with_forests = Setting(setting.size, setting.tuned, scores, setting.n_trials)
        rivals = [model for model in setting.models if model not in (SUBJECT, FOREST)]
        for rival in [*forests["model"].unique(), *rivals]:
            comparison = summary.paired(with_forests, SUBJECT, rival)
            if len(comparison):
                rows.append(_row(setting, rival, comparison))
    return rows


def _forests(same_size: Sequence[Setting]) -> pd.DataFrame:
    """Return the scores of the stronger forest, and where there are two, of the untuned and the tuned one."""
    kinds = {
        FORESTS[one.tuned]: _forest_scores(one)
        for one in sorted(same_size, key=lambda setting: setting.tuned)
        if FOREST in one.models
    }
    named = {STRONGER: stronger_forest(same_size), **(kinds if len(kinds) > 1 else {})}
    return pd.concat([scores.assign(model=name) for name, scores in named.items()])


def _row(setting: Setting, rival: str, comparison: pd.DataFrame) -> list[str]:
    n_seeds = comparison["values"].map(len)
    return [
        setting.title,
        rival if rival in (STRONGER, *FORESTS.values()) else label(rival),
        summary.span(n_seeds.min(), n_seeds.max()),
        f"{points(comparison):g} of {len(comparison)}",
        *difference_cells(comparison),
    ]
