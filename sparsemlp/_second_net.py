"""A second net of a fit: trained in another way, and kept if its out-of-fold loss is smaller."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from sparsemlp._parameters import EstimatorParameters
from sparsemlp._screening import strong_columns
from sparsemlp._trained_net import make_net, train
from sparsemlp._training.batches import TabularDataset
from sparsemlp.module import SparseInitMLP
from sparsemlp.trees import TreePaths


class StrongStart(NamedTuple):
    """The start of a second network, which sees strong columns alone."""

    module: SparseInitMLP
    columns: torch.Tensor  # (n_members, n_columns)

    @staticmethod
    def of(
        module: SparseInitMLP, paths: Sequence[TreePaths | None], column_features: np.ndarray
    ) -> StrongStart | None:
        """Start like `module` with the columns that are strong in its trees; None where some have no trees."""
        strong = strong_columns(paths, column_features)
        return None if strong is None else StrongStart(copy.deepcopy(module), strong)


def try_strong_columns(
    estimator: EstimatorParameters,
    start: StrongStart,
    dataset: TabularDataset,
    validation: TabularDataset | None,
) -> None:
    """Train on strong columns alone; keep the network with the smaller out-of-fold loss."""
    rows = dataset.for_members(dataset.fold, start.columns.to(dataset.target.device))
    n_epochs = estimator._resolved["max_epochs"]
    keep_if_better(estimator, train_another(estimator, start.module, rows, validation, n_epochs))


def train_another(
    estimator: EstimatorParameters,
    module: SparseInitMLP,
    rows: TabularDataset,
    validation: TabularDataset | None,
    n_epochs: int,
    goal: float = math.inf,
    **parameters: Any,
) -> Any:
    """Return the net of `module`, trained with other `parameters` until its out-of-fold loss is below `goal`."""
    if rows.columns is not None:
        module.see_only_(rows.columns)
    other = object.__new__(type(estimator))  # a copy would copy the fitted net
    for name, value in (vars(estimator) | parameters).items():
        setattr(other, name, value)
    other._resolved = estimator._resolved | parameters
    other.net_ = make_net(other, module, [])
    other.net_.time_limit = estimator.net_.time_limit
    dict(other.net_.callbacks_)["_long_enough"].goal = goal
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a net that diverges has found nothing
        train(other, rows, validation, n_epochs)
    return other.net_


def keep_if_better(estimator: EstimatorParameters, second: Any, goal: float = math.inf) -> bool:
    """Keep the net with the smaller out-of-fold loss, the second one only if its loss was below `goal`."""
    first = estimator.net_
    is_better = smallest_loss(second) < min(goal, smallest_loss(first))
    (first if is_better else second).release()
    if is_better:
        estimator.net_ = second
        estimator.best_epoch_ = dict(second.callbacks_)["_keep_best"].best_epoch_
    return is_better


def smallest_loss(net: Any) -> float:
    """Return the smallest out-of-fold loss of a training."""
    return min(epoch["out_of_fold_loss"] for epoch in net.history)
