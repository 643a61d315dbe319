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

    from benchmarks.tabular.scores import Metric

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
            print(tables(rows[wanted], args.against))
        return status


def tables(rows: "pd.DataFrame", against: str) -> str:
    """Return the differences from one model as text, a table for each training size: tasks down, models across."""
    from benchmarks.report.document import markdown_table
    from benchmarks.tabular.comparisons import compare
    from benchmarks.tabular.scores import conditions

    parts = []
    for condition in conditions(rows):
        metric, baseline = condition.metric, condition.of(against)
        compared = {name: compare(condition.of(name), baseline) for name in condition.models if name != against}

        def cell(difference: float, error: float, metric: "Metric" = metric) -> str:
            return f"{metric.factor * difference:+.{metric.digits + 1}f} ({metric.text(error, metric.digits + 1)})"

        lines = []
        for task, scores in baseline.groupby("task", sort=False):
            by_model = [one.tasks.loc[task, ["difference", "standard_error"]] for one in compared.values()]
            lines.append([str(task), metric.text(scores["score"].mean()), *(cell(*values) for values in by_model)])
        lines.append(["mean", "", *(cell(one.difference, one.standard_error) for one in compared.values())])
        lines.append(["won/tied/lost", "", *("/".join(map(str, one.record)) for one in compared.values())])
        caption = (
            f"{condition.title}: {metric.name} of {against}, and differences from it (standard error: of a task "
            "over seeds, of the mean over tasks)"
        )
        parts.append(f"{caption}\n\n{markdown_table(['task', against, *compared], lines)}")
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
