"""Success frontiers on sparse parity: many independent runs, trained at once as members of one network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sparsemlp.datasets import make_sparse_parity
from sparsemlp.devices import resolve_device
from sparsemlp.losses import Loss, make_loss
from sparsemlp.module import SparseInitMLP
from sparsemlp.threads import compute_threads
from sparsemlp.training import Slot, TrainingStep, fastest

SUCCESS_ERROR = 0.1
N_TEST = 10_000
# A first look at this many test rows spares most full looks: a net that is at 10 % on all of them is below
# 15 % on these but for one case in a million.
N_SCREEN, SCREEN_ERROR = 1000, 0.15
# Steps between looks at the test error.
STEPS_BETWEEN_CHECKS = 250
# Runs share a network as long as their data, weights and activations fit in this much memory.
BATCH_BYTES = 2**30
FORWARD_BYTES = 2**27
SLAB_BYTES = 2**22
MAX_SLOTS = 32


@dataclass(frozen=True)
class Cell:
    """One setting of the task and the network; its runs differ only in their seeds."""

    n_features: int
    n_informative: int
    n_samples: int
    width: int
    sparsity: int | None
    loss: str
    learning_rate: float
    weight_decay: float
    batch_size: int
    online: bool
    max_steps: int
    random_state: int

    def seed(self, run: int, purpose: int) -> np.random.SeedSequence:
        """Return the seed of one run for a purpose: data (0), initialisation (1), batches (2), or any other.

        Data depend on the run and the task alone, so that all widths and sparsities meet the same.
        """
        entropy = [self.random_state, run, purpose, self.n_features, self.n_informative]
        if purpose:
            entropy += [self.width, self.sparsity or 0]
        return np.random.SeedSequence(entropy)

    def generator(self, run: int, purpose: int) -> torch.Generator:
        """Return a torch generator with that seed."""
        return torch.Generator().manual_seed(int(self.seed(run, purpose).generate_state(1)[0]))


def success_frontier(
    n_features: int = 50,
    n_informative: int = 3,
    n_samples: int | Sequence[int] = (1000,),
    width: int | Sequence[int] = (1000,),
    sparsity: int | Sequence[int | None] | None = (2, None),
    *,
    n_runs: int = 50,
    max_steps: int = 100_000,
    loss: str = "hinge",
    learning_rate: float = 0.1,
    weight_decay: float = 0.01,
    batch_size: int = 32,
    online: bool = False,
    device: str | torch.device = "auto",
    random_state: int = 0,
    n_threads: int | None = None,
    on_cell: Callable[[pd.DataFrame], None] | None = None,
) -> pd.DataFrame:
    """Train many nets on sparse parity, and say which learn it and after how many steps.

    The paper's protocol (Edelman et al. 2023, section 4.1): two-layer ReLU nets with +-1 sparse or torch's
    dense initialisation, plain SGD, and success at a test error of at most 10 % on 10000 fresh rows, looked at
    every 250 steps. A run is defined by its own seed alone: it has the same data, initialisation and
    batches whatever `n_runs` and whichever other cells are asked for. Runs leave the common network when they
    succeed.

    Parameters
    ----------
    n_features, n_informative : int, default=50 and 3
        The (n, k) of the parity.
    n_samples, width, sparsity : int or sequence of int, default=(1000,), (1000,) and (2, None)
        The grid: training rows m, hidden neurons r, and inputs s a neuron starts with (None: dense).
    n_runs : int, default=50
        Runs a cell.
    max_steps : int, default=100000
        Steps T after which a run has failed.
    loss : {"hinge", "cross_entropy", "squared"}, default="hinge"
        Training loss.
    learning_rate, weight_decay : float, default=0.1 and 0.01
        Of plain SGD, in torch's convention: weights shrink by ``learning_rate * weight_decay`` a step. For the
        convention ``theta <- (1 - lambda) theta - eta g`` pass ``weight_decay=lambda / eta``.
    batch_size : int, default=32
        Rows a step, taken from random passes over the training rows.
    online : bool, default=False
        Draw fresh rows at every step in place of the `n_samples` training rows.
    device : str or torch.device, default="auto"
        "auto" takes CUDA, then XPU, then MPS, then the CPU.
    random_state : int, default=0
        Seed of everything.
    n_threads : int, optional
        CPU threads; default: torch's setting.
    on_cell : callable, optional
        Called with the rows of every finished cell, for progress and for storing them.

    Returns
    -------
    DataFrame
        A row per run: n_features, n_informative, n_samples, width, sparsity (NaN for dense), run, succeeded,
        steps_to_success (NaN where not), test_error (at the end of the run).

    Raises
    ------
    ValueError
        If a number is out of range; the message names it.

    Examples
    --------
    >>> from sparsemlp.frontier import success_frontier
    >>> runs = success_frontier(15, 2, 500, width=100, sparsity=(2, None), n_runs=3, max_steps=2000)
    >>> runs.groupby("sparsity", dropna=False).succeeded.mean()
    sparsity
    2.0    1.0
    NaN    1.0
    Name: succeeded, dtype: float64
    """
    settings: dict[str, Any] = {
        "loss": loss,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "batch_size": batch_size,
        "online": online,
        "max_steps": max_steps,
        "random_state": random_state,
    }
    grid = product(_listed(n_samples), _listed(width), _listed(sparsity))
    cells = [Cell(n_features, n_informative, m, r, s, **settings) for m, r, s in grid]
    for cell in cells:
        check_cell(cell, n_runs)
    place = resolve_device(device)
    tables = []
    for cell in cells:
        tables.append(train_groups(partial(_train_runs, cell, device=place), cell, n_runs, place, n_threads))
        if on_cell is not None:
            on_cell(tables[-1])
    return pd.concat(tables, ignore_index=True)


def _listed(values: Any) -> list:
    return list(values) if isinstance(values, Sequence | np.ndarray) else [values]


def check_cell(cell: Cell, n_runs: int) -> None:
    """Raise a ValueError that names what is out of range."""
    positive = {name: getattr(cell, name) for name in ("n_features", "n_informative", "n_samples", "width")}
    positive |= {"n_runs": n_runs, "max_steps": cell.max_steps, "batch_size": cell.batch_size}
    for name, value in positive.items():
        if value < 1:
            raise ValueError(f"{name}={value} must be at least 1")
    if cell.n_informative > cell.n_features:
        raise ValueError(f"n_informative={cell.n_informative} is more than n_features={cell.n_features}")
    if cell.sparsity is not None and not 1 <= cell.sparsity <= cell.n_features:
        raise ValueError(f"sparsity={cell.sparsity} must be between 1 and n_features={cell.n_features}")
    if cell.loss not in ("hinge", "cross_entropy", "squared"):
        raise ValueError(f"loss={cell.loss!r} is unknown; choose 'hinge', 'cross_entropy' or 'squared'")
    if not cell.learning_rate > 0:
        raise ValueError(f"learning_rate={cell.learning_rate} must be positive")
    if not cell.weight_decay >= 0:
        raise ValueError(f"weight_decay={cell.weight_decay} must not be negative")


def run_groups(cell: Cell, n_runs: int, n_threads: int = 1) -> Iterator[range]:
    """Split the runs into groups, one for each thread or more where those would not fit in memory."""
    rows = 0 if cell.online else cell.n_samples
    values = rows * cell.n_features + 3 * cell.width * (cell.n_features + cell.batch_size)
    fitting = max(1, BATCH_BYTES // (4 * values * n_threads))
    size = min(fitting, -(-n_runs // n_threads))
    for start in range(0, n_runs, size):
        yield range(start, min(start + size, n_runs))


def train_groups(
    work: Callable[[range], pd.DataFrame], cell: Cell, n_runs: int, device: torch.device, n_threads: int | None
) -> pd.DataFrame:
    """Do `work` on groups of runs, and put the tables together in order.

    On a CPU every thread has groups of its own, so that no thread waits for another at every product.
    """
    total = n_threads or torch.get_num_threads()
    at_once = min(n_runs, total) if device.type == "cpu" else 1
    with compute_threads(at_once, max(1, total // at_once)) as compute:
        tables = compute.map([partial(work, runs) for runs in run_groups(cell, n_runs, at_once)])
    return pd.concat(tables, ignore_index=True)


def _train_runs(cell: Cell, runs: range, device: torch.device) -> pd.DataFrame:
    """Train one group of runs to success or to the last step."""
    outcomes = train_to_success(ParityTraining(cell, list(runs), device))
    setting: dict[str, Any] = {
        "n_features": cell.n_features,
        "n_informative": cell.n_informative,
        "n_samples": cell.n_samples,
        "width": cell.width,
        "sparsity": np.nan if cell.sparsity is None else float(cell.sparsity),
    }
    return outcomes.assign(**setting)[[*setting, *outcomes]]


@torch.no_grad()
def train_to_success(
    training: ParityTraining, on_leave: Callable[[int, SparseInitMLP], None] | None = None
) -> pd.DataFrame:
    """Train runs until each has succeeded, or to the last step.

    Parameters
    ----------
    training : ParityTraining
        Runs at their start; none are left at the end.
    on_leave : callable, optional
        Called with every run that ends, and a network of its own with the weights at its end.

    Returns
    -------
    DataFrame
        A row per run, in order: run, succeeded, steps_to_success (NaN where not) and test_error.
    """
    runs, cell = list(training.runs), training.cell
    steps_to_success = dict.fromkeys(runs, np.nan)
    test_error = {}
    while training.runs:
        training.advance(min(STEPS_BETWEEN_CHECKS, cell.max_steps - training.n_steps))
        finished = training.n_steps >= cell.max_steps
        errors = training.test_errors(full=finished)
        for i, (run, error) in enumerate(zip(training.runs, errors, strict=True)):
            if error <= SUCCESS_ERROR:
                steps_to_success[run] = training.n_steps
            if finished or error <= SUCCESS_ERROR:
                test_error[run] = error
                if on_leave is not None:
                    on_leave(run, chosen_members(training.module, [i]))
        training.keep([] if finished else [error > SUCCESS_ERROR for error in errors])
    return pd.DataFrame(
        {
            "run": runs,
            "succeeded": [not np.isnan(steps_to_success[run]) for run in runs],
            "steps_to_success": [float(steps_to_success[run]) for run in runs],
            "test_error": [test_error[run] for run in runs],
        }
    )


class ParityTraining:
    """Runs in training: one member a run, each with its own data and its own order of batches.

    Parameters
    ----------
    cell : Cell
        The setting that the runs share.
    runs : list of int
        Their numbers.
    device : torch.device
        Where to train.
    module : SparseInitMLP, optional
        Networks to start from, a member a run, trained in place. Default: :func:`initial_networks`.
    batches : int, default=2
        Purpose of the seed that batches come from, see :meth:`Cell.seed`.
    """

    def __init__(
        self,
        cell: Cell,
        runs: list[int],
        device: torch.device,
        module: SparseInitMLP | None = None,
        batches: int = 2,
    ) -> None:
        self.cell = cell
        self.runs = runs
        self.device = device
        self.n_steps = 0
        self.loss: Loss = make_loss(cell.loss, n_classes=2)
        self.module = (initial_networks(cell, runs) if module is None else module).to(device)
        self.data = [_RunData(cell, run, batches) for run in runs]
        self.x_test = torch.from_numpy(_test_rows(cell)).to(device)
        self._prepare()

    def _prepare(self) -> None:
        """Allocate what depends on the number of runs."""
        optimizer = torch.optim.SGD(
            self.module.parameters(), lr=self.cell.learning_rate, weight_decay=self.cell.weight_decay
        )
        step = TrainingStep(self.module, self.loss, optimizer, self.cell.batch_size)
        self.step = fastest(step)
        n_rows = len(self.runs) * self.cell.batch_size
        n_slots = int(np.clip(SLAB_BYTES // (4 * n_rows * self.cell.n_features), 1, MAX_SLOTS))
        shape = (n_slots, *([] if len(self.runs) == 1 else [len(self.runs)]), self.cell.batch_size)
        self.x = torch.empty(n_slots, n_rows, self.cell.n_features, device=self.device)
        self.sign = torch.empty(n_slots, n_rows, 1, device=self.device)
        self.target = torch.empty_like(self.sign)
        output = torch.empty_like(self.sign)
        views = (self.x.view(*shape, -1), self.target.view(*shape, 1), output.view(*shape, 1))
        self.slots = [Slot(x, target, None, out) for x, target, out in zip(*views, strict=True)]
        if not self.cell.online:
            self.rows = torch.cat([data.x for data in self.data]).to(self.device)
            self.row_signs = torch.cat([data.sign for data in self.data]).to(self.device)

    def advance(self, n_steps: int) -> None:
        """Train for `n_steps` steps."""
        for count in [len(self.slots)] * (n_steps // len(self.slots)) + [n_steps % len(self.slots)]:
            if not count:
                continue
            self._fill(count)
            for slot in self.slots[:count]:
                self.step(slot)
        self.n_steps += n_steps

    def _fill(self, count: int) -> None:
        """Put the batches of the next `count` steps into the slots."""
        if self.cell.online:
            fresh = [data.fresh_rows(count) for data in self.data]
            x, sign = (torch.stack(values, dim=1).to(self.device) for values in zip(*fresh, strict=True))
            self.x[:count] = x.reshape(count, -1, self.cell.n_features)
            self.sign[:count] = sign.reshape(count, -1, 1)
        else:
            index = torch.stack([data.next_rows(count) for data in self.data], dim=1)
            starts = torch.arange(len(self.runs)) * self.cell.n_samples
            flat = (index + starts[:, None]).view(-1).to(self.device)
            torch.index_select(self.rows, 0, flat, out=self.x.view(-1, self.cell.n_features)[: len(flat)])
            torch.index_select(self.row_signs, 0, flat, out=self.sign.view(-1, 1)[: len(flat)])
        self.target.copy_(self.sign if self.cell.loss != "cross_entropy" else (self.sign + 1) / 2)

    def test_errors(self, full: bool) -> list[float]:
        """Return every run's test error; on the first rows only where that shows that a run has not learned."""
        errors = self._errors(slice(0, N_SCREEN), self.module, self.data)
        close = [i for i, error in enumerate(errors) if full or error <= SCREEN_ERROR]
        if close:
            chosen = chosen_members(self.module, close)
            for i, error in zip(
                close, self._errors(slice(0, N_TEST), chosen, [self.data[i] for i in close]), strict=True
            ):
                errors[i] = error
        return errors

    def _errors(self, rows: slice, module: SparseInitMLP, data: list[_RunData]) -> list[float]:
        x = self.x_test[rows]
        supports = torch.tensor(np.stack([one.support for one in data]), device=self.device)
        n_rows = max(1, FORWARD_BYTES // (8 * len(data) * self.cell.width))
        wrong = torch.zeros(len(data), device=self.device)
        for part in x.split(n_rows):
            sign = part[:, supports].prod(dim=-1).T  # (n_runs, n_rows)
            right = module(part)[..., 0] * sign > 0  # not so where training has diverged to NaN
            wrong += (~right).sum(dim=1)
        return (wrong / len(x)).tolist()

    def keep(self, kept: list[bool]) -> None:
        """Go on with some of the runs."""
        if kept and all(kept):
            return
        index = [i for i, keep in enumerate(kept) if keep]
        self.runs = [self.runs[i] for i in index]
        self.data = [self.data[i] for i in index]
        if index:
            self.module = chosen_members(self.module, index)
            self._prepare()


class _RunData:
    """One run's training rows and the endless random order in which it visits them."""

    def __init__(self, cell: Cell, run: int, batches: int) -> None:
        self.cell = cell
        n_rows = 1 if cell.online else cell.n_samples
        x, y, self.support = make_sparse_parity(
            n_rows,
            cell.n_features,
            cell.n_informative,
            random_state=np.random.default_rng(cell.seed(run, 0)),
            return_support=True,
        )
        self.x = torch.from_numpy(x)
        self.sign = torch.from_numpy(2 * y.astype(np.float32) - 1).unsqueeze(1)
        self.generator = cell.generator(run, batches)
        self.order = torch.empty(0, dtype=torch.int64)

    def next_rows(self, n_batches: int) -> Tensor:
        """Return indices (n_batches, batch_size) from pass after pass over the rows, each in a new order."""
        n_wanted = n_batches * self.cell.batch_size
        while len(self.order) < n_wanted:
            # Small data take many passes a call; how many depends on nothing but the number of rows.
            n_passes = max(1, 4096 // self.cell.n_samples)
            keys = torch.rand(n_passes, self.cell.n_samples, generator=self.generator)
            self.order = torch.cat([self.order, keys.argsort(dim=1).view(-1)])
        rows, self.order = self.order[:n_wanted], self.order[n_wanted:]
        return rows.view(n_batches, -1)

    def fresh_rows(self, n_batches: int) -> tuple[Tensor, Tensor]:
        """Return new rows (n_batches, batch_size, n_features) and their signs."""
        batches = [  # drawn batch by batch, so that a run is the same however many slots it shares
            torch.randint(2, (self.cell.batch_size, self.cell.n_features), generator=self.generator)
            for _ in range(n_batches)
        ]
        x = torch.stack(batches).float().mul_(2).sub_(1)
        return x, x[..., self.support].prod(dim=-1, keepdim=True)


def initial_networks(cell: Cell, runs: list[int], purpose: int = 1) -> SparseInitMLP:
    """Draw every run's own network, from the seed for `purpose`, and stack them as members of one."""
    nets = [
        SparseInitMLP(cell.n_features, 1, cell.width, cell.sparsity, generator=cell.generator(run, purpose))
        for run in runs
    ]
    return stacked(nets)


def stacked(nets: Sequence[SparseInitMLP]) -> SparseInitMLP:
    """Return a network whose members are those of `nets`, one after the other."""
    return assembled([torch.cat(values) for values in zip(*(net.parameters() for net in nets), strict=True)])


def chosen_members(module: SparseInitMLP, index: list[int]) -> SparseInitMLP:
    """Return a network of some of the members."""
    return assembled([values[index] for values in module.parameters()])


def assembled(values: Sequence[Tensor]) -> SparseInitMLP:
    """Return a network with copies of these parameters: weight and bias of every layer, from input to output."""
    n_members, _, n_features = values[0].shape
    *widths, n_outputs = (weight.shape[1] for weight in values[::2])
    module = SparseInitMLP(n_features, n_outputs, widths, 1, n_members=n_members, generator=torch.Generator())
    module.to(values[0].device, values[0].dtype)
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), values, strict=True):
            parameter.copy_(value)
    return module


def _test_rows(cell: Cell) -> np.ndarray:
    """Draw test inputs, the same for all runs; their labels follow from each run's support."""
    seed = np.random.SeedSequence([cell.random_state, cell.n_features, 3])
    rows: np.ndarray = np.random.default_rng(seed).integers(0, 2, (N_TEST, cell.n_features))
    return (2 * rows - 1).astype(np.float32)
