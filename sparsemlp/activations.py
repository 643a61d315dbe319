"""Activations of the sparse layer: forward in place, and their derivative from the output alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

#: share of the first layer's neurons that are soft steps
STEP_SHARES = {"relu": 0.0, "step": 1.0, "mixed": 0.5}
ACTIVATIONS = tuple(STEP_SHARES)
#: what the weights of a soft step are multiplied by at initialisation
STEP_SLOPE = 10.0


def n_steps(activation: str, width: int) -> int:
    """Return how many of the first layer's neurons are soft steps, tanh; they are the last ones."""
    return int(STEP_SHARES[activation] * width)


def sparse_layer_activation(activation: str, x: Tensor) -> Tensor:
    """Apply the activation to the first layer's values, of shape (..., width), in a way that autograd takes."""
    n_relu = x.shape[-1] - n_steps(activation, x.shape[-1])
    if n_relu == x.shape[-1]:
        return x.relu_()
    return torch.cat([x[..., :n_relu].relu(), x[..., n_relu:].tanh()], dim=-1)


def sparse_layer_calls(activation: str, output: Tensor) -> Iterator[Callable[[], Any]]:
    """Yield the calls that apply the activation to `output`, of shape (..., width), in place."""
    n_relu = output.shape[-1] - n_steps(activation, output.shape[-1])
    if n_relu:
        yield output[..., :n_relu].relu_
    if n_relu < output.shape[-1]:
        yield output[..., n_relu:].tanh_


def sparse_layer_backward_calls(activation: str, output: Tensor, delta: Tensor) -> Iterator[Callable[[], Any]]:
    """Yield the calls that multiply `delta` by the activation's derivative where it gave `output`."""
    n_relu = output.shape[-1] - n_steps(activation, output.shape[-1])
    if n_relu:
        yield relu_backward(output[..., :n_relu], delta[..., :n_relu])
    if n_relu < output.shape[-1]:
        step_output, step_delta = output[..., n_relu:], delta[..., n_relu:]
        yield partial(torch.ops.aten.tanh_backward.grad_input, step_delta, step_output, grad_input=step_delta)


def relu_backward(output: Tensor, delta: Tensor) -> Callable[[], Any]:
    """Return the call that sets `delta` to zero where `output` is, without a new tensor."""
    return partial(torch.ops.aten.threshold_backward.grad_input, delta, output, 0, grad_input=delta)
