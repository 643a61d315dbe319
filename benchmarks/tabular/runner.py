"""Sets workers to a plan: here, in processes, or on a dask cluster; and shows how far they are."""

import sys
from collections.abc import Sequence

from benchmarks.progress import watching
from benchmarks.results.store import Store
from benchmarks.tabular.processes import work_in_processes
from benchmarks.tabular.worker import WorkerConfig, work


def run_plan(config: WorkerConfig, store: Store, *, jobs: int, scheduler: str | None = None) -> int:
    """Do the evaluations of a plan that the store does not hold yet; return the exit status.

    A model that fails is a row like any other, and a data set that cannot be had leaves out its task. Only
    where nothing at all could be done is the status 1.

    Parameters
    ----------
    config : WorkerConfig
    store : Store
        The one that the order names.
    jobs : int
        Number of workers; with 1 and no scheduler, this process is it.
    scheduler : str or None
        Address of a dask scheduler, for workers there.
    """
    missing = config.plan.all_missing(store.finished())
    n_there = len(config.plan) - len(missing)
    if n_there:
        print(f"{n_there} of {len(config.plan)} evaluations are there already", file=sys.stderr)
    if not missing:
        return 0
    with watching(store, missing):
        unavailable = _work(config, store, jobs, scheduler)
    done = {evaluation.key for evaluation in missing} & store.finished()
    n_failed = len(done & store.failed())
    if n_failed:
        print(f"{n_failed} evaluations failed; the report says why", file=sys.stderr)
    for message in {task: reason for found in unavailable for task, reason in found.items()}.values():
        print(f"left out: {message}", file=sys.stderr)
    return 0 if done else 1


def _work(config: WorkerConfig, store: Store, jobs: int, scheduler: str | None) -> Sequence[dict[str, str]]:
    """Let workers do the plan; return which data each of them could not have."""
    if scheduler is not None:
        from benchmarks.tabular.cluster import work_on_cluster

        return work_on_cluster(config, store, jobs, scheduler)
    if jobs == 1:
        return [work(config)]
    return work_in_processes(config, store, jobs)
