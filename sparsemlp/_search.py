"""The second training of a fit whose first one found nothing: that of the paper's experiments on parities."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import torch
from sklearn.exceptions import ConvergenceWarning

from sparsemlp._convergence import warn_of_interrupt
from sparsemlp._training.batches import TabularDataset
from sparsemlp._training.out_of_fold import constant_loss
from sparsemlp.module import SparseInitMLP

if TYPE_CHECKING:
    from sparsemlp._base import BaseSparseInitMLP

# Nothing was found if the out-of-fold loss was never below this share of the loss of a constant prediction.
FOUND = 0.99
# In fewer rows there is little to find, and in many small tables nothing is found.
MIN_ROWS = 256
N_MEMBERS = 2
BATCH_SIZE = 32
#: how the paper trains (Edelman et al. 2023, section 4), as parameters of an estimator
PAPER: dict[str, Any] = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "lr_schedule": "constant",
    "weight_averaging": False,
    "weight_decay": 0.01,
    "batch_size": BATCH_SIZE,
}


def search_if_nothing_was_found(
    estimator: BaseSparseInitMLP, dataset: TabularDataset, validation: TabularDataset | None
) -> None:
    """Train a second net as the paper does where the first one is no better than a constant; keep the better one.

    AdamW memorises the rows of a parity before it finds the relevant inputs. Plain SGD on small batches, from ReLU
    neurons with +-1 weights, finds them after some thousand steps in which no loss falls.
    """
    first = estimator.net_
    if dataset.fold is None or len(dataset) < MIN_ROWS or estimator.warm_start or first.interrupts.happened:
        return
    goal = FOUND * constant_loss(dataset, first.criterion_.loss)
    if _smallest_loss(first) < goal:
        return
    if estimator.richness is not None or not estimator.search_steps:
        _warn_that_nothing_was_found("")
        return
    second = _search(estimator, dataset, validation, goal)
    if _smallest_loss(second) < min(goal, _smallest_loss(first)):
        first.release()
        estimator.net_ = second
        estimator.best_epoch_ = len(second.history)
        return
    second.release()
    if second.interrupts.happened:
        warn_of_interrupt(second, -(-estimator.search_steps // -(-len(dataset) // BATCH_SIZE)))
        return
    _warn_that_nothing_was_found(
        f", also not in a second training of search_steps={estimator.search_steps}",
        " search_steps=0 leaves the second training out.",
    )


def _search(
    estimator: BaseSparseInitMLP, dataset: TabularDataset, validation: TabularDataset | None, goal: float
) -> Any:
    """Return the net of the second training, which ends once it has found something, or after all its steps."""
    weight = estimator.net_.module_.input_layer.weight
    sparsity = estimator.sparsity_
    module = SparseInitMLP(
        weight.shape[-1],
        dataset.target.shape[1],
        estimator._widths(),
        sparsity,
        init="sign",
        bias_init="zeros" if sparsity is not None else "uniform",
        activation="relu",
        n_members=min(N_MEMBERS, estimator.n_members),
        column_groups=estimator.scaler_.column_groups(),
        generator=torch.Generator().manual_seed(estimator._seeds["init"]),
        dtype=torch.float32,
    ).to(weight.device)
    rows = copy.copy(dataset)
    rows.fold = torch.where(dataset.fold < module.n_members, dataset.fold, -1)  # type: ignore[operator, arg-type]
    paper = object.__new__(type(estimator))  # a copy would copy the fitted net
    for name, value in (vars(estimator) | PAPER).items():
        setattr(paper, name, value)
    paper.net_ = paper._make_net(module, [])
    dict(paper.net_.callbacks_)["_long_enough"].goal = goal
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a net that diverges has found nothing
        paper._train(rows, validation, -(-estimator.search_steps // -(-len(rows) // BATCH_SIZE)))
    return paper.net_


def _warn_that_nothing_was_found(where: str, more: str = "") -> None:
    warnings.warn(
        f"The out-of-fold loss was never below that of a constant prediction{where}: nothing was found. More rows "
        f"help most; so may a larger width, search_steps, or another sparsity.{more}",
        ConvergenceWarning,
        stacklevel=4,
    )


def _smallest_loss(net: Any) -> float:
    return min(epoch["out_of_fold_loss"] for epoch in net.history)
