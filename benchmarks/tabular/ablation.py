"""Settings of the classifier against each other and against forests, paired by task and split.

Every setting meets the same rows of every task at every seed, so that what is reported is a mean difference of
paired accuracies with its standard error. Finished fits are kept in a file and not done again while the
package's code is the same.

Decisions are made on the seeds 0 to 4; the seeds 100 to 109 are for the table of a release.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.cli import UsageError, add_common, known_names, make_folder, whole_number
from benchmarks.results.finished_fits import FinishedFits

HELP = "settings of the classifier against each other and against forests, paired by split"
FILE = "ablation.jsonl"
DEFAULTS = "defaults"
FOREST = "forest"
KEY = ["task", "n_rows", "seed", "setting"]
MEASURES = ("test_accuracy", "test_log_loss", "test_roc_auc", "fit_seconds", "failure")


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
        if not isinstance(values, dict) or name in (DEFAULTS, FOREST):
            raise argparse.ArgumentTypeError(
                f"must be NAME={{JSON}} with a name other than {DEFAULTS} and {FOREST}, got {text!r}"
            )
        return cls(name, json.dumps(values, sort_keys=True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``ablation``."""
    add_common(parser, profiles=())
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
    from benchmarks.data.tasks import OPENML_NAMES, TASKS

    tasks = known_names("task", args.tasks, tuple(TASKS), OPENML_NAMES)
    settings = [Setting(FOREST, "{}"), Setting(DEFAULTS, "{}"), *args.settings]
    if args.against not in {setting.name for setting in settings}:
        raise UsageError(f"--against {args.against}: not among the settings")
    _check(args.settings)
    make_folder(args.results)
    store = args.results / FILE
    rows = measured(settings, tasks, args.rows, args.seeds, store)
    with pd.option_context("display.width", 200, "display.max_columns", None):
        print(table(rows, args.against))
    return 0


def _check(settings: Sequence[Setting]) -> None:
    """Refuse repeated names and parameters that the classifier does not have."""
    from sparsemlp import SparseInitMLPClassifier

    known = SparseInitMLPClassifier().get_params()
    names = [setting.name for setting in settings]
    for setting in settings:
        if names.count(setting.name) > 1:
            raise UsageError(f"--settings: the name {setting.name!r} is given twice")
        for parameter in json.loads(setting.parameters):
            if parameter not in known:
                raise UsageError(f"--settings {setting.name}: the classifier has no parameter {parameter!r}")


def measured(
    settings: Sequence[Setting], tasks: Sequence[str], sizes: Sequence[int], seeds: Sequence[int], store: Path
) -> pd.DataFrame:
    """Return a row for every fit, done now or before."""
    from benchmarks.data.tasks import DataUnavailableError, load
    from benchmarks.progress import progress

    wanted = pd.MultiIndex.from_product([tasks, sizes, seeds, [one.name for one in settings]], names=KEY)
    finished = FinishedFits(store, KEY)
    known = finished.rows()
    parameters = {one.name: one.parameters for one in settings}
    for name, held in known.reindex(columns=["setting", "parameters"]).drop_duplicates().itertuples(index=False):
        if parameters.get(name, held) != held:
            raise UsageError(f"{store} holds the setting {name!r} with other parameters; choose another name")
    missing = finished.missing(wanted)
    for task in progress(sorted(set(missing.get_level_values("task")), key=tasks.index)):
        try:
            data = load(task)
        except DataUnavailableError as error:
            print(error, file=sys.stderr)
            continue
        for row in _fits(task, data, missing[missing.get_level_values("task") == task], parameters):
            finished.add(row)
    found = finished.chosen(wanted)
    if found.empty:
        raise UsageError("none of the tasks could be loaded")
    return found


def _fits(task: str, data: Any, pieces: pd.MultiIndex, parameters: dict[str, str]) -> Iterator[dict[str, Any]]:
    from benchmarks.data.splits import Size, make_split
    from benchmarks.tabular.measure import baseline_score, measure

    for piece in pieces:
        _, n_rows, seed, name = piece
        split = make_split(task, data.y, seed)
        train = split.training_rows(Size.rows(n_rows), data.y)
        rows = (data.X[train], data.y[train], data.X[split.test], data.y[split.test])
        found = measure(partial(_model, name, parameters[name], seed), *rows)
        if found["failure"]:
            print(f"{task} {n_rows} {seed} {name}: {found['failure']}", file=sys.stderr)
            # what always saying the commonest class would score, as in the report
            found["test_accuracy"] = baseline_score(rows[1], rows[3])
        kept = {name: found[name] for name in MEASURES}
        yield dict(zip(KEY, piece, strict=True)) | {"parameters": parameters[name]} | kept


def _model(name: str, parameters: str, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    from sparsemlp import SparseInitMLPClassifier

    if name == FOREST:
        return RandomForestClassifier(250, n_jobs=-1, random_state=seed)
    values = {
        key: tuple(value) if isinstance(value, list) else value for key, value in json.loads(parameters).items()
    }
    return SparseInitMLPClassifier(random_state=seed).set_params(**values)


def differences(rows: pd.DataFrame, against: str) -> pd.DataFrame:
    """Return the paired differences of accuracy, in points, a row for each task, size and setting.

    Columns: difference (mean over seeds), error (its standard error; NaN for one seed).
    """
    wide = rows.pivot_table(index=["task", "n_rows", "seed"], columns="setting", values="test_accuracy")
    paired = 100 * wide.sub(wide[against], axis=0).drop(columns=against)
    long = paired.reset_index().melt(["task", "n_rows", "seed"], value_name="difference")
    groups = long.groupby(["setting", "n_rows", "task"], sort=False)["difference"]
    return groups.agg(difference="mean", error="sem").reset_index()


def table(rows: pd.DataFrame, against: str) -> str:
    """Return the differences as text: tasks down, settings across, and a summary for each size."""
    found = differences(rows, against)
    parts = []
    for n_rows, group in found.groupby("n_rows"):
        by_task = group.pivot_table(index="task", columns="setting", values="difference").round(2)
        means = rows[rows["n_rows"] == n_rows].groupby("setting")[list(MEASURES[1:4])]
        summary = summarised(group).join(means.mean()).round(3)
        parts.append(f"{n_rows} rows, accuracy in points above {against}\n\n{by_task}\n\n{summary}\n")
    return "\n".join(parts)


def summarised(found: pd.DataFrame) -> pd.DataFrame:
    """Return for each setting its mean difference over tasks, the error of that, and what it won and lost.

    A difference within its own standard error is a tie.
    """
    error = found["error"].fillna(0)
    marked = found.assign(
        won=found["difference"] > error, lost=found["difference"] < -error, squared_error=error**2
    )
    groups = marked.groupby("setting")
    summary = groups.agg(difference=("difference", "mean"), won=("won", "sum"), lost=("lost", "sum"))
    summary.insert(1, "error", np.sqrt(groups["squared_error"].sum()) / groups.size())
    return summary
