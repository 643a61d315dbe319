"""The precision of the matrix products in training; parameters and their updates stay in float32."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch

PRECISIONS = ("float32", "tf32", "bf16")


def product_dtype(precision: str) -> torch.dtype:
    """Return the type that hidden layers' products are computed in."""
    return torch.bfloat16 if precision == "bf16" else torch.float32


@contextlib.contextmanager
def tensor_cores(precision: str, device: torch.device) -> Iterator[None]:
    """Let float32 products on CUDA use the TF32 of tensor cores for ``precision="tf32"``, and put that back.

    The setting is the whole process's: of fits in several threads the first one sets it and the last one puts it
    back.
    """
    if precision != "tf32" or device.type != "cuda":
        yield
        return
    with _TF32.used():
        yield


class _SharedSetting:
    """A setting of the process that the first of several users makes, and the last one puts back."""

    def __init__(self, make: Callable[[], Callable[[], None]]) -> None:
        self.make = make
        self.lock = threading.Lock()
        self.n_users = 0
        self.put_back: Callable[[], None]

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        with self.lock:
            if self.n_users == 0:
                self.put_back = self.make()
            self.n_users += 1
        try:
            yield
        finally:
            with self.lock:
                self.n_users -= 1
                if self.n_users == 0:
                    self.put_back()


def _use_tf32() -> Callable[[], None]:
    """Set it, and return what puts it back."""
    both: tuple[Any, ...] = (torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul", None))
    newer = [backend for backend in both if hasattr(backend, "fp32_precision")]  # settings that newer torch has
    before = [backend.fp32_precision for backend in newer]
    if before and before[0] == "tf32":  # so already; by the newer setting, the older one refuses to be read
        return lambda: None
    older = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")

    def put_back() -> None:
        torch.set_float32_matmul_precision(older)
        for backend, value in zip(newer, before, strict=True):
            backend.fp32_precision = value

    return put_back


_TF32 = _SharedSetting(_use_tf32)
