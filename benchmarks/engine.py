"""One way to run work: calls on the workers of a dask cluster, on this machine or elsewhere.

A worker is a process with one thread that computes, so that a fit meets its libraries as it would alone: of two
threads that use OpenMP in one process, both wait for threads that sleep. Work is given as chains: functions that
make calls, one after the other, and may store what they return. A chain runs in a thread of this process, which
computes nothing. Whatever is killed, only running calls are lost: a worker's are made again by this process, this
process's by the next command.
"""

import logging
import os
import pickle
import platform
import signal
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from multiprocessing import resource_tracker
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import cloudpickle

from benchmarks import environment
from benchmarks.cli import UsageError

if TYPE_CHECKING:  # takes a second to import, and --help should not
    from dask.distributed import Client

PROJECT = Path(__file__).resolve().parents[1]
CONNECT_SECONDS = 30
MAX_LOST = 4  # workers that a call may lose
DASK: dict[str, Any] = {
    "distributed.nanny.pre-spawn-environ": {},  # dask's own slows down malloc; ours is `_variables`
    "distributed.worker.daemon": False,  # estimators may have processes of their own
    "distributed.worker.profile.enabled": False,  # wakes up a hundred times a second
    **dict.fromkeys((f"distributed.worker.memory.{what}" for what in ("target", "spill", "pause")), False),
    "distributed.worker.memory.terminate": 1.0,
    "distributed.deploy.lost-worker-timeout": "1000 days",  # a local worker that starts slowly is not given up
    "distributed.scheduler.allowed-failures": 0,  # whether a lost call is made again is decided here
}


class LostError(Exception):
    """A call was given up; the message says why."""


Call = Callable[..., Any]  # see Workers.call
Chain = Callable[[Call], None]


