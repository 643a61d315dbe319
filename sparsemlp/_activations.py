"""Activations of the sparse layer: forward in place, and what the backward pass multiplies by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

Activation = Literal["relu", "tanh", "sin", "relu-tanh", "mixed"]
ACTIVATIONS: tuple[str, ...] = get_args(Activation)
#: kinds of first-layer neurons, in the order of their places in the layer
KINDS = ("relu", "tanh", "sin")
#: which share of the neurons is of each kind
SHARES = {
    "relu": (1, 0, 0),
    "tanh": (0, 1, 0),
    "sin": (0, 0, 1),
    "relu-tanh": (1 / 2, 1 / 2, 0),
    "mixed": (1 / 3, 1 / 3, 1 / 3),
}
#: what the weights of tanh neurons are multiplied by at initialisation
TANH_GAIN = 10.0
#: the gains of sin neurons are between these two, log-uniform
SIN_GAINS = (1.0, 4.0)


def tanh_(values: Tensor) -> Tensor:
    """Apply tanh in place, without autograd.

    In float32 on a CPU it is computed from the logistic function, to 2e-7, in a third of the time.
    """
    if values.dtype == torch.float32 and values.device.type == "cpu":
        return values.mul_(2).sigmoid_().mul_(2).sub_(1)
    return values.tanh_()


_FUNCTIONS = {"relu": torch.relu, "tanh": torch.tanh, "sin": torch.sin}
_IN_PLACE = {"relu": torch.relu_, "tanh": tanh_, "sin": torch.sin_}


class Block(NamedTuple):
    """First-layer neurons of one kind."""

    kind: str
    neurons: slice


def blocks(activation: str, width: int) -> list[Block]:
    """Return the kinds of neurons that a first layer has, in order."""
    stops = [round(width * share) for share in accumulate(SHARES[activation], initial=0)]
    neurons = (slice(*ends) for ends in pairwise(stops))
    return [Block(kind, part) for kind, part in zip(KINDS, neurons, strict=True) if part.start < part.stop]


def n_sin(activation: str, width: int) -> int:
    """Return how many of a first layer's neurons are sin neurons."""
    return sum(part.stop - part.start for kind, part in blocks(activation, width) if kind == "sin")


@torch.no_grad()
def apply_gains_(weight: Tensor, activation: str, generator: torch.Generator | None = None) -> None:
    """Multiply initial weights, of shape (n_members, width, n_features), by the gains of their kinds."""
    n_members, width, _ = weight.shape
    for kind, neurons in blocks(activation, width):
        part = weight[:, neurons]
        if kind == "tanh":
            part *= TANH_GAIN
        elif kind == "sin":
            low, high = map(math.log, SIN_GAINS)
            exponents = torch.rand(n_members, part.shape[1], 1, generator=generator, dtype=torch.float32)
            part *= torch.exp(low + (high - low) * exponents).to(part)


def sparse_layer_activation(activation: str, x: Tensor) -> Tensor:
    """Apply the activation to the first layer's values, of shape (..., width), in place if not for autograd."""
    parts = blocks(activation, x.shape[-1])
    if torch.is_grad_enabled():
        outputs = [_FUNCTIONS[kind](x[..., neurons]) for kind, neurons in parts]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
    for kind, neurons in parts:
        _IN_PLACE[kind](x[..., neurons])
    return x


def sparse_layer_calls(activation: str, output: Tensor, cosines: Tensor) -> Iterator[Callable[[], Any]]:
    """Yield the calls that apply the activation to `output`, of shape (..., width), in place.

    The derivative of the sine cannot be computed from its value; it is written to `cosines`, (..., n_sin).
    """
    for kind, neurons in blocks(activation, output.shape[-1]):
        values = output[..., neurons]
        if kind == "relu":
            yield values.relu_
        elif kind == "tanh":
            yield partial(tanh_, values)
        else:
            yield partial(torch.cos, values, out=cosines)
            yield values.sin_


def sparse_layer_backward_calls(
    activation: str, output: Tensor, cosines: Tensor, delta: Tensor
) -> Iterator[Callable[[], Any]]:
    """Yield the calls that multiply `delta` by the activation's derivative where it gave `output`."""
    for kind, neurons in blocks(activation, output.shape[-1]):
        values, deltas = output[..., neurons], delta[..., neurons]
        if kind == "relu":
            yield relu_backward(values, deltas)
        elif kind == "tanh":
            yield partial(torch.ops.aten.tanh_backward.grad_input, deltas, values, grad_input=deltas)
        else:
            yield partial(deltas.mul_, cosines)


def relu_backward(output: Tensor, delta: Tensor) -> Callable[[], Any]:
    """Return the call that sets `delta` to zero where `output` is, without a new tensor."""
    return partial(torch.ops.aten.threshold_backward.grad_input, delta, output, 0, grad_input=delta)
