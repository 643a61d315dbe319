"""The precision of the matrix products in training; parameters and their updates stay in float32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

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
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
