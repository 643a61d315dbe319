"""A thread to compute in, with a floating-point mode and a number of threads of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch


@contextlib.contextmanager
def compute_thread(n_threads: int | None = None) -> Iterator[Callable[..., Any]]:
    """Give a function that calls functions in a thread where denormal numbers are flushed to zero.

    Weights without a gradient decay into denormal numbers, which cost 10 to 50 times as much as others. The
    mode belongs to a thread, and threads that OpenMP starts inherit it: so this covers every thread that
    computes, and leaves the caller's as they were.

    Parameters
    ----------
    n_threads : int, optional
        Number of threads that torch computes with inside; put back at the end.

    Yields
    ------
    callable
        ``run(function, *args, **kwargs)``, which returns what the function returns and raises what it raises.
    """
    before = torch.get_num_threads()
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    try:
        with ThreadPoolExecutor(1, "sparsemlp", torch.set_flush_denormal, (True,)) as executor:
            yield lambda function, *args, **kwargs: executor.submit(function, *args, **kwargs).result()
    finally:
        if n_threads is not None:
            torch.set_num_threads(before)
