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
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
import torch._dynamo  # which looks at torch.cuda's classes as it is imported, so before they are others
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

TOTAL_MEMORY = 2**31
N_DEVICES = 2
WORKSPACE = 2**23
aten = torch.ops.aten

# the host waits for their result
READS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default}
# may have operands on several devices
COPIES = {aten.copy_.default, aten._foreach_copy_.default}
# a GPU's tensor takes indices from the host
PRODUCTS = {
    aten.mm.out,
    aten.bmm.out,
    aten.addmm.out,
    aten.baddbmm.out,
    aten.addmm_.default,
    aten.baddbmm_.default,
}
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default}


class Gpus:
    """What the pretended devices have counted."""

    def __init__(self) -> None:
        #: how often the host has waited for a device
        self.n_waits = 0
        #: how many tensors were made, not written to, while a graph was captured
        self.n_made_in_graphs = 0
        self.allocated = [0] * N_DEVICES
        self.reserved = [0] * N_DEVICES
        self.capturing: dict[int, _Graph] = {}  # by thread
        self.default_streams = [_Stream(device) for device in range(N_DEVICES)]
        self.workspaces: dict[_Stream, _Allocation] = {}  # which libraries take for products in captures
        self.time = 0  # in operations
        self.lock = threading.RLock()

    @property
    def graph(self) -> _Graph | None:
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


gpus: Gpus  # while it is installed
_settings_of_thread = threading.local()  # its device and stream


class _Allocation:
    """Memory that is counted as long as a tensor or a graph holds it."""

    def __init__(self, device: int, n_bytes: int) -> None:
        # what is cached is not given back while a graph is captured
        taken = gpus.allocated[device] if gpus.graph is None else gpus.reserved[device]
        if taken + n_bytes > TOTAL_MEMORY:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {n_bytes} bytes.")
        self.device, self.n_bytes, self.gpus = device, n_bytes, gpus
        #: the stream that wrote to it last, and when
        self.written: tuple[_Stream, int] | None = None
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


class GpuTensor(Tensor):
    """A tensor whose values are a CPU's, and which tells Python that they are on a GPU."""

    inner: Tensor
    gpu: int
    allocation: _Allocation

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, values: Tensor, index: int, allocation: _Allocation | None = None) -> GpuTensor:
        made = Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=torch.device("cpu"),  # what autograd believes
        )
        made.inner, made.gpu = values, index
        made.allocation = allocation or _Allocation(index, values.untyped_storage().nbytes())
        return made

    @property
    def device(self) -> torch.device:
        return torch.device("cuda", self.gpu)

    @property
    def is_cuda(self) -> bool:
        return True

    @property
    def is_cpu(self) -> bool:
        return False

    def data_ptr(self) -> int:
        return self.inner.data_ptr()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() first.")

    __array__ = numpy

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __deepcopy__(self, memo: dict[int, Any]) -> GpuTensor:
        if id(self) not in memo:
            memo[id(self)] = self.detach().clone().requires_grad_(self.requires_grad)
        return memo[id(self)]

    def cpu(self, **kwargs: Any) -> Tensor:
        return self.to("cpu")

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def __repr__(self, **kwargs: Any) -> str:
        return f"{self.inner.detach()!r} on {self.device}"


class _Intercept(TorchDispatchMode):
    """Sees the calls that make tensors on a GPU, as no operand says so."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


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


def _to(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Do what ``Tensor.to`` does, which asks CUDA's own library for more than a stand-in has."""
    if args and isinstance(args[0], Tensor):
        args = (args[0].device, args[0].dtype, *args[1:])
    device, dtype, _, _ = torch._C._nn._parse_to(*args, **kwargs)
    device = tensor.device if device is None else _with_index(device)
    dtype = dtype or tensor.dtype
    if device == tensor.device and dtype == tensor.dtype and not kwargs.get("copy"):
        return tensor
    return aten._to_copy.default(tensor, dtype=dtype, device=device)


