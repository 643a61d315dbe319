"""Training of a network in a loop of your own, by the fast step that the estimators train with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sparsemlp._training.cuda_graphs import with_cuda_graph
from sparsemlp._training.devices import resolve_device
from sparsemlp._training.losses import LOSSES, Loss, LossName, make_loss
from sparsemlp._training.optimizers import OPTIMIZERS, OptimizerName, make_optimizer
from sparsemlp._training.step import BatchBuffers, TrainingStep
from sparsemlp._training.threads import ComputePool, compute_threads
from sparsemlp._validation import check_choice, check_int
from sparsemlp.module import SparseInitMLP

__all__ = ["resolve_device", "train"]


def train(
    module: SparseInitMLP,
    next_batch: Callable[[], tuple[Tensor, Tensor]],
    n_steps: int,
    *,
    loss: LossName,
    learning_rate: float,
    weight_decay: float = 0.0,
    optimizer: OptimizerName = "sgd",
    callback: Callable[[int, Tensor], bool | None] | None = None,
) -> None:
    """Train a network in place on batches of your own.

    Gradients are computed in closed form on buffers that are allocated once, on CUDA as a graph that is recorded
    once. This takes much less time than autograd where layers are small. Training runs in a thread of its own,
    which flushes denormal numbers to zero; `next_batch` and `callback` are called in that thread.

    Parameters
    ----------
    module : SparseInitMLP
        The network. It trains on its device and in its dtype.
    next_batch : callable
        Returns inputs of shape (batch, n_features), which all members share, or (n_members, batch, n_features),
        and targets of shape (..., batch, n_outputs). All batches have the same shape. Targets are 0 or 1 for
        cross-entropy (one-hot rows for several outputs) and -1 or 1 for hinge.
    n_steps : int
        Largest number of steps.
    loss : {"cross_entropy", "hinge", "squared", "absolute_error", "huber"}
        Each member minimises the mean loss of its batch. Cross-entropy of one output is the logistic loss.
    learning_rate : float
        Of all steps; a network with a `richness` scales it for each parameter, see
        :func:`sparsemlp.parametrization.parameter_groups`.
    weight_decay : float, default=0.0
        In torch's convention: a step shrinks weights by `learning_rate` times `weight_decay`.
    optimizer : {"sgd", "adamw"}, default="sgd"
        SGD without momentum, or AdamW.
    callback : callable, optional
        Called after every step with the number of steps so far and the outputs before that step, of shape
        (batch, n_outputs), or (n_members, batch, n_outputs) for several members. The next step overwrites the
        outputs. Training ends where it returns True.

    Raises
    ------
    TypeError
        If `n_steps` is no integer.
    ValueError
        If `n_steps` is below 1, a choice is unknown, or a batch has another shape than the network or the first
        batch asks for.

    Examples
    --------
    A sparse parity, from fresh rows in every batch:

    >>> import torch
    >>> from sparsemlp import SparseInitMLP
    >>> from sparsemlp.training import train
    >>> generator = torch.Generator().manual_seed(0)
    >>> def next_batch():
    ...     x = torch.randint(2, (32, 10), generator=generator) * 2.0 - 1
    ...     return x, x[:, :1] * x[:, 1:2]
    >>> module = SparseInitMLP(n_features=10, n_outputs=1, width=100, sparsity=2, generator=generator)
    >>> train(module, next_batch, 1000, loss="hinge", learning_rate=0.1, weight_decay=0.01)
    >>> x, y = next_batch()
    >>> bool((module(x)[0] * y > 0).all())
    True
    """
    check_int("n_steps", n_steps)
    check_choice("loss", loss, LOSSES)
    check_choice("optimizer", optimizer, OPTIMIZERS)
    n_outputs = module.output_layer.bias.shape[-1]
    row_loss = make_loss(loss, n_classes=max(2, n_outputs))
    torch_optimizer = make_optimizer(optimizer, module, learning_rate, weight_decay)
    try:
        with compute_threads() as compute:
            compute(_train, module, next_batch, n_steps, row_loss, torch_optimizer, callback, compute)
    finally:
        for parameter in module.parameters():
            parameter.grad = None


@torch.no_grad()
def _train(
    module: SparseInitMLP,
    next_batch: Callable[[], tuple[Tensor, Tensor]],
    n_steps: int,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    callback: Callable[[int, Tensor], bool | None] | None,
    compute: ComputePool,
) -> None:
    buffers = step = None
    for i in range(1, n_steps + 1):
        compute.raise_if_cancelled()
        x, target = next_batch()
        if buffers is None or step is None:
            buffers = _make_buffers(module, x, target)
            step = with_cuda_graph(TrainingStep(module, loss, optimizer, x.shape[-2]))
        _fill("inputs", buffers.x, x)
        _fill("targets", buffers.target, target)
        step(buffers)
        if callback is not None and callback(i, buffers.output):
            return


def _make_buffers(module: SparseInitMLP, x: Tensor, target: Tensor) -> BatchBuffers:
    """Return buffers for batches like this one; those of one member have no members dimension."""
    weight = module.input_layer.weight
    n_outputs = module.output_layer.bias.shape[-1]
    for name, values, n_columns in (("inputs", x, weight.shape[-1]), ("targets", target, n_outputs)):
        if values.ndim not in (2, 3) or values.shape[-1] != n_columns or values.shape[-2] != x.shape[-2]:
            raise ValueError(
                f"next_batch returned {name} of shape {tuple(values.shape)}; the network needs "
                f"(batch, {n_columns}) or ({module.n_members}, batch, {n_columns})"
            )
    shape = (x.shape[-2],) if module.n_members == 1 else (module.n_members, x.shape[-2])
    inputs, targets = weight.new_empty(*shape, x.shape[-1]), weight.new_empty(*shape, n_outputs)
    return BatchBuffers(inputs, targets, None, torch.empty_like(targets))


def _fill(name: str, buffer: Tensor, values: Tensor) -> None:
    """Copy a batch into its buffer; a batch that members share is repeated."""
    if values.ndim > buffer.ndim and len(values) == 1:
        values = values[0]
    if values.shape not in (buffer.shape, buffer.shape[-2:]):
        raise ValueError(
            f"next_batch returned {name} of shape {tuple(values.shape)}; the first batch asks for "
            f"{tuple(buffer.shape)}"
        )
    buffer.copy_(values)
