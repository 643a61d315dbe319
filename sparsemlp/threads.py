"""Threads to compute in, with a floating-point mode and a number of threads of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import torch


class Compute:
    """Runs functions in threads that flush denormal numbers; see :func:`compute_threads`."""

    def __init__(self, executor: ThreadPoolExecutor, n_threads: int) -> None:
        self.executor = executor
        self.n_threads = n_threads

    def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns, or raise what it raises."""
        return self.executor.submit(function, *args, **kwargs).result()

    def map(self, functions: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run functions, as many at the same time as there are threads; return their results in order."""
        return list(self.executor.map(lambda function: function(), functions))

    def side_by_side(self, functions: Sequence[Callable[[], Any]]) -> None:
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


@contextlib.contextmanager
def compute_threads(n_threads: int = 1, n_inner: int | None = None) -> Iterator[Compute]:
    """Give threads to compute in, where denormal numbers are flushed to zero.

    Weights without a gradient decay into denormal numbers, which cost 10 to 50 times as much as others. The
    mode belongs to a thread, and threads that OpenMP starts inherit it: so this covers every thread that
    computes, and leaves the caller's as they were.

    Parameters
    ----------
    n_threads : int, default=1
        Number of threads.
    n_inner : int, optional
        Number of threads that torch computes with in each of them; put back at the end. Default: as it is.

    Yields
    ------
    Compute
        Call it with a function and its arguments.
    """
    before = torch.get_num_threads()
    inner = before if n_inner is None else n_inner
    if inner != before:
        torch.set_num_threads(inner)
    try:
        with ThreadPoolExecutor(n_threads, "sparsemlp", _prepare_thread, (inner,)) as executor:
            yield Compute(executor, n_threads)
    finally:
        if inner != before:
            torch.set_num_threads(before)


def _prepare_thread(n_inner: int) -> None:
    torch.set_flush_denormal(True)
    # OpenMP keeps this number for each thread: a new one would use all processors for the smallest kernel.
    torch.set_num_threads(n_inner)
