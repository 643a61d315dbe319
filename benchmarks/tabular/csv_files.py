"""The report's numbers as CSV files, for those who go on from them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.tabular import summary
from benchmarks.tabular.setting_sections import RIVALS, SUBJECT
from benchmarks.tabular.summary import Setting


def write(folder: Path, evaluations: pd.DataFrame, environments: pd.DataFrame) -> None:
    """Write evaluations, environments, accuracies and comparisons, where there are any."""
    if evaluations.empty:
        return
    settings = summary.settings(evaluations)
    evaluations.drop(columns="id").to_csv(folder / "evaluations.csv", index=False)
    environments.rename(columns={"id": "environment"}).to_csv(folder / "environments.csv", index=False)
    accuracies(settings).to_csv(folder / "accuracies.csv", index=False)
    comparisons(settings).to_csv(folder / "comparisons.csv", index=False)


def accuracies(settings: Sequence[Setting]) -> pd.DataFrame:
    """Return mean and standard error of the accuracy by setting, task and model."""
    tables = [_named(setting, summary.per_task(setting).reset_index()) for setting in settings]
    return pd.concat(tables, ignore_index=True)


def comparisons(settings: Sequence[Setting]) -> pd.DataFrame:
    """Return the sparse net's differences to its rivals by setting and task."""
    columns = ["size", "tuned", "against", "task", "difference", "standard_error", "verdict"]
    tables = []
    for setting in settings:
        for rival in RIVALS:
            if {SUBJECT, rival} <= set(setting.models):
                table = summary.paired(setting, SUBJECT, rival).drop(columns="values").reset_index()
                tables.append(_named(setting, table.assign(against=rival)))
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _named(setting: Setting, table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(size=setting.size, tuned=setting.tuned)
