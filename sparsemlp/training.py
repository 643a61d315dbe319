"""The training step in closed form, on buffers that are allocated once.

Small nets spend their time outside the matrix products: in autograd's graph, in fresh 100 KiB tensors that the
allocator maps and page-faults at every step, in the optimizer's passes over gradients. Here forward, backward
and update write to preallocated buffers, and plain SGD needs no gradient of a weight matrix at all: decay,
gradient and update are one accumulating product. The same static buffers are what a CUDA graph needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
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

    The work on a slot is recorded once, as a list of calls on fixed tensors, and the list is run at every
    step; so no tensor is made and no attribute looked up on the way.

    Parameters
    ----------
    module : SparseInitMLP
        The network; its parameters are updated in place.
    loss : Loss
        Each member's objective is the mean over its batch of ``weight * loss``.
    optimizer : torch.optim.Optimizer
        ``torch.optim.SGD`` without momentum is applied in closed form, and fused ``torch.optim.AdamW`` by its own
        kernel, both with the values of the parameter group as they stand at each step. Any other optimizer
        gets gradients in preallocated ``.grad`` buffers and its own ``step()`` is called.
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
        self.update: Callable[[], Any] = lambda: None  # plain SGD has updated on the way
        if not self.is_plain_sgd:
            for layer, parameters in zip(self.layers, module.layers, strict=True):
                layer.allocate_gradients(parameters, squeeze)
            self.update = FusedAdamW(optimizer) if FusedAdamW.can_take(optimizer) else optimizer.step
        # Learning-rate schedulers look for it, and warn of a missing step.
        optimizer._opt_called = True  # type: ignore[attr-defined]
        # The slot is kept beside its calls, so that no other can come by its id.
        self._recorded: dict[int, tuple[Slot, list[Callable[[], Any]]]] = {}
        self._scalars: tuple[float, ...] = ()

    @torch.no_grad()
    def __call__(self, slot: Slot) -> None:
        """Train on the batch in `slot`, and leave the outputs before the update in ``slot.output``."""
        if self.is_plain_sgd:
            self._forget_old_scalars()
        if id(slot) not in self._recorded:
            self._recorded[id(slot)] = slot, self._record(slot)
        for call in self._recorded[id(slot)][1]:
            call()
        self.update()

    def _forget_old_scalars(self) -> None:
        """Drop the records of plain SGD, which hold its rates, if these have changed."""
        group = self.optimizer.param_groups[0]
        scalars = (group["lr"], group["weight_decay"])
        if scalars != self._scalars:
            self._recorded.clear()
            self._scalars = scalars

    def _record(self, slot: Slot) -> list[Callable[[], Any]]:
        return [*self._forward(slot), *self._output_delta(slot), *self._backward(slot)]

    def _forward(self, slot: Slot) -> Iterator[Callable[[], Any]]:
        x = slot.x
        for layer in self.layers[:-1]:
            yield partial(self.affine, layer.bias_row, x, layer.weight_t, out=layer.output)
            yield layer.output.relu_
            x = layer.output
        layer = self.layers[-1]
        yield partial(self.affine, layer.bias_row, x, layer.weight_t, out=slot.output)

    def _output_delta(self, slot: Slot) -> Iterator[Callable[[], Any]]:
        delta = self.layers[-1].delta
        yield partial(self.loss.gradient_, slot.output, slot.target, out=delta)
        if slot.weight is not None:
            yield partial(delta.mul_, slot.weight)
        yield partial(delta.div_, self.batch_size)

    def _backward(self, slot: Slot) -> Iterator[Callable[[], Any]]:
        update = self._sgd_update if self.is_plain_sgd else self._store_gradients
        for layer, below in zip(self.layers[:0:-1], self.layers[-2::-1], strict=True):
            # An outer product is a broadcast multiplication.
            product = torch.mul if layer.delta.shape[-1] == 1 else self.product
            yield partial(product, layer.delta, layer.weight, out=below.delta)
            mask_ = torch.ops.aten.threshold_backward.grad_input  # relu's backward, without a new tensor
            yield partial(mask_, below.delta, below.output, 0, grad_input=below.delta)
            yield from update(layer, below.output)  # after the product, which needs the weights as they were
        yield from update(self.layers[0], slot.x)

    def _sgd_update(self, layer: _Layer, inputs: Tensor) -> Iterator[Callable[[], Any]]:
        rate, weight_decay = self._scalars
        scalars = {"beta": 1 - rate * weight_decay, "alpha": -rate}
        yield partial(self.accumulate_, layer.weight, layer.delta_t, inputs, **scalars)
        yield partial(self.accumulate_, layer.bias_column, layer.delta_t, self.ones, **scalars)

    def _store_gradients(self, layer: _Layer, inputs: Tensor) -> Iterator[Callable[[], Any]]:
        yield partial(self.product, layer.delta_t, inputs, out=layer.weight_gradient)
        yield partial(torch.sum, layer.delta, dim=-2, out=layer.bias_gradient)


def is_plain_sgd(optimizer: torch.optim.Optimizer) -> bool:
    """Say whether `optimizer` is SGD on one parameter group, without momentum or other extras."""
    if type(optimizer) is not torch.optim.SGD or len(optimizer.param_groups) != 1:
        return False
    group = optimizer.param_groups[0]
    return not (group["momentum"] or group["nesterov"] or group["maximize"])


class FusedAdamW:
    """``torch.optim.AdamW(fused=True).step()`` without its bookkeeping, which outweighs a small net's update.

    The moments stay in the optimizer's own state. The first step is the optimizer's, which allocates them.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.group = optimizer.param_groups[0]
        self.tensors: list[list[Tensor]] = []

    @staticmethod
    def can_take(optimizer: torch.optim.Optimizer) -> bool:
        """Say whether `optimizer` is a fused AdamW on one group of parameters, as this torch knows it."""
        if type(optimizer) is not torch.optim.AdamW or len(optimizer.param_groups) != 1:
            return False
        group = optimizer.param_groups[0]
        return bool(group["fused"] and not group["amsgrad"] and hasattr(torch, "_fused_adamw_"))

    def __call__(self) -> None:
        """Update all parameters from their gradients."""
        if not self.tensors:
            self.optimizer.step()
            parameters = self.group["params"]
            state = [self.optimizer.state[parameter] for parameter in parameters]
            moments = [[one[name] for one in state] for name in ("exp_avg", "exp_avg_sq")]
            self.steps = [one["step"] for one in state]
            self.tensors = [parameters, [parameter.grad for parameter in parameters], *moments, [], self.steps]
            return
        group = self.group
        torch._foreach_add_(self.steps, 1)
        torch._fused_adamw_(
            *self.tensors,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=group["maximize"],
        )


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
