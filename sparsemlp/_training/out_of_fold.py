"""Out-of-fold rows: which member does not train on which row, and what the loss of these rows decides.

It decides when training ends, and by how much the probabilities of an overconfident network are softened.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from skorch.callbacks import Callback
from torch import Tensor

from sparsemlp._equal_rows import EqualRows
from sparsemlp._training.batches import TabularDataset
from sparsemlp._training.devices import summing_dtype
from sparsemlp._training.losses import Loss
from sparsemlp._training.threads import ComputePool
from sparsemlp.module import SparseInitMLP

# No more rows than this are out-of-fold, all members together: their loss says when to stop as well as that of
# more rows would, and each is lost to one member.
MAX_OUT_OF_FOLD = 10_000
# Training does not end before so many steps: of few rows, single members learn the noise before all together have
# learned what there is.
MIN_STEPS = 10
MAX_TEMPERATURE = 20.0
# The rows of all members count like so many more of a member's own for its temperature.
PRIOR_ROWS = 10
# Losses of all members are computed at so many temperatures; between these they are interpolated.
N_TEMPERATURES = 32
# Losses are computed for this many rows at a time: with many classes, what they take on the way is large.
CHUNK = 2**14


def assign_members(
    y: np.ndarray, n_members: int, seed: int, *, stratified: bool, equal: EqualRows | None = None
) -> np.ndarray:
    """Return for every row the member that does not train on it, or -1 where all do.

    Up to MAX_OUT_OF_FOLD rows have such a member; of more rows a random choice of about that size has.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Targets.
    n_members : int
        Number of members; each has equally many out-of-fold rows, give or take one.
    seed : int
        Seed of the assignment.
    stratified : bool
        Assign every class in its proportion. All members train on the only row of a class, and on all rows where
        these are too few for every member to have one.
    equal : EqualRows, optional
        Rows that are equal have the same member, and are of the class of the first of them.

    Returns
    -------
    ndarray of shape (n_rows,), int64
    """
    rng = np.random.default_rng(seed)
    share = min(1.0, MAX_OUT_OF_FOLD / len(y))
    if equal is not None:  # below, a row stands for all that equal it
        y = y[equal.first]
    folds = np.full(len(y), -1)
    start = 0
    for label in np.unique(y) if stratified else [None]:
        rows = rng.permutation(np.flatnonzero(y == label) if stratified else len(y))
        if len(rows) > 1:  # consecutive rows have different members, so each trains on some of every class
            rows = rows[: math.ceil(share * len(rows))]
            if equal is not None:  # large groups first, so that every member gets its share of them
                rows = rows[np.argsort(-equal.size[rows], kind="stable")]
            folds[rows] = (start + np.arange(len(rows))) % n_members
            start += len(rows)  # the next class goes on where this one ended, so that folds stay equally large
    if start < n_members:
        folds[:] = -1
    return folds if equal is None else folds[equal.group]


def out_of_fold_rows(fold: Tensor, n_members: int) -> Tensor:
    """Return the rows that each member does not train on, equally many of each: (n_members, n_rows)."""
    rows = [torch.where(fold == member)[0] for member in range(n_members)]
    fewest = min(map(len, rows))
    return torch.stack([some[:fewest] for some in rows])


class OutOfFold(NamedTuple):
    """Out-of-fold rows, with the outputs of the member that did not train on them, one member after another."""

    #: (n_rows, n_outputs)
    output: Tensor
    #: (n_rows, n_outputs)
    target: Tensor
    #: (n_rows,), or None where all are equal
    weight: Tensor | None

    def mean_loss(self, loss: Loss, temperature: float = 1.0) -> float:
        """Return the weighted mean of the loss, of outputs divided by `temperature`."""
        parts = zip(self.output.split(CHUNK), self.target.split(CHUNK), strict=True)
        losses = torch.cat([loss.value(output / temperature, target) for output, target in parts])
        if self.weight is not None:
            losses = losses * self.weight
        return losses.sum(dtype=summing_dtype(losses.device)).item() / len(losses)

    def by_member(self, n_members: int) -> Iterator[OutOfFold]:
        """Yield the rows of each member."""
        weights = [None] * n_members if self.weight is None else self.weight.chunk(n_members)
        for output, target, weight in zip(
            self.output.chunk(n_members), self.target.chunk(n_members), weights, strict=True
        ):
            yield OutOfFold(output, target, weight)


def predict_out_of_fold(
    module: SparseInitMLP, dataset: TabularDataset, rows: Tensor, chunk_size: int, compute: ComputePool
) -> OutOfFold:
    """Compute the outputs of the out-of-fold rows, each by the member that does not train on it.

    Parameters
    ----------
    module : SparseInitMLP
        The network.
    dataset : TabularDataset
        The training rows.
    rows : Tensor of shape (n_members, n_rows)
        See :func:`out_of_fold_rows`.
    chunk_size : int
        Largest number of rows of each member to compute at once.
    compute : ComputePool
        The threads that share the rows.
    """

    @torch.no_grad()  # which holds for the thread that it is called in
    def outputs(some: Tensor) -> Tensor:
        x = dataset.target.new_empty(some.numel(), dataset.X.n_columns)
        dataset.take(some.reshape(1, -1), out=x)
        return module(x.view(*some.shape, -1))

    chunks = rows.split(min(chunk_size, math.ceil(rows.shape[1] / compute.n_threads)), dim=1)
    output = torch.cat(compute.map([partial(outputs, chunk) for chunk in chunks]), dim=1)
    flat = rows.reshape(-1)
    weight = None if dataset.weight is None else dataset.weight[flat, 0]
    return OutOfFold(output.flatten(0, 1), dataset.target[flat], weight)


def constant_loss(dataset: TabularDataset, loss: Loss) -> float:
    """Return the mean loss of outputs that are the same for all rows: of class shares, or of the mean target."""
    targets, weight = dataset.target.split(CHUNK), dataset.weight
    weight = targets[0].new_ones(len(dataset), 1) if weight is None else weight
    weights = weight.double().split(CHUNK)
    total_weight = sum(w.sum() for w in weights)
    mean = sum((w * part.double()).sum(dim=0) for w, part in zip(weights, targets, strict=True)) / total_weight
    constant = loss.constant(mean)
    losses = [loss.value(constant.expand_as(part), part.double()) for part in targets]
    total = sum((w[:, 0] * part).sum() for w, part in zip(weights, losses, strict=True))
    return float(total / total_weight)


class StopWhenLongEnough(Callback):
    """End training once it has taken `patience` times as long as the out-of-fold loss took to its minimum.

    Each out-of-fold row is judged by one member alone; all members together gain from longer training than one.

    Attributes
    ----------
    goal : float
        Training goes on while the out-of-fold loss has not been below it.

    Parameters
    ----------
    min_epochs : int
        Training does not end before.
    patience : float, default=2.0
        At least 1.
    """

    goal = math.inf

    def __init__(self, min_epochs: int = 1, patience: float = 2.0) -> None:
        self.min_epochs = min_epochs
        self.patience = patience

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Count from here."""
        self.start_ = len(net.history)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """End training if it is time to."""
        if "out_of_fold_loss" not in net.history[-1]:
            return
        losses, steps = zip(*net.history[self.start_ :, ("out_of_fold_loss", "train_batch_count")], strict=True)
        long_enough = min(losses) < self.goal and len(losses) >= self.patience * (1 + losses.index(min(losses)))
        if long_enough and sum(steps) >= MIN_STEPS and len(steps) >= self.min_epochs:
            best = self.start_ + 1 + losses.index(min(losses))
            times = f"{self.patience:g} times"
            net.stop_reason = f"it took {times} as long as to the smallest out-of-fold loss, of epoch {best}"
            raise KeyboardInterrupt


