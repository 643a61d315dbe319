"""The training step in closed form, on buffers that are allocated once.

Small nets spend their time outside the matrix products: in autograd's graph, in fresh 100 KiB tensors that the
allocator maps and page-faults at every step, in the optimizer's passes over gradients. Here forward, backward
and update write to preallocated buffers, and plain SGD needs no gradient of a weight matrix at all: decay,
gradient and update are one accumulating product. The same static buffers are what a CUDA graph needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sparsemlp.losses import Loss
from sparsemlp.module import SparseInitMLP


class Slot(NamedTuple):
    """The buffers of one batch; with several members all have a leading members dimension."""

    x: Tensor  # (batch, n_features)
    target: Tensor  # (batch, n_outputs)
    weight: Tensor | None  # (batch, 1), of mean one over the training set; None: all ones
    output: Tensor  # (batch, n_outputs), written by the step


class _Layer:
    """One layer's parameters, with its activations and their gradients for a fixed batch size."""

    def __init__(self, layer: Any, batch_size: int, squeeze: bool, is_output: bool) -> None:
        def view(tensor: Tensor) -> Tensor:
            return tensor.detach()[0] if squeeze else tensor.detach()

        self.weight, self.weight_t = view(layer.weight), view(layer.weight).mT
        self.bias = view(layer.bias)
        self.bias_row, self.bias_column = self.bias.unsqueeze(-2), self.bias.unsqueeze(-1)
        shape = (*self.bias.shape[:-1], batch_size, self.bias.shape[-1])
        self.output = self.weight.new_empty(0 if is_output else shape)  # the last one is the slot's
        self.delta = self.weight.new_empty(shape)  # derivative of the loss by this layer's linear part
        self.delta_t = self.delta.mT
        self.weight_gradient: Tensor | None = None
        self.bias_gradient: Tensor | None = None

    def allocate_gradients(self, layer: Any, squeeze: bool) -> None:
        for parameter in (layer.weight, layer.bias):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.weight_gradient = layer.weight.grad[0] if squeeze else layer.weight.grad
        self.bias_gradient = layer.bias.grad[0] if squeeze else layer.bias.grad


