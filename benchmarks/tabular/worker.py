"""A worker: takes up one study after another, does what is missing of it, and stores every row at once.

Any number of workers may share a store, in any number of processes and on any number of machines; they agree
through its leases and need not know of one another.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import make_url

from benchmarks.data.tasks import DataUnavailableError
from benchmarks.results.schema import EVALUATION_KEY, STUDY_KEY
from benchmarks.results.store import Store
from benchmarks.tabular.isolation import NO_LIMITS, EndedError, IsolatedEvaluator, Limits
from benchmarks.tabular.leases import LEASE_SECONDS, Lease
from benchmarks.tabular.plan import Evaluation, Plan, Row, Study
from benchmarks.tabular.plugins import Plugin

# An evaluation during which so many workers were lost is what loses them: it is recorded as failed.
MAX_LOST = 4
LOOK_EVERY = 1.0  # seconds between two looks whether another worker's study has become free


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker is told; small, and fit to be sent to another machine.

    Attributes
    ----------
    plan : Plan
    storage : str
        The URL of the store.
    run : str
        Begins the names of all workers of one command.
    threads : int or None
        Cores that a fit may use, in a process of its own; None: fits are done in the worker, on all cores.
    limits : Limits
    plugins : tuple of Plugin
        For the processes that fit; this process has registered them already.
    lease_seconds : float
        After how long a worker that gives no sign is taken for lost.
    """

    plan: Plan
    storage: str
    run: str
    threads: int | None = None
    limits: Limits = NO_LIMITS
    plugins: tuple[Plugin, ...] = ()
    lease_seconds: float = LEASE_SECONDS


def work(config: WorkerConfig, stopped: Callable[[], bool] = lambda: False) -> dict[str, str]:
    """Do evaluations until none is left that this worker could do, or until ``stopped()``.

    Returns the tasks whose data could not be had, with the reason.
    """
    with closing(Store.open(make_url(config.storage), create=False)) as store, _evaluator(config) as evaluator:
        worker = _Worker(config, store, evaluator, stopped)
        leases = store.leases(f"{config.run}/{uuid4().hex[:12]}", config.lease_seconds)
        while not stopped():
            missing = worker.missing()
            if not missing:
                break
            held = {tuple(lease[name] for name in STUDY_KEY) for lease in store.running()}
            for study, evaluation in missing:
                lease = None if study.key in held else leases.claim(study.key, evaluation.trial)
                if lease is not None:
                    with lease:
                        worker.do(study, lease)
                    break
            else:
                time.sleep(min(LOOK_EVERY, config.lease_seconds / 4))
    return worker.unavailable


def _evaluator(config: WorkerConfig) -> AbstractContextManager[Any]:
    if config.threads is not None:
        return IsolatedEvaluator(config.threads, config.limits, config.plugins)
    from benchmarks.tabular.evaluate import Evaluator

    return nullcontext(Evaluator())


class _Worker:
    """What a worker knows while it is at work."""

    def __init__(self, config: WorkerConfig, store: Store, evaluator: Any, stopped: Callable[[], bool]) -> None:
        self._plan = config.plan
        self._store = store
        self._evaluator = evaluator
        self._stopped = stopped
        self.unavailable: dict[str, str] = {}

    def missing(self) -> list[tuple[Study, Evaluation]]:
        """Return the unfinished studies whose data can be had, each with its next evaluation."""
        finished = self._store.finished()
        found = []
        for study in self._plan.studies:
            evaluations = self._plan.missing(study, finished)
            if evaluations and study.task not in self.unavailable:
                found.append((study, evaluations[0]))
        return found

    def do(self, study: Study, lease: Lease) -> None:
        """Do what is missing of a claimed study, as long as it is ours."""
        try:
            self._store.record_dataset(study.task, self._evaluator.dataset(study.task))
            for evaluation in self._plan.missing(study, self._store.finished()):
                if self._stopped():
                    return
                earlier = self._earlier(evaluation)
                if earlier is None or not self._store.add_evaluation(self._row(evaluation, earlier, lease), lease):
                    return
        except (DataUnavailableError, EndedError) as error:
            self.unavailable[study.task] = str(error)

    def _earlier(self, evaluation: Evaluation) -> list[Row] | None:
        """Return the trials before a evaluation; None where another command has asked for some of them again."""
        stored = self._store.trials(evaluation.study.key)
        numbers = range(max(evaluation.trial, 0))
        return [stored[number] for number in numbers] if stored.keys() >= set(numbers) else None

    def _row(self, evaluation: Evaluation, earlier: list[Row], lease: Lease) -> Row:
        row = dict(zip(EVALUATION_KEY, evaluation.key, strict=True)) | self._evaluator.describe(
            evaluation, earlier
        )
        if row["failure"] is not None:
            return row
        if lease.n_lost >= MAX_LOST:
            return row | {"failure": f"{lease.n_lost} workers were lost during it, as when memory runs out"}
        found = self._store.found_on_same_rows(row)
        return row | (found if found is not None else self._evaluator.evaluate(evaluation, earlier))
