"""The data of one run: its hidden target, its rows, and the order in which it meets them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparsemlp.frontier._runs import BATCHES, DATA, MAKERS, Run

N_TEST = 10_000
# Online rows are sampled in blocks of so many batches, since a call has a price of its own.
BLOCK_BATCHES = 50


class RunData:
    """One run's test rows, training rows, and the endless random order in which it visits these.

    Parameters
    ----------
    run : Run
        Whose data.
    batches : int, default=BATCHES
        Purpose of the seed that the order comes from, see :meth:`Setting.seed`.
    """

    def __init__(self, run: Run, batches: int = BATCHES) -> None:
        self.setting = setting = run.setting
        self.n_samples = setting.n_samples
        n_rows = N_TEST + (setting.n_samples or 0)
        x, labels, self.support = self._sample(
            n_rows, random_state=self._generator(run, DATA), return_support=True
        )
        self.x = torch.from_numpy(x[N_TEST:])
        self.test_x, self.test_labels = torch.from_numpy(x[:N_TEST]), torch.from_numpy(labels[:N_TEST] > 0)
        if setting.flip_y and setting.n_samples:  # the same rows again; a test row keeps its true label
            _, labels = self._sample(n_rows, random_state=self._generator(run, DATA), flip_y=setting.flip_y)
        self.target = self._targets(labels[N_TEST:])
        self.rng = self._generator(run, batches)
        self.order = np.empty(0, dtype=np.int64)
        self.fresh = self.x[:0], self.target[:0]

    @staticmethod
    def _generator(run: Run, purpose: int) -> np.random.Generator:
        return np.random.default_rng(run.setting.seed(run.number, purpose))

    def _sample(self, n_rows: int, **options: Any) -> tuple[NDArray[Any], ...]:
        return MAKERS[self.setting.target](n_rows, self.setting.n_features, self.setting.n_informative, **options)

    def _targets(self, labels: NDArray[Any]) -> Tensor:
        """Return what the loss wants of labels 0 and 1, of shape (n_rows, 1)."""
        values = labels if self.setting.loss == "cross_entropy" else 2 * labels - 1
        return torch.from_numpy(values.astype(np.float32)).unsqueeze(1)

    def next_rows(self, n_batches: int) -> NDArray[np.int64]:
        """Return indices (n_batches, batch_size) from pass after pass over the rows, each in a new order."""
        n_wanted = n_batches * self.setting.batch_size
        assert self.n_samples is not None
        passes = [self.order]
        n_here = len(self.order)
        while n_here < n_wanted:
            passes.append(self.rng.permutation(self.n_samples))
            n_here += self.n_samples
        order = np.concatenate(passes)
        self.order = order[n_wanted:]
        return order[:n_wanted].reshape(n_batches, -1)

    def fresh_rows(self, n_batches: int) -> tuple[Tensor, Tensor]:
        """Return new rows (n_batches, batch_size, n_features) and their targets."""
        n_wanted = n_batches * self.setting.batch_size
        blocks = [self.fresh]
        while sum(len(block) for block, _ in blocks) < n_wanted:
            blocks.append(self._fresh_block())
        x, target = (torch.cat(values) for values in zip(*blocks, strict=True))
        self.fresh = x[n_wanted:], target[n_wanted:]
        shape = (n_batches, self.setting.batch_size, -1)
        return x[:n_wanted].view(shape), target[:n_wanted].view(shape)

    def _fresh_block(self) -> tuple[Tensor, Tensor]:
        """Sample a block of rows: its size is fixed, so that a run does not depend on how many are asked for."""
        n_rows = BLOCK_BATCHES * self.setting.batch_size
        options = {"support": self.support, "flip_y": self.setting.flip_y, "random_state": self.rng}
        x, labels = self._sample(n_rows, **options)
        return torch.from_numpy(x), self._targets(labels)
