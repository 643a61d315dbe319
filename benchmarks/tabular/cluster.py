"""Workers on a dask cluster, which get this project's code from here.

Every worker is one dask task; tasks for which there is no room yet begin when the cluster grows. This is the
client itself rather than joblib's dask back end: that one computes here when the cluster has a single batch, and
keeps arguments on one dask worker, with which they are lost.
"""

import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from dask.distributed import Client, Event, KilledWorker, as_completed, get_client

from benchmarks.cli import UsageError
from benchmarks.results.store import Store
from benchmarks.tabular.losses import Losses
from benchmarks.tabular.worker import WorkerConfig, work

CONNECT_SECONDS = 30
PACKAGES = ("benchmarks", "sparsemlp")
PROJECT = Path(__file__).resolve().parents[2]


def work_on_cluster(config: WorkerConfig, store: Store, jobs: int, scheduler: str) -> Sequence[dict[str, str]]:
    """Run ``jobs`` workers on the cluster of a scheduler; return which data each of them could not have.

    Raises
    ------
    UsageError
        When the scheduler cannot be reached, or workers are killed again and again and nothing is done.
    """
    losses = Losses(store, jobs)
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS, name="sparsemlp benchmarks")
    except (OSError, ValueError) as error:
        raise UsageError(f"--scheduler {scheduler} cannot be reached: {error}") from error
    with client:
        _upload_code(client)
        over = Event(f"{config.run} is over", client=client)
        running = as_completed([client.submit(_work, config, pure=False) for _ in range(jobs)])
        found = []
        try:
            for future in running:
                try:
                    found.append(future.result())
                except KilledWorker:  # dask gives a task up when its machine has gone away for the fourth time
                    losses.add()
                    running.add(client.submit(_work, config, pure=False))
        finally:
            over.set()  # a task that has begun cannot be cancelled: it looks here between two evaluations
        return found


def _work(config: WorkerConfig) -> dict[str, str]:
    over = Event(f"{config.run} is over", client=get_client())
    return work(config, over.is_set)


def _upload_code(client: Client) -> None:
    """Give benchmarks/ and sparsemlp/ as they are here to all workers, those too that join later."""
    _forget_older_code(client)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "sparsemlp_benchmarks.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for package in PACKAGES:
                for path in sorted((PROJECT / package).rglob("*.py")):
                    file.write(path, path.relative_to(PROJECT))
        client.upload_file(str(archive), load=True)


def _forget_older_code(client: Client) -> None:
    """Let workers import anew what an earlier run may have left in them."""
    packages = PACKAGES

    def forget() -> None:  # not at the top of the module, so that it is sent as it is here
        for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
            del sys.modules[name]

    client.run(forget)
