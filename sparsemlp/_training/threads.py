"""Threads to compute in, with a floating-point mode and a number of threads of their own."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, wait
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch

_SETTING = threading.Lock()


class ComputePool:
    """Runs functions in threads that flush denormal numbers; see :func:`compute_threads`.

    An executor of the standard library takes no work any more once the main thread has ended, when other threads
    and ``atexit`` functions may still want to fit.
    """

    def __init__(self, n_threads: int, n_inner: int) -> None:
        self.n_threads = n_threads
        self.n_inner = n_inner
        #: set when results are no longer needed: at the end, after Ctrl-C, or after a function has failed
        self.over = threading.Event()
        self._tasks: queue.SimpleQueue[tuple[Future, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._ended: list[threading.Event] = []
        #: cleared while threads start
        self._settled = threading.Event()
        self._settled.set()
        start = partial(self._start_threads, partial(_prepare_thread, n_inner, _cuda_of_this_thread()))
        self._starter = threading.Thread(target=start, name="sparsemlp_starter")

    def start(self) -> None:
        """Start the threads, and return once they are prepared."""
        self._settled.clear()
        try:
            self._starter.start()
        except RuntimeError:  # where the interpreter is about to end: do without
            self._settled.set()
        self._settled.wait()

    def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns, or raise what it raises."""
        return self._submit(partial(function, *args, **kwargs)).result()

    def map(self, functions: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run functions, as many at the same time as there are threads; return their results in order."""
        futures = [self._submit(function) for function in functions]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def run_all(self, chains: Sequence[Iterable[Callable[[], Any]]]) -> None:
        """Run chains of functions, each in order, in this thread and all others; raise what any function raises.

        A thread takes the chain that has waited longest, runs its next function, and puts it back.
        """
        waiting = deque(map(iter, chains))  # taking from it and putting back is atomic

        def work() -> None:
            while True:
                try:
                    chain = waiting.popleft()
                except IndexError:  # every other chain is with a thread that goes on with it
                    return
                for function in islice(chain, 1):
                    function()
                    waiting.append(chain)

        others = [self._submit(work) for _ in range(min(self.n_threads, len(chains)) - 1)]
        try:
            work()
        finally:
            wait(begun := [other for other in others if not other.cancel()])
        for other in begun:
            other.result()

    def raise_if_cancelled(self) -> None:
        """Raise CancelledError if results are no longer needed."""
        if self.over.is_set():
            raise CancelledError

    def end(self) -> None:
        """Wait for the threads to end, also after Ctrl-C: the caller is about to use what they train."""
        self.over.set()
        _wait_for(self._settled)
        with contextlib.suppress(queue.Empty):
            while (task := self._tasks.get_nowait()) is not None:
                task[0].cancel()
        for _ in self._threads:
            self._tasks.put(None)
        _wait_for(*self._ended)
        for thread in self._threads:
            thread.join()
            _wait_until_gone(thread)

    def _start_threads(self, prepare: Callable[[], int]) -> None:
        """Start and prepare the threads, in a thread that ends with it.

        torch keeps the number of threads set last, by any thread, as the default of new ones. So the threads set
        theirs here and not later, and then this thread restores the default.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(self._settled.set)
            stack.enter_context(_SETTING)
            before: list[Future] = []
            for i in range(self.n_threads):
                before.append(Future())
                arguments = (prepare, before[-1], ended := threading.Event())
                thread = threading.Thread(target=self._work, args=arguments, name=f"sparsemlp_{i}")
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is about to end, or the system has no more: do with fewer
                    before.pop()
                    break
                self._threads.append(thread)
                self._ended.append(ended)
            wait(before)
            numbers = {future.result() for future in before if future.exception() is None}
            # a thread that came late has read the number that another had set
            for number in numbers - {self.n_inner}:
                torch.set_num_threads(number)

    def _submit(self, function: Callable[[], Any]) -> Future:
        """Let a thread run the function, or run it here where there is none."""
        future: Future = Future()
        if self._threads:
            self._tasks.put((future, function))
        else:
            with _as_in_a_thread(self.n_inner):
                _run(future, function)
        return future

    def _work(self, prepare: Callable[[], int], prepared: Future, ended: threading.Event) -> None:
        """Prepare this thread, and run functions until there are no more."""
        _run(prepared, prepare)
        while (task := self._tasks.get()) is not None:
            future, function = task
            _run(future, function if prepared.exception() is None else prepared.result)
            del task, future, function  # what they hold need not wait for the next
        ended.set()


def _wait_for(*events: threading.Event) -> None:
    """Wait for events, also after Ctrl-C. A thread's own ``join`` takes it for ended once Ctrl-C ends the wait."""
    try:
        for event in events:
            event.wait()
    except KeyboardInterrupt:
        _wait_for(*events)
        raise


def _wait_until_gone(thread: threading.Thread) -> None:
    """Wait for the system's thread, which ends a moment after Python's: the caller may fork.

    A thread that ends gives its memory back to MKL. In a process that is forked meanwhile, MKL's list of that
    memory is broken, and products never return.
    """
    while Path(f"/proc/self/task/{thread.native_id}").exists():  # only Linux has it; others seldom fork
        time.sleep(1e-5)


def _run(future: Future, function: Callable[[], Any]) -> None:
    """Let the future have what the function returns or raises, unless it is cancelled."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


@contextlib.contextmanager
def compute_threads(n_threads: int = 1, n_inner: int | None = None) -> Iterator[ComputePool]:
    """Start threads to compute in, which flush denormal numbers to zero.

    Weights without a gradient decay into denormal numbers, which cost 10 to 50 times as much as others. The
    mode belongs to a thread, and threads that OpenMP starts inherit it: so this covers every thread that
    computes, and leaves the caller's as they were. On CUDA, threads compute on the caller's device and streams.

    Parameters
    ----------
    n_threads : int, default=1
        Number of threads.
    n_inner : int, optional
        Number of threads that torch computes with in each of them. Default: the caller's.

    Yields
    ------
    ComputePool
        Call it with a function and its arguments.
    """
    settle_threads()
    n_inner = torch.get_num_threads() if n_inner is None else n_inner
    compute = ComputePool(n_threads, n_inner)
    try:
        compute.start()
        yield compute
    finally:
        compute.end()


def settle_threads() -> None:
    """Let the calling thread have its number of torch's threads.

    A thread gets it with its first computation, which must not fall in the moment in which another fit's threads
    have set theirs.
    """
    with _SETTING:
        torch.get_num_threads()


@contextlib.contextmanager
def _as_in_a_thread(n_inner: int) -> Iterator[None]:
    """Compute in the calling thread as in one of the pool's, and leave it as it was."""
    n_before, flushed = torch.get_num_threads(), not (torch.tensor([1e-40], dtype=torch.float32) * 1).item()
    torch.set_flush_denormal(True)
    if n_before != n_inner:
        torch.set_num_threads(n_inner)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)
        if n_before != n_inner:
            torch.set_num_threads(n_before)


def _cuda_of_this_thread() -> Callable[[], None]:
    """Return a function that gives another thread the CUDA device and streams of this one.

    What the caller has queued on a stream is done before what follows on the same one, and only there.
    """
    if not torch.cuda.is_initialized():
        return lambda: None
    device = torch.cuda.current_device()
    streams = [torch.cuda.current_stream(i) for i in range(torch.cuda.device_count())]
    # Setting a stream sets its device too, which takes memory there; where the caller has set one, it has done so.
    own = [stream for i, stream in enumerate(streams) if stream != torch.cuda.default_stream(i)]

    def settle() -> None:
        for stream in own:
            torch.cuda.set_stream(stream)
        torch.cuda.set_device(device)

    return settle


def _prepare_thread(n_inner: int, use_callers_cuda: Callable[[], None]) -> int:
    """Prepare this thread; return how many threads it would have computed with.

    OpenMP keeps this number for each thread: a new one would use all processors for the smallest kernel.
    """
    use_callers_cuda()
    torch.set_flush_denormal(True)
    before = torch.get_num_threads()
    if before != n_inner:
        torch.set_num_threads(n_inner)
    return before
