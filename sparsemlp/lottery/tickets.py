"""Tickets: the neurons that a trained network relies on, cut out and put back to where they started."""

from __future__ import annotations

import copy
from typing import Any

import torch
from numpy.typing import ArrayLike
from skorch.callbacks import Callback
from torch import Tensor

from sparsemlp._activations import blocks
from sparsemlp.frontier.networks import assembled
from sparsemlp.module import SparseInitMLP


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
    check_n_neurons(n_neurons, norms.shape[-1])
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
        is a mixture, where the position of a neuron says what it is.

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
    if len(blocks(module.activation, module.input_layer.bias.shape[1])) > 1:
        raise ValueError(
            f"activation={module.activation!r} does not survive the choice of neurons; use 'relu' or 'tanh'"
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


def check_n_neurons(n_neurons: int, width: int) -> None:
    """Raise where a network has no such number of neurons."""
    if not 1 <= n_neurons <= width:
        raise ValueError(f"n_neurons={n_neurons} must be between 1 and the width, {width}")


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
