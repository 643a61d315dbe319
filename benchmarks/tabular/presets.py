"""Presets of ``tabular`` that print a table: ``ablation`` (differences) and ``sparse-targets`` (accuracies)."""

import argparse
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.cli import UsageError, add_common, add_shared, known_names
from benchmarks.data import suites
from benchmarks.data.splits import REPORT_SEED, Size
from benchmarks.data.tasks import PANEL, chosen_tasks
from benchmarks.results.schema import DEFAULT_TRIAL
from benchmarks.tabular import command

if TYPE_CHECKING:
    import pandas as pd

    from benchmarks.tabular.scores import Metric

MODELS = ["rf", "sparse_mlp"]
PANEL_MODELS = ["sparse_mlp", "dense_mlp", "rf", "hgb", "l1_logistic", "paper_net", "catboost"]


class Ablation:
    """A command: models at their defaults, variants of ours among them, and their differences."""

    HELP = "variants of the estimators against each other and a random forest, paired by split"

    def __init__(self) -> None:
        self.__doc__ = (
            "The estimators with other parameters, against their defaults and a random forest. Every variant has "
            "the same rows of every task at every seed. Seeds 0 to 4 are for decisions, those from 100 on for a "
            "release's table."
        )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options that are left open."""
        add_common(parser, profiles=())
        parser.add_argument("--tasks", nargs="+", default=["all"], metavar="NAME", help="tasks (default: all)")
        command.add_suite(parser)
        add_shared(parser, "--rows", default=[1000])
        add_shared(parser, "--seeds", default=3)
        add_shared(parser, "--first-seed", default=0)
        command.add_variant(parser)
        parser.add_argument("--against", default="rf", metavar="NAME", help="the competitor to compare with")
        command.add_workers(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Do the evaluations that are not there, and print the differences."""
        args.tasks = chosen_tasks(args.tasks, suites.names(*getattr(args, "suite", [suites.NUMERIC])))
        models = [*MODELS, *(name for name, _ in args.variant)]
        if args.against == "all":
            raise UsageError("--against takes one competitor, not all")
        known_names("competitor", [args.against], models)
        status, rows = _evaluated(args, models, args.rows, {"models": MODELS})
        if len(rows):
            print(tables(rows, args.against))
        return status


class SparseTargets:
    """A command: untuned models on the panel of sparse targets, each with its own number of training rows."""

    HELP = "the classifier and its rivals on targets that depend on one to three of many inputs"

    def __init__(self) -> None:
        self.__doc__ = (
            "Classifiers at their defaults on the panel of sparse targets: signs, products, parities, sums and "
            "boxes of one to three of 20 to 5000 inputs, with 50 to 1000 training rows. Every seed has its own "
            "relevant inputs and rows."
        )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options that are left open."""
        add_common(parser, profiles=())
        add = parser.add_argument
        add("--tasks", nargs="+", default=["all"], metavar="NAME", help=f"of {', '.join(PANEL)} (default: all)")
        models = f"competitors (default: {', '.join(PANEL_MODELS)} as far as they are installed)"
        add("--models", nargs="+", metavar="NAME", help=models)
        add_shared(parser, "--seeds", default=5)
        add_shared(parser, "--first-seed", default=REPORT_SEED)
        command.add_variant(parser)
        command.add_workers(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Do the evaluations that are not there, and print the accuracies."""
        from benchmarks import models

        args.tasks = known_names("sparse target", args.tasks, tuple(PANEL))
        args.own_rows = {task: PANEL[task] for task in args.tasks}
        if args.models is None:
            args.models = [name for name in PANEL_MODELS if models.MODELS[name].is_installed]
        args.models = models.chosen(args.models)
        competitors = [*args.models, *(name for name, _ in args.variant)]
        status, rows = _evaluated(args, competitors, args.own_rows.values(), {"rows": []})
        if len(rows):
            from benchmarks.tabular import target_sections

            table = target_sections.table(rows)
            print("\n\n".join([table.caption, table.markdown(), *target_sections.behind(rows)]))
        return status


def _evaluated(
    args: argparse.Namespace, models: Sequence[str], sizes: Iterable[int], options: dict[str, Any]
) -> tuple[int, "pd.DataFrame"]:
    """Do what is missing, untuned; return the exit status, and the evaluations that were asked for."""
    from benchmarks.results.store import Store

    every = argparse.ArgumentParser()
    command.add_arguments(every)
    defaults = vars(every.parse_args([]))
    status = command.run(argparse.Namespace(**(defaults | {"trials": 0} | options | vars(args))))
    store = Store.open(args.results)
    rows = store.frame("evaluations")
    store.close()
    keys, seeds = {Size.rows(n).key for n in sizes}, range(args.first_seed, args.first_seed + args.seeds)
    wanted = rows["model"].isin(models) & rows["task"].isin(args.tasks)
    wanted &= rows["size"].isin(keys) & rows["seed"].isin(seeds) & (rows["trial"] == DEFAULT_TRIAL)
    return status, rows[wanted]


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
            if math.isnan(difference):  # the task is not there for this model
                return "-"
            return f"{metric.factor * difference:+.{metric.digits + 1}f} ({metric.text(error, metric.digits + 1)})"

        lines = []
        for task, scores in baseline.groupby("task", sort=False):
            columns = ["difference", "standard_error"]
            by_model = [one.tasks[columns].reindex([task]).iloc[0] for one in compared.values()]
            lines.append([str(task), metric.text(scores["score"].mean()), *(cell(*values) for values in by_model)])
        lines.append(["mean", "", *(cell(one.difference, one.standard_error) for one in compared.values())])
        lines.append(["won/tied/lost", "", *("/".join(map(str, one.record)) for one in compared.values())])
        caption = (
            f"{condition.title}: {metric.name} of {against}, and differences from it (standard error: of a task "
            "over seeds, of the mean over tasks)"
        )
        parts.append(f"{caption}\n\n{markdown_table(['task', against, *compared], lines)}")
    return "\n\n".join(parts)


ABLATION = Ablation()
SPARSE_TARGETS = SparseTargets()
