"""Winning tickets: the neurons that a trained network relies on, selected, cut out, rewound and retrained."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from skorch.callbacks import Callback
from torch import Tensor

from sparsemlp._activations import blocks
from sparsemlp._training.cuda_graphs import with_cuda_graph
from sparsemlp._training.losses import make_loss
from sparsemlp._training.optimizers import SGD
from sparsemlp._training.step import BatchBuffers, TrainingStep
from sparsemlp._training.threads import compute_threads
from sparsemlp._validation import check_int
from sparsemlp.frontier._members import assembled
from sparsemlp.module import SparseInitMLP
from sparsemlp.parametrization import parameter_groups


@torch.no_grad()
def select_neurons(module: SparseInitMLP, n_neurons: int = 5) -> Tensor:
    """Return the first-layer neurons of largest weight norm.

    Under weight decay a neuron that does not help shrinks, so that the norm of a neuron's incoming weights tells
    what the network relies on.

    Parameters
    ----------
    module : SparseInitMLP
        A trained network.
    n_neurons : int, default=5
        How many neurons to select, at most the width of the first layer.

    Returns
    -------
    Tensor of shape (n_members, n_neurons), dtype int64
        Indices of each member's neurons, those of largest norm first.

    Examples
    --------
    >>> import torch
    >>> from sparsemlp import SparseInitMLP
    >>> from sparsemlp.lottery import select_neurons
    >>> module = SparseInitMLP(n_features=10, n_outputs=1, width=64, sparsity=2)
    >>> with torch.no_grad():
    ...     module.input_layer.weight[0, 17] *= 3
    >>> select_neurons(module, n_neurons=1)
    tensor([[17]])
    """
    norms = module.input_layer.weight.norm(dim=-1)
    check_int("n_neurons", n_neurons, high=norms.shape[-1], high_name="width")
    return norms.topk(n_neurons, dim=-1).indices


def subnetwork(module: SparseInitMLP, neurons: ArrayLike | Tensor) -> SparseInitMLP:
    """Return a narrow network with some of the first-layer neurons, and everything that follows them.

    Parameters
    ----------
    module : SparseInitMLP
        A network; it stays as it is.
    neurons : array-like or Tensor of int, of shape (n_members, n_neurons) or (n_neurons,)
        Indices of the neurons to keep, for each member or for all.

    Returns
    -------
    SparseInitMLP
        A network with ``n_neurons`` first-layer neurons and copies of their weights.

    Raises
    ------
    ValueError
        If `neurons` has another shape, or holds an index that is no neuron or is there twice, or if the activation
        is "box" or a mixture, where the position of a neuron says what it is and with which other it works.

    Examples
    --------
    >>> import torch
    >>> from sparsemlp import SparseInitMLP
    >>> from sparsemlp.lottery import subnetwork
    >>> module = SparseInitMLP(n_features=10, n_outputs=1, width=64, sparsity=2)
    >>> narrow = subnetwork(module, [17, 3])
    >>> torch.equal(narrow.input_layer.weight[0, 0], module.input_layer.weight[0, 17])
    True
    """
    if module.activation == "box" or len(blocks(module.activation, module.input_layer.bias.shape[1])) > 1:
        raise ValueError(
            f"activation={module.activation!r} does not survive the choice of neurons; use 'relu', 'tanh' or 'sin'"
        )
    first, second, *others = module.layers
    index = _checked_neurons(neurons, *first.bias.shape).to(first.bias.device)
    members = torch.arange(module.n_members, device=index.device)[:, None]
    values = [
        first.weight[members, index],
        first.bias[members, index],
        second.weight.gather(2, index.unsqueeze(1).expand(-1, second.weight.shape[1], -1)),
        second.bias,
    ]
    values += [value for layer in others for value in (layer.weight, layer.bias)]
    return assembled(values, module)


class KeepInitialisation(Callback):
    """A skorch callback that keeps a copy of an estimator's network as it was before training.

    Attributes
    ----------
    initial_ : SparseInitMLP
        The copy, of the latest fit that began with new weights.

    Examples
    --------
    >>> from sparsemlp import paper_net
    >>> from sparsemlp.datasets import make_sparse_parity
    >>> from sparsemlp.lottery import KeepInitialisation
    >>> X, y = make_sparse_parity(200, n_features=10, n_informative=2, random_state=0)
    >>> keep = KeepInitialisation()
    >>> net = paper_net(width=20, max_epochs=2, callbacks=[keep], random_state=0).fit(X, y)
    >>> keep.initial_.input_layer.weight.count_nonzero(dim=-1).unique()
    tensor([2])
    """

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Copy the network, unless training goes on from an earlier one."""
        if not len(net.history):
            self.initial_ = copy.deepcopy(net.module_)


