"""Does a plan: a study is a chain of evaluations on the engine's workers; rows are stored here as they come."""

import sys
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tqdm import tqdm

from benchmarks.cli import progress_bar
from benchmarks.data.table import DataUnavailableError
from benchmarks.data.tasks import task_of
from benchmarks.engine import Call, LostError, Workers
from benchmarks.results.schema import EVALUATION_KEY
from benchmarks.results.store import Store
from benchmarks.tabular.evaluate import Work, describe, evaluate
from benchmarks.tabular.plan import Evaluation, Plan, Row, Study


def run_plan(plan: Plan, store: Store, workers: Workers) -> int:
    """Do the evaluations of a plan that the store does not hold yet; return the exit status.

    A model that fails is a row like any other, and a data set that is unavailable leaves out its task. The
    status is 1 where no evaluation at all could be done.
    """
    missing = plan.all_missing(store.finished())
    if n_there := len(plan) - len(missing):
        print(f"{n_there} of {len(plan)} evaluations are there already", file=sys.stderr)
    if not missing:
        return 0
    with progress_bar(len(missing)) as bar:
        run = _Run(plan, store, bar)
        workers.run(partial(run.study, study) for study in dict.fromkeys(one.study for one in missing))
    done = {evaluation.key for evaluation in missing} & store.finished()
    if n_failed := len(done & store.failed()):
        print(f"{n_failed} evaluations failed; the report says why", file=sys.stderr)
    for message in dict.fromkeys(run.unavailable.values()):
        print(f"left out: {message}", file=sys.stderr)
    return 0 if done else 1


@dataclass
class _Run:
    """What the studies under way share."""

    plan: Plan
    store: Store
    bar: "tqdm[Any]"
    unavailable: dict[tuple[Any, ...], str] = field(default_factory=dict)  # by task and size

    def study(self, study: Study, call: Call) -> None:
        """Do what is missing of a study; a trial is suggested when those before it are stored."""
        data = (study.task, study.size)
        for evaluation in self.plan.missing(study, self.store.finished()):
            if data in self.unavailable:
                return
            self.bar.set_description_str(str(evaluation), refresh=False)
            try:
                self._evaluation(evaluation, call)
            except (DataUnavailableError, LostError) as error:
                self.unavailable[data] = str(error)
            self.bar.update()

    def _evaluation(self, evaluation: Evaluation, call: Call) -> None:
        study = evaluation.study
        trials = self.store.trials(study.key)
        earlier = [trials[number] for number in range(max(evaluation.trial, 0))]
        work = Work(evaluation, task_of(study.task), self.plan.model(study), earlier)
        dataset, row = call(describe, work)
        row |= dict(zip(EVALUATION_KEY, evaluation.key, strict=True))
        found: Row | None = self.store.found_on_same_rows(row) if row["failure"] is None else {}
        if found is None:
            try:
                found = call(evaluate, work, limited=True)
            except LostError as error:
                found = {"failure": str(error)}
        self.store.record_dataset(study.task, dataset)
        self.store.add_evaluation(row | found)