def _with_index(device: torch.device) -> torch.device:
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute on the CPU what a GPU would, if it would."""
    operands = _tensors((args, kwargs))
    there = [operand for operand in operands if isinstance(operand, GpuTensor)]
    asked = kwargs.get("device")
    if func is aten.new_empty_strided.default and there:  # autograd's, with the device that it believes in
        asked = there[0].device
    device = _with_index(torch.device(asked)) if asked is not None else there[0].device if there else None
    if device is None or (device.type != "cuda" and not there):
        return func(*args, **kwargs)
    _check(func, operands, there, device)
    if gpus.graph is None:
        written = {id(tensor) for tensor in _tensors(_written(func, args, kwargs))}
        for tensor in there:
            tensor.allocation.use(write=id(tensor) in written)
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu") if device.type == "cuda" else device}
    if device.type != "cuda":  # a copy to the host
        return func(*_values(args), **_values(kwargs))
    graph = gpus.graph
    if graph is None:
        return _compute(func, args, kwargs, device, there)
    return graph.record(func, args, kwargs, device, there)


def _tensors(values: Any) -> list[Any]:
    return [value for value in tree_flatten(values)[0] if isinstance(value, Tensor)]


def _values(arguments: Any) -> Any:
    return tree_map_only(GpuTensor, lambda tensor: tensor.inner, arguments)


def _check(func: Any, operands: list[Tensor], there: list[GpuTensor], device: torch.device) -> None:
    """Raise what a GPU would, and count what it would wait for."""
    name = func.name()
    here = [operand for operand in operands if not isinstance(operand, GpuTensor)]
    masks = func in INDEXING and any(tensor.dtype == torch.bool for tensor in there[1:])
    if func in READS or masks or (there and device.type != "cuda"):
        gpus.wait(name)
        return
    allowed_here = func in INDEXING and isinstance(operands[0], GpuTensor)  # it is brought there
    if func in COPIES or func is aten._to_copy.default or (allowed_here and here):
        if here:  # in ordinary memory, which a GPU cannot read by itself
            gpus.wait(name)
        return
    if torch.Tag.pointwise in func.tags and "foreach" not in name:
        here = [operand for operand in here if operand.dim()]
    devices = {tensor.device for tensor in there} | ({torch.device("cpu")} if here else set())
    if len(devices) > 1:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found {sorted(map(str, devices))} ({name})"
        )


def _compute(func: Any, args: Any, kwargs: Any, device: torch.device, there: list[GpuTensor]) -> Any:
    """Run an operation, and return what it changed as it was given, new values as tensors on the device."""
    written = _written(func, args, kwargs)
    result = func(*_values(args), **_values(kwargs))
    if written:
        return _returned(func, written, result)
    return tree_map_only(Tensor, lambda values: _on_device(values, device, there), result)


def _on_device(values: Tensor, device: torch.device, there: list[GpuTensor]) -> GpuTensor:
    """Wrap a result; a view counts as the memory that it is a view of."""
    address = values.untyped_storage().data_ptr()
    same = (tensor for tensor in there if address and tensor.inner.untyped_storage().data_ptr() == address)
    base = next(same, None)
    made = GpuTensor(values, device.index, None if base is None else base.allocation)
    if base is None and gpus.graph is None:
        made.allocation.use(write=True)
    return made


def _written(func: Any, args: Any, kwargs: Any) -> list[Any]:
    """Return the arguments that an operation writes to."""
    found = []
    for i, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            found.append(args[i] if i < len(args) else kwargs.get(argument.name))
    return found


def _returned(func: Any, written: list[Any], result: Any) -> Any:
    """Return what an operation that writes to its arguments hands back: these arguments."""
    n_returns = len(func._schema.returns)
    if n_returns == 0:
        return None
    if n_returns == 1:
        return written[0]
    if len(written) == n_returns:
        return tuple(written)
    raise NotImplementedError(f"{func.name()} on the stand-in for CUDA")


class _Graph:
    """What a captured graph is: operations on memory that stays, to be run again in order."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.calls: list[Callable[[], None]] = []
        self.own: list[_Allocation] = []
        self.borrowed: list[weakref.ref[_Allocation]] = []  # which a graph does not keep from being freed
        self.error_mode = "global"
        self.device: torch.device | None = None
        self.is_captured = self.is_spoilt = False

    def record(self, func: Any, args: Any, kwargs: Any, device: torch.device, there: list[GpuTensor]) -> Any:
        args_values, kwargs_values = _values(args), _values(kwargs)
        written = _written(func, args, kwargs)
        self.borrowed += [weakref.ref(tensor.allocation) for tensor in there]
        stream = torch.cuda.current_stream(device)
        if func in PRODUCTS and stream not in gpus.workspaces:
            gpus.workspaces[stream] = _Allocation(device.index, WORKSPACE)
        if written:
            self.calls.append(lambda: func(*args_values, **kwargs_values))
            return _returned(func, written, None)
        result = _compute(func, args, kwargs, device, there)  # memory for it; its values come with the replay
        if any(one.alias_info for one in func._schema.returns):  # a view
            return result
        made = _tensors(result)
        self.own += [tensor.allocation for tensor in made]
        gpus.n_made_in_graphs += len(made)

        def again() -> None:
            for buffer, values in zip(buffers, _tensors(func(*args_values, **kwargs_values)), strict=True):
                buffer.copy_(values)

        buffers = [tensor.inner for tensor in made]
        self.calls.append(again)
        return result

    def capture_begin(self, pool: Any = None, capture_error_mode: str = "global") -> None:
        if gpus.graph is not None:
            raise RuntimeError("a stream that is capturing can begin no second capture")
        stream = torch.cuda.current_stream()
        if stream in gpus.default_streams:
            raise RuntimeError("CUDA graphs must be captured on a non-default stream.")
        self.error_mode, self.device = capture_error_mode, stream.device
        gpus.capturing[threading.get_ident()] = self

    def capture_end(self) -> None:
        del gpus.capturing[threading.get_ident()]
        if self.is_spoilt:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
        self.is_captured = True

    def __del__(self) -> None:
        if self.is_captured and gpus.graph is not None:
            gpus.graph.is_spoilt = True

    def replay(self) -> None:
        if not self.is_captured:
            raise RuntimeError("Called CUDAGraph::replay without a preceding successful capture.")
        if any(graph.device == self.device for graph in gpus.capturing.values()):  # in torch up to 2.6
            raise RuntimeError("Offset increment outside graph capture encountered unexpectedly.")
        for reference in self.borrowed:
            allocation = reference()
            if allocation is None:
                raise RuntimeError("the graph reads or writes memory that has been freed")
            allocation.use(write=True)
        for call in self.calls:
            call()


