"""A stand-in for CUDA where there is none: tensors that say they are on a GPU, and obey its rules, on the CPU.

What it checks is what fails on a GPU and nowhere else: operands on two devices, generators of the wrong device,
numpy on device memory, waits for the device and copies from the host while a graph is captured, what a graph holds
by value, and graphs on memory that has been freed. A graph records its operations without running them, and
replays them on the same memory. Waits for the device are counted, and the memory that tensors and graphs hold.

What it cannot show: CUDA's kernels, their rounding, their time, and streams that run side by side.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
import torch._dynamo  # which looks at torch.cuda's classes as it is imported, so before they are others
from helpers.cuda_stand_in import devices
from helpers.cuda_stand_in.devices import N_DEVICES, TOTAL_MEMORY, Gpus
from helpers.cuda_stand_in.graphs import Graph, capture
from helpers.cuda_stand_in.tensors import Intercept, to
from torch import Tensor
from torch.overrides import TorchFunctionMode

# functions of torch.cuda that `devices.py` has by the same names
DEVICES_FOR_CUDA = (
    "current_device",
    "set_device",
    "current_stream",
    "default_stream",
    "set_stream",
    "synchronize",
)
DEVICES_FOR_CUDA += ("mem_get_info", "memory_allocated", "memory_reserved", "empty_cache")


class _Generator(torch.Generator):
    """A generator of a GPU's random numbers, which are a CPU's here."""


_CpuGenerator = torch.Generator
_tensor = torch.tensor
_run_thread = threading.Thread.run


class _GeneratorOf(type(torch.Generator)):  # type: ignore[misc]
    """Makes generators of either kind; both are instances of torch.Generator."""

    def __call__(cls, device: Any = "cpu") -> torch.Generator:
        return _CpuGenerator() if torch.device(device).type == "cpu" else _Generator()

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, _CpuGenerator)


class _AnyGenerator(metaclass=_GeneratorOf):
    pass


def _make_tensor(data: Any, *, device: Any = None, **options: Any) -> Tensor:
    made = _tensor(data, **options)
    return made if device is None else made.to(device)


def _run_intercepted(thread: threading.Thread) -> None:
    with _CheckGenerators(), Intercept():
        _run_thread(thread)


class _CheckGenerators(TorchFunctionMode):
    """Sees generators as the caller gave them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if kwargs.get("generator") is not None:
            device = kwargs.get("device") or next((a.device for a in args if isinstance(a, Tensor)), "cpu")
            wanted = torch.device(device).type
            found = "cuda" if isinstance(kwargs["generator"], _Generator) else "cpu"
            if found != wanted:
                raise RuntimeError(f"Expected a {wanted!r} device type for generator but found {found!r}")
        return func(*args, **kwargs)


def _grouped(lists: list[list[Tensor]], with_indices: bool = False) -> dict[Any, Any]:
    """Group an optimizer's tensors by device and type, of which they have one here."""
    first = lists[0][0]
    return {(first.device, first.dtype): (lists, list(range(len(lists[0]))))}


@contextlib.contextmanager
def installed() -> Iterator[Gpus]:
    """Let torch believe that it has GPUs, and yield what they count."""
    counts = devices.start_anew()
    for_cuda = {name: getattr(devices, name) for name in DEVICES_FOR_CUDA} | {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "is_current_stream_capturing": lambda: devices.gpus.graph is not None,
        "device_count": lambda: N_DEVICES,
        "get_device_name": lambda device=None: "stand-in",
        "get_device_properties": lambda device=None: SimpleNamespace(total_memory=TOTAL_MEMORY),
        "device": devices.Device,
        "Stream": devices.Stream,
        "stream": devices.on_stream,
        "CUDAGraph": Graph,
        "graph": capture,
    }
    with contextlib.ExitStack() as stack:
        for name, value in for_cuda.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(mock.patch.object(Tensor, "to", to))
        grouping = mock.patch.object(
            torch.optim.Optimizer, "_group_tensors_by_device_and_dtype", staticmethod(_grouped)
        )
        stack.enter_context(grouping)
        stack.enter_context(mock.patch.object(torch, "tensor", _make_tensor))
        stack.enter_context(mock.patch.object(torch, "Generator", _AnyGenerator))
        stack.enter_context(mock.patch.object(threading.Thread, "run", _run_intercepted))
        torch.__future__.set_swap_module_params_on_conversion(True)  # parameters stay the same objects, as on CUDA
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, False)
        stack.enter_context(_CheckGenerators())
        stack.enter_context(Intercept())
        yield counts
