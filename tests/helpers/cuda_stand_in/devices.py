"""Devices, their memory and their streams, and what is counted of them."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from helpers.cuda_stand_in.graphs import Graph

TOTAL_MEMORY = 2**31
N_DEVICES = 2


class Gpus:
    """What the pretended devices have counted."""

    def __init__(self) -> None:
        #: how often the host has waited for a device
        self.n_waits = 0
        #: how many tensors were made, not written to, while a graph was captured
        self.n_made_in_graphs = 0
        self.allocated = [0] * N_DEVICES
        self.reserved = [0] * N_DEVICES
        self.capturing: dict[int, Graph] = {}  # by thread
        self.default_streams = [Stream(device) for device in range(N_DEVICES)]
        self.workspaces: dict[Stream, Allocation] = {}  # which libraries take for products in captures
        self.time = 0  # in operations
        self.lock = threading.RLock()

    @property
    def graph(self) -> Graph | None:
        """The graph that this thread is capturing."""
        return self.capturing.get(threading.get_ident())

    def wait(self, what: str) -> None:
        """Count a wait for the device, which no capture survives."""
        self.n_waits += 1
        self.forbid_in_capture(f"{what} waits for the device")
        torch.cuda.current_stream().done = self.time

    def forbid_in_capture(self, what: str) -> None:
        for thread, graph in list(self.capturing.items()):
            if thread == threading.get_ident() or graph.error_mode == "global":
                raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing: {what}")


gpus: Gpus  # of the stand-in that is installed
settings_of_thread = threading.local()  # its device and streams


class Allocation:
    """Memory that is counted as long as a tensor or a graph holds it."""

    def __init__(self, device: int, n_bytes: int) -> None:
        # what is cached is not given back while a graph is captured
        taken = gpus.allocated[device] if gpus.graph is None else gpus.reserved[device]
        if taken + n_bytes > TOTAL_MEMORY:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {n_bytes} bytes.")
        self.device, self.n_bytes, self.gpus = device, n_bytes, gpus
        #: the stream that wrote to it last, and when
        self.written: tuple[Stream, int] | None = None
        with self.gpus.lock:
            self.gpus.allocated[device] += n_bytes
            cached = self.gpus.reserved[device] - self.gpus.allocated[device]
            if gpus.graph is not None or cached < 0:  # a graph has memory of its own
                self.gpus.reserved[device] += n_bytes if gpus.graph is not None else -cached

    def use(self, *, write: bool) -> None:
        """Refuse what another stream has written without a wait for it."""
        stream = torch.cuda.current_stream(self.device)
        if self.written is not None:
            writer, time = self.written
            if writer != stream and time > writer.done:
                raise RuntimeError("a stream uses what another has written, and has not waited for it")
        if write:
            self.gpus.time += 1
            self.written = stream, self.gpus.time

    def __del__(self) -> None:
        if hasattr(self, "gpus"):
            with self.gpus.lock:
                self.gpus.allocated[self.device] -= self.n_bytes


class Device(contextlib.ContextDecorator):
    """``torch.cuda.device``: the thread's current device, for a while."""

    def __init__(self, device: Any) -> None:
        self.index = device if isinstance(device, int) else torch.device(device).index

    def __enter__(self) -> None:
        self.before = current_device()
        settings_of_thread.index = self.before if self.index is None else self.index

    def __exit__(self, *error: object) -> None:
        settings_of_thread.index = self.before


def set_device(device: Any) -> None:
    settings_of_thread.index = index_of(device)


def current_device() -> int:
    return getattr(settings_of_thread, "index", 0)


def index_of(device: Any) -> int:
    if isinstance(device, int):
        return device
    index = None if device is None else torch.device(device).index
    return current_device() if index is None else index


every_stream: weakref.WeakSet[Stream] = weakref.WeakSet()


class Stream:
    """Operations in order; what it writes, another may use when somebody has waited for it."""

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        every_stream.add(self)
        self.device = torch.device("cuda", index_of(device))
        self.done = 0  # what it did until then has been waited for


def current_stream(device: Any = None) -> Stream:
    index = index_of(device)
    return vars(settings_of_thread).get("streams", {}).get(index, gpus.default_streams[index])


def default_stream(device: Any = None) -> Stream:
    return gpus.default_streams[index_of(device)]


def set_stream(stream: Stream) -> None:
    streams = vars(settings_of_thread).setdefault("streams", {})
    streams[stream.device.index] = stream
    settings_of_thread.index = stream.device.index


@contextlib.contextmanager
def on_stream(stream: Stream) -> Iterator[None]:
    device, before = current_device(), current_stream(stream.device)
    set_stream(stream)
    try:
        yield
    finally:
        set_stream(before)
        set_device(device)


def with_index(device: torch.device) -> torch.device:
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", current_device())
    return device


def synchronize(device: Any = None) -> None:
    gpus.wait("torch.cuda.synchronize")
    for stream in every_stream:
        stream.done = gpus.time


def empty_cache() -> None:
    gpus.forbid_in_capture("torch.cuda.empty_cache")
    gpus.reserved = list(gpus.allocated)


def mem_get_info(device: Any = None) -> tuple[int, int]:
    return TOTAL_MEMORY - memory_reserved(device), TOTAL_MEMORY


def memory_allocated(device: Any = None) -> int:
    return gpus.allocated[index_of(device)]


def memory_reserved(device: Any = None) -> int:
    return gpus.reserved[index_of(device)]


def start_anew() -> Gpus:
    """Forget what was counted and set."""
    global gpus
    vars(settings_of_thread).clear()
    gpus = Gpus()
    return gpus
