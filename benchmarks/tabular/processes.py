"""Workers in processes on this machine, which end with this one.

Every worker is the only one of a loky executor of its own: of an executor with several, loky ends all when one of
them is killed.
"""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from uuid import uuid4

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from benchmarks.results.store import Store
from benchmarks.tabular.losses import Losses
from benchmarks.tabular.orphans import end_with
from benchmarks.tabular.worker import WorkerConfig, work


@dataclass(frozen=True)
class _Worker:
    """A worker at work, whose leases are those of a run of its own."""

    run: str
    executor: ProcessPoolExecutor
    future: "Future[dict[str, str]]"

    @classmethod
    def start(cls, config: WorkerConfig) -> "_Worker":
        config = replace(config, run=f"{config.run}/{uuid4().hex[:12]}")
        executor = ProcessPoolExecutor(1)
        return cls(config.run, executor, executor.submit(_work, os.getpid(), config))

    def end(self) -> None:
        self.executor.shutdown(kill_workers=True)


def work_in_processes(config: WorkerConfig, store: Store, jobs: int) -> Sequence[dict[str, str]]:
    """Run workers until the plan is done, another for each that is killed; return which data each could not have.

    Raises
    ------
    UsageError
        When workers are killed again and again and nothing is done.
    """
    losses = Losses(store, jobs)
    workers = [_Worker.start(config) for _ in range(jobs)]
    found = []
    try:
        while workers:
            wait([worker.future for worker in workers], return_when=FIRST_COMPLETED)
            for worker in [worker for worker in workers if worker.future.done()]:
                workers.remove(worker)
                worker.end()
                try:
                    found.append(worker.future.result())
                except TerminatedWorkerError:
                    store.expire_leases(worker.run)
                    print("a worker was killed; its evaluation begins again", file=sys.stderr)
                    losses.add()
                    workers.append(_Worker.start(config))
    finally:
        for worker in workers:
            worker.end()
            store.release_leases(worker.run)
    return found


def _work(parent: int, config: WorkerConfig) -> dict[str, str]:
    end_with(parent)
    return work(config)
