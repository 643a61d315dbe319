"""Activations of the sparse layer: forward in place, and what the backward pass multiplies by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

Activation = Literal["relu", "tanh", "sin", "box", "relu-tanh", "mixed"]
ACTIVATIONS: tuple[str, ...] = get_args(Activation)
#: kinds of first-layer neurons, in the order of their places in the layer
KINDS = ("relu", "tanh", "sin", "box")
#: which share of the neurons is of each kind
SHARES = {
    "relu": (1, 0, 0, 0),
    "tanh": (0, 1, 0, 0),
    "sin": (0, 0, 1, 0),
    "box": (0, 0, 0, 1),
    "relu-tanh": (1 / 2, 1 / 2, 0, 0),
    "mixed": (1 / 4, 0, 1 / 4, 1 / 2),
}
#: kinds of steep neurons, which can start as splits of trees
STEEP = ("tanh", "box")
#: what the weights of steep neurons are multiplied by at initialisation: tanh(z) is 2 sigmoid(2 z) - 1
GAINS = {"tanh": 10.0, "box": 20.0}
#: the gains of sin neurons are between these two, log-uniform
SIN_GAINS = (1.0, 4.0)


def tanh_(values: Tensor) -> Tensor:
    """Apply tanh in place, without autograd.

    In float32 on a CPU it is computed from the logistic function, to 2e-7, in a third of the time.
    """
    if values.dtype == torch.float32 and values.device.type == "cpu":
        return values.mul_(2).sigmoid_().mul_(2).sub_(1)
    return values.tanh_()


def box(values: Tensor) -> Tensor:
    """Return a (1 - b) and a b for the sigmoids a and b of the two halves of the values."""
    a, b = torch.sigmoid(values).chunk(2, dim=-1)
    both = a * b
    return torch.cat([a - both, both], dim=-1)


def box_(values: Tensor) -> Tensor:
    """Apply :func:`box` in place, without autograd."""
    a, b = values.sigmoid_().chunk(2, dim=-1)
    a.sub_(b.mul_(a))
    return values


_FUNCTIONS = {"relu": torch.relu, "tanh": torch.tanh, "sin": torch.sin, "box": box}
_IN_PLACE = {"relu": torch.relu_, "tanh": tanh_, "sin": torch.sin_, "box": box_}


class Block(NamedTuple):
    """First-layer neurons of one kind."""

    kind: str
    neurons: slice


def blocks(activation: str, width: int) -> list[Block]:
    """Return the kinds of neurons that a first layer has, in order.

    Box neurons are an even number; an odd one out is a relu neuron.
    """
    stops = [round(width * share) for share in accumulate(SHARES[activation], initial=0)]
    if (stops[-1] - stops[-2]) % 2:
        stops[1:-1] = [stop + 1 for stop in stops[1:-1]]
    neurons = (slice(*ends) for ends in pairwise(stops))
    return [Block(kind, part) for kind, part in zip(KINDS, neurons, strict=True) if part.start < part.stop]


def interchangeable(activation: str, width: int) -> list[slice]:
    """Return neurons that do the same with their inputs: blocks, those of box neurons in two halves."""
    parts = []
    for kind, neurons in blocks(activation, width):
        middle = (neurons.start + neurons.stop) // 2 if kind == "box" else neurons.stop
        parts += [slice(neurons.start, middle), slice(middle, neurons.stop)]
    return [part for part in parts if part.start < part.stop]


def n_saved(activation: str, width: int) -> int:
    """Return for how many of a first layer's neurons the forward pass saves what the backward pass needs."""
    return sum(part.stop - part.start for kind, part in blocks(activation, width) if kind in ("sin", "box"))


@torch.no_grad()
def apply_gains_(weight: Tensor, activation: str, generator: torch.Generator | None = None) -> None:
    """Multiply initial weights, of shape (n_members, width, n_features), by the gains of their kinds."""
    n_members, width, _ = weight.shape
    for kind, neurons in blocks(activation, width):
        part = weight[:, neurons]
        if kind in GAINS:
            part *= GAINS[kind]
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


def sparse_layer_calls(activation: str, output: Tensor, saved: Tensor) -> Iterator[Callable[[], Any]]:
    """Yield the calls that apply the activation to `output`, of shape (..., width), in place.

    What the backward pass cannot compute from the values is written to `saved`, (..., n_saved): the cosines of sin
    neurons, the sigmoids of box neurons.
    """
    start = 0
    for kind, neurons in blocks(activation, output.shape[-1]):
        values = output[..., neurons]
        if kind == "relu":
            yield values.relu_
        elif kind == "tanh":
            yield partial(tanh_, values)
        else:
            kept = saved[..., start : start + values.shape[-1]]
            start += values.shape[-1]
            if kind == "sin":
                yield partial(torch.cos, values, out=kept)
                yield values.sin_
            else:
                (a, b), (rest, both) = kept.chunk(2, dim=-1), values.chunk(2, dim=-1)
                yield partial(torch.sigmoid, values, out=kept)
                yield partial(torch.mul, a, b, out=both)
                yield partial(torch.sub, a, both, out=rest)


def sparse_layer_backward_calls(
    activation: str, output: Tensor, saved: Tensor, delta: Tensor
) -> Iterator[Callable[[], Any]]:
    """Yield the calls that multiply `delta` by the activation's derivative where it gave `output`."""
    start = 0
    for kind, neurons in blocks(activation, output.shape[-1]):
        values, deltas = output[..., neurons], delta[..., neurons]
        if kind == "relu":
            yield relu_backward(values, deltas)
        elif kind == "tanh":
            yield partial(torch.ops.aten.tanh_backward.grad_input, deltas, values, grad_input=deltas)
        else:
            kept = saved[..., start : start + values.shape[-1]]
            start += values.shape[-1]
            if kind == "sin":
                yield partial(deltas.mul_, kept)
            else:
                yield from _box_backward(kept, values, deltas)


def _box_backward(sigmoids: Tensor, values: Tensor, deltas: Tensor) -> Iterator[Callable[[], Any]]:
    """Yield the calls that replace dq and dp, for q = a (1 - b) and p = a b, by derivatives by the two sums.

    They are (1 - a) (p dp + q dq) and q b (dp - dq).
    """
    (a, b), (q, p), (dq, dp) = (part.chunk(2, dim=-1) for part in (sigmoids, values, deltas))
    yield partial(dp.sub_, dq)
    yield partial(dq.mul_, a)
    yield partial(dq.addcmul_, p, dp)  # p dp + q dq, as p + q = a
    yield partial(dq.addcmul_, dq, a, value=-1)
    yield partial(dp.mul_, b)
    yield partial(dp.mul_, q)


def relu_backward(output: Tensor, delta: Tensor) -> Callable[[], Any]:
    """Return the call that sets `delta` to zero where `output` is, without a new tensor."""
    return partial(torch.ops.aten.threshold_backward.grad_input, delta, output, 0, grad_input=delta)
