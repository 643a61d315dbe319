"""Training of the parity study: what is missing is trained and stored, under a bar that counts steps."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from benchmarks.cli import UsageError, progress_bar
from benchmarks.parity import stored_runs
from benchmarks.parity.budget import Budget, left
from benchmarks.results.database import OTHER_FOLDER
from sparsemlp.frontier import Setting, train_runs
from sparsemlp.lottery import ticket_experiment
from sparsemlp.training import resolve_device

if TYPE_CHECKING:
    from benchmarks.results.store import Store

#: The lottery experiment: settings of `ticket_experiment`; the first is the one that the docs are about.
TICKETS = (
    Setting(n_samples=None, width=100, max_steps=10_000),
    Setting(n_samples=2000, width=100, max_steps=10_000),
    Setting(n_informative=5, n_samples=None, width=100, max_steps=50_000, weight_decay=0.001),
    Setting(
        n_informative=5, n_samples=None, width=100, max_steps=50_000, weight_decay=0.001, loss="cross_entropy"
    ),
)
TICKET_RUNS, TICKET_NEURONS = 20, 5
BAR = "{{percentage:3.0f}}% |{{bar:20}}| {n_runs} runs [{{elapsed}}, {{remaining}} left] {{desc}}"


def device(name: str) -> torch.device:
    """Return the device of that name, or refuse it."""
    try:
        return resolve_device(name)
    except ValueError as error:
        raise UsageError(f"--device: {error}") from error


def train(
    settings: Sequence[Setting],
    n_runs: int,
    store: "Store",
    device: torch.device,
    *,
    with_curves: bool = False,
    budget: Budget | None = None,
) -> None:
    """Train the runs that the store does not hold; a batch of them is stored as soon as it has ended.

    With a budget, the cheapest are trained while it lasts, and what is left is printed.
    """
    runs = stored_runs.missing_runs(store, settings, n_runs)
    if with_curves and (n_bare := stored_runs.n_without_curve(store, settings, n_runs)):
        raise UsageError(f"{n_bare} of these runs are stored without errors at every evaluation; {OTHER_FOLDER}")
    n_known = len(settings) * n_runs - len(runs)
    if n_known:
        print(f"{n_known} of {len(settings) * n_runs} parity runs are there already", file=sys.stderr)
    total = sum(_weight(run.setting) * run.setting.max_steps for run in runs)
    # Wide settings come last: the mean speed over all steps tells more than that of the latest.
    with progress_bar(total, bar_format=BAR.format(n_runs=len(runs)), smoothing=0) as bar:

        def count(setting: Setting, n_steps: int) -> None:
            bar.set_description_str(f"width {setting.width}", refresh=False)
            bar.update(_weight(setting) * n_steps)

        store_batch = partial(stored_runs.add_runs, store)
        for part in [runs] if budget is None else budget.parts(runs):
            train_runs(part, device, with_curves=with_curves, on_batch=store_batch, on_progress=count)
    if budget is not None:
        print(left(stored_runs.missing_runs(store, settings, n_runs), budget.times))


def _weight(setting: Setting) -> int:
    """Return about how long a step takes; the unit is that of one neuron of 50 inputs."""
    return 60 + setting.width * (setting.n_features + 60) // 110


def train_tickets(store: "Store", device: torch.device) -> None:
    """Do the lottery experiment's settings of which the store has no run; all runs of one are stored at once."""
    known = store.keys(stored_runs.TICKETS, stored_runs.SETTING_FIELDS)
    for setting in progress_bar(len(TICKETS), iterable=TICKETS):
        if tuple(stored_runs.setting_key(setting).values()) in known:
            continue
        table = ticket_experiment(
            setting.n_features,
            setting.n_informative,
            setting.width,
            setting.sparsity,
            TICKET_NEURONS,
            online=setting.n_samples is None,
            n_samples=setting.n_samples,
            max_steps=setting.max_steps,
            n_runs=TICKET_RUNS,
            target=setting.target,
            loss=setting.loss,
            weight_decay=setting.weight_decay,
            device=device,
        )
        stored_runs.add_tickets(store, setting, TICKET_NEURONS, table)
