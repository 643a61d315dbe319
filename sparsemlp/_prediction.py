"""Prediction in chunks of bounded memory; how rows are batched changes results by rounding errors only."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsemlp.module import SparseInitMLP

# Memory for the activations of one chunk: on a CPU what stays in its cache.
CHUNK_BYTES = 2**27
CPU_CHUNK_BYTES = 2**24
MAX_ROWS = 2**16
# Chunks are padded with zero rows to a multiple of this: products of very few rows go through other kernels, which
# round differently: results would differ in the last digits.
ROW_MULTIPLE = 32


def rows_a_chunk(module: SparseInitMLP) -> int:
    """Return how many rows can pass through `module` at once within the memory for a chunk."""
    widths = [module.input_layer.weight.shape[2], *(layer.weight.shape[1] for layer in module.layers)]
    adjacent = max(a + b for a, b in pairwise(widths))
    on_cpu = module.input_layer.weight.device.type == "cpu"
    rows = (CPU_CHUNK_BYTES if on_cpu else CHUNK_BYTES) // (4 * module.n_members * adjacent)
    return int(np.clip(rows // ROW_MULTIPLE, 1, MAX_ROWS // ROW_MULTIPLE)) * ROW_MULTIPLE


@torch.no_grad()
def predict_in_chunks(
    module: SparseInitMLP,
    combine: Callable[[Tensor], Tensor],
    X: Any,
    transform: Callable[[Any], np.ndarray],
    n_rows: int,
) -> np.ndarray:
    """Scale, feed forward and combine the members, a chunk of rows at a time.

    Parameters
    ----------
    module : SparseInitMLP
        The fitted network.
    combine : callable
        Merges outputs (n_members, n_rows, n_outputs) into decision values (n_rows, n_outputs).
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Validated rows.
    transform : callable
        Scales a chunk of rows to float32.
    n_rows : int
        Rows a chunk. Halved, and the chunk done again, whenever the device runs out of memory.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs), float64
    """
    n_samples = X.shape[0]
    decision = np.empty((n_samples, module.output_layer.bias.shape[1]))
    start = 0
    while start < n_samples:
        stop = min(start + n_rows, n_samples)
        try:
            rows = _padded(transform(X[start:stop])).to(module.input_layer.weight.device)
            decision[start:stop] = combine(module(rows))[: stop - start].numpy()
        except torch.OutOfMemoryError:
            if n_rows <= ROW_MULTIPLE:
                raise
            n_rows = n_rows // 2 // ROW_MULTIPLE * ROW_MULTIPLE or ROW_MULTIPLE
            continue
        start = stop
    return decision


def _padded(rows: np.ndarray) -> Tensor:
    missing = -len(rows) % ROW_MULTIPLE
    return torch.from_numpy(np.pad(rows, ((0, missing), (0, 0))) if missing else rows)