_every_stream: weakref.WeakSet[_Stream] = weakref.WeakSet()


class _Stream:
    def __init__(self, device: Any = None, priority: int = 0) -> None:
        _every_stream.add(self)
        self.device = torch.device("cuda", _index(device))
        self.done = 0  # what it did until then has been waited for


def _current_stream(device: Any = None) -> _Stream:
    index = _index(device)
    return vars(_settings_of_thread).get("streams", {}).get(index, gpus.default_streams[index])


def _set_stream(stream: _Stream) -> None:
    streams = vars(_settings_of_thread).setdefault("streams", {})
    streams[stream.device.index] = stream
    _settings_of_thread.index = stream.device.index


@contextlib.contextmanager
def _on_stream(stream: _Stream) -> Iterator[None]:
    device, before = _current_device(), _current_stream(stream.device)
    _set_stream(stream)
    try:
        yield
    finally:
        _set_stream(before)
        _set_device(device)


@contextlib.contextmanager
def _capture(
    graph: _Graph, pool: Any = None, stream: Any = None, capture_error_mode: str = "global"
) -> Iterator[None]:
    gpus.wait("torch.cuda.graph")
    torch.cuda.empty_cache()
    with _on_stream(stream or _Stream()):
        graph.capture_begin(pool, capture_error_mode)
        try:
            yield
        finally:
            graph.capture_end()


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
    with _CheckGenerators(), _Intercept():
        _run_thread(thread)


class _Device(contextlib.ContextDecorator):
    def __init__(self, device: Any) -> None:
        self.index = device if isinstance(device, int) else torch.device(device).index

    def __enter__(self) -> None:
        self.before = _current_device()
        _settings_of_thread.index = self.before if self.index is None else self.index

    def __exit__(self, *error: object) -> None:
        _settings_of_thread.index = self.before


def _set_device(device: Any) -> None:
    _settings_of_thread.index = _index(device)


def _current_device() -> int:
    return getattr(_settings_of_thread, "index", 0)


def _index(device: Any) -> int:
    if isinstance(device, int):
        return device
    index = None if device is None else torch.device(device).index
    return _current_device() if index is None else index


def _synchronize(device: Any = None) -> None:
    gpus.wait("torch.cuda.synchronize")
    for stream in _every_stream:
        stream.done = gpus.time


def _empty_cache() -> None:
    gpus.forbid_in_capture("torch.cuda.empty_cache")
    gpus.reserved = list(gpus.allocated)


def _grouped(lists: list[list[Tensor]], with_indices: bool = False) -> dict[Any, Any]:
    """Group an optimizer's tensors by device and type, of which they have one here."""
    first = lists[0][0]
    return {(first.device, first.dtype): (lists, list(range(len(lists[0]))))}


@contextlib.contextmanager
def installed() -> Iterator[Gpus]:
    """Let torch believe that it has GPUs, and yield what they count."""
    global gpus
    vars(_settings_of_thread).clear()
    gpus = Gpus()
    for_cuda = {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "device_count": lambda: N_DEVICES,
        "current_device": _current_device,
        "get_device_name": lambda device=None: "stand-in",
        "get_device_properties": lambda device=None: SimpleNamespace(total_memory=TOTAL_MEMORY),
        "device": _Device,
        "synchronize": _synchronize,
        "is_initialized": lambda: True,
        "set_device": _set_device,
        "current_stream": _current_stream,
        "default_stream": lambda device=None: gpus.default_streams[_index(device)],
        "set_stream": _set_stream,
        "mem_get_info": lambda device=None: (TOTAL_MEMORY - gpus.reserved[_index(device)], TOTAL_MEMORY),
        "memory_allocated": lambda device=None: gpus.allocated[_index(device)],
        "memory_reserved": lambda device=None: gpus.reserved[_index(device)],
        "empty_cache": _empty_cache,
        "is_current_stream_capturing": lambda: gpus.graph is not None,
        "Stream": _Stream,
        "stream": _on_stream,
        "CUDAGraph": _Graph,
        "graph": _capture,
    }
    with contextlib.ExitStack() as stack:
        for name, value in for_cuda.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(mock.patch.object(Tensor, "to", _to))
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
        stack.enter_context(_Intercept())
        yield gpus
