"""The second training of a fit whose first one found nothing, or little: that of the paper's experiments."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning

from sparsemlp._convergence import warn_of_interrupt
from sparsemlp._parameters import EstimatorParameters
from sparsemlp._second_net import keep_if_better, smallest_loss, train_another
from sparsemlp._training.batches import TabularDataset
from sparsemlp._training.out_of_fold import constant_loss
from sparsemlp._warning import warn_user
from sparsemlp.module import SparseInitMLP

# Nothing was found if the out-of-fold loss was never below this share of the loss of a constant prediction.
FOUND = 0.99
# The second network is kept only if its loss was below this share. Its members have few out-of-fold rows: where
# columns say hardly anything, the smallest loss of many epochs is below FOUND by chance. What a search finds is
# far below.
SURELY_FOUND = 0.9
# A part was found if it was hardly below, while one member's loss ends below a small share of it: that member has
# found what the others have not. Single members of tables with noise do not differ so much.
LITTLE, ONE_MEMBERS = 0.75, 0.25
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


def search_if_little_was_found(
    estimator: EstimatorParameters, dataset: TabularDataset, validation: TabularDataset | None
) -> None:
    """Train a second net as the paper does where the first one found nothing, or a part; keep the better one.

    AdamW memorises the rows of a parity before it finds the relevant inputs. Plain SGD on small batches, from ReLU
    neurons with +-1 weights, finds them after some thousand steps in which no loss falls.
    """
    first = estimator.net_
    if dataset.fold is None or len(dataset) < MIN_ROWS or estimator.warm_start:
        return
    if first.interrupts.happened or first.time_limit.is_over():
        return
    constant = constant_loss(dataset, first.criterion_.loss)
    if not constant:  # a target of one value: there is nothing to find
        return
    smallest = smallest_loss(first)
    has_found_something = smallest < FOUND * constant
    has_found_much = smallest <= LITTLE * constant or _best_members_loss(first) >= ONE_MEMBERS * constant
    if has_found_something and has_found_much:
        return
    is_constant = estimator.scaler_.ignored_columns().all()
    if estimator.richness is not None or not estimator.search_steps or is_constant:
        if not has_found_something:
            _warn_that_nothing_was_found("")
        return
    goal = min(FOUND * constant, smallest)
    second = _search(estimator, dataset, validation, goal)
    if keep_if_better(estimator, second, min(SURELY_FOUND * constant, smallest)):
        return
    if second.interrupts.happened:
        warn_of_interrupt(second, -(-estimator.search_steps // -(-len(dataset) // BATCH_SIZE)))
        return
    if has_found_something or second.time_limit.is_over():
        return
    _warn_that_nothing_was_found(
        f", also not in a second training of at most search_steps={estimator.search_steps}",
        " search_steps=0 leaves the second training out.",
    )


def _search(
    estimator: EstimatorParameters, dataset: TabularDataset, validation: TabularDataset | None, goal: float
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
        n_members=min(N_MEMBERS, estimator._resolved["n_members"]),
        column_groups=estimator.scaler_.column_groups(),
        one_hot=list(estimator.scaler_.one_hot_columns()),
        generator=torch.Generator().manual_seed(estimator._seeds["init"]),
        dtype=torch.float32,
    ).to(weight.device)
    fold = torch.where(dataset.fold < module.n_members, dataset.fold, -1)  # type: ignore[operator, arg-type]
    rows = dataset.for_members(fold, None if dataset.columns is None else dataset.columns[: module.n_members])
    n_epochs = -(-estimator.search_steps // -(-len(rows) // BATCH_SIZE))
    return train_another(estimator, module, rows, validation, n_epochs, goal, **PAPER)


def _warn_that_nothing_was_found(where: str, more: str = "") -> None:
    warn_user(
        f"The out-of-fold loss was never clearly below that of a constant prediction{where}: nothing was found. "
        f"More rows help most; so may a larger width, search_steps, or another sparsity.{more}",
        ConvergenceWarning,
    )


def _best_members_loss(net: Any) -> float:
    """Return the smallest of the members' losses, each on its own out-of-fold rows, at the end of training."""
    return min(part.mean_loss(net.criterion_.loss) for part in net.out_of_fold_.by_member(net.module_.n_members))