class TrainingStep:
    """One step of gradient descent on a :class:`SparseInitMLP`, in closed form on static buffers.

    Parameters
    ----------
    module : SparseInitMLP
        The network; its parameters are updated in place.
    loss : Loss
        Each member's objective is the mean over its batch of ``weight * loss``.
    optimizer : torch.optim.Optimizer
        ``torch.optim.SGD`` without momentum is applied in closed form, with the learning rate and weight decay
        of its parameter group as they stand at each step. Any other optimizer gets gradients in preallocated
        ``.grad`` buffers and its own ``step()`` is called.
    batch_size : int
        Rows of every member's batch.
    """

    def __init__(
        self, module: SparseInitMLP, loss: Loss, optimizer: torch.optim.Optimizer, batch_size: int
    ) -> None:
        squeeze = module.n_members == 1
        self.loss = loss
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.layers = [
            _Layer(layer, batch_size, squeeze, is_output=i == len(module.layers) - 1)
            for i, layer in enumerate(module.layers)
        ]
        self.affine: Callable[..., Tensor] = torch.addmm if squeeze else torch.baddbmm
        self.product: Callable[..., Tensor] = torch.mm if squeeze else torch.bmm
        self.accumulate_: Callable[..., Tensor] = Tensor.addmm_ if squeeze else Tensor.baddbmm_
        self.is_plain_sgd = is_plain_sgd(optimizer)
        ones = self.layers[0].delta.new_ones(batch_size, 1)
        self.ones = ones if squeeze else ones.expand(module.n_members, -1, -1)
        if not self.is_plain_sgd:
            for layer, parameters in zip(self.layers, module.layers, strict=True):
                layer.allocate_gradients(parameters, squeeze)

    @torch.no_grad()
    def __call__(self, slot: Slot) -> None:
        """Train on the batch in `slot`, and leave the outputs before the update in ``slot.output``."""
        self._forward(slot)
        self._output_delta(slot)
        self._backward(slot)
        if not self.is_plain_sgd:
            self.optimizer.step()

    def _forward(self, slot: Slot) -> None:
        x = slot.x
        for layer in self.layers[:-1]:
            self.affine(layer.bias_row, x, layer.weight_t, out=layer.output)
            x = layer.output.relu_()
        layer = self.layers[-1]
        self.affine(layer.bias_row, x, layer.weight_t, out=slot.output)

    def _output_delta(self, slot: Slot) -> None:
        delta = self.layers[-1].delta
        self.loss.gradient_(slot.output, slot.target, out=delta)
        if slot.weight is not None:
            delta.mul_(slot.weight)
        delta.div_(self.batch_size)

    def _backward(self, slot: Slot) -> None:
        update = self._sgd_update if self.is_plain_sgd else self._store_gradients
        for depth in range(len(self.layers) - 1, 0, -1):
            layer, below = self.layers[depth], self.layers[depth - 1]
            self.product(layer.delta, layer.weight, out=below.delta)
            torch.ops.aten.threshold_backward.grad_input(below.delta, below.output, 0, grad_input=below.delta)
            update(layer, below.output)  # after the product, which needs the weights before the update
        update(self.layers[0], slot.x)

    def _sgd_update(self, layer: _Layer, inputs: Tensor) -> None:
        group = self.optimizer.param_groups[0]
        rate = group["lr"]
        keep = 1 - rate * group["weight_decay"]
        self.accumulate_(layer.weight, layer.delta_t, inputs, beta=keep, alpha=-rate)
        self.accumulate_(layer.bias_column, layer.delta_t, self.ones, beta=keep, alpha=-rate)

    def _store_gradients(self, layer: _Layer, inputs: Tensor) -> None:
        self.product(layer.delta_t, inputs, out=layer.weight_gradient)
        torch.sum(layer.delta, dim=-2, out=layer.bias_gradient)


def is_plain_sgd(optimizer: torch.optim.Optimizer) -> bool:
    """Say whether `optimizer` is SGD on one parameter group, without momentum or other extras."""
    if type(optimizer) is not torch.optim.SGD or len(optimizer.param_groups) != 1:
        return False
    group = optimizer.param_groups[0]
    return not (group["momentum"] or group["nesterov"] or group["maximize"])


class GraphedStep:
    """A :class:`TrainingStep` whose work on each slot is recorded once as a CUDA graph and then replayed.

    A graph holds the addresses of its buffers, so there is one for every slot, and the scalars of plain SGD,
    so graphs are recorded again when the learning rate or weight decay has changed.
    """

    def __init__(self, step: TrainingStep) -> None:
        self.step = step
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self.recorded_with: tuple[Any, ...] = ()
        self.warm = False

    def __call__(self, slot: Slot) -> None:
        """Train on the batch in `slot`."""
        scalars = self._scalars()
        if scalars != self.recorded_with:
            self.graphs.clear()
            self.recorded_with = scalars
        key = slot.x.data_ptr()
        if key in self.graphs:
            self.graphs[key].replay()
        elif not self.warm:
            self._warm_up(slot)
        else:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):  # records, and does not run
                self.step(slot)
            self.graphs[key] = graph
            graph.replay()

    def _scalars(self) -> tuple[Any, ...]:
        if not self.step.is_plain_sgd:
            return ()  # adaptive optimizers are built capturable, with the rate in a tensor
        group = self.step.optimizer.param_groups[0]
        return group["lr"], group["weight_decay"]

    def _warm_up(self, slot: Slot) -> None:
        """Run the first step on a side stream, where libraries and the optimizer set up what they need."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self.step(slot)
        torch.cuda.current_stream().wait_stream(stream)
        self.warm = True
