"""The skorch nets: skorch's epochs, callbacks and history around a fast training step."""

from __future__ import annotations

import math
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from sklearn.metrics import accuracy_score, r2_score
from skorch import NeuralNet, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback, EpochScoring, EpochTimer, PassthroughScoring
from torch import Tensor
from torch.utils.data import Dataset

from sparsemlp._first_layer_start import FirstLayerStart
from sparsemlp._training.batches import (
    Batch,
    BatchStream,
    ChunkStream,
    DeviceRows,
    SparseRows,
    TabularDataset,
)
from sparsemlp._training.interrupts import Interrupts, noting_interrupts
from sparsemlp._training.out_of_fold import OutOfFold
from sparsemlp._training.schedules import Schedule, schedule_of
from sparsemlp._training.session import TrainingSession, training_session
from sparsemlp._training.time_limit import TimeLimit

LrSchedule = Literal["constant", "cosine"]
LR_SCHEDULES: tuple[str, ...] = get_args(LrSchedule)


class FastNet(NeuralNet):
    """What both nets add to skorch: epochs on the fast training step.

    Everything at the level of epochs is skorch's own. Batches are trained in closed form, unless a callback
    needs them one by one or a parameter is frozen: then skorch's autograd path trains the very same batches.
    """

    #: the column of the history with the scores on validation rows
    score_name: ClassVar[str]
    #: columns of the history that rank epochs for early stopping, with +1 where larger is better
    monitors: ClassVar[list[tuple[str, int]]]
    # skorch makes it; None once training has ended
    optimizer_: Any

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
        #: outputs of the out-of-fold rows after the latest epoch; None where there are no such rows
        self.out_of_fold_: OutOfFold | None = None
        #: the first layer before training, where it started sparse; None where it is not known
        self.start_: FirstLayerStart | None = None
        #: when the fit is to end
        self.time_limit = TimeLimit()
        #: why the latest training ended before its last epoch; None where it did not, or where a callback ended it
        self.stop_reason: str | None = None
        #: whether Ctrl-C ended it, and whether shortly after another one
        self.interrupts = Interrupts()
        #: learning rates as a scheduler among the callbacks has left them, see `schedules.resume`
        self.schedule: Schedule | None = None
        self._saved: dict[str, tuple[int, int]] = {}
        self._session: TrainingSession | None = None

    @property
    def session(self) -> TrainingSession:
        """The running training session."""
        if self._session is None:
            raise AttributeError("this net is not training")
        return self._session

    # -- data -------------------------------------------------------------------------------------------------

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Return a dataset for what skorch's callbacks pass: one of ours, or its rows."""
        if isinstance(X, DeviceRows | SparseRows):
            none = torch.zeros(len(X), 1, device=self.device, dtype=torch.float32)
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
        """Run skorch's loop within a training session."""
        n_epochs_before, self.stop_reason = len(self.history), None
        n_epochs = self.max_epochs if epochs is None else epochs
        try:
            with noting_interrupts() as self.interrupts, training_session(self, X, n_epochs) as self._session:
                return super().fit_loop(X, y, epochs=epochs, **kwargs)
        finally:
            self._session = None
            self._tidy_history(n_epochs_before)
            self.schedule = schedule_of(self)
            if self.interrupts.happened:
                self.stop_reason = "it was interrupted by Ctrl-C"

    def _tidy_history(self, start: int) -> None:
        """Drop an epoch that was cut off; make numbers of tensors, which schedulers record on CUDA."""
        epochs: Any = self.history
        if len(epochs) > start and "train_loss" not in epochs[-1]:
            epochs.pop()
        for epoch in list(epochs)[start:]:
            epoch.update({name: value.item() for name, value in epoch.items() if isinstance(value, Tensor)})

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the session, which cannot be copied, for callbacks that pickle the net in training."""
        return super().__getstate__() | {"_session": None}

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Callable, **kwargs: Any
    ) -> None:
        """Train or validate one epoch, in the session's threads."""
        if iterator is None:  # no rows to validate on
            return
        session, run = self.session, super().run_single_epoch
        if not isinstance(iterator, BatchStream):
            session.compute(run, iterator, training, prefix, step_fn, **kwargs)
            return
        session.compute(session.begin_epoch)
        if session.uses_autograd():
            batches = session.batches_for_autograd(iterator)
            session.compute(run, batches, training, prefix, step_fn, **kwargs)
        else:
            loss, n_batches = session.compute(session.train_epoch, iterator)
            self.history.new_batch()  # the epoch is recorded as one batch of all rows
            self.history.record_batch(f"{prefix}_loss", loss)
            self.history.record_batch(f"{prefix}_batch_size", len(iterator.dataset))
            self.history.record(f"{prefix}_batch_count", n_batches)
        session.compute(session.end_epoch)
        self.out_of_fold_ = session.predict_out_of_fold()
        if self.out_of_fold_ is not None:
            loss = session.compute(self.out_of_fold_.mean_loss, self.criterion_.loss)
            self.history.record("out_of_fold_loss", loss)

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

    # -- checkpoints ------------------------------------------------------------------------------------------

    def save_params(self, *args: Any, **kwargs: Any) -> None:
        """Save parameters as skorch does."""
        super().save_params(*args, **kwargs)
        self._saved |= {str(path): _stamp(path) for path in kwargs.values() if _is_file(path)}

    def load_params(self, *args: Any, checkpoint: Any = None, **kwargs: Any) -> None:
        """Load parameters as skorch does; not those that another fit has written to the same file meanwhile."""
        files = {} if checkpoint is None else checkpoint.get_formatted_files(self)
        for path in files.values():
            if str(path) in self._saved and self._saved[str(path)] != _stamp(path):
                raise ValueError(
                    f"another fit has written to {path} during this one; give every Checkpoint a dirname of its "
                    "own, or search with n_jobs=1"
                )
        super().load_params(*args, checkpoint=checkpoint, **kwargs)

    # -- skorch's own path ------------------------------------------------------------------------------------

    def train_step(self, batch: Batch, **fit_params: Any) -> Any:
        """Train on one batch by autograd."""
        step = super().train_step(batch, **fit_params)
        self.session.after_autograd_step()
        return step

    def train_step_single(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor]:
        """Compute loss and gradients by autograd."""
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
        """Compute outputs and loss."""
        self._set_training(False)
        output = self.infer(batch[0])
        return {"loss": self.criterion_(output, batch.target, batch.weight), "y_pred": output}


