"""Where to compute."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


def resolve_device(device: str | torch.device, *, fall_back: bool = False) -> torch.device:
    """Return the device that a `device` parameter names.

    Parameters
    ----------
    device : str or torch.device
        "auto" takes CUDA, then XPU, then MPS, then the CPU; anything else is torch's name of a device.
    fall_back : bool, default=False
        Return the CPU if the device is missing, so that a net fitted on a GPU loads anywhere.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If the name is unknown, or the device is missing and `fall_back` is False.

    Examples
    --------
    >>> from sparsemlp.training import resolve_device
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        return next(each for each in map(torch.device, ("cuda", "xpu", "mps", "cpu")) if is_available(each))
    try:
        named = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is unknown; choose one of 'auto', 'cpu', 'cuda', 'cuda:N', 'xpu', 'mps'"
        ) from error
    if is_available(named):
        return named
    if fall_back:
        return torch.device("cpu")
    raise ValueError(f"device={str(device)!r} is not available on this machine; pass device='auto' or 'cpu'")


def is_available(device: torch.device) -> bool:
    """Say whether `device` can compute here."""
    if device.type == "cpu":
        return True
    if device.type == "mps":
        return torch.backends.mps.is_available()
    backend = getattr(torch, device.type, None)
    count = backend.device_count() if backend is not None and backend.is_available() else 0
    return (device.index or 0) < count


def has_room(device: torch.device, n_bytes: int) -> bool:
    """Say whether training rows of `n_bytes` may live on `device`: on a GPU, in half of what is free."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # what torch keeps for itself
    return 2 * n_bytes <= free


def is_out_of_memory(error: Exception) -> bool:
    """Say whether an error is that of an allocator, of Python, numpy or torch."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def summing_dtype(device: torch.device) -> torch.dtype:
    """Return float64 where the device has it, to sum many losses in."""
    return torch.float32 if device.type == "mps" else torch.float64


@contextlib.contextmanager
def torch_as_it_comes() -> Iterator[None]:
    """Compute outside ``torch.inference_mode``, with new tensors on the CPU, whatever the caller has set.

    Training needs tensors that may change in other threads, and makes its random numbers on the CPU.
    """
    with contextlib.ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield
