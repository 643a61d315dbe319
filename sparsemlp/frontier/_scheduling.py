"""Runs shared out to batches, which train as one network each, and the batches to threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ParamSpec, TypeVar

import torch

from sparsemlp._training.threads import compute_threads
from sparsemlp.frontier._run_batch import RunBatch, train_to_success
from sparsemlp.frontier._run_data import N_TEST
from sparsemlp.frontier._runs import Outcome, Run, Setting

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# What a CPU's core keeps at hand: with more, the buffers of a step come from memory; with fewer runs in a
# batch, Python's share of a step shows.
CACHE_BYTES = 2**21
MIN_CPU_RUNS, MAX_CPU_RUNS = 8, 64
# Share of the machine's or the accelerator's memory that all batches in training may take.
MEMORY_SHARE = 0.25
UNKNOWN_MEMORY = 2**32


def _shared_setting(setting: Setting) -> tuple[Any, ...]:
    """Return what settings must agree in for their runs to train in one batch."""
    return (
        setting.n_features,
        setting.width,
        setting.batch_size,
        setting.max_steps,
        setting.loss,
        setting.learning_rate,
        setting.sgd_weight_decay,
        setting.n_samples is None,
    )


def train_runs(
    runs: Sequence[Run],
    device: torch.device,
    n_threads: int | None = None,
    *,
    with_curves: bool = False,
    on_batch: Callable[[list[Outcome]], None] | None = None,
    on_progress: Callable[[Setting, int], None] | None = None,
) -> list[Outcome]:
    """Train runs of any settings, in batches of those that can share a network.

    Parameters
    ----------
    runs : sequence of Run
        The runs, in any order.
    device : torch.device
        Where to train.
    n_threads : int, optional
        CPU threads; default: torch's setting.
    with_curves : bool, default=False
        Keep train and test error at every evaluation.
    on_batch : callable, optional
        Called with the outcomes of every finished batch.
    on_progress : callable, optional
        Called at every evaluation with a setting of the batch, and the number of steps, of all runs together, that
        are over since the last one. The threads that train call both functions, one of them at a time.

    Returns
    -------
    list of Outcome
        In the order of `runs`.

    Examples
    --------
    >>> import torch
    >>> from sparsemlp.frontier import Setting, Run, train_runs
    >>> easy = Setting(n_features=10, n_informative=2, n_samples=300, width=50, max_steps=1000)
    >>> hopeless = Setting(n_features=10, n_informative=2, n_samples=20, width=50, sparsity=None, max_steps=1000)
    >>> outcomes = train_runs([Run(easy, 0), Run(hopeless, 0)], torch.device("cpu"))
    >>> [outcome.succeeded for outcome in outcomes]
    [True, False]
    """
    lock = threading.Lock()
    finish = one_at_a_time(lock, on_batch) if on_batch is not None else None
    count = one_at_a_time(lock, on_progress) if on_progress is not None else None

    def work(batch: list[Run], stopped: threading.Event) -> list[Outcome]:
        done = partial(count, batch[0].setting) if count is not None else None
        training = RunBatch(batch, device)
        outcomes = train_to_success(training, with_curves=with_curves, on_progress=done, stopped=stopped)
        if finish is not None:
            finish(outcomes)
        return outcomes

    outcomes = {outcome.run: outcome for outcome in map_batches(work, runs, device, n_threads)}
    return [outcomes[run] for run in runs]


def one_at_a_time(lock: threading.Lock, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return the function made to wait while another thread is in it, or in any that shares the lock."""

    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with lock:
            return function(*args, **kwargs)

    return call


def map_batches(
    work: Callable[[list[Run], threading.Event], list[Result]],
    runs: Sequence[Run],
    device: torch.device,
    n_threads: int | None,
) -> list[Result]:
    """Do `work` on batches of runs, and return all results.

    On a CPU every thread has batches of its own, so that no thread waits for another at every product, and no
    product's rounding depends on the number of threads. `work`
    gets a batch and an event, which is set when the results are not wanted any more: after Ctrl-C, or when another
    batch has failed.
    """
    n_threads = n_threads or torch.get_num_threads()
    at_once = max(1, min(len(runs), n_threads)) if device.type == "cpu" else 1
    with compute_threads(at_once, 1 if device.type == "cpu" else n_threads) as compute:
        done = compute.map([partial(work, batch, compute.over) for batch in make_batches(runs, device, at_once)])
    return [result for results in done for result in results]


def make_batches(runs: Sequence[Run], device: torch.device, at_once: int = 1) -> Iterator[list[Run]]:
    """Share runs out to batches, each of runs that can train together, of about the same number.

    Parameters
    ----------
    runs : sequence of Run
        The runs, in any order.
    device : torch.device
        Where they will train.
    at_once : int, default=1
        Batches in training at the same time, which share the memory.

    Yields
    ------
    list of Run
        A batch.

    Examples
    --------
    >>> import torch
    >>> from sparsemlp.frontier import Setting, Run, make_batches
    >>> settings = [Setting(n_samples=m, width=r) for r in (10, 30) for m in (100, 300)]
    >>> batches = make_batches([Run(setting, i) for setting in settings for i in range(5)], torch.device("cpu"))
    >>> [(batch[0].setting.width, len(batch)) for batch in batches]
    [(10, 10), (30, 10)]
    """
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(_shared_setting(run.setting), []).append(run)
    for group in groups.values():
        n_rows = max(run.setting.n_samples or 0 for run in group)
        size = _batch_size(group[0].setting, n_rows, device, at_once)
        n_batches = min(len(group), at_once * -(-len(group) // (at_once * size)))
        # Dealt out like cards: the runs of every setting are spread, and batches end at about the same time.
        for start in range(n_batches):
            yield group[start::n_batches]


def _batch_size(setting: Setting, n_rows: int, device: torch.device, at_once: int) -> int:
    """Return how many runs with up to `n_rows` training rows share a batch."""
    step_values = (
        setting.width * (setting.n_features + 2 * setting.batch_size) + setting.batch_size * setting.n_features
    )
    copies = 2 if device.type == "cpu" else 1  # a run's own rows, and those of all runs that steps take from
    values = 3 * step_values + (copies * n_rows + N_TEST) * (setting.n_features + 1)
    fitting = int(MEMORY_SHARE * _memory_bytes(device)) // (4 * values * at_once)
    if device.type == "cpu":
        cached = CACHE_BYTES // (4 * step_values)
        fitting = min(fitting, max(MIN_CPU_RUNS, min(cached, MAX_CPU_RUNS)))
    return max(1, fitting)


def _memory_bytes(device: torch.device) -> int:
    """Return the size of the memory at the device."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return UNKNOWN_MEMORY
