"""Graphs: operations that are recorded without running them, and replayed on the same memory."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from helpers.cuda_stand_in import devices
from helpers.cuda_stand_in.devices import Allocation, Stream, on_stream
from helpers.cuda_stand_in.tensors import GpuTensor, aten, inner_values, on_device, returned, tensors_in

# libraries take a workspace for them, which stays with the stream
PRODUCTS = {aten.mm.out, aten.bmm.out, aten.addmm.out, aten.baddbmm.out, aten.addmm_.default}
PRODUCTS |= {aten.baddbmm_.default}
WORKSPACE = 2**23


class Graph:
    """What a captured graph is: operations on memory that stays, to be run again in order."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.calls: list[Callable[[], None]] = []
        self.own: list[Allocation] = []
        self.borrowed: list[weakref.ref[Allocation]] = []  # which a graph does not keep from being freed
        self.error_mode = "global"
        self.device: torch.device | None = None
        self.is_captured = self.is_spoilt = False

    def record(
        self,
        func: Any,
        args: Any,
        kwargs: Any,
        written: list[Any],
        device: torch.device,
        there: list[GpuTensor],
    ) -> Any:
        args_values, kwargs_values = inner_values(args), inner_values(kwargs)
        self.borrowed += [weakref.ref(tensor.allocation) for tensor in there]
        stream = torch.cuda.current_stream(device)
        if func in PRODUCTS and stream not in devices.gpus.workspaces:
            devices.gpus.workspaces[stream] = Allocation(device.index, WORKSPACE)
        if written:
            self.calls.append(lambda: func(*args_values, **kwargs_values))
            return returned(func, written)
        # what is made has its memory now, and its values with the replay
        result = on_device(func(*args_values, **kwargs_values), device, there)
        if any(one.alias_info for one in func._schema.returns):  # a view
            return result
        made = tensors_in(result)
        self.own += [tensor.allocation for tensor in made]
        devices.gpus.n_made_in_graphs += len(made)

        def again() -> None:
            for buffer, values in zip(buffers, tensors_in(func(*args_values, **kwargs_values)), strict=True):
                buffer.copy_(values)

        buffers = [tensor.inner for tensor in made]
        self.calls.append(again)
        return result

    def capture_begin(self, pool: Any = None, capture_error_mode: str = "global") -> None:
        if devices.gpus.graph is not None:
            raise RuntimeError("a stream that is capturing can begin no second capture")
        stream = torch.cuda.current_stream()
        if stream in devices.gpus.default_streams:
            raise RuntimeError("CUDA graphs must be captured on a non-default stream.")
        self.error_mode, self.device = capture_error_mode, stream.device
        devices.gpus.capturing[threading.get_ident()] = self

    def capture_end(self) -> None:
        del devices.gpus.capturing[threading.get_ident()]
        if self.is_spoilt:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
        self.is_captured = True

    def __del__(self) -> None:
        if self.is_captured and devices.gpus.graph is not None:
            devices.gpus.graph.is_spoilt = True

    def replay(self) -> None:
        if not self.is_captured:
            raise RuntimeError("Called CUDAGraph::replay without a preceding successful capture.")
        if any(graph.device == self.device for graph in devices.gpus.capturing.values()):  # in torch up to 2.6
            raise RuntimeError("Offset increment outside graph capture encountered unexpectedly.")
        for reference in self.borrowed:
            allocation = reference()
            if allocation is None:
                raise RuntimeError("the graph reads or writes memory that has been freed")
            allocation.use(write=True)
        for call in self.calls:
            call()


@contextlib.contextmanager
def capture(
    graph: Graph, pool: Any = None, stream: Any = None, capture_error_mode: str = "global"
) -> Iterator[None]:
    devices.gpus.wait("torch.cuda.graph")
    torch.cuda.empty_cache()
    with on_stream(stream or Stream()):
        graph.capture_begin(pool, capture_error_mode)
        try:
            yield
        finally:
            graph.capture_end()
