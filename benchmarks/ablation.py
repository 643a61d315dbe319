"""Settings of the classifier against each other and against forests, paired by task and split.

Every setting meets the same rows of every task at every seed, so that what is reported is a mean difference of
paired accuracies with its standard error. Finished fits are kept in a CSV file and not done again.

Decisions are made on the seeds 0 to 4; the seeds 100 to 109 are for the table of a release.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.arguments import UsageError, add_common, known_names, whole_number

HELP = "settings of the classifier against each other and against forests, paired by split"
FILE = "ablation.csv"
DEFAULTS = "defaults"
FOREST = "forest"
KEY = ["task", "n_rows", "seed", "setting"]


@dataclass(frozen=True)
class Setting:
    """A name, and the parameters in which the classifier differs from its defaults."""

    name: str
    parameters: str  # JSON, sorted

    @classmethod
    def parse(cls, text: str) -> "Setting":
        """Read ``name={"parameter": value, ...}``."""
        name, _, parameters = text.partition("=")
        try:
            values = json.loads(parameters or "{}")
        except json.JSONDecodeError as error:
            raise argparse.ArgumentTypeError(f"must be NAME or NAME={{JSON}}, got {text!r}: {error}") from error
        return cls(name, json.dumps(values, sort_keys=True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``ablation``."""
    add_common(parser, profiles=False)
    parser.add_argument(
        "--settings",
        type=Setting.parse,
        nargs="+",
        default=[],
        metavar="NAME={JSON}",
        help="what differs from the defaults; the defaults and the forest are always there",
    )
    parser.add_argument("--tasks", nargs="+", default=["all"], metavar="NAME", help="OpenML tasks (default: all)")
    parser.add_argument("--rows", type=whole_number(2), nargs="+", default=[1000], metavar="N")
    parser.add_argument("--seeds", type=whole_number(0), nargs="+", default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--against", default=FOREST, metavar="NAME", help="the setting to differ from")


def run(args: argparse.Namespace) -> int:
    """Do the fits that are not there, and print the table of differences."""
    from benchmarks.tasks import OPENML_NAMES, TASKS

    tasks = known_names("task", args.tasks, tuple(TASKS), OPENML_NAMES)
    settings = [Setting(FOREST, "{}"), Setting(DEFAULTS, "{}"), *args.settings]
    if args.against not in {setting.name for setting in settings}:
        raise UsageError(f"--against {args.against}: not among the settings")
    args.results.mkdir(parents=True, exist_ok=True)
    store = args.results / FILE
    rows = measured(settings, tasks, args.rows, args.seeds, store)
    print(table(rows, args.against))
    return 0


def measured(
    settings: Sequence[Setting], tasks: Sequence[str], sizes: Sequence[int], seeds: Sequence[int], store: Path
) -> pd.DataFrame:
    """Return a row for every fit, done now or before."""
    from benchmarks.progress import progress
    from benchmarks.tasks import load

    wanted = pd.MultiIndex.from_product([tasks, sizes, seeds, [one.name for one in settings]], names=KEY)
    known = pd.read_csv(store) if store.exists() else pd.DataFrame(columns=[*KEY, "parameters"])
    parameters = {one.name: one.parameters for one in settings}
    for name, group in known.groupby("setting"):
        if name in parameters and set(group["parameters"]) != {parameters[name]}:
            raise UsageError(f"{store} holds the setting {name!r} with other parameters; choose another name")
    missing = wanted.difference(pd.MultiIndex.from_frame(known[KEY]))
    for task in progress(sorted(set(missing.get_level_values("task")), key=tasks.index)):
        data = load(task)
        for row in _fits(task, data, missing[missing.get_level_values("task") == task], parameters):
            pd.DataFrame([row]).to_csv(store, mode="a", header=not store.exists(), index=False)
    known = pd.read_csv(store).set_index(KEY)
    return known.loc[known.index.intersection(wanted)].reset_index()


def _fits(task: str, data: Any, pieces: pd.MultiIndex, parameters: dict[str, str]) -> Iterator[dict[str, Any]]:
    from benchmarks.evaluation import measure
    from benchmarks.splits import Size, make_split

    for _, n_rows, seed, name in pieces:
        split = make_split(task, data.y, int(seed))
        train = split.training_rows(Size.rows(int(n_rows)), data.y)
        rows = (data.X[train], data.y[train], data.X[split.test], data.y[split.test])
        found = measure(lambda name=name, seed=seed: _model(name, parameters[name], int(seed)), *rows)
        if found["failure"]:
            print(f"{task} {n_rows} {seed} {name}: {found['failure']}", file=sys.stderr)
        key = dict(zip(KEY, (task, n_rows, seed, name), strict=True))
        yield key | {"parameters": parameters[name]} | found


def _model(name: str, parameters: str, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    from sparsemlp import SparseInitMLPClassifier

    if name == FOREST:
        return RandomForestClassifier(250, n_jobs=-1, random_state=seed)
    given = json.loads(parameters).items()
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in given}
    return SparseInitMLPClassifier(random_state=seed, **values)


def differences(rows: pd.DataFrame, against: str) -> pd.DataFrame:
    """Return the paired differences of accuracy, in points, a row for each task, size and setting.

    Columns: difference (mean over seeds), error (its standard error; NaN for one seed).
    """
    wide = rows.pivot_table(index=["task", "n_rows", "seed"], columns="setting", values="test_accuracy")
    paired = 100 * wide.sub(wide[against], axis=0)
    long = paired.drop(columns=against).stack().rename("difference").reset_index()
    groups = long.groupby(["setting", "n_rows", "task"], sort=False)["difference"]
    return groups.agg(difference="mean", error="sem").reset_index()


def table(rows: pd.DataFrame, against: str) -> str:
    """Return the differences as text: tasks down, settings across, and a summary for each size."""
    found = differences(rows, against)
    parts = []
    for n_rows, group in found.groupby("n_rows"):
        by_task = group.pivot_table(index="task", columns="setting", values="difference").round(2)
        summary = group.groupby("setting").apply(_summary, include_groups=False)
        for column in ("fit_seconds", "test_log_loss", "test_roc_auc"):
            summary[column] = rows[rows["n_rows"] == n_rows].groupby("setting")[column].mean()
        text = f"{by_task.to_string()}\n\n{summary.round(3).to_string()}"
        parts.append(f"{n_rows} rows, accuracy in points above {against}\n\n{text}\n")
    return "\n".join(parts)


def _summary(group: pd.DataFrame) -> pd.Series:
    difference, error = group["difference"], group["error"].fillna(0)
    won, lost = int((difference > error).sum()), int((difference < -error).sum())
    overall = np.sqrt((error**2).sum()) / len(group)
    return pd.Series(
        {
            "mean": difference.mean(),
            "error": overall,
            "won": won,
            "tied": len(group) - won - lost,
            "lost": lost,
        }
    )
