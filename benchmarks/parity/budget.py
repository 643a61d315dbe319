"""What runs cost by step times measured now, and which of them a number of hours is spent on first."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from sklearn.utils import gen_batches

from sparsemlp.frontier import Run, Setting, make_batches, train_runs


@dataclass(frozen=True)
class StepTimes:
    """Seconds of a step and run by its size, first-layer weights times rows of a batch, measured at some sizes.

    Attributes
    ----------
    sizes, seconds : list of float
        In the order of the sizes. Between them seconds are interpolated; beyond the largest they grow as the
        size.
    """

    sizes: list[float]
    seconds: list[float]

    @classmethod
    def measured(cls, settings: Sequence[Setting], device: torch.device) -> "StepTimes":
        """Time a few of the sizes of net among the settings, in full batches."""
        seconds = step_seconds(settings, device)
        sizes = sorted({_size(setting) for setting in seconds})
        return cls(
            sizes,
            [float(np.mean([t for setting, t in seconds.items() if _size(setting) == size])) for size in sizes],
        )

    def of(self, setting: Setting) -> float:
        """Return the seconds of a run that takes all its steps: the most that it can cost."""
        size = _size(setting)
        step = float(np.interp(size, self.sizes, self.seconds)) * max(1.0, size / self.sizes[-1])
        return setting.max_steps * step


def _size(setting: Setting) -> float:
    return float(setting.width * setting.n_features * setting.batch_size)


class Budget:
    """Hours that begin now, and the order in which runs are handed out while they last.

    Parameters
    ----------
    hours : float
        A part that has been handed out is trained to its end, so that the last one may take longer.
    times : StepTimes
        By which a run is cheap.
    device : torch.device
        Where the runs will train.
    clock : callable
        Returns the seconds that have passed.
    """

    def __init__(
        self, hours: float, times: StepTimes, device: torch.device, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.times, self.device, self.clock = times, device, clock
        self.end = clock() + 3600 * hours

    def parts(self, runs: Sequence[Run]) -> Iterator[list[Run]]:
        """Yield the runs in parts, the cheapest first, until the time is over.

        Of equally cheap ones those with the most rows are first, fresh rows before all: they tend to succeed, and
        so to end, early. A part fills a batch for every thread.
        """
        n_threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        for _, group in groupby(sorted(runs, key=self._order), key=self._kind):
            alike = list(group)
            size = n_threads * max(map(len, make_batches(alike, self.device, n_threads)))
            for part in gen_batches(len(alike), size):
                if self.clock() >= self.end:
                    return
                yield alike[part]

    def _order(self, run: Run) -> tuple[float, float]:
        return self.times.of(run.setting), -(run.setting.n_samples or np.inf)

    def _kind(self, run: Run) -> tuple[float, bool]:
        """Return what runs of a part share; those on fresh rows have batches of their own."""
        return self.times.of(run.setting), run.setting.n_samples is None


def left(runs: Sequence[Run], times: StepTimes) -> str:
    """Say which runs are left, by width, and what they would cost at most."""
    if not runs:
        return "no runs are left"
    lines = [f"{len(runs)} runs are left, at most {_hours(runs, times)} by steps measured now:"]
    by_width = sorted(runs, key=lambda run: run.setting.width)
    for width, group in groupby(by_width, key=lambda run: run.setting.width):
        alike = list(group)
        lines.append(f"  width {width}: {len(alike)} runs, at most {_hours(alike, times)}")
    return "\n".join(lines)


def _hours(runs: Sequence[Run], times: StepTimes) -> str:
    hours = sum(times.of(run.setting) for run in runs) / 3600
    return f"{hours:,.0f} hours" if hours >= 10 else f"{hours:.2g} hours"


def cost(settings: Sequence[Setting], n_runs: int, times: StepTimes, device: torch.device) -> str:
    """Say what a grid costs on this machine."""
    seconds = n_runs * sum(map(times.of, settings))
    n_operations = sum(n_runs * setting.max_steps * 4 * _size(setting) for setting in settings)
    return (
        f"{len(settings) * n_runs} runs of {len(settings)} settings. On this machine ({torch.get_num_threads()} "
        f"threads, {device.type}) at most {seconds / 3600:,.0f} hours, from steps measured now at "
        f"{len(times.sizes)} sizes of net; runs that succeed end early. The first layers' products alone are at "
        f"most {n_operations:.2g} floating-point operations; on a GPU the grid has not been measured."
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
