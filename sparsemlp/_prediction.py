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

from sparsemlp._training.devices import is_out_of_memory
from sparsemlp._training.threads import ComputePool, compute_threads
from sparsemlp.module import GROUP_VALUES, SparseInitMLP

# Memory for the activations of one chunk: on a CPU what stays in its cache.
CHUNK_BYTES = 2**27
CPU_CHUNK_BYTES = 2**24
MAX_ROWS = 2**16
# Threads have more than this many rows to share, even if a network is small: scaling them takes its time, too.
MAX_SHARED_ROWS = 2**12
# Where rows are many, threads take several chunks at a time, which are scaled and merged at once: at most so many
# values of them, and at least so many shares a thread, which end at about the same time.
MAX_SHARED_VALUES = 2**22
MIN_SHARES = 8
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
        Rows a chunk. Halved, and the chunk done again, whenever memory runs out.

    Returns
    -------
    ndarray of shape (n_samples, n_columns), float64
    """
    n_threads = torch.get_num_threads() if module.input_layer.weight.device.type == "cpu" else 1
    shares = list(gen_batches(X.shape[0], n_rows * _chunks_a_share(X, n_rows, n_threads)))
    with compute_threads(min(len(shares), n_threads), 1) as compute:
        predictor = _Predictor(module, merge, transform, n_rows, compute)
        return np.concatenate(compute.map([partial(predictor, X, share) for share in shares]))


def _chunks_a_share(X: Any, n_rows: int, n_threads: int) -> int:
    """Return how many chunks of `n_rows` a thread should take at a time."""
    n_chunks = -(-X.shape[0] // n_rows)
    most = min(MAX_SHARED_ROWS, MAX_SHARED_VALUES // X.shape[1])
    return max(1, min(n_chunks // (MIN_SHARES * n_threads), most // n_rows))


class _Predictor:
    """What threads do with their shares; after the device has run out of memory, all continue with fewer rows."""

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

    @torch.no_grad()  # which holds for the thread that it is called in
    def __call__(self, X: Any, share: slice) -> np.ndarray:
        """Predict the rows of a share."""
        rows, outputs, start = self._scaled(X[share]), [], 0
        while start < len(rows):
            self.compute.raise_if_cancelled()
            n_rows = self.n_rows
            try:
                outputs.append(self.module(rows[start : start + n_rows].to(self.module.input_layer.weight.device)))
            except (RuntimeError, MemoryError) as error:
                if n_rows <= ROW_MULTIPLE or not is_out_of_memory(error):
                    raise
                self.n_rows = _whole_multiple(n_rows // 2, MAX_ROWS)
                continue
            start += n_rows
        predicted: np.ndarray = self.merge(outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)).numpy()
        return predicted[: share.stop - share.start]

    def _scaled(self, X: Any) -> Tensor:
        """Return scaled rows, padded."""
        torch.set_flush_denormal(False)  # columns of tiny numbers are scaled as in fit
        try:
            rows = self.transform(X)
        finally:
            torch.set_flush_denormal(True)
        missing = -len(rows) % ROW_MULTIPLE
        return torch.from_numpy(np.pad(rows, ((0, missing), (0, 0))) if missing else rows)
