"""Training of a ticket, or of any network with one output, on rows of your own."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sparsemlp._training.cuda_graphs import with_cuda_graph
from sparsemlp._training.losses import make_loss
from sparsemlp._training.optimizers import SGD
from sparsemlp._training.step import BatchBuffers, TrainingStep
from sparsemlp._training.threads import compute_threads
from sparsemlp.frontier.networks import assembled
from sparsemlp.module import SparseInitMLP
from sparsemlp.parametrization import parameter_groups


def retrain(
    module: SparseInitMLP,
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_steps: int = 10_000,
    loss: str = "hinge",
    learning_rate: float = 0.1,
    weight_decay: float = 0.01,
    batch_size: int = 32,
    random_state: int = 0,
) -> SparseInitMLP:
    """Train a copy of a network with one output on rows of two classes, by plain SGD.

    Parameters
    ----------
    module : SparseInitMLP
        Where to start; it stays as it is.
    X : array-like of shape (n_samples, n_features)
        Rows, as the network sees them: nothing is scaled here.
    y : array-like of shape (n_samples,)
        Labels, 0 or 1.
    n_steps : int, default=10000
        Steps of training.
    loss : {"hinge", "cross_entropy", "squared"}, default="hinge"
        Training loss; hinge and squared with targets of -1 and +1.
    learning_rate, weight_decay : float, default=0.1 and 0.01
        Of plain SGD, in torch's convention.
    batch_size : int, default=32
        Rows a step, drawn with replacement for every member by itself.
    random_state : int, default=0
        Seed of the batches.

    Returns
    -------
    SparseInitMLP
        The trained network, on the device of `module`.

    Raises
    ------
    ValueError
        If the rows do not fit the network, or y has other labels than 0 and 1.

    Examples
    --------
    >>> import torch
    >>> from sparsemlp import SparseInitMLP
    >>> from sparsemlp.datasets import make_sparse_parity
    >>> from sparsemlp.lottery import retrain
    >>> X, y = make_sparse_parity(500, n_features=10, n_informative=2, random_state=0)
    >>> module = SparseInitMLP(10, 1, width=100, sparsity=2, generator=torch.Generator().manual_seed(0))
    >>> trained = retrain(module, X, y, n_steps=1000)
    >>> decision = trained(torch.from_numpy(X))[0, :, 0]
    >>> bool(((decision > 0).numpy() == y).all())
    True
    """
    for name, number in {"n_steps": n_steps, "batch_size": batch_size}.items():
        if number < 1:
            raise ValueError(f"{name}={number} must be at least 1")
    rows, target = _rows_and_targets(module, X, y, loss)
    trained = assembled(list(module.parameters()), module)
    with compute_threads() as compute:
        optimizer = SGD(parameter_groups(trained, learning_rate, weight_decay))
        step = TrainingStep(trained, make_loss(loss, n_classes=2), optimizer, batch_size)
        compute(_train_on_rows, step, rows, target, n_steps, trained.n_members, random_state)
    for parameter in trained.parameters():
        parameter.grad = None
    return trained


@torch.no_grad()
def _train_on_rows(
    step: TrainingStep, rows: Tensor, target: Tensor, n_steps: int, n_members: int, random_state: int
) -> None:
    generator = torch.Generator().manual_seed(int(random_state))
    shape = (step.batch_size,) if n_members == 1 else (n_members, step.batch_size)
    x, y = rows.new_empty(*shape, rows.shape[1]), rows.new_empty(*shape, 1)
    batch = BatchBuffers(x, y, None, torch.empty_like(y))
    take = with_cuda_graph(step)
    for _ in range(n_steps):
        index = torch.randint(len(rows), shape, generator=generator).view(-1).to(rows.device)
        torch.index_select(rows, 0, index, out=x.view(-1, rows.shape[1]))
        torch.index_select(target, 0, index, out=y.view(-1, 1))
        take(batch)


def _rows_and_targets(module: SparseInitMLP, X: ArrayLike, y: ArrayLike, loss: str) -> tuple[Tensor, Tensor]:
    """Return rows (n, n_features) and targets (n, 1) of the kind and at the place of the network's weights."""
    if loss not in ("hinge", "cross_entropy", "squared"):
        raise ValueError(f"loss={loss!r} is unknown; choose 'hinge', 'cross_entropy' or 'squared'")
    weight = module.input_layer.weight
    n_outputs = module.output_layer.weight.shape[1]
    if n_outputs != 1:
        raise ValueError(f"module has {n_outputs} outputs; retrain is for two classes and one output")
    rows, labels = (torch.tensor(np.asarray(values)).to(weight) for values in (X, y))
    if rows.ndim != 2 or rows.shape[1] != weight.shape[2]:
        raise ValueError(f"X has shape {tuple(rows.shape)}, but the network takes {weight.shape[2]} features")
    if labels.shape != rows.shape[:1]:
        raise ValueError(f"y has shape {tuple(labels.shape)}, but X has {len(rows)} rows")
    if not ((labels == 0) | (labels == 1)).all():
        raise ValueError("y must hold the labels 0 and 1 only")
    return rows, (labels if loss == "cross_entropy" else 2 * labels - 1).unsqueeze(1)
