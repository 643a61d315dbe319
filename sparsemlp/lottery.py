"""Winning tickets: the few neurons of a trained network that would have learned alone.

Find the neurons that a trained network relies on, put them back to where they started, and train them without
the others. If they learn, and as many random neurons do not, then width was a search for them (Edelman et al.
2023, arXiv:2309.03800, the lottery-ticket experiment; the hypothesis is that of Frankle and Carbin 2019,
arXiv:1803.03635).
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from skorch.callbacks import Callback
from torch import Tensor

from sparsemlp.devices import resolve_device
from sparsemlp.frontier import (
    Cell,
    ParityTraining,
    assembled,
    check_cell,
    initial_networks,
    stacked,
    train_groups,
    train_to_success,
)
from sparsemlp.losses import make_loss
from sparsemlp.module import SparseInitMLP
from sparsemlp.threads import compute_threads
from sparsemlp.training import Slot, TrainingStep, fastest

__all__ = [
    "KeepInitialisation",
    "retrain",
    "select_neurons",
    "subnetwork",
    "ticket_experiment",
    "winning_ticket",
]

# Purposes of seeds beyond those of a frontier's run: batches of the retraining, random neurons.
RETRAINING_BATCHES, RANDOM_NEURONS = 4, 5


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
    _check_n_neurons(n_neurons, norms.shape[-1])
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
        If `neurons` has another shape, or holds an index that is no neuron or is there twice.

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
    first, second, *others = module.layers
    index = _checked_neurons(neurons, *first.bias.shape).to(first.bias.device)
    members = torch.arange(module.n_members, device=index.device)[:, None]
    values = [
        first.weight[members, index],
        first.bias[members, index],
        second.weight.gather(2, index.unsqueeze(1).expand(-1, second.weight.shape[1], -1)),
        second.bias,
    ]
    return assembled(values + [value for layer in others for value in (layer.weight, layer.bias)])


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
        If the initialisation is not known, or is not that of a network of the same sizes.

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
    trained = assembled(list(module.parameters()))
    with compute_threads() as compute:
        optimizer = torch.optim.SGD(trained.parameters(), lr=learning_rate, weight_decay=weight_decay)
        step = TrainingStep(trained, make_loss(loss, n_classes=2), optimizer, batch_size)
        compute(_train_on_rows, step, rows, target, n_steps, trained.n_members, random_state)
    for parameter in trained.parameters():
        parameter.grad = None
    return trained


def ticket_experiment(
    n_features: int = 50,
    n_informative: int = 5,
    width: int = 100,
    sparsity: int | None = 2,
    n_neurons: int = 5,
    *,
    online: bool = True,
    n_samples: int | None = None,
    max_steps: int = 100_000,
    n_runs: int = 10,
    loss: str = "hinge",
    learning_rate: float = 0.1,
    weight_decay: float = 0.01,
    batch_size: int = 32,
    device: str | torch.device = "auto",
    random_state: int = 0,
    n_threads: int | None = None,
) -> pd.DataFrame:
    """Retrain the winning tickets of nets that learn a sparse parity, beside random neurons.

    The lottery experiment of the paper (Edelman et al. 2023, arXiv:2309.03800). Three nets a run:

    - *full*, a net of `width` neurons, trained until it succeeds or `max_steps` are over. It is run i of
      :func:`sparsemlp.frontier.success_frontier` at the same setting;
    - *ticket*, its `n_neurons` neurons of largest weight norm at that time, rewound to their initialisation and
      trained alone;
    - *random re-initialisation*, as many neurons of a newly drawn net of `width`, trained alone: their input and
      output weights are distributed as the ticket's were, for which a new net of `n_neurons` would not do, since
      torch draws larger output weights for a narrow layer.

    Ticket and random neurons get the same batches, which are not those of the full net; offline, all three train
    on the same rows. Success is as in ``success_frontier``. When the paper stops training the full net, and what
    it draws anew for the random neurons, is not stated in what was read of it.

    Parameters
    ----------
    n_features, n_informative : int, default=50 and 5
        The (n, k) of the parity.
    width : int, default=100
        Neurons of the full net.
    sparsity : int or None, default=2
        Inputs that a neuron starts with; None: dense.
    n_neurons : int, default=5
        Neurons of a ticket.
    online : bool, default=True
        Draw fresh rows at every step in place of `n_samples` training rows.
    n_samples : int, optional
        Training rows; required where ``online=False``.
    max_steps : int, default=100000
        Steps after which a training has failed.
    n_runs : int, default=10
        Runs.
    loss, learning_rate, weight_decay, batch_size, device, random_state, n_threads
        As in :func:`sparsemlp.frontier.success_frontier`.

    Returns
    -------
    DataFrame
        Three rows a run: n_features, n_informative, n_samples (NaN online), width (of this net), sparsity (NaN
        for dense), run, net ("full", "ticket" or "random re-initialisation"), n_lucky (neurons that started with
        as many hidden inputs as they could hold), succeeded, steps_to_success (NaN where not), test_error (at
        the end).

    Raises
    ------
    ValueError
        If a number is out of range; the message names it.

    Examples
    --------
    >>> from sparsemlp.lottery import ticket_experiment
    >>> runs = ticket_experiment(15, 2, width=100, n_runs=3, max_steps=2000)
    >>> int(runs.groupby("net").succeeded.sum()["full"])
    3
    """
    if not online and n_samples is None:
        raise ValueError("n_samples must be given where online=False: the number of training rows")
    cell = Cell(
        n_features,
        n_informative,
        1 if n_samples is None else n_samples,
        width,
        sparsity,
        loss,
        learning_rate,
        weight_decay,
        batch_size,
        online,
        max_steps,
        random_state,
    )
    check_cell(cell, n_runs)
    _check_n_neurons(n_neurons, width)
    place = resolve_device(device)
    return train_groups(
        partial(_run_group, cell, n_neurons=n_neurons, device=place), cell, n_runs, place, n_threads
    )


def _run_group(cell: Cell, group: range, n_neurons: int, device: torch.device) -> pd.DataFrame:
    """Train full nets, tickets and random neurons of some runs."""
    runs = list(group)
    full = ParityTraining(cell, runs, device)
    supports = [data.support for data in full.data]
    initial = initial_networks(cell, runs)
    trained: dict[int, SparseInitMLP] = {}
    outcomes = {"full": train_to_success(full, on_leave=trained.__setitem__)}
    ended = stacked([trained[run] for run in runs]).to("cpu")
    starts = {
        "ticket": winning_ticket(ended, n_neurons, initial=initial),
        # The neurons of a net are exchangeable: any of them are random ones.
        "random re-initialisation": subnetwork(
            initial_networks(cell, runs, RANDOM_NEURONS), torch.arange(n_neurons)
        ),
    }
    n_lucky = {"full": _n_lucky(initial, supports)}
    for net, start in starts.items():
        n_lucky[net] = _n_lucky(start, supports)
        outcomes[net] = train_to_success(ParityTraining(cell, runs, device, start, RETRAINING_BATCHES))
    table = pd.concat([_described(cell, outcomes[net], net, n_neurons, n_lucky[net]) for net in outcomes])
    return table.sort_values("run", kind="stable")


def _described(cell: Cell, outcomes: pd.DataFrame, net: str, n_neurons: int, n_lucky: list[int]) -> pd.DataFrame:
    setting: dict[str, Any] = {
        "n_features": cell.n_features,
        "n_informative": cell.n_informative,
        "n_samples": np.nan if cell.online else float(cell.n_samples),
        "width": cell.width if net == "full" else n_neurons,
        "sparsity": np.nan if cell.sparsity is None else float(cell.sparsity),
        "run": outcomes["run"],
        "net": net,
        "n_lucky": n_lucky,
    }
    return outcomes.assign(**setting)[[*setting, "succeeded", "steps_to_success", "test_error"]]


def _n_lucky(module: SparseInitMLP, supports: list[np.ndarray]) -> list[int]:
    """Count each member's neurons that hold as much of the support as they can."""
    held = module.input_layer.weight != 0
    most = held.sum(dim=-1)
    counts = []
    for member, (one, support) in enumerate(zip(held, supports, strict=True)):
        overlap = one[:, torch.from_numpy(support)].sum(dim=-1)
        counts.append(int((overlap == most[member].clamp(max=len(support))).sum()))
    return counts


