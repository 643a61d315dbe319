"""Training data and their batches: every member has its own random order, gathered on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from scipy import sparse
from skorch.dataset import Dataset as SkorchDataset
from torch import Tensor

from sparsemlp._training.devices import summing_dtype
from sparsemlp._training.step import BatchBuffers

# Rows are gathered for several steps at once, into a buffer of about this size.
POOL_BYTES = 2**22
MAX_POOL_BATCHES = 32


class Rows(Protocol):
    """Scaled input rows, wherever they are kept."""

    n_columns: int

    def __len__(self) -> int: ...

    def take(self, index: Tensor, out: Tensor) -> None:
        """Write the rows at `index` to `out`, of shape (len(index), n_columns)."""


class DeviceRows:
    """Scaled rows in one tensor: on the training device, or on the host where they are too many for it."""

    def __init__(self, values: Tensor) -> None:
        self.values = values
        self.n_columns = values.shape[1]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: Tensor, out: Tensor) -> None:
        """Gather rows where they are, and bring them to where `out` is."""
        if self.values.device == out.device:
            torch.index_select(self.values, 0, index, out=out)
        else:
            out.copy_(self.values.index_select(0, index.to(self.values.device)))


class SparseRows:
    """Raw rows kept as a CSR matrix on the host, and scaled where they are used."""

    def __init__(self, values: sparse.csr_matrix, transform: Callable[[Any], np.ndarray], n_columns: int) -> None:
        self.values = values
        self.transform = transform
        self.n_columns = n_columns

    def __len__(self) -> int:
        return self.values.shape[0]

    def take(self, index: Tensor, out: Tensor) -> None:
        """Scale and copy the rows."""
        out.copy_(torch.from_numpy(self.transform(self.values[index.cpu().numpy()])))


class TabularDataset(SkorchDataset):
    """Rows, targets and weights, as skorch's callbacks and the training loop see them.

    Parameters
    ----------
    X : Rows
        Scaled inputs.
    y : Tensor of shape (n_rows,)
        Class indices, or standardised values for regression.
    target : Tensor of shape (n_rows, n_outputs)
        `y` as the loss wants it.
    weight : Tensor of shape (n_rows, 1) or None
        Row weights of mean one.
    fold : Tensor of shape (n_rows,) or None
        The member that does not train on a row, -1 where all do.
    columns : Tensor of shape (n_members, n_columns) or None
        1 where a member sees a column, 0 where it does not; None: all members see all columns.
    """

    def __init__(
        self,
        X: Rows,
        y: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        fold: Tensor | None = None,
        columns: Tensor | None = None,
    ) -> None:
        self.X = X
        self.y = y
        self.target = target
        self.weight = weight
        self.fold = fold
        self.columns = columns

    def for_members(self, fold: Tensor | None, columns: Tensor | None) -> TabularDataset:
        """Return the same rows for members that leave out other rows, or see other columns."""
        return TabularDataset(self.X, self.y, self.target, self.weight, fold, columns)

    def __len__(self) -> int:
        return len(self.X)

    def take(self, index: Tensor, out: Tensor) -> None:
        """Write the rows at `index`, (n_batches, n_members * batch_size), to `out` as the members see them."""
        self.X.take(index.reshape(-1), out=out)
        if self.columns is not None:
            n_members, n_columns = self.columns.shape
            out.view(len(index), n_members, -1, n_columns).mul_(self.columns.unsqueeze(1))


class Batch(tuple):
    """What skorch calls a batch, the pair (X, y), with the loss's view of the same rows."""

    target: Tensor
    weight: Tensor | None

    def __new__(cls, x: Tensor, y: Tensor, target: Tensor, weight: Tensor | None) -> Batch:
        """Make the pair (x, y) that carries target and weight."""
        batch = super().__new__(cls, (x, y))
        batch.target, batch.weight = target, weight
        return batch


class ChunkStream:
    """A dataset's rows in order, in chunks; what validation and callbacks iterate over."""

    def __init__(self, dataset: TabularDataset, chunk_size: int) -> None:
        self.dataset = dataset
        self.chunk_size = chunk_size

    def __iter__(self) -> Iterator[Batch]:
        data = self.dataset
        for start in range(0, len(data), self.chunk_size):
            part = slice(start, min(start + self.chunk_size, len(data)))
            index = torch.arange(part.start, part.stop, device=data.y.device)
            x = data.target.new_empty(len(index), data.X.n_columns)
            data.X.take(index, out=x)
            weight = None if data.weight is None else data.weight[part]
            yield Batch(x, data.y[part], data.target[part], weight)