def winning_ticket(trained: Any, n_neurons: int = 5, *, initial: SparseInitMLP | None = None) -> SparseInitMLP:
    """Return the neurons that a trained network relies on, as they were before training.

    The neurons of largest weight norm are selected (:func:`select_neurons`), cut out (:func:`subnetwork`) and
    rewound to their initialisation, together with their output weights. Train the result with :func:`retrain`,
    or in any way of yours.

    Parameters
    ----------
    trained : SparseInitMLP or estimator
        The trained network, or a fitted classifier or regressor.
    n_neurons : int, default=5
        Number of neurons to keep.
    initial : SparseInitMLP, optional
        The same network before training. An estimator that was fitted with :class:`KeepInitialisation` among
        its callbacks has its own.

    Returns
    -------
    SparseInitMLP
        The ticket, a network of `n_neurons` first-layer neurons for every member.

    Raises
    ------
    ValueError
        If the initialisation is not known, or is not that of a network of the same sizes, or if the activation is
        a mixture, as an estimator's is by default.

    Examples
    --------
    >>> import copy
    >>> import torch
    >>> from sparsemlp import SparseInitMLP
    >>> from sparsemlp.datasets import make_sparse_parity
    >>> from sparsemlp.lottery import retrain, winning_ticket
    >>> X, y = make_sparse_parity(1000, n_features=10, n_informative=2, random_state=0)
    >>> initial = SparseInitMLP(10, 1, width=100, sparsity=2, generator=torch.Generator().manual_seed(0))
    >>> trained = retrain(initial, X, y, n_steps=1000)
    >>> ticket = winning_ticket(trained, n_neurons=5, initial=initial)
    >>> ticket.input_layer.weight.count_nonzero(dim=-1)
    tensor([[2, 2, 2, 2, 2]])
    """
    module = trained if isinstance(trained, SparseInitMLP) else _fitted_module(trained)
    if initial is None:
        initial = _kept_initialisation(trained)
    shapes = [[tuple(value.shape) for value in net.parameters()] for net in (module, initial)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"initial has parameters of shapes {shapes[1]}, but the trained network has {shapes[0]}; "
            "pass the same network as it was before training"
        )
    return subnetwork(initial, select_neurons(module, n_neurons))


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
        Rows a step, sampled with replacement for every member by itself.
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
    check_int("n_steps", n_steps)
    check_int("batch_size", batch_size)
    rows, target = _rows_and_targets(module, X, y, loss)
    trained = assembled(list(module.parameters()), module)
    with compute_threads() as compute:
        optimizer = SGD(parameter_groups(trained, learning_rate, weight_decay))
        step = TrainingStep(trained, make_loss(loss, n_classes=2), optimizer, batch_size)
        compute(_train_on_rows, step, rows, target, n_steps, trained.n_members, random_state)
    for parameter in trained.parameters():
        parameter.grad = None
    return trained


def _checked_neurons(neurons: ArrayLike | Tensor, n_members: int, width: int) -> Tensor:
    index = torch.as_tensor(neurons)
    if not index.numel():
        raise ValueError("neurons is empty; it must name at least one neuron")
    if index.is_floating_point() or index.dtype == torch.bool:
        raise TypeError(f"neurons must be indices (integers), got dtype {index.dtype}")
    if index.ndim == 1:
        index = index.expand(n_members, -1)
    if index.ndim != 2 or len(index) != n_members:
        raise ValueError(
            f"neurons has shape {tuple(index.shape)}; it must be (n_neurons,), or (n_members, n_neurons) with "
            f"n_members={n_members}"
        )
    outside = index[(index < 0) | (index >= width)]
    if len(outside):
        raise ValueError(f"neurons has the index {int(outside[0])}, but indices go from 0 to {width - 1}")
    if (index.sort(dim=1).values.diff(dim=1) == 0).any():
        raise ValueError("neurons has an index twice; the neurons of a member must be distinct")
    return index.long()


def _fitted_module(estimator: Any) -> SparseInitMLP:
    module = getattr(getattr(estimator, "net_", None), "module_", None)
    if not isinstance(module, SparseInitMLP):
        raise TypeError(
            "trained must be a SparseInitMLP or a fitted estimator of this package, "
            f"got {type(estimator).__name__}"
        )
    return module


def _kept_initialisation(trained: Any) -> SparseInitMLP:
    callbacks = [] if isinstance(trained, SparseInitMLP) else trained.net_.callbacks_
    for _, callback in callbacks:
        if isinstance(callback, KeepInitialisation) and hasattr(callback, "initial_"):
            kept: SparseInitMLP = callback.initial_
            return kept
    raise ValueError(
        "the initialisation is not known: pass initial=, the network before training (a copy.deepcopy of it), or "
        "fit the estimator with callbacks=[KeepInitialisation()]"
    )


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
