"""An evaluator in a process of its own, which can be ended: at a time limit, a memory limit, or by a crash.

The process is started with the first evaluation and used for all that follow, since importing the libraries
takes seconds. It is no `multiprocessing` process: dask's workers may not have such children.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from benchmarks.tabular.plan import Evaluation, Row
from benchmarks.tabular.plugins import Plugin

LOOK_EVERY = 0.2  # seconds between two looks at the memory of the process


@dataclass(frozen=True)
class Limits:
    """What one evaluation may take, all its fits together.

    Attributes
    ----------
    seconds : float or None
    gibibytes : float or None
        Resident memory of the process that fits.
    """

    seconds: float | None = None
    gibibytes: float | None = None


NO_LIMITS = Limits()


class EndedError(Exception):
    """The process that fitted is gone; the message is the reason to record."""


class IsolatedEvaluator:
    """Does what `benchmarks.tabular.evaluate.Evaluator` does, in a process of its own; a context.

    Parameters
    ----------
    threads : int
        Cores that a fit may use.
    limits : Limits
    plugins : sequence of Plugin
        What that process has to register.
    """

    def __init__(self, threads: int, limits: Limits, plugins: Sequence[Plugin] = ()) -> None:
        self._threads = threads
        self._limits = limits
        self._plugins = tuple(plugins)
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> "IsolatedEvaluator":
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def dataset(self, task: str) -> Row:
        """See `Evaluator.dataset`."""
        return self._call("dataset", (task,), NO_LIMITS)

    def describe(self, evaluation: Evaluation, earlier: Sequence[Row]) -> Row:
        """See `Evaluator.describe`."""
        return self._call("describe", (evaluation, earlier), NO_LIMITS)

    def evaluate(self, evaluation: Evaluation, earlier: Sequence[Row]) -> Row:
        """See `Evaluator.evaluate`; where the process had to be ended, only the failure is known."""
        try:
            return self._call("evaluate", (evaluation, earlier), self._limits)
        except EndedError as error:
            return {"failure": str(error)}

    def _call(self, method: str, arguments: tuple[Any, ...], limits: Limits) -> Row:
        """Have a method called over there, and return or raise what it returned or raised."""
        process, connection = self._started()
        try:
            connection.send((method, arguments))
            self._wait(process, connection, limits)
            returned, raised = connection.recv()
        except EndedError:
            self._end()
            raise
        except (EOFError, ConnectionError) as error:
            raise EndedError(self._cause_of_death(process)) from error
        if raised is not None:
            raise raised
        result: Row = returned
        return result

    def _wait(self, process: "subprocess.Popen[bytes]", connection: Connection, limits: Limits) -> None:
        deadline = None if limits.seconds is None else time.monotonic() + limits.seconds
        while not connection.poll(LOOK_EVERY):
            if deadline is not None and time.monotonic() > deadline:
                raise EndedError(f"time limit: not finished within {limits.seconds:g} s")
            if limits.gibibytes is not None and _resident(process.pid) > limits.gibibytes * 2**30:
                raise EndedError(f"memory limit: more than {limits.gibibytes:g} GiB")

    def _started(self) -> "tuple[subprocess.Popen[bytes], Connection]":
        if self._process is None or self._connection is None:
            ours, theirs = Pipe()
            with theirs:
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "benchmarks.tabular.fitting_process",
                        str(theirs.fileno()),
                        str(os.getpid()),
                    ],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env=self._environment(),
                )
            self._connection = ours
            ours.send(self._plugins)
        return self._process, self._connection

    def _environment(self) -> dict[str, str]:
        """Return environment variables with our import path, and the number of threads for all libraries."""
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
        threads = dict.fromkeys(names, str(self._threads))
        return {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, **threads, "PYTHONPATH": path}

    def _cause_of_death(self, process: "subprocess.Popen[bytes]") -> str:
        self._end()
        status = process.returncode
        if status < 0:
            return f"the process that fitted was killed by signal {-status} (9: as when memory runs out)"
        return f"the process that fitted ended with status {status}"

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            try:
                self._process.wait(0.1 if self._process.poll() is None else None)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = self._connection = None


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
