"""One way to run work: calls on the workers of a dask cluster, on this machine or elsewhere.

A worker is a process with one thread that computes, so that a fit meets its libraries as it would alone: of two
threads that use OpenMP in one process, both wait for threads that sleep. Work is given as chains. A chain is a
generator that yields calls, one at a time, and is sent what each returned; it runs in this process, where it may
store results. Whatever is killed, only running calls are lost: a worker's are made again by this process, this
process's by the next command.
"""

import logging
import os
import pickle
import signal
import sys
import time
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from multiprocessing import resource_tracker
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import cloudpickle

from benchmarks import environment
from benchmarks.cli import UsageError

if TYPE_CHECKING:  # takes a second to import, and --help should not
    from dask.distributed import Client, Future

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("benchmarks", "sparsemlp")  # what workers elsewhere are sent
CONNECT_SECONDS = 30
POLL_SECONDS = 0.2  # between two checks of how long calls have run
MAX_LOST = 4  # workers that a call may lose: dask's allowed-failures and one more
DASK: dict[str, Any] = {
    "distributed.nanny.pre-spawn-environ": {},  # dask's own slows down malloc; ours is `_variables`
    "distributed.worker.daemon": False,  # estimators may have processes of their own
    "distributed.worker.profile.enabled": False,  # wakes up a hundred times a second
    **dict.fromkeys((f"distributed.worker.memory.{what}" for what in ("target", "spill", "pause")), False),
    "distributed.worker.memory.terminate": 1.0,
    "distributed.scheduler.allowed-failures": MAX_LOST - 1,
}


