"""The steps that train a network: one for every batch size and group of members, on CUDA as graphs."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from sparsemlp._training.losses import Loss
from sparsemlp._training.optimizers import FusedAdamW, set_learning_rate
from sparsemlp._training.step import BatchBuffers, TrainingStep
from sparsemlp.module import SparseInitMLP

#: what a CUDA graph holds of an optimizer's parameter groups
SCALARS = ("lr", "weight_decay", "betas", "eps", "maximize")
# Graphs are captured on one stream a device: CUDA's libraries keep a workspace for every stream.
_CAPTURE_STREAMS: dict[torch.device, torch.cuda.Stream] = {}
# One thread at a time captures, replays or drops graphs: until torch 2.7 a replay fails while another thread
# captures on the same device, since both look at the device's random numbers.
_GRAPHS = threading.Lock()


def make_steps(
    module: SparseInitMLP,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    batch_sizes: Sequence[int],
    n_groups: int,
    dtype: torch.dtype | None = None,
) -> dict[int, list[Callable[..., None]]]:
    """Return the steps for each batch size, one for each of `n_groups` groups of members.

    Groups are for threads of their own: members never meet in training, so nothing waits at every product.
    On CUDA there is one group, and its steps are graphs.
    """
    made: dict[int, list[Callable[..., None]]] = {size: [] for size in batch_sizes}
    for members in module.groups_of_members(n_groups):
        adamw = FusedAdamW(optimizer, members) if FusedAdamW.can_take(optimizer) else None
        largest = None
        for size in sorted(batch_sizes, reverse=True):
            step = TrainingStep(
                module, loss, optimizer, size, members=members, adamw=adamw, buffers=largest, dtype=dtype
            )
            largest = largest or step
            made[size].append(with_cuda_graph(step))
    return made


def with_cuda_graph(step: TrainingStep) -> Callable[..., None]:
    """Return the step as CUDA graphs if it trains on CUDA, else as it is."""
    return CudaGraphStep(step) if step.layers[0].weight.is_cuda else step


class CudaGraphStep:
    """A :class:`TrainingStep` whose work on each batch is recorded as a CUDA graph and then replayed.

    A graph holds the addresses of its buffers, so there is one for every batch, and the optimizer's scalars, so
    graphs are recorded again when one has changed. AdamW's learning rate is in a tensor, which may change. The
    first time, the work on a batch is done as it is: libraries and the optimizer set up what they need, and a
    batch that is seen once, or a rate that changes all the time, is not worth a graph.
    """

    def __init__(self, step: TrainingStep) -> None:
        self.step = step
        self.seen: set[int] = set()
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self.recorded_with: tuple[Any, ...] = ()
        self.has_room = True
        self.device = step.layers[0].weight.device

    def __call__(self, batch: BatchBuffers, rate: float | None = None) -> None:
        """Train on the batch in `batch`, at `rate` or at the optimizer's own learning rate."""
        if rate is not None:
            set_learning_rate(self.step.optimizer, rate)
        self._forget_old_scalars()
        key = batch.x.data_ptr()
        if key in self.seen and key not in self.graphs and self.has_room:
            self._capture_if_there_is_room(key, batch)
        self.seen.add(key)
        if key in self.graphs:
            with _GRAPHS:
                self.graphs[key].replay()
        else:
            self.step(batch)

    def _forget_old_scalars(self) -> None:
        """Drop all graphs if what they hold by value has changed; of a tensor they hold the address."""
        values = (group.get(name) for group in self.step.optimizer.param_groups for name in SCALARS)
        scalars = tuple(value.data_ptr() if isinstance(value, Tensor) else value for value in values)
        if scalars != self.recorded_with:
            with _GRAPHS:
                self.graphs.clear()
            self.seen.clear()
            self.recorded_with = scalars

    def _capture_if_there_is_room(self, key: int, batch: BatchBuffers) -> None:
        """Record the step, without running it.

        What torch keeps of freed memory it does not give back to a capture, in which libraries take their
        workspace, so a second try comes after it is given back.
        """
        for _ in range(2):
            try:
                with _GRAPHS:
                    self.graphs[key] = self._capture(batch)
                return
            except torch.OutOfMemoryError:
                with _GRAPHS:  # for no other thread's capture survives that
                    torch.cuda.empty_cache()
        self.has_room = False

    def _capture(self, batch: BatchBuffers) -> torch.cuda.CUDAGraph:
        """Return the step on `batch` as a graph.

        ``torch.cuda.graph`` does the same, but before each of dozens of captures it waits for the device, empties
        torch's cache and in older torch collects garbage, which takes as long as many epochs.
        """
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device), _without_garbage_collection():
            if self.device not in _CAPTURE_STREAMS:
                _CAPTURE_STREAMS[self.device] = torch.cuda.Stream(self.device)
            with torch.cuda.stream(_CAPTURE_STREAMS[self.device]):
                graph.capture_begin(capture_error_mode="thread_local")
                try:
                    self.step(batch)
                finally:
                    graph.capture_end()
        return graph


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Collect no garbage: if it contains a graph, destroying that graph ends a capture."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
