"""A training session: what a fit holds while it runs, and the epochs that it trains."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

import torch
from sklearn.utils import gen_batches
from skorch.callbacks import Callback, EpochScoring, LRScheduler

from sparsemlp._training.averaging import WeightAverage
from sparsemlp._training.batches import Batch, BatchStream, TabularDataset
from sparsemlp._training.cuda_graphs import make_steps
from sparsemlp._training.devices import summing_dtype
from sparsemlp._training.optimizers import can_split, set_learning_rate
from sparsemlp._training.out_of_fold import OutOfFold, out_of_fold_rows, predict_out_of_fold
from sparsemlp._training.step import BatchBuffers
from sparsemlp._training.threads import ComputePool, compute_threads
from sparsemlp.module import SparseInitMLP

BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")
Precision = Literal["float32", "bf16"]
PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}
# A matrix product of fewer multiplications is done by one thread; measured, see docs/speed.md.
THREADING_PRODUCTS = 2**26


@contextlib.contextmanager
def training_session(net: Any, dataset: TabularDataset, n_epochs: int) -> Iterator[TrainingSession]:
    """Give a session for `net`, whose threads end with it.

    Training computes in threads of its own, see :func:`sparsemlp._training.threads.compute_threads`: on a CPU one
    for each of several groups of members, which need not wait for each other.
    """
    n_groups = _n_groups(net, len(dataset))
    n_threads = min(n_groups, torch.get_num_threads())
    average = None
    if net.weight_averaging:
        average = WeightAverage(net.module_, net.module_.groups_of_members(n_groups))
    try:
        with compute_threads(n_threads, _n_inner_threads(net, n_threads)) as compute:
            yield TrainingSession(net, dataset, n_epochs, n_groups, average, compute)
    finally:  # when the threads have ended, also where Ctrl-C or a callback has cut an epoch off
        if average is not None and average.in_epoch:
            average.end_epoch()


class TrainingSession:
    """What a fit holds while it runs.

    Parameters
    ----------
    net : FastNet
        The net to train.
    dataset : TabularDataset
        The training rows.
    n_epochs : int
        Number of epochs, if nothing ends training before.
    n_groups : int
        Number of groups that members are trained in.
    average : WeightAverage or None
        The average of the weights, if it is wanted.
    compute : ComputePool
        The threads.
    """

    def __init__(
        self,
        net: Any,
        dataset: TabularDataset,
        n_epochs: int,
        n_groups: int,
        average: WeightAverage | None,
        compute: ComputePool,
    ) -> None:
        self.net = net
        self.dataset = dataset
        self.n_epochs = n_epochs
        self.n_groups = n_groups
        self.average = average
        self.compute = compute
        #: training steps by batch size, one for each group; made in the first epoch
        self.steps: dict[int, list[Callable[..., None]]] = {}
        self.n_steps_done = 0
        #: called during an epoch, with the number of epochs done
        self.tell_progress: Callable[[float], None] | None = None
        has_scheduler = any(isinstance(callback, LRScheduler) for _, callback in net.callbacks_)
        self.is_cosine = net.lr_schedule == "cosine" and not has_scheduler
        self.has_said_why = False
        self.fold_rows = None if dataset.fold is None else out_of_fold_rows(dataset.fold, net.module_.n_members)

    def begin_epoch(self) -> None:
        """Put the weights in training into the network, where it holds their average."""
        if self.average is not None:
            self.average.begin_epoch()

    def end_epoch(self) -> None:
        """Put the average of the weights into the network, if it is wanted."""
        if self.average is not None:
            self.average.end_epoch()

    def uses_autograd(self) -> bool:
        """Say whether the coming epoch takes skorch's autograd path; if verbose, print once why."""
        reason = _reason_for_autograd(self.net)
        if reason and self.net.verbose and not self.has_said_why:
            print(f"sparsemlp: training on skorch's autograd path, because {reason}")
            self.has_said_why = True
        return reason is not None

    def train_epoch(self, stream: BatchStream) -> tuple[float, int]:
        """Train one epoch; return its mean loss and the number of its batches, which a time limit can cut off.

        The only wait for the device is for the loss at its end.
        """
        net, loss = self.net, self.net.criterion_.loss
        if not self.steps:
            sizes, precision = list(stream.pools), PRECISIONS[net.precision]
            self.steps = make_steps(net.module_, loss, net.optimizer_, sizes, self.n_groups, precision)
        device = self.dataset.target.device
        total = torch.zeros((), dtype=summing_dtype(device), device=device)
        n_batches = n_rows = 0
        for pool, index in stream:
            batches = pool.fill(index)
            rates = [self._next_rate(stream) for _ in batches]
            parts = [(batches[part], rates[part]) for part in self._parts(len(batches))]
            self.compute.run_all(
                [
                    [partial(self._train_group, group, step, *part) for part in parts]
                    for group, step in enumerate(self.steps[pool.batch_size])
                ]
            )
            total += pool.summed_loss(loss.value, len(batches))
            n_batches, n_rows = n_batches + len(batches), n_rows + index.numel()
            if self._is_time_over(stream):
                break
        if rates[-1] is not None:
            set_learning_rate(net.optimizer_, rates[-1])
        return total.item() / n_rows, n_batches

    def _is_time_over(self, stream: BatchStream) -> bool:
        """Say whether the time limit cuts the epoch off; tell how far training is."""
        if self.tell_progress is not None:
            self.tell_progress(self.n_steps_done / stream.n_batches)
        return self.net.time_limit.is_over()

    def _parts(self, n_batches: int) -> list[slice]:
        """Return the batches that a thread trains a group on before it takes the next group.

        These are all, which keeps the group's weights in the cache, unless some threads would have a group more
        than others.
        """
        n_threads = self.compute.n_threads
        n_parts = 1 if self.n_groups % n_threads == 0 else n_threads
        return list(gen_batches(n_batches, math.ceil(n_batches / n_parts)))

    def _train_group(
        self, group: int, step: Callable[..., None], batches: Sequence[BatchBuffers], rates: Sequence[float | None]
    ) -> None:
        """Train a group of members on some batches."""
        for batch, rate in zip(batches, rates, strict=True):
            self.compute.raise_if_cancelled()
            step(batch, rate)
            if self.average is not None:
                self.average.update(group)

    def batches_for_autograd(self, stream: BatchStream) -> Iterator[Batch]:
        """Yield an epoch's batches one by one, with the learning rate set before each."""
        for batch in stream.batches():
            self.compute.raise_if_cancelled()
            rate = self._next_rate(stream)
            if rate is not None:
                set_learning_rate(self.net.optimizer_, rate)
            yield batch
            if self._is_time_over(stream):
                break

    def after_autograd_step(self) -> None:
        """Take the weights of all members into the average."""
        if self.average is not None:
            for group in range(self.n_groups):
                self.average.update(group)

    def _next_rate(self, stream: BatchStream) -> float | None:
        """Return the next step's learning rate; None where it is the optimizer's own."""
        progress = self.n_steps_done / (self.n_epochs * stream.n_batches)
        self.n_steps_done += 1
        if not self.is_cosine:
            return None
        return self.net.lr * 0.5 * (1 + math.cos(math.pi * progress))

    def predict_out_of_fold(self) -> OutOfFold | None:
        """Return the outputs of the out-of-fold rows as the weights are now; None where there are no such rows."""
        if self.fold_rows is None:
            return None
        module: SparseInitMLP = self.net.module_
        return predict_out_of_fold(module, self.dataset, self.fold_rows, self.net.chunk_size, self.compute)