class ClassifierNet(FastNet, NeuralNetClassifier):
    """A skorch classifier on class indices, see :class:`skorch.NeuralNetClassifier`."""

    score_name = "valid_acc"
    monitors: ClassVar[list[tuple[str, int]]] = [("valid_acc", 1), ("valid_loss", -1)]

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        score = EpochScoring(_accuracy, lower_is_better=False, name="valid_acc")
        return [*_loss_callbacks(), ("valid_acc", score)]


class MultilabelNet(ClassifierNet):
    """A skorch classifier on rows of 0 and 1, one for each label."""

    def predict(self, X: Any) -> np.ndarray:
        """Return for every label whether it is predicted."""
        threshold = 0.5 if self.criterion_.loss.has_probabilities else 0.0
        return (self.predict_proba(X) > threshold).astype(int)


class RegressorNet(FastNet, NeuralNetRegressor):
    """A skorch regressor on standardised targets, see :class:`skorch.NeuralNetRegressor`."""

    score_name = "valid_r2"
    monitors: ClassVar[list[tuple[str, int]]] = [("valid_loss", -1)]

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [*_loss_callbacks(), ("valid_r2", EpochScoring(_r2, lower_is_better=False, name="valid_r2"))]


def _accuracy(net: Any, X: Any, y: Any) -> float:
    """Score predictions by the weighted share of rows that are right."""
    return float(accuracy_score(y, net.predict(X), sample_weight=_weights(X)))


def _r2(net: Any, X: Any, y: Any) -> float:
    """Score predictions, with NaN where training has diverged or one row has no spread to compare with."""
    prediction = net.predict(X)
    if len(y) < 2 or not np.isfinite(prediction).all():
        return math.nan
    return float(r2_score(y, prediction, sample_weight=_weights(X)))


def _weights(X: Any) -> np.ndarray | None:
    """Return the weights of the rows that skorch has scored, or None where all are 1."""
    weight = getattr(X, "weight", None)
    return None if weight is None else weight[:, 0].cpu().numpy()


def _is_file(path: Any) -> bool:
    return isinstance(path, str | PathLike) and Path(path).is_file()


def _stamp(path: Any) -> tuple[int, int]:
    """Return what changes whenever a file is written."""
    status = Path(path).stat()
    return status.st_mtime_ns, status.st_size


def _loss_callbacks() -> list[tuple[str, Callback]]:
    return [
        ("epoch_timer", EpochTimer()),
        ("train_loss", PassthroughScoring("train_loss", on_train=True)),
        ("valid_loss", PassthroughScoring("valid_loss")),
    ]
