"""The updates that a training step makes: plain SGD in closed form, AdamW by its fused kernel alone."""

from __future__ import annotations

import inspect
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from sparsemlp.module import SparseInitMLP
from sparsemlp.parametrization import ADAM_EPS, parameter_groups, rate_scales

OptimizerName = Literal["adamw", "sgd"]
OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)
#: key of a parameter group: the factor of the common learning rate; 1 if it is missing
RATE_SCALE = "rate_scale"


class _WithoutCompiler(torch.optim.Optimizer):
    """Takes its parameters without torch's compiler, whose import takes longer than most fits.

    torch imports the compiler to mark ``add_param_group`` as not to be compiled; this one calls what was marked.
    """

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters."""
        inspect.unwrap(torch.optim.Optimizer.add_param_group)(self, param_group)


class SGD(_WithoutCompiler, torch.optim.SGD):
    """``torch.optim.SGD`` without the wait for torch's compiler."""


class AdamW(_WithoutCompiler, torch.optim.AdamW):
    """``torch.optim.AdamW`` without the wait for torch's compiler."""


def is_plain_sgd(optimizer: torch.optim.Optimizer) -> bool:
    """Say whether `optimizer` is SGD without momentum or other extras."""
    if type(optimizer) not in (torch.optim.SGD, SGD):
        return False
    groups = optimizer.param_groups
    return not any(group["momentum"] or group["nesterov"] or group["maximize"] for group in groups)


def rate_of(group: dict[str, Any], rate: float | None) -> Any:
    """Return a group's learning rate if the common one is `rate`; None: the group's own."""
    return group["lr"] if rate is None else rate * group.get(RATE_SCALE, 1.0)


class FusedAdamW:
    """``torch.optim.AdamW(fused=True).step()`` without its bookkeeping, which outweighs a small net's update.

    The moments stay in the optimizer's own state.

    Parameters
    ----------
    optimizer : torch.optim.AdamW
        An optimizer that :meth:`can_take` accepts, whose parameters all have a members dimension.
    members : slice, default=slice(None)
        The members to update. The count of steps in the optimizer's state is that of the first members.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, members: slice = slice(None)) -> None:
        self.groups = [_FusedGroup(optimizer, group, members) for group in optimizer.param_groups]

    @staticmethod
    def can_take(optimizer: torch.optim.Optimizer) -> bool:
        """Say whether `optimizer` is a fused AdamW, as this torch knows it."""
        if type(optimizer) not in (torch.optim.AdamW, AdamW) or not hasattr(torch, "_fused_adamw_"):
            return False
        return all(group["fused"] and not group["amsgrad"] for group in optimizer.param_groups)

    def __call__(self, rate: float | None = None) -> None:
        """Update all parameters from their gradients."""
        for group in self.groups:
            group(rate)


class _FusedGroup:
    """The update of one group of parameters."""

    def __init__(self, optimizer: torch.optim.Optimizer, group: dict[str, Any], members: slice) -> None:
        self.group = group
        parameters = group["params"]
        states = [_adamw_state(optimizer, parameter) for parameter in parameters]
        self.parameters = [_in_memory_order(parameter.detach()[members]) for parameter in parameters]
        self.gradients: list[Tensor] = []
        self.whole_parameters, self.members = parameters, members
        self.means = [_in_memory_order(state["exp_avg"][members]) for state in states]
        self.squares = [_in_memory_order(state["exp_avg_sq"][members]) for state in states]
        counts_for_all = not members.start
        self.steps = [state["step"] if counts_for_all else state["step"].clone() for state in states]

    def __call__(self, rate: float | None = None) -> None:
        """Update the group's parameters."""
        if not self.gradients:
            gradients = [parameter.grad[self.members] for parameter in self.whole_parameters]
            self.gradients = [_in_memory_order(gradient) for gradient in gradients]
        group = self.group
        torch._foreach_add_(self.steps, 1)
        torch._fused_adamw_(
            self.parameters,
            self.gradients,
            self.means,
            self.squares,
            [],
            self.steps,
            lr=rate_of(group, rate),
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=group["maximize"],
        )


def _in_memory_order(values: Tensor) -> Tensor:
    """Return a contiguous view of values that may be stored transposed; an update takes them one by one."""
    return values if values.is_contiguous() else values.mT


def _adamw_state(optimizer: torch.optim.Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    """Return the optimizer's state of a parameter, made as its first step would make it."""
    state = optimizer.state[parameter]
    if not state:
        state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
        state["exp_avg"] = torch.zeros_like(parameter)
        state["exp_avg_sq"] = torch.zeros_like(parameter)
    for name in ("exp_avg", "exp_avg_sq"):
        state[name] = laid_out_like(parameter, state[name])
    return state


def laid_out_like(parameter: Tensor, values: Tensor) -> Tensor:
    """Return values that lie in memory as the parameter does, which an update of both relies on."""
    if values.shape != parameter.shape or values.stride() == parameter.stride():
        return values
    return torch.empty_like(parameter, requires_grad=False).copy_(values)


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Set the common learning rate; in place where a CUDA graph holds it as a tensor."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate_of(group, value))
        else:
            group["lr"] = rate_of(group, value)


def can_split(optimizer: torch.optim.Optimizer) -> bool:
    """Say whether groups of members can be updated apart from each other."""
    return is_plain_sgd(optimizer) or FusedAdamW.can_take(optimizer)


def optimizer_options(
    name: str, module: SparseInitMLP, learning_rate: float, weight_decay: float
) -> dict[str, Any]:
    """Return skorch's parameters for the optimizer called `name`, with what makes it fast on the device."""
    device = module.input_layer.weight.device
    scales = rate_scales(module, name)
    common = scales["input_layer.weight"]
    is_cuda = device.type == "cuda" and name != "sgd"

    def rates(scale: float) -> dict[str, Any]:
        rate = learning_rate * scale
        # a graph holds the rate as a tensor; decay is that of the learning rate as the user gave it
        return {
            "lr": torch.tensor(rate, dtype=torch.float32, device=device) if is_cuda else rate,
            "weight_decay": weight_decay / scale,
        }

    options: dict[str, Any] = {"optimizer": _CLASSES[name], "lr": learning_rate * common}
    options |= {f"optimizer__{key}": value for key, value in rates(common).items() if is_cuda or key != "lr"}
    groups = [
        (parameter, rates(scale) | {RATE_SCALE: scale / common})
        for parameter, scale in scales.items()
        if scale != common
    ]
    if groups:
        options["optimizer__param_groups"] = groups
    if name == "adamw":
        options["optimizer__eps"] = ADAM_EPS * module.output_scale
    return options | {f"optimizer__{key}": value for key, value in _kernel_options(name, device).items()}


def make_optimizer(
    name: str, module: SparseInitMLP, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return the optimizer called `name` at a constant learning rate, with what makes it fast on the device."""
    groups = parameter_groups(module, learning_rate, weight_decay, name)
    return _CLASSES[name](groups, **_kernel_options(name, module.input_layer.weight.device))


_CLASSES: dict[str, Any] = {"sgd": SGD, "adamw": AdamW}


def _kernel_options(name: str, device: torch.device) -> dict[str, bool]:
    """Return the arguments of AdamW that choose its fused kernel, and a CUDA graph's kind of it."""
    if name == "sgd":
        return {}
    return {"fused": device.type in ("cpu", "cuda")} | ({"capturable": True} if device.type == "cuda" else {})
