"""Training of the parity study: what is missing is trained and stored, under a bar that counts steps."""

import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.cli import UsageError, progress_bar
from benchmarks.parity import stored_runs
from benchmarks.results.database import OTHER_FOLDER
from sparsemlp.frontier import Run, Setting, make_batches, train_runs
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
    settings: Sequence[Setting], n_runs: int, store: "Store", device: torch.device, *, with_curves: bool = False
) -> None:
    """Train the runs that the store does not hold; a batch of them is stored as soon as it has ended."""
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

        train_runs(
            runs, device, with_curves=with_curves, on_batch=partial(stored_runs.add_runs, store), on_progress=count
        )


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


def cost(settings: Sequence[Setting], n_runs: int, device: torch.device) -> str:
    """Say what a grid costs on this machine, from step times measured now."""
    seconds = step_seconds(settings, device)
    sizes = sorted({setting.width * setting.n_features for setting in seconds})
    times = [
        np.mean([t for setting, t in seconds.items() if setting.width * setting.n_features == size])
        for size in sizes
    ]
    seconds_in_all = n_operations = 0.0
    for setting in settings:
        size, n_steps = setting.width * setting.n_features, n_runs * setting.max_steps
        # Beyond the largest that was measured, time grows as the number of weights.
        seconds_in_all += n_steps * float(np.interp(size, sizes, times)) * max(1.0, size / sizes[-1])
        n_operations += n_steps * 4 * setting.batch_size * size
    return (
        f"{len(settings) * n_runs} runs of {len(settings)} settings. On this machine ({torch.get_num_threads()} "
        f"threads, {device.type}) at most {seconds_in_all / 3600:,.0f} hours, from steps measured now at "
        f"{len(sizes)} sizes of net; runs that succeed end early. The first layers' products alone are at most "
        f"{n_operations:.2g} floating-point operations; on a GPU the grid has not been measured."
    )


def step_seconds(settings: Sequence[Setting], device: torch.device, work: float = 2e6) -> dict[Setting, float]:
    """Return the seconds a step and run take in full batches, at a few of the sizes of net among the settings."""
    sizes = sorted(
        {(setting.width * setting.n_features, setting.width, setting.n_features) for setting in settings}
    )
    few = [size for size in sizes if size[0] <= 1_000_000] or sizes[:1]
    chosen = {few[i] for i in np.linspace(0, len(few) - 1, 5).astype(int)}
    found = {}
    for _, width, n_features in sorted(chosen):
        n_steps = int(np.clip(work / (width * n_features / 50), 20, 1000))
        setting = Setting(
            n_features=n_features,
            n_informative=min(5, n_features),  # too hard to succeed early
            n_samples=1000,
            width=width,
            sparsity=min(2, n_features),
            max_steps=n_steps,
        )
        found[setting] = _timed(setting, device)
    return found


def _timed(setting: Setting, device: torch.device) -> float:
    """Return the seconds of a step and run, training as many batches at once as there are threads."""
    n_threads = torch.get_num_threads()
    in_one = max(map(len, make_batches([Run(setting, i) for i in range(1000)], device, n_threads)))
    runs = [Run(setting, i) for i in range(in_one * n_threads)]
    start = time.perf_counter()
    train_runs(runs, device)
    return (time.perf_counter() - start) / len(runs) / setting.max_steps
