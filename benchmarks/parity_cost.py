"""What the frontier's batches save: the time of a step and run against that of a plain PyTorch loop."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.arguments import UsageError
from benchmarks.environment import machine, versions
from benchmarks.parity_grids import QUICK
from sparsemlp.frontier import Cell, Run, train_runs

FILE = "parity_cost.json"
ROUNDS = 3
CPU = torch.device("cpu")


def measure(results: Path, command: str) -> None:
    """Time both at every width of the quick grid, in turns, and write the medians to the results folder."""
    rows = [_width(width) for width in QUICK["width"]]
    measured = {"command": command, "machine": machine(), "versions": versions(), "rows": rows}
    path = results / FILE
    try:
        results.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(measured, indent=1), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    for row in rows:
        print(f"width {row['width']}: loop {row['loop']:.0f} us a step, frontier {row['frontier']:.1f} us")


def _width(width: int) -> dict[str, float]:
    contenders: dict[str, Callable[[int], float]] = {"loop": _loop, "frontier": _frontier}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            times[name].append(1e6 * contender(width))
    return {"width": width, **{name: sorted(values)[ROUNDS // 2] for name, values in times.items()}}


def _frontier(width: int) -> float:
    """Return the seconds a step and run take on the quick grid's cells, looks at the test error included.

    The runs are too hard to succeed, so that none leaves; five of every cell are as many as the batches of the
    quick grid have, or more.
    """
    n_steps = 500 if width > 300 else 1000
    cells = [
        Cell(n_informative=6, n_samples=m, width=width, sparsity=s, max_steps=n_steps)
        for m in QUICK["n_samples"]
        for s in QUICK["sparsity"]
    ]
    runs = [Run(cell, i) for cell in cells for i in range(2 if width > 300 else 5)]
    start = time.perf_counter()
    train_runs(runs, CPU)
    return (time.perf_counter() - start) / len(runs) / n_steps


def _loop(width: int, n_steps: int = 1000, n_samples: int = 1000) -> float:
    """Return the seconds of a step of the loop that anyone would write, without a look at the test error."""
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
