"""Two presets of ``tabular``, which print a table of paired differences: ``ablation`` and ``regression``."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.cli import add_common, add_shared, known_names
from benchmarks.data.splits import REPORT_SEED, Size
from benchmarks.data.tasks import OPENML_NAMES, REGRESSION_NAMES, chosen_tasks
from benchmarks.results.schema import DEFAULT_TRIAL
from benchmarks.tabular import command

if TYPE_CHECKING:
    import pandas as pd

MODELS = ["rf", "sparse_mlp"]


class Preset:
    """A command: what ``tabular`` does for some tasks and rows, with models at their defaults."""

    def __init__(self, help_: str, text: str, tasks: Sequence[str], rows: Sequence[int], first_seed: int) -> None:
        self.HELP, self.__doc__ = help_, text
        self.tasks, self.rows, self.first_seed = tasks, rows, first_seed

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options that are left open."""
        add_common(parser, profiles=())
        parser.add_argument("--tasks", nargs="+", default=["all"], metavar="NAME", help="tasks (default: all)")
        add_shared(parser, "--rows", default=list(self.rows))
        add_shared(parser, "--seeds", default=3)
        add_shared(parser, "--first-seed", default=self.first_seed)
        command.add_variant(parser)
        parser.add_argument("--against", default="rf", metavar="NAME", help="the competitor to compare with")
        command.add_workers(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Do the evaluations that are not there, and print the differences."""
        from benchmarks.results.store import Store

        args.tasks = chosen_tasks(args.tasks, self.tasks)
        models = [*MODELS, *(name for name, _ in args.variant)]
        known_names("competitor", [args.against], models)
        every = argparse.ArgumentParser()
        command.add_arguments(every)
        options = vars(every.parse_args([])) | {"models": MODELS, "trials": 0} | vars(args)
        status = command.run(argparse.Namespace(**options))
        store = Store.open(args.results)
        rows = store.frame("evaluations")
        store.close()
        sizes, seeds = [Size.rows(n).key for n in args.rows], range(args.first_seed, args.first_seed + args.seeds)
        wanted = rows["model"].isin(models) & rows["task"].isin(args.tasks)
        wanted &= rows["size"].isin(sizes) & rows["seed"].isin(seeds) & (rows["trial"] == DEFAULT_TRIAL)
        if wanted.any():
            print(table(rows[wanted], args.against))
        return status


def differences(rows: "pd.DataFrame", against: str) -> "pd.DataFrame":
    """Return the paired differences of the score, a row for each size, task and model.

    The score is accuracy in points, or R2; that of a failed evaluation is the baseline's. Columns: score (of
    ``against``), difference (mean over seeds), error (its standard error; NaN for one seed).
    """
    score = (100 * rows["test_accuracy"]).fillna(rows["test_r2"])
    baseline = rows["baseline_score"] * rows["kind"].map({"classification": 100.0, "regression": 1.0})
    rows = rows.assign(score=score.where(rows["failure"].isna(), baseline).astype(float))
    wide = rows.pivot_table(index=["size", "task", "seed"], columns="model", values="score", sort=False)
    long = wide.drop(columns=against).sub(wide[against], axis=0).reset_index()
    long = long.melt(["size", "task", "seed"], var_name="model", value_name="difference").dropna()
    found = long.groupby(["size", "task", "model"], sort=False)["difference"].agg(difference="mean", error="sem")
    scores = rows[rows["model"] == against].groupby(["size", "task"], as_index=False)["score"].mean()
    return found.reset_index().merge(scores, on=["size", "task"])


def table(rows: "pd.DataFrame", against: str) -> str:
    """Return the differences as text: tasks down, models across, means over tasks below."""
    from benchmarks.report.document import Cell, Table

    found = differences(rows, against)
    form = "{:+.3f} ({:.3f})" if (rows["kind"] == "regression").all() else "{:+.2f} ({:.2f})"
    parts = []
    for size, group in found.groupby("size", sort=False):
        models = list(dict.fromkeys(group["model"]))
        lines = []
        for task, by_task in group.groupby("task", sort=False):
            by_model = by_task.set_index("model")
            cells = [form.format(*by_model.loc[name, ["difference", "error"]]) for name in models]
            lines.append([Cell(task), Cell(f"{by_task['score'].iloc[0]:.4g}"), *map(Cell, cells)])
        means = group.groupby("model")["difference"].agg(["mean", "sem"])
        lines.append([Cell("mean"), Cell(""), *(Cell(form.format(*means.loc[name])) for name in models)])
        caption = f"{Size.parse(str(size))}: score of {against}, and differences from it (standard error)"
        parts.append(f"{caption}\n\n{Table(caption, ['task', against, *models], lines).markdown()}")
    return "\n\n".join(parts)


ABLATION = Preset(
    "variants of the classifier against each other and a random forest, paired by split",
    "The classifier with other parameters, against its defaults and a random forest. Every variant has the same "
    "rows of every task at every seed. Seeds 0 to 4 are for decisions, those from 100 on for a release's table.",
    OPENML_NAMES,
    (1000,),
    0,
)
REGRESSION = Preset(
    "the regressor against a random forest on scikit-learn's regression sets",
    "The regressor against a random forest, both at their defaults, on scikit-learn's diabetes and on generated "
    "data, of which every seed samples new rows.",
    REGRESSION_NAMES,
    (100, 300, 1000, 5000),
    REPORT_SEED,
)
