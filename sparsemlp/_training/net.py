"""The skorch nets: skorch's epochs, callbacks and history around a fast training step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.metrics import r2_score
from skorch import NeuralNet, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import (
    Callback,
    EpochScoring,
    EpochTimer,
    LRScheduler,
    PassthroughScoring,
)
from torch import Tensor
from torch.utils.data import Dataset

from sparsemlp._training.averaging import WeightAverage
from sparsemlp._training.batches import (
    Batch,
    BatchStream,
    ChunkStream,
    DeviceRows,
    SparseRows,
    TabularDataset,
)
from sparsemlp._training.cuda_graphs import make_steps
from sparsemlp._training.devices import summing_dtype
from sparsemlp._training.optimizers import RATE_SCALE, SGD, AdamW, can_split, set_learning_rate
from sparsemlp._training.out_of_fold import OutOfFold, out_of_fold_rows, predict_out_of_fold
from sparsemlp._training.step import BatchBuffers
from sparsemlp._training.threads import compute_threads
from sparsemlp.module import SparseInitMLP, groups_of_members
from sparsemlp.parametrization import ADAM_EPS

BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")
LR_SCHEDULES = ("constant", "cosine")
PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}
# A net's attributes that are there while it trains.
ONLY_IN_TRAINING = ("_steps", "_average", "_compute")
# A matrix product of fewer multiplications is done by one thread; measured, see docs/speed.md.
THREADING_PRODUCTS = 2**26


class FastNet(NeuralNet):
    """What both nets add to skorch: epochs on the fast training step.

    Everything at the level of epochs is skorch's own. Batches are trained in closed form, unless a callback
    needs them one by one or a parameter is frozen: then skorch's autograd path trains the very same batches.

    All training computes in threads of its own, see :func:`sparsemlp._training.threads.compute_threads`: on a CPU
    one for each of several groups of members, which need not wait for each other.
    """

    #: the column of the history with the scores on validation rows
    score_name: ClassVar[str]
    #: columns of the history that rank epochs for early stopping, with +1 where larger is better
    monitors: ClassVar[list[tuple[str, int]]]
    # skorch makes these; None once training has ended
    optimizer_: Any
    #: what members made of the rows that they left out, after the latest epoch; None where there are none
    out_of_fold_: OutOfFold | None = None

    def __init__(
        self,
        module: Any,
        *args: Any,
        lr_schedule: str = "constant",
        weight_averaging: bool = False,
        precision: str = "float32",
        batch_generator: torch.Generator | None = None,
        chunk_size: int = 4096,
        **kwargs: Any,
    ) -> None:
        super().__init__(module, *args, **kwargs)
        self.lr_schedule = lr_schedule
        self.weight_averaging = weight_averaging
        self.precision = precision
        self.batch_generator = batch_generator
        self.chunk_size = chunk_size

    # -- data -------------------------------------------------------------------------------------------------

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Return a dataset for what skorch's callbacks pass: one of ours, or its rows."""
        if isinstance(X, DeviceRows | SparseRows):
            none = torch.zeros(len(X), 1, device=self.device)
            return TabularDataset(X, none[:, 0], none)
        return super().get_dataset(X, y)

    def get_iterator(self, dataset: Dataset, training: bool = False) -> Any:
        """Return random batches for training, chunks in order for everything else."""
        if not isinstance(dataset, TabularDataset):
            return super().get_iterator(dataset, training=training)
        if not training:
            return ChunkStream(dataset, self.chunk_size)
        generator = self.batch_generator or torch.Generator(dataset.target.device)
        return BatchStream(dataset, self.batch_size, self.module_.n_members, generator)

    # -- epochs -----------------------------------------------------------------------------------------------

    def fit_loop(self, X: TabularDataset, y: None = None, epochs: int | None = None, **kwargs: Any) -> Any:
        """Run skorch's loop with the training threads beside it."""
        self._steps: dict[int, list[Callable[..., None]]] = {}
        self._n_steps_done = 0
        self.n_epochs_ = self.max_epochs if epochs is None else epochs
        own = any(isinstance(callback, LRScheduler) for _, callback in self.callbacks_)
        self._is_cosine = self.lr_schedule == "cosine" and not own
        self._average: WeightAverage | None = None
        self._said_slow = False
        self._groups = self._n_groups(len(X))
        n_threads = min(self._groups, torch.get_num_threads())
        if self.weight_averaging:
            self._average = WeightAverage(self.module_, groups_of_members(self.module_.n_members, self._groups))
        threads = compute_threads(n_threads, self._n_inner(n_threads))
        n_epochs_before = len(self.history)
        try:
            with threads as self._compute:
                return super().fit_loop(X, y, epochs=epochs, **kwargs)
        finally:  # when the threads have ended, also where Ctrl-C or a callback has cut an epoch off
            if self._average is not None and self._average.in_epoch:
                self._average.end_epoch()
            self._tidy_history(n_epochs_before)
            for name in ONLY_IN_TRAINING:
                self.__dict__.pop(name, None)

    def _tidy_history(self, start: int) -> None:
        """Drop an epoch that was cut off; make numbers of tensors, which schedulers record on CUDA."""
        epochs: Any = self.history
        if len(epochs) > start and "train_loss" not in epochs[-1]:
            epochs.pop()
        for epoch in list(epochs)[start:]:
            epoch.update({name: value.item() for name, value in epoch.items() if isinstance(value, Tensor)})

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what cannot be copied, for callbacks that pickle the net in training."""
        return {name: value for name, value in super().__getstate__().items() if name not in ONLY_IN_TRAINING}

    def _n_groups(self, n_rows: int) -> int:
        """Return how many groups the members are trained in: at least one a thread."""
        on_cpu = self.module_.input_layer.weight.device.type == "cpu"
        if not on_cpu or self._reason_for_autograd() or not can_split(self.optimizer_):
            return 1
        n_groups = self.module_.n_groups(min(n_rows, self.batch_size))
        return min(self.module_.n_members, max(n_groups, torch.get_num_threads()))

    def _n_inner(self, n_threads: int) -> int:
        """Return the number of threads for one product: waking a thread costs as much as a small one."""
        inputs_outputs = [layer.weight[0].numel() for layer in self.module_.layers[:-1]]
        n_products = self.batch_size * sum(inputs_outputs) / len(inputs_outputs)
        return 1 if n_products < THREADING_PRODUCTS else max(1, torch.get_num_threads() // n_threads)

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Callable, **kwargs: Any
    ) -> None:
        """Train or validate one epoch, in the training thread."""
        if iterator is None:  # no rows to validate on
            return
        run = super().run_single_epoch
        if not isinstance(iterator, BatchStream):
            self._compute(run, iterator, training, prefix, step_fn, **kwargs)
            return
        self._n_steps = self.n_epochs_ * iterator.n_batches
        if self._average is not None:
            self._average.begin_epoch()
        if reason := self._reason_for_autograd():
            if self.verbose and not self._said_slow:
                print(f"sparsemlp: training on skorch's autograd path, because {reason}")
            self._said_slow = True
            self._compute(run, self._scheduled(iterator.batches()), training, prefix, step_fn, **kwargs)
        else:
            loss = self._compute(self._fast_epoch, iterator)
            self.history.new_batch()  # the epoch is recorded as one batch of all rows
            self.history.record_batch(f"{prefix}_loss", loss)
            self.history.record_batch(f"{prefix}_batch_size", len(iterator.dataset))
            self.history.record(f"{prefix}_batch_count", iterator.n_batches)
        if self._average is not None:
            self._average.end_epoch()
        if iterator.dataset.fold is not None:
            rows = out_of_fold_rows(iterator.dataset.fold, self.module_.n_members)
            self.out_of_fold_ = predict_out_of_fold(
                self.module_, iterator.dataset, rows, self.chunk_size, self._compute
            )
            self.history.record("out_of_fold_loss", self.out_of_fold_.mean_loss(self.criterion_.loss))

    def _fast_epoch(self, stream: BatchStream) -> float:
        """Train one epoch; the only wait for the device is for the epoch's mean loss at its end."""
        if not self._steps:
            self._steps = make_steps(
                self.module_,
                self.criterion_.loss,
                self.optimizer_,
                list(stream.pools),
                self._groups,
                PRECISIONS[self.precision],
            )
        device = stream.dataset.target.device
        total = torch.zeros((), dtype=summing_dtype(device), device=device)
        for pool, index in stream:
            batches = pool.fill(index)
            rates = [self._next_rate() for _ in batches]
            steps = self._steps[pool.batch_size]
            self._compute.run_all(
                [partial(self._run, group, step, batches, rates) for group, step in enumerate(steps)]
            )
            total += pool.summed_loss(self.criterion_.loss.value, len(batches))
        if rates[-1] is not None:
            set_learning_rate(self.optimizer_, rates[-1])
        return total.item() / (stream.n_members * stream.n_rows)

    def _run(
        self, group: int, step: Callable[..., None], batches: Sequence[BatchBuffers], rates: Sequence[float | None]
    ) -> None:
        """Train a group of members on some batches."""
        for batch, rate in zip(batches, rates, strict=True):
            self._compute.raise_if_cancelled()
            step(batch, rate)
            if self._average is not None:
                self._average.update(group)

    def train_step(self, batch: Batch, **fit_params: Any) -> Any:
        """Train on one batch by autograd."""
        step = super().train_step(batch, **fit_params)
        if self._average is not None:
            for group in range(self._groups):
                self._average.update(group)
        return step

    def _next_rate(self) -> float | None:
        """Return the next step's learning rate; None where it is the optimizer's own."""
        progress = self._n_steps_done / self._n_steps
        self._n_steps_done += 1
        if not self._is_cosine:
            return None
        return self.lr * 0.5 * (1 + math.cos(math.pi * progress))

    def _scheduled(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass batches on, with the learning rate set before each."""
        for batch in batches:
            self._compute.raise_if_cancelled()
            rate = self._next_rate()
            if rate is not None:
                set_learning_rate(self.optimizer_, rate)
            yield batch

    def _reason_for_autograd(self) -> str | None:
        for name, callback in self.callbacks_:
            if _needs_batches(callback):
                return f"the callback {name!r} acts on batches"
        if not all(parameter.requires_grad for parameter in self.module_.parameters()):
            return "some parameters are frozen"
        return None

    def can_train(self) -> bool:
        """Say whether there is an optimizer to go on with."""
        return getattr(self, "optimizer_", None) is not None

    def release(self, keep_optimizer: bool = False) -> None:
        """Let go of everything that only training needs."""
        self.train_split = None
        self.batch_generator = None
        self.out_of_fold_ = None
        for parameter in self.module_.parameters():
            parameter.grad = None
        if not keep_optimizer:
            self.optimizer_ = None

    # -- skorch's own path ------------------------------------------------------------------------------------

    def train_step_single(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor]:
        """ComputePool loss and gradients by autograd."""
        self._set_training(True)
        output = self.infer(batch[0])
        loss = self.criterion_(output, batch.target, batch.weight)
        (loss * len(output)).backward()  # the mean over members is only reported: each has its own objective
        # Members saw different rows, so callbacks get them as the rows of one member.
        return {"loss": loss, "y_pred": output.flatten(0, 1).unsqueeze(0)}

    def on_batch_end(self, net: Any, batch: Batch, training: bool = False, **kwargs: Any) -> None:
        """Record how many rows the batch has; skorch has counted its members."""
        prefix = "train" if training else "valid"
        self.history.record_batch(f"{prefix}_batch_size", batch[0].shape[-2])

    @torch.no_grad()
    def validation_step(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor]:
        """ComputePool outputs and loss."""
        self._set_training(False)
        output = self.infer(batch[0])
        return {"loss": self.criterion_(output, batch.target, batch.weight), "y_pred": output}


class ClassifierNet(FastNet, NeuralNetClassifier):
    """A skorch classifier on class indices, see :class:`skorch.NeuralNetClassifier`."""

    score_name = "valid_acc"
    monitors: ClassVar[list[tuple[str, int]]] = [("valid_acc", 1), ("valid_loss", -1)]

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        score = EpochScoring("accuracy", lower_is_better=False, name="valid_acc")
        return [*_loss_callbacks(), ("valid_acc", score)]


class RegressorNet(FastNet, NeuralNetRegressor):
    """A skorch regressor on standardised targets, see :class:`skorch.NeuralNetRegressor`."""

    score_name = "valid_r2"
    monitors: ClassVar[list[tuple[str, int]]] = [("valid_loss", -1)]

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [*_loss_callbacks(), ("valid_r2", EpochScoring(_r2, lower_is_better=False, name="valid_r2"))]


def _r2(net: Any, X: Any, y: Any) -> float:
    """Score predictions, with NaN where training has diverged or one row has no spread to compare with."""
    prediction = net.predict(X)
    if len(y) < 2 or not np.isfinite(prediction).all():
        return math.nan
    return float(r2_score(y, prediction))


def _loss_callbacks() -> list[tuple[str, Callback]]:
    return [
        ("epoch_timer", EpochTimer()),
        ("train_loss", PassthroughScoring("train_loss", on_train=True)),
        ("valid_loss", PassthroughScoring("valid_loss")),
    ]


def _needs_batches(callback: Callback) -> bool:
    """Say whether a callback looks at training batches or at gradients."""
    if isinstance(callback, EpochScoring):
        return callback.on_train and callback.use_caching
    if isinstance(callback, LRScheduler):
        return callback.step_every == "batch"
    if not getattr(callback, "log_on_batch_end", True):  # skorch's loggers, which have a switch
        return False
    return any(getattr(type(callback), hook) is not getattr(Callback, hook) for hook in BATCH_HOOKS)


def optimizer_options(
    name: str, module: SparseInitMLP, learning_rate: float, weight_decay: float
) -> dict[str, Any]:
    """Return skorch's parameters for the optimizer called `name`, with what makes it fast on the device."""
    device = module.input_layer.weight.device
    scales = module.rate_scales(name)
    common = scales["input_layer.weight"]
    is_cuda = device.type == "cuda" and name != "sgd"

    def rates(scale: float) -> dict[str, Any]:
        rate = learning_rate * scale
        # a graph holds the rate as a tensor; decay is that of the learning rate as the user gave it
        return {
            "lr": torch.tensor(rate, dtype=torch.float32, device=device) if is_cuda else rate,
            "weight_decay": weight_decay / scale,
        }

    options: dict[str, Any] = {"lr": learning_rate * common}
    options |= {f"optimizer__{key}": value for key, value in rates(common).items() if is_cuda or key != "lr"}
    groups = [
        (parameter, rates(scale) | {RATE_SCALE: scale / common})
        for parameter, scale in scales.items()
        if scale != common
    ]
    if groups:
        options["optimizer__param_groups"] = groups
    if name == "sgd":
        return options | {"optimizer": SGD}
    options |= {"optimizer": AdamW, "optimizer__fused": device.type in ("cpu", "cuda")}
    options["optimizer__eps"] = ADAM_EPS * module.output_scale
    if is_cuda:
        options["optimizer__capturable"] = True
    return options