def fit_temperatures(loss: Loss, out_of_fold: OutOfFold, n_members: int) -> np.ndarray:
    """Return each member's temperature, from 1 to MAX_TEMPERATURE, at which the loss of its rows is smallest.

    Logits are divided by it, which calibrates the probabilities of an overconfident network. It is never below 1:
    of few rows, all classified correctly, the optimum would be certainty. A member has few rows of its own, so the
    mean loss of all members' rows at the same temperature counts like PRIOR_ROWS more of them. (Guo, Pleiss, Sun
    and Weinberger 2017, *On Calibration of Modern Neural Networks*, arXiv:1706.04599, section 4.2.)

    Parameters
    ----------
    loss : Loss
        A loss whose outputs are logits.
    out_of_fold : OutOfFold
        Logits of the out-of-fold rows, with their targets and weights.
    n_members : int
        Number of members.

    Returns
    -------
    ndarray of shape (n_members,)
    """
    exact = summing_dtype(out_of_fold.output.device)  # around a flat minimum, float32 is right to a thousandth
    output, target, weight = out_of_fold
    rows = OutOfFold(output.to(exact), target.to(exact), None if weight is None else weight.to(exact))
    members = list(rows.by_member(n_members))
    log_temperatures = np.linspace(0.0, math.log(MAX_TEMPERATURE), N_TEMPERATURES)
    own = np.array([[part.mean_loss(loss, math.exp(t)) for part in members] for t in log_temperatures])
    losses = own + PRIOR_ROWS / len(members[0].output) * own.mean(axis=1, keepdims=True)
    return np.exp([_minimum(log_temperatures, member) for member in losses.T])


def _minimum(x: np.ndarray, y: np.ndarray) -> float:
    """Return where the cubic spline through points of a smooth function is smallest; of equal ones the first."""
    spline = CubicSpline(x, y)
    candidates = np.concatenate([x[:1], spline.derivative().roots(extrapolate=False), x[-1:]])
    return float(candidates[np.nanargmin(spline(candidates))])  # NaN stands for a piece that is flat