def _n_groups(net: Any, n_rows: int) -> int:
    """Return how many groups the members are trained in: at least one a thread."""
    on_cpu = net.module_.input_layer.weight.device.type == "cpu"
    if not on_cpu or _reason_for_autograd(net) or not can_split(net.optimizer_):
        return 1
    n_groups = net.module_.n_groups(min(n_rows, net.batch_size))
    return min(net.module_.n_members, max(n_groups, torch.get_num_threads()))


def _n_inner_threads(net: Any, n_threads: int) -> int:
    """Return the number of threads for one product: waking a thread costs as much as a small one."""
    inputs_outputs = [layer.weight[0].numel() for layer in net.module_.layers[:-1]]
    n_products = net.batch_size * sum(inputs_outputs) / len(inputs_outputs)
    return 1 if n_products < THREADING_PRODUCTS else max(1, torch.get_num_threads() // n_threads)


def _reason_for_autograd(net: Any) -> str | None:
    """Say why training cannot take the fast step, or None."""
    for name, callback in net.callbacks_:
        if _needs_batches(callback):
            return f"the callback {name!r} acts on batches"
    if not all(parameter.requires_grad for parameter in net.module_.parameters()):
        return "some parameters are frozen"
    return None


def _needs_batches(callback: Callback) -> bool:
    """Say whether a callback looks at training batches or at gradients."""
    if isinstance(callback, EpochScoring):
        return callback.on_train and callback.use_caching
    if isinstance(callback, LRScheduler):
        return callback.step_every == "batch"
    if not getattr(callback, "log_on_batch_end", True):  # skorch's loggers, which have a switch
        return False
    return any(getattr(type(callback), hook) is not getattr(Callback, hook) for hook in BATCH_HOOKS)
