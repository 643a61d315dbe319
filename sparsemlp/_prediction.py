"""Prediction in chunks of bounded memory; how rows are batched changes results by rounding errors only.

On a CPU threads share the chunks, and each computes its own alone. Threads that share a kernel wait for the
slowest of them: if another process is busy on its core, predictions take many times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import Tensor

from sparsemlp._training.threads import ComputePool, compute_threads
from sparsemlp.module import GROUP_VALUES, SparseInitMLP

# Memory for the activations of one chunk: on a CPU what stays in its cache.
CHUNK_BYTES = 2**27
CPU_CHUNK_BYTES = 2**24
MAX_ROWS = 2**16
# Threads have more than this many rows to share, even if a network is small: scaling them takes its time, too.
MAX_SHARED_ROWS = 2**12
# Chunks are padded with zero rows to a multiple of this: products of very few rows go through other kernels, which
# round differently: results would differ in the last digits.
ROW_MULTIPLE = 32


def rows_a_chunk(module: SparseInitMLP) -> int:
    """Return how many rows can pass through `module` at once within the memory for a chunk."""
    widths = [module.input_layer.weight.shape[2], *(layer.weight.shape[1] for layer in module.layers)]
    adjacent = max(a + b for a, b in pairwise(widths))
    on_cpu = module.input_layer.weight.device.type == "cpu"
    rows = (CPU_CHUNK_BYTES if on_cpu else CHUNK_BYTES) // (4 * module.n_members * adjacent)
    return _whole_multiple(rows, MAX_ROWS)


def rows_to_share(module: SparseInitMLP) -> int:
    """Return how many rows a thread should take at a time: on a CPU, what fits its core's cache for one member."""
    rows = rows_a_chunk(module)
    if module.input_layer.weight.device.type != "cpu":
        return rows
    n_hidden = sum(layer.bias.shape[-1] for layer in module.layers[:-1])
    return min(rows, _whole_multiple(GROUP_VALUES // n_hidden, MAX_SHARED_ROWS))


def _whole_multiple(rows: int, most: int) -> int:
    return int(np.clip(rows // ROW_MULTIPLE, 1, most // ROW_MULTIPLE)) * ROW_MULTIPLE


def predict_in_chunks(
    module: SparseInitMLP,
    merge: Callable[[Tensor], Tensor],
    X: Any,
    transform: Callable[[Any], np.ndarray],
    n_rows: int,
) -> np.ndarray:
    """Scale, feed forward and merge the members, a chunk of rows at a time.

    Results do not depend on the number of threads, which take the same chunks.

    Parameters
    ----------
    module : SparseInitMLP
        The fitted network.
    merge : callable
        Turns outputs (n_members, n_rows, n_outputs) into what is predicted, float64 of shape (n_rows, n_columns)
        on the CPU.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Validated rows.
    transform : callable
        Scales a chunk of rows to float32.
    n_rows : int
        Rows a chunk. Halved, and the chunk done again, whenever the device runs out of memory.

    Returns
    -------
    ndarray of shape (n_samples, n_columns), float64
    """
    chunks = list(gen_batches(X.shape[0], n_rows))
    on_cpu = module.input_layer.weight.device.type == "cpu"
    with compute_threads(min(len(chunks), torch.get_num_threads()) if on_cpu else 1, 1) as compute:
        predictor = _Predictor(module, merge, transform, n_rows, compute)
        return np.concatenate(compute.map([partial(predictor, X, chunk) for chunk in chunks]))


class _Predictor:
    """What threads do with their chunks; after the device has run out of memory, all continue with fewer rows."""

    def __init__(
        self,
        module: SparseInitMLP,
        merge: Callable[[Tensor], Tensor],
        transform: Callable[[Any], np.ndarray],
        n_rows: int,
        compute: ComputePool,
    ) -> None:
        self.module = module
        self.merge = merge
        self.transform = transform
        self.n_rows = n_rows
        self.compute = compute

    def __call__(self, X: Any, chunk: slice) -> np.ndarray:
        """Predict the rows of a chunk."""
        parts, start = [], chunk.start
        while start < chunk.stop:
            self.compute.raise_if_cancelled()
            stop, n_rows = min(start + self.n_rows, chunk.stop), self.n_rows
            try:
                parts.append(self._predict(X[start:stop]))
            except torch.OutOfMemoryError:
                if n_rows <= ROW_MULTIPLE:
                    raise
                self.n_rows = _whole_multiple(n_rows // 2, MAX_ROWS)
                continue
            start = stop
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @torch.no_grad()  # which holds for the thread that it is called in
    def _predict(self, X: Any) -> np.ndarray:
        torch.set_flush_denormal(False)  # columns of tiny numbers are scaled as in fit
        try:
            rows = _padded(self.transform(X))
        finally:
            torch.set_flush_denormal(True)
        predicted: np.ndarray = self.merge(self.module(rows.to(self.module.input_layer.weight.device))).numpy()
        return predicted[: X.shape[0]]


def _padded(rows: np.ndarray) -> Tensor:
    missing = -len(rows) % ROW_MULTIPLE
    return torch.from_numpy(np.pad(rows, ((0, missing), (0, 0))) if missing else rows)
