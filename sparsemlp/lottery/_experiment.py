"""The lottery experiment: tickets and random neurons retrained, on many runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from sparsemlp._training.devices import resolve_device
from sparsemlp._validation import check_int
from sparsemlp.frontier._members import initial_networks, stacked
from sparsemlp.frontier._run_batch import RunBatch, train_to_success
from sparsemlp.frontier._runs import Outcome, Run, Setting
from sparsemlp.frontier._scheduling import map_batches, one_at_a_time
from sparsemlp.frontier._study import table_of
from sparsemlp.lottery._tickets import subnetwork, winning_ticket
from sparsemlp.module import SparseInitMLP

# Purposes of seeds beyond those of a frontier's run: batches of the retraining, random neurons.
RETRAINING_BATCHES, RANDOM_NEURONS = 4, 5


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
    target: str = "parity",
    loss: str = "hinge",
    learning_rate: float = 0.1,
    weight_decay: float = 0.01,
    decay: str = "coupled",
    batch_size: int = 32,
    device: str | torch.device = "auto",
    random_state: int = 0,
    n_threads: int | None = None,
    on_batch: Callable[[pd.DataFrame], None] | None = None,
) -> pd.DataFrame:
    """Retrain the winning tickets of nets that learn a sparse parity, and as many random neurons.

    The lottery experiment of the paper (Edelman et al. 2023, arXiv:2309.03800). Three nets a run:

    - *full*, a net of `width` neurons, trained until it succeeds or `max_steps` are over. It is run i of
      :func:`sparsemlp.frontier.success_frontier` at the same setting;
    - *ticket*, its `n_neurons` neurons of largest weight norm at that time, rewound to their initialisation and
      trained alone;
    - *random re-initialisation*, as many neurons of a new net of `width`, trained alone: their input and output
      weights are distributed as the ticket's were, for which a new net of `n_neurons` would not do, since torch
      gives a narrow layer larger output weights.

    Ticket and random neurons get the same batches, which are not those of the full net; offline, all three train
    on the same rows. Success is as in ``success_frontier``. We do not know when the paper stops training
    the full net, nor what it re-initialises for the random neurons.

    Parameters
    ----------
    n_features, n_informative : int, default=50 and 5
        The (n, k) of the parity, or of another target.
    width : int, default=100
        Neurons of the full net.
    sparsity : int or None, default=2
        Inputs that a neuron starts with; None: dense.
    n_neurons : int, default=5
        Neurons of a ticket.
    online : bool, default=True
        Train on fresh rows at every step in place of `n_samples` training rows.
    n_samples : int, optional
        Training rows; required where ``online=False``.
    max_steps : int, default=100000
        Steps after which a training has failed.
    n_runs : int, default=10
        Runs.
    target, loss, learning_rate, weight_decay, decay, batch_size, device, random_state, n_threads, on_batch
        As in :func:`sparsemlp.frontier.success_frontier`.

    Returns
    -------
    DataFrame
        Three rows a run: n_features, n_informative, n_samples (NaN online), width (of this net), sparsity (NaN
        for dense), run, net ("full", "ticket" or "random re-initialisation"), n_lucky (neurons that started with
        as many hidden inputs as they could hold), succeeded, steps_to_success (NaN where not), train_error (NaN
        online) and test_error (at the end), device ("cpu", "cuda", ...).

    Raises
    ------
    TypeError
        If a number that must be an integer is none.
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
    check_int("n_runs", n_runs)
    check_int("n_neurons", n_neurons, high=check_int("width", width), high_name="width")
    setting = Setting(
        n_features=n_features,
        n_informative=n_informative,
        n_samples=None if online else n_samples,
        width=width,
        sparsity=sparsity,
        target=target,
        loss=loss,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        decay=decay,
        batch_size=batch_size,
        max_steps=max_steps,
        random_state=random_state,
    )
    place = resolve_device(device)
    finish = one_at_a_time(threading.Lock(), on_batch) if on_batch is not None else None

    def work(batch: list[Run], stopped: threading.Event) -> list[pd.DataFrame]:
        table = _train_batch(batch, n_neurons, place, stopped)
        if finish is not None:
            finish(table)
        return [table]

    tables = map_batches(work, [Run(setting, number) for number in range(n_runs)], place, n_threads)
    return pd.concat(tables).sort_values("run", kind="stable", ignore_index=True)


def _train_batch(runs: list[Run], n_neurons: int, device: torch.device, stopped: threading.Event) -> pd.DataFrame:
    """Train full nets, tickets and random neurons of some runs."""
    full = RunBatch(runs, device)
    supports = [data.support for data in full.data]
    initial = initial_networks(runs)
    trained: dict[Run, SparseInitMLP] = {}
    outcomes = {"full": train_to_success(full, on_leave=trained.__setitem__, stopped=stopped)}
    ended = stacked([trained[run] for run in runs]).to("cpu")
    starts = {
        "ticket": winning_ticket(ended, n_neurons, initial=initial),
        # The neurons of a net are exchangeable: any of them are random ones.
        "random re-initialisation": subnetwork(initial_networks(runs, RANDOM_NEURONS), torch.arange(n_neurons)),
    }
    n_lucky = {"full": _n_lucky(initial, supports)}
    for net, start in starts.items():
        n_lucky[net] = _n_lucky(start, supports)
        training = RunBatch(runs, device, start, RETRAINING_BATCHES)
        outcomes[net] = train_to_success(training, stopped=stopped)
    return pd.concat([_described(net, outcomes[net], n_neurons, n_lucky[net]) for net in outcomes])


def _described(net: str, outcomes: list[Outcome], n_neurons: int, n_lucky: list[int]) -> pd.DataFrame:
    table = table_of(outcomes).assign(net=net, n_lucky=n_lucky)
    if net != "full":
        table["width"] = n_neurons
    results = ["succeeded", "steps_to_success", "train_error", "test_error", "device"]
    return table[[name for name in table if name not in results] + results]


def _n_lucky(module: SparseInitMLP, supports: list[np.ndarray]) -> list[int]:
    """Count each member's neurons that hold as much of the support as they can."""
    held = module.input_layer.weight != 0
    most = held.sum(dim=-1)
    counts = []
    for member, (one, support) in enumerate(zip(held, supports, strict=True)):
        overlap = one[:, torch.from_numpy(support)].sum(dim=-1)
        counts.append(int((overlap == most[member].clamp(max=len(support))).sum()))
    return counts
