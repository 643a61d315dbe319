"""Threads to compute in, with a floating-point mode and a number of threads of their own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import torch

_SETTING = threading.Lock()


class ComputePool:
    """Runs functions in threads that flush denormal numbers; see :func:`compute_threads`."""

    def __init__(self, executor: ThreadPoolExecutor, n_threads: int) -> None:
        self.executor = executor
        self.n_threads = n_threads
        #: set when results are no longer needed: at the end, after Ctrl-C, or after a function has failed
        self.over = threading.Event()

    def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns, or raise what it raises."""
        return self.executor.submit(function, *args, **kwargs).result()

    def map(self, functions: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run functions, as many at the same time as there are threads; return their results in order."""
        return list(self.executor.map(lambda function: function(), functions))

    def run_all(self, functions: Sequence[Callable[[], Any]]) -> None:
        """Run functions in this thread and all others, each taking the next one; raise what any raises."""
        waiting = iter(functions)  # taking from a list's iterator is atomic

        def work() -> None:
            for function in waiting:
                function()

        others = [self.executor.submit(work) for _ in range(min(self.n_threads, len(functions)) - 1)]
        try:
            work()
        finally:
            wait(others)
        for other in others:
            other.result()

    def raise_if_cancelled(self) -> None:
        """Raise CancelledError if results are no longer needed."""
        if self.over.is_set():
            raise CancelledError


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
    n_inner = torch.get_num_threads() if n_inner is None else n_inner
    executor = ThreadPoolExecutor(n_threads, "sparsemlp", _prepare_thread, (n_inner, _cuda_of_this_thread()))
    compute = ComputePool(executor, n_threads)
    try:
        yield compute
    finally:
        compute.over.set()
        _wait_for_all(executor)


def settle_threads() -> None:
    """Let the calling thread have its number of torch's threads.

    A thread gets it with its first computation, which must not fall in the moment in which another fit's threads
    have set theirs.
    """
    with _SETTING:
        torch.get_num_threads()


def _wait_for_all(executor: ThreadPoolExecutor) -> None:
    """Wait for the threads to end, also after Ctrl-C: the caller is about to use what they train."""
    try:
        executor.shutdown(cancel_futures=True)
    except KeyboardInterrupt:
        _wait_for_all(executor)
        raise


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


def _prepare_thread(n_inner: int, use_callers_cuda: Callable[[], None]) -> None:
    use_callers_cuda()
    torch.set_flush_denormal(True)
    # OpenMP keeps this number for each thread: a new one would use all processors for the smallest kernel. torch
    # also keeps the number set last by any thread as the default of new threads: the former default is restored.
    with _SETTING:
        before = torch.get_num_threads()
        if before != n_inner:
            torch.set_num_threads(n_inner)
            another = threading.Thread(target=partial(torch.set_num_threads, before))
            another.start()
            another.join()
