"""Tensors that say they are on a GPU, and the rules of operations on them."""

from __future__ import annotations

from typing import Any

import torch
from helpers.cuda_stand_in import devices
from helpers.cuda_stand_in.devices import Allocation, with_index
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

aten = torch.ops.aten

# the host waits for their result
READS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default}
# may have operands on several devices
COPIES = {aten.copy_.default, aten._foreach_copy_.default, aten._to_copy.default}
# a GPU's tensor takes indices from the host
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default}


class GpuTensor(Tensor):
    """A tensor whose values are a CPU's, and which tells Python that they are on a GPU."""

    inner: Tensor
    gpu: int
    allocation: Allocation

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, values: Tensor, index: int, allocation: Allocation | None = None) -> GpuTensor:
        made = Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=torch.device("cpu"),  # what autograd believes
        )
        made.inner, made.gpu = values, index
        made.allocation = allocation or Allocation(index, values.untyped_storage().nbytes())
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
        return run(func, args, kwargs or {})

    def __repr__(self, **kwargs: Any) -> str:
        return f"{self.inner.detach()!r} on {self.device}"


class Intercept(TorchDispatchMode):
    """Sees the calls that make tensors on a GPU, as no operand says so."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def to(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Do what ``Tensor.to`` does, which asks CUDA's own library for more than a stand-in has."""
    if args and isinstance(args[0], Tensor):
        args = (args[0].device, args[0].dtype, *args[1:])
    device, dtype, _, _ = torch._C._nn._parse_to(*args, **kwargs)
    device = tensor.device if device is None else with_index(device)
    dtype = dtype or tensor.dtype
    if device == tensor.device and dtype == tensor.dtype and not kwargs.get("copy"):
        return tensor
    return aten._to_copy.default(tensor, dtype=dtype, device=device)


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute on the CPU what a GPU would, if it would."""
    operands = tensors_in((args, kwargs))
    there = [operand for operand in operands if isinstance(operand, GpuTensor)]
    asked = kwargs.get("device")
    if func is aten.new_empty_strided.default and there:  # autograd's, with the device that it believes in
        asked = there[0].device
    device = with_index(torch.device(asked)) if asked is not None else there[0].device if there else None
    if device is None or (device.type != "cuda" and not there):
        return func(*args, **kwargs)
    check(func, operands, there, device)
    written, graph = written_by(func, args, kwargs), devices.gpus.graph
    if graph is None:
        changed = {id(tensor) for tensor in tensors_in(written)}
        for tensor in there:
            tensor.allocation.use(write=id(tensor) in changed)
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu") if device.type == "cuda" else device}
    if device.type != "cuda":  # a copy to the host
        return func(*inner_values(args), **inner_values(kwargs))
    if graph is not None:
        return graph.record(func, args, kwargs, written, device, there)
    result = func(*inner_values(args), **inner_values(kwargs))
    return returned(func, written) if written else on_device(result, device, there)


def tensors_in(values: Any) -> list[Any]:
    return [value for value in tree_flatten(values)[0] if isinstance(value, Tensor)]


def inner_values(arguments: Any) -> Any:
    return tree_map_only(GpuTensor, lambda tensor: tensor.inner, arguments)


def check(func: Any, operands: list[Tensor], there: list[GpuTensor], device: torch.device) -> None:
    """Raise what a GPU would, and count what it would wait for."""
    name = func.name()
    here = [operand for operand in operands if not isinstance(operand, GpuTensor)]
    masks = func in INDEXING and any(tensor.dtype == torch.bool for tensor in there[1:])
    if func in READS or masks or (there and device.type != "cuda"):
        devices.gpus.wait(name)
        return
    allowed_here = func in INDEXING and isinstance(operands[0], GpuTensor)  # it is brought there
    if func in COPIES or (allowed_here and here):
        if here:  # in ordinary memory, which a GPU cannot read by itself
            devices.gpus.wait(name)
        return
    if torch.Tag.pointwise in func.tags and "foreach" not in name:
        here = [operand for operand in here if operand.dim()]
    found = {tensor.device for tensor in there} | ({torch.device("cpu")} if here else set())
    if len(found) > 1:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found {sorted(map(str, found))} ({name})"
        )


def on_device(result: Any, device: torch.device, there: list[GpuTensor]) -> Any:
    """Wrap what an operation has made; a view counts as the memory that it is a view of."""
    allocations = {tensor.inner.untyped_storage().data_ptr(): tensor.allocation for tensor in there}
    allocations.pop(0, None)  # of tensors without values

    def wrap(values: Tensor) -> GpuTensor:
        base = allocations.get(values.untyped_storage().data_ptr())
        made = GpuTensor(values, device.index, base)
        if base is None and devices.gpus.graph is None:
            made.allocation.use(write=True)
        return made

    return tree_map_only(Tensor, wrap, result)


def written_by(func: Any, args: Any, kwargs: Any) -> list[Any]:
    """Return the arguments that an operation writes to."""
    found = []
    for i, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            found.append(args[i] if i < len(args) else kwargs.get(argument.name))
    return found


def returned(func: Any, written: list[Any]) -> Any:
    """Return what an operation that writes to its arguments hands back: these arguments."""
    n_returns = len(func._schema.returns)
    if n_returns == 0:
        return None
    if n_returns == 1:
        return written[0]
    if len(written) == n_returns:
        return tuple(written)
    raise NotImplementedError(f"{func.name()} on the stand-in for CUDA")