class BufferPool:
    """Buffers for several consecutive batches of one size."""

    def __init__(self, dataset: TabularDataset, n_batches: int, n_members: int, batch_size: int) -> None:
        self.dataset = dataset
        n_rows = n_batches * n_members * batch_size
        n_outputs = dataset.target.shape[1]
        self.batch_size = batch_size
        self.n_rows_a_batch = n_members * batch_size
        self.x = dataset.target.new_empty(n_rows, dataset.X.n_columns)
        self.target = dataset.target.new_empty(n_rows, n_outputs)
        self.weight = None if dataset.weight is None else dataset.weight.new_empty(n_rows, 1)
        self.output = torch.empty_like(self.target)
        self._filled_from: Tensor | None = None
        shape = (n_batches, batch_size) if n_members == 1 else (n_batches, n_members, batch_size)
        weights = [None] * n_batches if self.weight is None else self.weight.view(*shape, 1).unbind()
        self.batches = [
            BatchBuffers(*views)
            for views in zip(
                self.x.view(*shape, -1).unbind(),
                self.target.view(*shape, n_outputs).unbind(),
                weights,
                self.output.view(*shape, n_outputs).unbind(),
                strict=True,
            )
        ]

    def fill(self, index: Tensor) -> list[BatchBuffers]:
        """Gather the rows of `index`, of shape (n_batches, n_members * batch_size); return their batches."""
        if index is self._filled_from:  # a full batch is the same in every epoch
            return self.batches
        self._filled_from = index
        flat = index.reshape(-1)
        n_rows = len(flat)
        self.dataset.take(index, out=self.x[:n_rows])
        torch.index_select(self.dataset.target, 0, flat, out=self.target[:n_rows])
        if self.weight is not None and self.dataset.weight is not None:
            torch.index_select(self.dataset.weight, 0, flat, out=self.weight[:n_rows])
        return self.batches[: len(index)]

    def summed_loss(self, value: Callable[[Tensor, Tensor], Tensor], n_batches: int) -> Tensor:
        """Sum the weighted loss over the rows of the first `n_batches` batches, as a scalar."""
        n_rows = n_batches * self.n_rows_a_batch
        losses = value(self.output[:n_rows], self.target[:n_rows])
        if self.weight is not None:
            losses = losses * self.weight[:n_rows, 0]
        return losses.sum(dtype=summing_dtype(losses.device))


class BatchStream:
    """Every epoch's random batches: each member sees every row once, in its own order.

    An epoch takes ceil(n_rows / batch_size) steps, over which the rows are spread evenly, so batch sizes differ
    by at most one and no batch has only a few remaining rows.

    Parameters
    ----------
    dataset : TabularDataset
        The training rows.
    batch_size : int
        Largest number of rows in one member's batch.
    n_members : int
        Number of members.
    generator : torch.Generator
        Source of the orders, on the device of the data.
    """

    def __init__(
        self, dataset: TabularDataset, batch_size: int, n_members: int, generator: torch.Generator
    ) -> None:
        self.dataset = dataset
        self.n_members = n_members
        #: each member's own rows; None: all rows are everyone's
        self.own_rows: list[Tensor] | None = None
        n_rows = len(dataset)
        if dataset.fold is not None:
            self.own_rows = [torch.where(dataset.fold != member)[0] for member in range(n_members)]
            n_rows = min(map(len, self.own_rows))
        self.n_rows = n_rows
        self.generator = generator
        self._full_batch: tuple[BufferPool, Tensor] | None = None
        self.n_batches = -(-n_rows // batch_size)
        large = -(-n_rows // self.n_batches)
        n_large = n_rows - self.n_batches * (large - 1)
        #: (number of batches, rows a batch), large ones first
        self.shapes = [(n_large, large), (self.n_batches - n_large, large - 1)]
        self.shapes = [(count, size) for count, size in self.shapes if count]
        self.pools = {size: self._make_pool(count, size) for count, size in self.shapes}

    def _make_pool(self, count: int, size: int) -> BufferPool:
        n_values = max(self.dataset.X.n_columns, self.dataset.target.shape[1])
        batch_bytes = 4 * self.n_members * size * n_values
        n_batches = min(count, MAX_POOL_BATCHES, max(1, POOL_BYTES // batch_bytes))
        return BufferPool(self.dataset, n_batches, self.n_members, size)

    def __iter__(self) -> Iterator[tuple[BufferPool, Tensor]]:
        """Yield pools with the index, of shape (n_batches, n_members * batch_size), to fill them from."""
        if self._full_batch is not None:
            yield self._full_batch
            return
        order = self._order()
        start = 0
        for count, size in self.shapes:
            part = order[:, start : start + count * size]
            start += count * size
            index = part.reshape(self.n_members, count, size).transpose(0, 1).reshape(count, -1)
            pool = self.pools[size]
            for some in index.split(len(pool.batches)):
                if self.n_batches == 1 and self.own_rows is None:
                    self._full_batch = pool, some
                yield pool, some

    def _order(self) -> Tensor:
        n_rows, device = self.n_rows, self.dataset.target.device
        options: dict[str, Any] = {"generator": self.generator, "device": device, "dtype": torch.int32}
        if self.own_rows is not None:
            return torch.stack([own[torch.randperm(len(own), **options)[:n_rows]] for own in self.own_rows])
        if self.n_batches == 1:  # a full batch has no order
            return torch.arange(n_rows, dtype=torch.int32, device=device).expand(self.n_members, -1)
        return torch.stack([torch.randperm(n_rows, **options) for _ in range(self.n_members)])

    def batches(self) -> Iterator[Batch]:
        """Yield the same batches one by one, for skorch's own loop; y is that of all members in one row."""
        for pool, index in self:
            for batch, rows in zip(pool.fill(index), index, strict=True):
                yield Batch(batch.x, self.dataset.y[rows], batch.target, batch.weight)
