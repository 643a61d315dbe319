"""What the frontier's batches save: the time of a step and run against that of a plain PyTorch loop."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.cli import make_folder
from benchmarks.environment import machine, versions
from benchmarks.parity.grids import QUICK
from benchmarks.results import jsonl
from sparsemlp.frontier import Run, Setting, train_runs

FILE = "parity_cost.json"
ROUNDS = 3
WIDTHS = (*QUICK["width"], 3000)
CPU = torch.device("cpu")
# Steps of a long run, in which weights without a gradient decay towards denormal numbers, and the share of it that
# is compared at its two ends.
LONG, ENDS = 100_000, 0.05


def measure(results: Path, command: str) -> None:
    """Time both at every width, in turns, and write the medians to the results folder."""
    make_folder(results)
    rows = [_width(width) for width in WIDTHS]
    long_runs = {decay: _long_run(decay) for decay in ("coupled", "uncoupled")}
    measured: dict[str, Any] = {"command": command, "machine": machine(), "versions": versions()}
    measured |= {"rows": rows, "long_runs": long_runs}
    jsonl.write(results / FILE, measured)
    for row in rows:
        print(f"width {row['width']}: loop {row['loop']:.0f} us a step, frontier {row['frontier']:.1f} us")
    for decay, row in long_runs.items():
        print(f"{decay} decay: first steps {row['first']:.1f} us, last of {LONG} steps {row['last']:.1f} us")


def _width(width: int) -> dict[str, float]:
    contenders: dict[str, Callable[[int], float]] = {"loop": _loop, "frontier": _frontier}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            times[name].append(1e6 * contender(width))
    return {"width": width, **{name: sorted(values)[ROUNDS // 2] for name, values in times.items()}}


def _frontier(width: int) -> float:
    """Return the seconds a step and run take on the quick grid's settings, evaluations of the test error included.

    The runs are too hard to succeed, so that none leaves; five of every setting are as many as the batches of the
    quick grid have, or more.
    """
    n_steps = min(2000, 1_500_000 // width)
    settings = [
        Setting(n_informative=6, n_samples=m, width=width, sparsity=s, max_steps=n_steps)
        for m in QUICK["n_samples"]
        for s in QUICK["sparsity"]
    ]
    runs = [Run(setting, i) for setting in settings for i in range(2 if width > 300 else 5)]
    start = time.perf_counter()
    train_runs(runs, CPU)
    return (time.perf_counter() - start) / len(runs) / n_steps


def _loop(width: int, n_steps: int = 1000, n_samples: int = 1000) -> float:
    """Return the seconds of a step of the loop that anyone would write, without evaluating the test error."""
    x = torch.randint(2, (n_samples, 50)).float() * 2 - 1
    y = x[:, :3].prod(dim=1, keepdim=True)
    net: Any = nn.Sequential(nn.Linear(50, width), nn.ReLU(), nn.Linear(width, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=0.01)
    start = time.perf_counter()
    done = 0
    while done < n_steps:
        for index in torch.randperm(n_samples).split(32):
            loss = (1 - y[index] * net(x[index])).clamp(min=0).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
    return (time.perf_counter() - start) / done


def _long_run(decay: str) -> dict[str, float]:
    """Return microseconds of a step and run at the beginning and at the end of a long training."""
    setting = Setting(n_informative=6, n_samples=300, width=100, decay=decay, max_steps=LONG)
    runs = [Run(setting, i) for i in range(8)]
    times: list[tuple[int, float]] = []
    train_runs(runs, CPU, 1, on_progress=lambda setting, n_steps: times.append((n_steps, time.perf_counter())))
    steps, moments = (np.array(values) for values in zip(*times, strict=True))
    of_a_step = 1e6 * np.diff(moments) / steps[1:]
    n = int(ENDS * len(of_a_step))
    return {"first": float(np.median(of_a_step[:n])), "last": float(np.median(of_a_step[-n:-1]))}
