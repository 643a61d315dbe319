"""The precision of the matrix products in training; parameters and their updates stay in float32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

PRECISIONS = ("float32", "tf32", "bf16")


def product_dtype(precision: str) -> torch.dtype:
    """Return the type that hidden layers' products are computed in."""
    return torch.bfloat16 if precision == "bf16" else torch.float32


@contextlib.contextmanager
def tensor_cores(precision: str, device: torch.device) -> Iterator[None]:
    """Let float32 products on CUDA use the TF32 of tensor cores for ``precision="tf32"``, and put that back."""
    if precision != "tf32" or device.type != "cuda":
        yield
        return
    both: tuple[Any, ...] = (torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul", None))
    newer = [backend for backend in both if hasattr(backend, "fp32_precision")]  # settings that newer torch has
    before = [backend.fp32_precision for backend in newer]
    if before and before[0] == "tf32":  # so already; by the newer setting, the older one refuses to be read
        yield
        return
    older = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(older)
        for backend, value in zip(newer, before, strict=True):
            backend.fp32_precision = value