@torch.no_grad()
def _train_on_rows(
    step: TrainingStep, rows: Tensor, target: Tensor, n_steps: int, n_members: int, random_state: int
) -> None:
    generator = torch.Generator().manual_seed(random_state)
    shape = (step.batch_size,) if n_members == 1 else (n_members, step.batch_size)
    x, y = rows.new_empty(*shape, rows.shape[1]), rows.new_empty(*shape, 1)
    slot = Slot(x, y, None, torch.empty_like(y))
    take = fastest(step)
    for _ in range(n_steps):
        index = torch.randint(len(rows), shape, generator=generator).view(-1).to(rows.device)
        torch.index_select(rows, 0, index, out=x.view(-1, rows.shape[1]))
        torch.index_select(target, 0, index, out=y.view(-1, 1))
        take(slot)


def _rows_and_targets(module: SparseInitMLP, X: ArrayLike, y: ArrayLike, loss: str) -> tuple[Tensor, Tensor]:
    """Return rows (n, n_features) and targets (n, 1) of the kind and at the place of the network's weights."""
    if loss not in ("hinge", "cross_entropy", "squared"):
        raise ValueError(f"loss={loss!r} is unknown; choose 'hinge', 'cross_entropy' or 'squared'")
    weight = module.input_layer.weight
    n_outputs = module.output_layer.weight.shape[1]
    if n_outputs != 1:
        raise ValueError(f"module has {n_outputs} outputs; retrain is for two classes and one output")
    rows, labels = (torch.as_tensor(np.asarray(values)).to(weight) for values in (X, y))
    if rows.ndim != 2 or rows.shape[1] != weight.shape[2]:
        raise ValueError(f"X has shape {tuple(rows.shape)}, but the network takes {weight.shape[2]} features")
    if labels.shape != rows.shape[:1]:
        raise ValueError(f"y has shape {tuple(labels.shape)}, but X has {len(rows)} rows")
    if not ((labels == 0) | (labels == 1)).all():
        raise ValueError("y must hold the labels 0 and 1 only")
    return rows, (labels if loss == "cross_entropy" else 2 * labels - 1).unsqueeze(1)


def _checked_neurons(neurons: ArrayLike | Tensor, n_members: int, width: int) -> Tensor:
    index = torch.as_tensor(neurons)
    if index.is_floating_point() or index.dtype == torch.bool:
        raise TypeError(f"neurons must be indices (integers), got dtype {index.dtype}")
    if index.ndim == 1:
        index = index.expand(n_members, -1)
    if index.ndim != 2 or len(index) != n_members or not index.shape[1]:
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


def _check_n_neurons(n_neurons: int, width: int) -> None:
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