class Call(NamedTuple):
    """A function to call on a worker, and whether the time limit is for it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    limited: bool = False


class LostError(Exception):
    """A call was given up; the message says why."""


Chain = Generator[Call, Any, None]


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
        """Run the chains to their ends, the first ones first.

        A chain is thrown what its call raised, and LostError where the call took too long or lost its worker
        MAX_LOST times.
        """
        from dask.distributed.comm import CommClosedError

        try:
            with self._client() as client:
                _Run(client, self).run(chains)
        except (CommClosedError, CancelledError) as error:
            raise UsageError("the dask scheduler is gone; the same command goes on from here") from error

    def map(self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Return what the function returns for each of the arguments."""
        results: dict[int, Any] = {}

        def chain(number: int) -> Chain:
            results[number] = yield Call(function, arguments[number])

        self.run(map(chain, range(len(arguments))))
        return [results[number] for number in range(len(arguments))]

    @contextmanager
    def _client(self) -> "Iterator[Client]":
        import dask
        from dask.distributed import Client

        for name in ("distributed", "distributed.client"):  # what matters reaches the chains
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with dask.config.set(DASK):
            if self.scheduler is None:
                with self._local_cluster() as cluster, Client(cluster) as client:
                    if find_spec("bokeh"):  # which draws it
                        print(f"dashboard: {client.dashboard_link}", file=sys.stderr)
                    yield client
                return
            try:
                client = Client(self.scheduler, timeout=CONNECT_SECONDS)
            except (OSError, ValueError) as error:
                raise UsageError(f"--scheduler {self.scheduler} cannot be reached: {error}") from error
            with client:
                _check_workers(client, self.scheduler)
                _prepare_workers(client, _variables(self.threads or 1))
                yield client

    @contextmanager
    def _local_cluster(self) -> Iterator[Any]:
        jobs = self.jobs or 1
        threads = self.threads or max(1, environment.n_cores() // jobs)
        memory = None if self.gibibytes is None else int(self.gibibytes * 2**30)
        with patch.dict(os.environ, _variables(threads)):  # its processes inherit it
            with _interrupts_blocked():  # in workers for good: Ctrl-C is for this process, which then ends them
                cluster = local_cluster(n_workers=jobs, memory_limit=memory)
            with cluster:
                yield cluster


def local_cluster(**options: Any) -> Any:
    """Return dask workers on this machine, each with one thread."""
    from dask.distributed import LocalCluster

    options |= {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    return LocalCluster(**options)


class _Run:
    """Chains under way, each with the call that it waits for."""

    def __init__(self, client: "Client", workers: Workers) -> None:
        self._client = client
        self._workers = workers
        self._running: dict[Any, tuple[Future, int, Chain, Call]] = {}
        self._began: dict[tuple[str, Any], float] = {}  # when a worker was first seen with a call

    def run(self, chains: Iterable[Chain]) -> None:
        from dask.distributed import wait

        waiting = enumerate(chains)
        timeout = None if self._workers.seconds is None else POLL_SECONDS
        while True:
            while len(self._running) < self._at_once() and (item := next(waiting, None)) is not None:
                number, chain = item
                self._go_on(number, chain, partial(next, chain))
            if not self._running:
                return
            futures = [future for future, *_ in self._running.values()]
            with suppress(TimeoutError):
                for future in wait(futures, timeout, "FIRST_COMPLETED").done:
                    self._finish(future)
            if self._workers.seconds is not None:
                self._end_what_takes_longer_than(self._workers.seconds)

    def _at_once(self) -> int:
        if self._workers.jobs is None and self._workers.scheduler is not None:
            return max(1, len(self._client.nthreads()))
        return self._workers.jobs or 1

    def _go_on(self, number: int, chain: Chain, resume: Callable[[], Call]) -> None:
        """Let a chain run to its next call, and submit that."""
        try:
            call = resume()
        except StopIteration:
            return

        def make(work: bytes) -> Any:
            function, arguments = pickle.loads(work)
            return function(*arguments)

        # The scheduler unpickles what it schedules, without our code: `make` is sent whole, all else as bytes.
        work = cloudpickle.dumps((call.function, call.arguments))
        future = self._client.submit(make, work, pure=False, priority=-number)
        self._running[future.key] = (future, number, chain, call)

    def _finish(self, future: "Future") -> None:
        """Send a chain what its call returned, or throw what it raised."""
        from dask.distributed import KilledWorker

        _, number, chain, _ = self._running.pop(future.key)
        try:
            resume = partial(chain.send, future.result())
        except KilledWorker:
            memory = self._workers.gibibytes
            limit = "" if memory is None else f" (limit: {memory:g} GiB)"
            reason = f"{MAX_LOST} workers were lost during it, as when memory runs out{limit}"
            resume = partial(chain.throw, LostError(reason))
        except CancelledError:
            raise
        except Exception as error:
            resume = partial(chain.throw, error)
        self._go_on(number, chain, resume)

    def _end_what_takes_longer_than(self, seconds: float) -> None:
        now = time.monotonic()
        for worker, keys in self._client.processing().items():
            for key in keys[:1]:  # it runs; the others wait for the worker's only thread
                if key not in self._running or now - self._began.setdefault((worker, key), now) <= seconds:
                    continue
                future, number, chain, call = self._running[key]
                if call.limited and not future.done():
                    del self._running[key]
                    future.cancel()
                    with suppress(KeyError):  # it is lost already
                        self._client.restart_workers([worker], raise_for_error=False)
                    reason = LostError(f"time limit: not finished within {seconds:g} s")
                    self._go_on(number, chain, partial(chain.throw, reason))


def _variables(threads: int) -> dict[str, str]:
    """Return the environment of a worker, which libraries read when they are loaded."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
    # With threads that spin at every barrier, boosted trees took up to 20 times as long on a busy machine.
    return {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")} | dict.fromkeys(names, str(threads))


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Hold back SIGINT, also for good from the threads and processes that are started meanwhile."""
    resource_tracker.ensure_running()  # when it starts, it lets them in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# Clusters elsewhere. What they are sent before they have our code is local to a function, too.


def _check_workers(client: "Client", scheduler: str) -> None:
    """Refuse a cluster whose workers cannot do the work as it is done here."""
    here = environment.versions()
    packages = [name for name in environment.PACKAGES if name in here and name != "sparsemlp"]  # which is sent

    def differences() -> list[str]:
        import platform
        from importlib import metadata

        found = {distribution.name: distribution.version for distribution in metadata.distributions()}
        found["python"] = platform.python_version()
        return [
            f"{name} {found.get(name)} (here: {here[name]})"
            for name in ("python", *packages)
            if found.get(name) != here[name]
        ]

    problem = None
    for worker in client.scheduler_info(n_workers=-1)["workers"].values():
        if worker["nthreads"] != 1:
            problem = f"have {worker['nthreads']} threads; start them with --nthreads 1"
        elif worker["nanny"] is None:
            problem = "have no nanny, which restarts them; start them without --no-nanny"
    if problem is None and (found := set().union(*client.run(differences).values())):
        problem = f"have other packages: {', '.join(sorted(found))}"
    if problem is not None:
        raise UsageError(f"--scheduler {scheduler}: its workers {problem}")


def _prepare_workers(client: "Client", variables: dict[str, str]) -> None:
    """Restart all workers with our environment and our code; those that join later begin with them."""
    from dask.distributed import NannyPlugin
    from distributed.diagnostics.plugin import UploadFile

    class SetEnvironment(NannyPlugin):
        restart = True

        def setup(self, nanny: Any) -> None:
            import os

            os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)  # dask's own, which slows down malloc
            nanny.pre_spawn_env.pop("MALLOC_TRIM_THRESHOLD_", None)
            nanny.pre_spawn_env.update(variables)

    with TemporaryDirectory() as folder:
        archive = Path(folder) / "sparsemlp_benchmarks.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(path for package in PACKAGES for path in (PROJECT / package).rglob("*.py")):
                file.write(path, path.relative_to(PROJECT))
        code = UploadFile(str(archive))
    client.register_plugin(SetEnvironment(), name="sparsemlp environment")
    client.register_plugin(code, name="sparsemlp code")
