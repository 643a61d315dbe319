"""The net of a fit: its network is made from the rows, wrapped for skorch, and trained."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.helper import predefined_split

from sparsemlp._convergence import warn_of_interrupt
from sparsemlp._data import EncodedRows
from sparsemlp._first_layer_start import FirstLayerStart
from sparsemlp._parameters import EstimatorParameters
from sparsemlp._prediction import rows_a_chunk
from sparsemlp._training.batches import TabularDataset
from sparsemlp._training.callbacks import KeepBest, Progress, StopWhenExhausted
from sparsemlp._training.devices import resolve_device, torch_as_it_comes
from sparsemlp._training.optimizers import optimizer_options
from sparsemlp._training.out_of_fold import StopWhenLongEnough
from sparsemlp._training.schedules import Schedule, resume
from sparsemlp._training.time_limit import StopAtTimeLimit
from sparsemlp._warning import warn_user
from sparsemlp.module import SparseInitMLP
from sparsemlp.trees import TreePaths

# Keep a copy of the weights for divergence at most once in this many steps.
STEPS_BETWEEN_COPIES = 16


@torch_as_it_comes()
@np.errstate(under="ignore")
def make_module(
    estimator: EstimatorParameters, rows: EncodedRows, fold: np.ndarray | None
) -> tuple[SparseInitMLP, list[TreePaths | None]]:
    """Make the network, whose first layer starts from the rows; return it, and the trees that it starts as."""
    estimator.sparsity_ = min(2, estimator.n_features_in_) if estimator.sparsity == "auto" else estimator.sparsity
    generator = torch.Generator().manual_seed(estimator._seeds["init"])
    groups, one_hot = estimator.scaler_.column_groups(), list(estimator.scaler_.one_hot_columns())
    inputs, paths = None, []
    by_trees = estimator.feature_sampling == "trees" and estimator.sparsity_ is not None
    if by_trees or estimator.bias_init == "data":
        sample = rows.sample(generator)
        inputs = sample.inputs
        if by_trees:
            paths = sample.grow_trees(fold, estimator._resolved["n_members"], estimator.scaler_, generator)
    module = SparseInitMLP(
        len(estimator.scaler_.column_features_),
        rows.target.shape[1],
        estimator._widths(),
        estimator.sparsity_,
        init=estimator.init,
        bias_init=estimator.bias_init,
        activation=estimator.activation,
        richness=estimator.richness,
        n_members=estimator._resolved["n_members"],
        data=inputs,
        column_groups=groups,
        one_hot=one_hot,
        paths=paths or None,
        generator=generator,
        dtype=torch.float32,  # torch's default may be another
    )
    if rows.columns is not None:
        module.see_only_(rows.columns)
    return module.to(resolve_device(estimator.device)), paths


@torch_as_it_comes()
def make_net(
    estimator: EstimatorParameters, module: SparseInitMLP, history: list, schedule: Schedule | None = None
) -> Any:
    """Wrap `module` in a skorch net that is ready to train, and goes on from `history` and `schedule`."""
    net = estimator._skorch_net(
        module=module,
        batch_size=estimator.batch_size,
        max_epochs=estimator._resolved["max_epochs"],
        lr_schedule=estimator.lr_schedule,
        weight_averaging=estimator.weight_averaging,
        precision=estimator.precision,
        **optimizer_options(
            estimator.optimizer, module, estimator._resolved["learning_rate"], estimator.weight_decay
        ),
        train_split=None,
        callbacks=_callbacks(estimator),
        device=str(module.input_layer.weight.device),  # safetensors takes no torch.device
        verbose=estimator.verbose,
        chunk_size=rows_a_chunk(module),
    ).initialize()
    net.history.extend(history)
    if history:
        resume(net, schedule)
    elif estimator.sparsity_ is not None:  # a dense start is as large as the layer itself
        net.start_ = FirstLayerStart.of(module)
    return net


def _callbacks(estimator: EstimatorParameters) -> list:
    bar = [("_progress", Progress())] if estimator.verbose else []
    keep_best = KeepBest()
    stop = [
        ("_stop", StopWhenExhausted(keep_best)),
        ("_long_enough", StopWhenLongEnough(estimator._resolved["min_epochs"], estimator._resolved["patience"])),
        ("_time_limit", StopAtTimeLimit(keep_best)),
    ]
    return [*bar, ("_keep_best", keep_best), *(estimator.callbacks or []), *stop]


def train(
    estimator: EstimatorParameters, dataset: TabularDataset, validation: TabularDataset | None, epochs: int
) -> None:
    """Train the net for some epochs, and say so if the loss diverges."""
    net = estimator.net_
    net.train_split = None if validation is None else predefined_split(validation)
    net.batch_generator = torch.Generator(estimator._device).manual_seed(
        estimator._seeds["batches"] + len(net.history)
    )
    if estimator._batch_state is not None:
        with contextlib.suppress(RuntimeError):  # the state of another kind of device: start a new order
            net.batch_generator.set_state(torch.tensor(estimator._batch_state, device="cpu"))
    keep_best = dict(net.callbacks_)["_keep_best"]
    patience = estimator.n_iter_no_change if estimator._holds_out else None
    n_steps = -(-len(dataset) // estimator.batch_size)
    monitors, every = [("train_loss", -1)], max(1, STEPS_BETWEEN_COPIES // n_steps)
    if patience is not None:
        monitors, every = net.monitors, 1
    elif net.time_limit.seconds is not None and dataset.fold is not None:
        monitors, every = [("out_of_fold_loss", -1)], 1
    keep_best.configure(monitors, patience, every)
    try:
        with torch_as_it_comes():
            net.partial_fit(dataset, epochs=epochs)
    except BaseException:  # a callback's: the net is as far as it came
        estimator.best_epoch_ = len(net.history)
        raise
    if net.interrupts.happened:
        warn_of_interrupt(net, epochs)
    estimator._batch_state = net.batch_generator.get_state().numpy()
    estimator.best_epoch_ = keep_best.best_epoch_
    if keep_best.diverged_:
        rate = estimator._resolved["learning_rate"]
        warn_user(
            f"The loss became infinite or NaN; the weights of epoch {estimator.best_epoch_} were restored. "
            f"Lower learning_rate={rate}, or choose scaling='squash' if scaling is None.",
            ConvergenceWarning,
        )