@dataclass(frozen=True)
class Workers:
    """Where calls are made.

    Attributes
    ----------
    jobs : int or None
        Calls at a time; None: one on this machine, or one for each worker of the cluster.
    threads : int or None
        Cores that a call may use; None: its share of this machine, or one on a cluster.
    scheduler : str or None
        Address of a dask scheduler; None: workers on this machine.
    seconds : float or None
        Time limit of a call; its worker is restarted.
    gibibytes : float or None
        Memory limit of a worker on this machine.
    """

    jobs: int | None = None
    threads: int | None = None
    scheduler: str | None = None
    seconds: float | None = None
    gibibytes: float | None = None

    def run(self, chains: Iterable[Chain]) -> None:
        """Run the chains to their ends, the first ones first; what a chain raises ends the run."""
        import dask
        from dask.distributed.comm import CommClosedError

        for name in ("distributed", "distributed.client"):  # what matters reaches the chains
            logging.getLogger(name).setLevel(logging.CRITICAL)
        start = self._local if self.scheduler is None else self._cluster
        running: set[Future[None]] = set()
        try:
            # Without their client, which closes first, the chains of a run that ends early come to an end, too.
            with ThreadPoolExecutor(10_000) as threads, dask.config.set(DASK), start() as client:
                for chain in chains:
                    while len(running) >= (self.jobs or len(client.nthreads()) or 1):
                        done, running = wait(running, 2.0, FIRST_COMPLETED)  # workers may have joined
                        list(map(Future.result, done))
                    running.add(threads.submit(chain, partial(self.call, client)))
                list(map(Future.result, as_completed(running)))
        except (CommClosedError, CancelledError) as error:
            raise UsageError("the dask scheduler is gone; the same command goes on from here") from error

    def call(self, client: "Client", function: Callable[..., Any], *arguments: Any, limited: bool = False) -> Any:
        """Call a function on a worker and return what it returns; the time limit is for a ``limited`` call.

        Raises what the function raises, and LostError where it took too long or MAX_LOST workers were lost.
        """
        from dask.distributed import KilledWorker

        seconds = self.seconds if limited else None

        def make(work: bytes) -> Any:
            function, arguments = pickle.loads(work)
            if seconds is None:
                return function(*arguments)
            signal.setitimer(signal.ITIMER_REAL, seconds)  # its signal ends the process, whatever that does
            try:
                return function(*arguments)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)

        # The scheduler unpickles what it schedules, without our code: `make` is sent whole, all else as bytes.
        for _ in range(MAX_LOST):
            start = time.monotonic()
            try:
                return client.submit(make, cloudpickle.dumps((function, arguments)), pure=False).result()
            except KilledWorker:
                if seconds is not None and time.monotonic() - start >= seconds:
                    raise LostError(f"time limit: not finished within {seconds:g} s") from None
        limit = "" if self.gibibytes is None else f" (limit: {self.gibibytes:g} GiB)"
        raise LostError(f"{MAX_LOST} workers were lost during it, as when memory runs out{limit}")

    @contextmanager
    def _local(self) -> "Iterator[Client]":
        from dask.distributed import Client, LocalCluster

        jobs = self.jobs or 1
        threads = self.threads or max(1, environment.n_cores() // jobs)
        memory = None if self.gibibytes is None else int(self.gibibytes * 2**30)
        at = {"dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
        with patch.dict(os.environ, _variables(threads)):  # its processes inherit it
            # Ctrl-C is for this process, which ends the workers; they and their threads never see it.
            resource_tracker.ensure_running()  # when it starts, it lets SIGINT in again
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                cluster = LocalCluster(n_workers=jobs, threads_per_worker=1, memory_limit=memory, **at)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            with cluster, Client(cluster) as client:
                if find_spec("bokeh"):  # which draws it
                    print(f"dashboard: {client.dashboard_link}", file=sys.stderr)
                yield client

    @contextmanager
    def _cluster(self) -> "Iterator[Client]":
        from dask.distributed import Client

        try:
            client = Client(self.scheduler, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise UsageError(f"--scheduler {self.scheduler} cannot be reached: {error}") from error
        with client:
            if problem := _problem(client):
                raise UsageError(f"--scheduler {self.scheduler}: its workers {problem}")
            _prepare_workers(client, _variables(self.threads or 1))
            yield client


def _variables(threads: int) -> dict[str, str]:
    """Return the environment of a worker, which libraries read when they are loaded."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
    # With threads that spin at every barrier, boosted trees took up to 20 times as long on a busy machine.
    return {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")} | dict.fromkeys(names, str(threads))


def _problem(client: "Client") -> str:
    """Say why a cluster's workers cannot do the work as it is done here; "" where they can."""
    here = {name: its for name, its in environment.versions().items() if "sparsemlp" not in name}  # which is sent

    def differences() -> list[str]:  # local, as all that workers are sent before they have our code
        found = {package.name: package.version for package in metadata.distributions()}
        found["python"] = platform.python_version()
        return [f"{name} {found.get(name)} (here: {its})" for name, its in here.items() if found.get(name) != its]

    for worker in client.scheduler_info(n_workers=-1)["workers"].values():
        if worker["nthreads"] != 1:
            return f"have {worker['nthreads']} threads; start them with --nthreads 1"
        if worker["nanny"] is None:
            return "have no nanny, which restarts them; start them without --no-nanny"
    found = sorted(set().union(*client.run(differences).values()))
    return f"have other packages: {', '.join(found)}" if found else ""


def _prepare_workers(client: "Client", variables: dict[str, str]) -> None:
    """Restart all workers with our environment and our code; those that join later begin with them."""
    from dask.distributed import NannyPlugin
    from distributed.diagnostics.plugin import UploadFile

    class SetEnvironment(NannyPlugin):
        restart = True

        def setup(self, nanny: Any) -> None:
            os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)  # dask's own, which slows down malloc
            nanny.pre_spawn_env.pop("MALLOC_TRIM_THRESHOLD_", None)
            nanny.pre_spawn_env.update(variables)

    with TemporaryDirectory() as folder:
        archive = Path(folder) / "sparsemlp_benchmarks.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for package in ("benchmarks", "sparsemlp"):
                for path in sorted((PROJECT / package).rglob("*.py")):
                    file.write(path, path.relative_to(PROJECT))
        code = UploadFile(str(archive))
    client.register_plugin(SetEnvironment(), name="sparsemlp environment")
    client.register_plugin(code, name="sparsemlp code")
    client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))
