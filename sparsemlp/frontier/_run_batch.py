"""Many runs in training at once, as the members of one network, each until it has succeeded or failed."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError

import numpy as np
import torch
from torch import Tensor

from sparsemlp._training.cuda_graphs import with_cuda_graph
from sparsemlp._training.losses import make_loss
from sparsemlp._training.optimizers import SGD
from sparsemlp._training.step import BatchBuffers, TrainingStep
from sparsemlp.frontier._members import initial_networks, select_members
from sparsemlp.frontier._run_data import N_TEST, RunData
from sparsemlp.frontier._runs import BATCHES, Outcome, Run
from sparsemlp.module import SparseInitMLP

SUCCESS_ERROR = 0.1
# Evaluation on this many test rows first spares most evaluations on all of them: a net whose error on all is 10 %
# is below 15 % on these but for one case in a million.
N_SCREEN, SCREEN_ERROR = 1000, 0.15
STEPS_BETWEEN_EVALUATIONS = 250
FORWARD_BYTES = 2**27
POOL_BYTES = 2**20
MAX_POOL_BATCHES = 25


class RunBatch:
    """Runs in training: one member a run, each with its own data and its own order of batches.

    Parameters
    ----------
    runs : sequence of Run
        The runs, a batch of :func:`make_batches`: their settings agree in all that one network and one optimizer
        share.
    device : torch.device
        Where to train.
    module : SparseInitMLP, optional
        Networks to start from, a member a run, trained in place. Default: :func:`initial_networks`.
    batches : int, default=BATCHES
        Purpose of the seed that batches come from, see :meth:`Setting.seed`.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        device: torch.device,
        module: SparseInitMLP | None = None,
        batches: int = BATCHES,
    ) -> None:
        self.runs = list(runs)
        self.setting = self.runs[0].setting
        self.online = self.setting.n_samples is None
        self.device = device
        self.n_steps = 0
        self.module = (initial_networks(runs) if module is None else module).to(device)
        self.data = [RunData(run, batches) for run in self.runs]
        sizes = [len(data.x) for data in self.data]
        self.starts = np.cumsum([0, *sizes[:-1]])
        self.rows = torch.cat([data.x for data in self.data]).to(device)
        self.targets = torch.cat([data.target for data in self.data]).to(device)
        self._prepare()

    def _prepare(self) -> None:
        """Allocate what depends on the number of runs."""
        setting, n_runs = self.setting, len(self.runs)
        optimizer = SGD(self.module.parameters(), lr=setting.learning_rate, weight_decay=setting.sgd_weight_decay)
        self.step = with_cuda_graph(
            TrainingStep(
                self.module, make_loss(setting.loss, n_classes=2), optimizer, setting.batch_size, independent=True
            )
        )
        n_rows = n_runs * setting.batch_size
        n_batches = int(np.clip(POOL_BYTES // (4 * n_rows * setting.n_features), 1, MAX_POOL_BATCHES))
        shape = (n_batches, n_runs, setting.batch_size)
        self.x = self.rows.new_empty(n_batches, n_rows, setting.n_features)
        self.target = self.rows.new_empty(n_batches, n_rows, 1)
        output = torch.empty_like(self.target)
        views = (self.x.view(*shape, -1), self.target.view(*shape, 1), output.view(*shape, 1))
        self.batches = [BatchBuffers(x, target, None, out) for x, target, out in zip(*views, strict=True)]

    def advance(self, n_steps: int) -> None:
        """Train for `n_steps` steps."""
        index = None if self.online else self._next_rows(n_steps)
        for start in range(0, n_steps, len(self.batches)):
            count = min(len(self.batches), n_steps - start)
            if index is None:
                self._fill_with_fresh_rows(count)
            else:
                flat = index[start : start + count].view(-1)
                torch.index_select(self.rows, 0, flat, out=self.x.view(-1, self.setting.n_features)[: len(flat)])
                torch.index_select(self.targets, 0, flat, out=self.target.view(-1, 1)[: len(flat)])
            for batch in self.batches[:count]:
                self.step(batch)
        self.n_steps += n_steps

    def _next_rows(self, n_steps: int) -> Tensor:
        """Return where the rows of the next steps are, (n_steps, n_runs, batch_size)."""
        index = [data.next_rows(n_steps) + start for data, start in zip(self.data, self.starts, strict=True)]
        return torch.from_numpy(np.stack(index, axis=1)).to(self.device)

    def _fill_with_fresh_rows(self, count: int) -> None:
        fresh = [data.fresh_rows(count) for data in self.data]
        x, target = (torch.stack(values, dim=1).to(self.device) for values in zip(*fresh, strict=True))
        self.x[:count] = x.view(count, -1, self.setting.n_features)
        self.target[:count] = target.view(count, -1, 1)

    def screen_errors(self) -> list[float]:
        """Return every run's error on the first test rows; NaN where training has diverged."""
        errors = []
        for i, data in enumerate(self.data):
            output = self._output(i, data.test_x[:N_SCREEN])
            wrong = (output > 0) != data.test_labels[:N_SCREEN].to(self.device)
            errors.append(math.nan if output.isnan().any() else int(wrong.sum()) / len(output))
        return errors

    def test_error(self, i: int) -> float:
        """Return the i-th run's error on all test rows."""
        return self._error(i, self.data[i].test_x, self.data[i].test_labels)

    def train_error(self, i: int, n_rows: int = N_TEST) -> float:
        """Return the i-th run's error on its training rows, or the first of them; NaN online."""
        data = self.data[i]
        return self._error(i, data.x[:n_rows], data.target[:n_rows, 0] > 0)

    def _error(self, i: int, x: Tensor, labels: Tensor) -> float:
        if not len(x):
            return math.nan
        output = self._output(i, x)
        # A net that has diverged to NaN is right nowhere.
        right = ((output > 0) == labels.to(self.device)) & ~output.isnan()
        return int((~right).sum()) / len(x)

    def _output(self, i: int, x: Tensor) -> Tensor:
        """Return the i-th run's outputs, computed alone from copies of its weights: the same in any company."""
        weight, bias, output_weight, output_bias = (values[i].clone() for values in self.module.parameters())
        n_rows = max(1, FORWARD_BYTES // (8 * len(bias)))
        hidden = (torch.addmm(bias, part.to(self.device), weight.mT).relu_() for part in x.split(n_rows))
        return torch.cat([torch.addmm(output_bias, part, output_weight.mT)[:, 0] for part in hidden])

    def keep(self, index: Sequence[int]) -> None:
        """Go on with some of the runs."""
        if len(index) == len(self.runs):
            return
        self.runs = [self.runs[i] for i in index]
        self.data = [self.data[i] for i in index]
        self.starts = self.starts[list(index)]
        if self.runs:
            self.module = select_members(self.module, index)
            self._prepare()


@torch.no_grad()
def train_to_success(
    training: RunBatch,
    *,
    with_curves: bool = False,
    on_leave: Callable[[Run, SparseInitMLP], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
    stopped: threading.Event | None = None,
) -> list[Outcome]:
    """Train runs until each has succeeded, diverged, or reached the last step.

    Parameters
    ----------
    training : RunBatch
        Runs at their start; none are left at the end.
    with_curves : bool, default=False
        Keep train and test error at every evaluation.
    on_leave : callable, optional
        Called with every run that ends, and a network of its own with the weights at its end.
    on_progress : callable, optional
        Called at every evaluation with the number of steps, of all runs together, that are over since the last
        one; those that a run no longer needs included.
    stopped : threading.Event, optional
        Give up at the next evaluation once it is set.

    Returns
    -------
    list of Outcome
        In the order of the runs.

    Raises
    ------
    concurrent.futures.CancelledError
        If `stopped` was set before all runs had ended.
    """
    runs, max_steps = list(training.runs), training.setting.max_steps
    outcomes: dict[Run, Outcome] = {}
    curves: dict[Run, list[tuple[int, float, float]]] = {run: [] for run in runs}
    while training.runs:
        if stopped is not None and stopped.is_set():
            raise CancelledError
        n_steps = min(STEPS_BETWEEN_EVALUATIONS, max_steps - training.n_steps)
        training.advance(n_steps)
        n_over = n_steps * len(training.runs)
        kept = []
        for i, (run, error) in enumerate(zip(training.runs, training.screen_errors(), strict=True)):
            last = training.n_steps >= max_steps or np.isnan(error)
            test_error = training.test_error(i) if last or with_curves or error <= SCREEN_ERROR else error
            succeeded = test_error <= SUCCESS_ERROR
            if with_curves:
                curves[run].append((training.n_steps, training.train_error(i, N_SCREEN), test_error))
            if not (last or succeeded):
                kept.append(i)
                continue
            n_over += max_steps - training.n_steps
            errors = training.train_error(i), test_error
            curve = curves[run] if with_curves else None
            outcomes[run] = Outcome(run, succeeded, training.n_steps, *errors, curve, training.device.type)
            if on_leave is not None:
                on_leave(run, select_members(training.module, [i]))
        training.keep(kept)
        if on_progress is not None:
            on_progress(n_over)
    return [outcomes[run] for run in runs]
