"""Sets workers to a plan: here, in processes of joblib's, or on a dask cluster; and shows how far they are."""

import os
import sys
from collections.abc import Sequence

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from benchmarks.orphans import end_with
from benchmarks.progress import watching
from benchmarks.store import Store
from benchmarks.worker import Order, work


def run_order(order: Order, store: Store, *, jobs: int, scheduler: str | None = None) -> int:
    """Do the evaluations of a plan that the store does not hold yet; return the exit status.

    A model that fails is a row like any other, and a data set that cannot be had leaves out its task. Only
    where nothing at all could be done is the status 1.

    Parameters
    ----------
    order : Order
    store : Store
        The one that the order names.
    jobs : int
        Number of workers; with 1 and no scheduler, this process is it.
    scheduler : str or None
        Address of a dask scheduler, for workers there.
    """
    missing = order.plan.all_missing(store.finished())
    n_there = len(order.plan) - len(missing)
    if n_there:
        print(f"{n_there} of {len(order.plan)} evaluations are there already", file=sys.stderr)
    if not missing:
        return 0
    with watching(store, missing):
        unavailable = _work(order, store, jobs, scheduler)
    done = {piece.key for piece in missing} & store.finished()
    n_failed = len(done & store.failed())
    if n_failed:
        print(f"{n_failed} evaluations failed; the report says why", file=sys.stderr)
    for message in {task: reason for found in unavailable for task, reason in found.items()}.values():
        print(f"left out: {message}", file=sys.stderr)
    return 0 if done else 1


def _work(order: Order, store: Store, jobs: int, scheduler: str | None) -> Sequence[dict[str, str]]:
    """Let workers do the plan; return which data each of them could not have."""
    if scheduler is not None:
        from benchmarks.cluster import work_on_cluster

        return work_on_cluster(order, jobs, scheduler)
    if jobs == 1:
        return [work(order)]
    return _work_in_processes(order, store, jobs)


def _work_in_processes(order: Order, store: Store, jobs: int) -> Sequence[dict[str, str]]:
    """Run workers in processes of joblib's. Where one is killed, joblib ends the others, and we begin again."""
    while True:
        try:
            return Parallel(jobs, backend="loky", batch_size=1, pre_dispatch="all")(
                delayed(_work_for)(os.getpid(), order) for _ in range(jobs)
            )
        except TerminatedWorkerError:
            print("a worker was killed; its evaluation begins again", file=sys.stderr)
        finally:
            store.end_leases(order.run)


def _work_for(parent: int, order: Order) -> dict[str, str]:
    end_with(parent)
    return work(order)
