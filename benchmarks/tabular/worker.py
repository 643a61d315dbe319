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
from benchmarks.tabular.plan import Piece, Plan, Row, Study
from benchmarks.tabular.plugins import Plugin

# An evaluation during which so many workers were lost is what loses them: it is recorded as failed.
MAX_LOST = 4
LOOK_EVERY = 1.0  # seconds between two looks whether another worker's study has become free


@dataclass(frozen=True)
class Order:
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


def work(order: Order, stopped: Callable[[], bool] = lambda: False) -> dict[str, str]:
    """Do evaluations until none is left that this worker could do, or until ``stopped()``.

    Returns the tasks whose data could not be had, with the reason.
    """
    with closing(Store.open(make_url(order.storage), create=False)) as store, _evaluator(order) as evaluator:
        worker = _Worker(order, store, evaluator, stopped)
        leases = store.leases(f"{order.run}/{uuid4().hex[:12]}", order.lease_seconds)
        while not stopped():
            missing = worker.missing()
            if not missing:
                break
            held = {tuple(lease[name] for name in STUDY_KEY) for lease in store.running()}
            for study, piece in missing:
                lease = None if study.key in held else leases.claim(study.key, piece.trial)
                if lease is not None:
                    with lease:
                        worker.do(study, lease)
                    break
            else:
                time.sleep(min(LOOK_EVERY, order.lease_seconds / 4))
    return worker.unavailable


def _evaluator(order: Order) -> AbstractContextManager[Any]:
    if order.threads is not None:
        return IsolatedEvaluator(order.threads, order.limits, order.plugins)
    from benchmarks.tabular.evaluate import Evaluator

    return nullcontext(Evaluator())


class _Worker:
    """What a worker knows while it is at work."""

    def __init__(self, order: Order, store: Store, evaluator: Any, stopped: Callable[[], bool]) -> None:
        self._plan = order.plan
        self._store = store
        self._evaluator = evaluator
        self._stopped = stopped
        self.unavailable: dict[str, str] = {}

    def missing(self) -> list[tuple[Study, Piece]]:
        """Return the unfinished studies whose data can be had, each with its next piece."""
        finished = self._store.finished()
        found = []
        for study in self._plan.studies:
            pieces = self._plan.missing(study, finished)
            if pieces and study.task not in self.unavailable:
                found.append((study, pieces[0]))
        return found

    def do(self, study: Study, lease: Lease) -> None:
        """Do what is missing of a claimed study, as long as it is ours."""
        try:
            self._store.record_dataset(study.task, self._evaluator.dataset(study.task))
            for piece in self._plan.missing(study, self._store.finished()):
                if self._stopped():
                    return
                earlier = self._earlier(piece)
                if earlier is None or not self._store.add_evaluation(self._row(piece, earlier, lease), lease):
                    return
        except (DataUnavailableError, EndedError) as error:
            self.unavailable[study.task] = str(error)

    def _earlier(self, piece: Piece) -> list[Row] | None:
        """Return the trials before a piece; None where another command has asked for some of them again."""
        stored = self._store.trials(piece.study.key)
        numbers = range(max(piece.trial, 0))
        return [stored[number] for number in numbers] if stored.keys() >= set(numbers) else None

    def _row(self, piece: Piece, earlier: list[Row], lease: Lease) -> Row:
        row = dict(zip(EVALUATION_KEY, piece.key, strict=True)) | self._evaluator.describe(piece, earlier)
        if row["failure"] is not None:
            return row
        if lease.n_lost >= MAX_LOST:
            return row | {"failure": f"{lease.n_lost} workers were lost during it, as when memory runs out"}
        found = self._store.found_on_same_rows(row)
        return row | (found if found is not None else self._evaluator.evaluate(piece, earlier))
