"""Does a plan: a study is a chain of evaluations on the engine's workers; rows are stored here as they come."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.cli import progress_bar
from benchmarks.data.table import DataUnavailableError
from benchmarks.data.tasks import task_of
from benchmarks.engine import Call, Chain, LostError, Workers
from benchmarks.results.schema import EVALUATION_KEY
from benchmarks.results.store import Store
from benchmarks.tabular.evaluate import Work, describe, evaluate
from benchmarks.tabular.plan import Evaluation, Plan, Row, Study

if TYPE_CHECKING:
    from tqdm import tqdm


def run_plan(plan: Plan, store: Store, workers: Workers) -> int:
    """Do the evaluations of a plan that the store does not hold yet; return the exit status.

    A model that fails is a row like any other, and a data set that is unavailable leaves out its task. The
    status is 1 where no evaluation at all could be done.
    """
    missing = plan.all_missing(store.finished())
    n_there = len(plan) - len(missing)
    if n_there:
        print(f"{n_there} of {len(plan)} evaluations are there already", file=sys.stderr)
    if not missing:
        return 0
    with progress_bar(len(missing)) as bar:
        run = _Run(plan, store, bar)
        workers.run(map(run.study, dict.fromkeys(evaluation.study for evaluation in missing)))
    done = {evaluation.key for evaluation in missing} & store.finished()
    n_failed = len(done & store.failed())
    if n_failed:
        print(f"{n_failed} evaluations failed; the report says why", file=sys.stderr)
    for message in dict.fromkeys(run.unavailable.values()):
        print(f"left out: {message}", file=sys.stderr)
    return 0 if done else 1


class _Run:
    """The studies under way."""

    def __init__(self, plan: Plan, store: Store, bar: "tqdm[Any]") -> None:
        self._plan = plan
        self._store = store
        self._bar = bar
        self._running: dict[Evaluation, None] = {}
        self.unavailable: dict[tuple[Any, ...], str] = {}  # by task and size

    def study(self, study: Study) -> Chain:
        """Do what is missing of a study; a trial is suggested when those before it are stored."""
        data = (study.task, study.size)
        for evaluation in self._plan.missing(study, self._store.finished()):
            if data in self.unavailable:
                return
            with self._shown(evaluation):
                try:
                    yield from self._evaluation(evaluation)
                except (DataUnavailableError, LostError) as error:
                    self.unavailable[data] = str(error)

    def _evaluation(self, evaluation: Evaluation) -> Chain:
        study = evaluation.study
        trials = self._store.trials(study.key)
        earlier = [trials[number] for number in range(max(evaluation.trial, 0))]
        work = Work(evaluation, task_of(study.task), self._plan.model(study), earlier)
        dataset, row = yield Call(describe, (work,))
        row |= dict(zip(EVALUATION_KEY, evaluation.key, strict=True))
        found: Row | None = None if row["failure"] is None else {}
        if found is None:
            found = self._store.found_on_same_rows(row)
        if found is None:
            try:
                found = yield Call(evaluate, (work,), limited=True)
            except LostError as error:
                found = {"failure": str(error)}
        self._store.record_dataset(study.task, dataset)
        self._store.add_evaluation(row | found)

    @contextmanager
    def _shown(self, evaluation: Evaluation) -> Iterator[None]:
        """Show what is being done: one evaluation, and how many others."""
        self._running[evaluation] = None
        self._describe()
        try:
            yield
        finally:
            del self._running[evaluation]
            self._bar.update()

    def _describe(self) -> None:
        first, *others = self._running
        more = f" and {len(others)} more" if others else ""
        self._bar.set_description_str(f"{first}{more}", refresh=False)
