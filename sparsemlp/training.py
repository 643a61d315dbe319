"""The training step in closed form, on buffers that are allocated once.

Small nets spend their time outside the matrix products: in autograd's graph, in fresh 100 KiB tensors that the
allocator maps and page-faults at every step, in the optimizer's passes over gradients. Here forward, backward
and update write to preallocated buffers, and plain SGD needs no gradient of a weight matrix at all: decay,
gradient and update are one accumulating product. The same static buffers are what a CUDA graph needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
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
    """Some members' parameters of one layer, with activations and their gradients for a fixed batch size."""

    def __init__(
        self, layer: Any, batch_size: int, members: slice, is_output: bool, buffers: _Layer | None
    ) -> None:
        self.members = members
        self.output: Tensor
        self.delta: Tensor
        view = self._view
        self.weight, self.weight_t = view(layer.weight), view(layer.weight).mT
        self.bias = view(layer.bias)
        self.bias_row, self.bias_column = self.bias.unsqueeze(-2), self.bias.unsqueeze(-1)
        shape = (*self.bias.shape[:-1], batch_size, self.bias.shape[-1])
        n_values = 0 if is_output else math.prod(shape)  # the last layer's output is the slot's
        self.output = _buffer(self.weight, n_values, None if buffers is None else buffers.output)
        self.output = self.output.view(shape) if n_values else self.output
        #: derivative of the loss by this layer's linear part
        self.delta = _buffer(self.weight, math.prod(shape), None if buffers is None else buffers.delta).view(shape)
        self.delta_t = self.delta.mT
        self.weight_gradient: Tensor | None = None
        self.bias_gradient: Tensor | None = None

    def _view(self, values: Tensor) -> Tensor:
        """Return the members' part, without the members dimension where it is one."""
        part = values.detach()[self.members]
        return part[0] if len(part) == 1 else part

    def allocate_gradients(self, layer: Any) -> None:
        for parameter in (layer.weight, layer.bias):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.weight_gradient = self._view(layer.weight.grad)
        self.bias_gradient = self._view(layer.bias.grad)


def _buffer(like: Tensor, n_values: int, shared: Tensor | None) -> Tensor:
    """Return a flat buffer of `n_values`, the beginning of `shared` where that is given."""
    return like.new_empty(n_values) if shared is None else shared.view(-1)[:n_values]


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
    members : slice, default=slice(None)
        The members to train; others may be trained by other threads at the same time.
    adamw : FusedAdamW, optional
        The update of these members, for steps of several batch sizes to share.
    buffers : TrainingStep, optional
        A step for the same members and batches at least as large, whose buffers are used too.
    """

    def __init__(
        self,
        module: SparseInitMLP,
        loss: Loss,
        optimizer: torch.optim.Optimizer,
        batch_size: int,
        *,
        members: slice = slice(None),
        adamw: FusedAdamW | None = None,
        buffers: TrainingStep | None = None,
    ) -> None:
        n_members = len(range(module.n_members)[members])
        squeeze = n_members == 1
        self.loss = loss
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.members = members if module.n_members > 1 else None  # slots of one member have no such dimension
        last = len(module.layers) - 1
        self.layers: list[_Layer] = [
            _Layer(layer, batch_size, members, i == last, None if buffers is None else buffers.layers[i])
            for i, layer in enumerate(module.layers)
        ]
        self.affine: Callable[..., Tensor] = torch.addmm if squeeze else torch.baddbmm
        self.product: Callable[..., Tensor] = torch.mm if squeeze else torch.bmm
        self.accumulate_: Callable[..., Tensor] = Tensor.addmm_ if squeeze else Tensor.baddbmm_
        self.is_plain_sgd = is_plain_sgd(optimizer)
        ones = self.layers[0].delta.new_ones(batch_size, 1)
        self.ones = ones if squeeze else ones.expand(n_members, -1, -1)
        self.adamw = adamw
        if not self.is_plain_sgd:
            for layer, parameters in zip(self.layers, module.layers, strict=True):
                layer.allocate_gradients(parameters)
            if adamw is None and FusedAdamW.can_take(optimizer):
                self.adamw = FusedAdamW(optimizer, members)
        # Learning-rate schedulers look for it, and warn of a missing step.
        optimizer._opt_called = True  # type: ignore[attr-defined]
        # The slot is kept beside its calls, so that no other can come by its id.
        self._recorded: dict[int, tuple[Slot, list[Callable[[], Any]]]] = {}
        self._scalars: tuple[float, ...] = ()

    @torch.no_grad()
    def __call__(self, slot: Slot, rate: float | None = None) -> None:
        """Train on the batch in `slot`, and leave the outputs before the update in ``slot.output``.

        The learning rate is `rate`, or where that is None the one of the optimizer's parameter group.
        """
        if self.is_plain_sgd:
            self._forget_old_scalars(rate)
        if id(slot) not in self._recorded:
            self._recorded[id(slot)] = slot, self._record(self._own(slot))
        for call in self._recorded[id(slot)][1]:
            call()
        if self.adamw is not None:
            self.adamw(rate)
        elif not self.is_plain_sgd:
            if rate is not None:
                set_learning_rate(self.optimizer, rate)
            self.optimizer.step()

    def _forget_old_scalars(self, rate: float | None) -> None:
        """Drop the records of plain SGD, which hold its rates, if these have changed."""
        group = self.optimizer.param_groups[0]
        scalars = (group["lr"] if rate is None else rate, group["weight_decay"])
        if scalars != self._scalars:
            self._recorded.clear()
            self._scalars = scalars

    def _own(self, slot: Slot) -> Slot:
        """Return the members' part of the slot."""
        if self.members is None:
            return slot
        parts = [values if values is None else values[self.members] for values in slot]
        return Slot(*(part[0] if part is not None and len(part) == 1 else part for part in parts))  # type: ignore

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

    The moments stay in the optimizer's own state.

    Parameters
    ----------
    optimizer : torch.optim.AdamW
        An optimizer that :meth:`can_take` accepts, whose parameters all have a members dimension.
    members : slice, default=slice(None)
        The members to update. The count of steps in the optimizer's state is that of the first members.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, members: slice = slice(None)) -> None:
        self.group = optimizer.param_groups[0]
        parameters = self.group["params"]
        states = [_adamw_state(optimizer, parameter) for parameter in parameters]
        self.parameters = [_in_memory_order(parameter.detach()[members]) for parameter in parameters]
        self.gradients: list[Tensor] = []
        self.whole_parameters, self.members = parameters, members
        self.means = [_in_memory_order(state["exp_avg"][members]) for state in states]
        self.squares = [_in_memory_order(state["exp_avg_sq"][members]) for state in states]
        counts_for_all = not members.start
        self.steps = [state["step"] if counts_for_all else state["step"].clone() for state in states]

    @staticmethod
    def can_take(optimizer: torch.optim.Optimizer) -> bool:
        """Say whether `optimizer` is a fused AdamW on one group of parameters, as this torch knows it."""
        if type(optimizer) is not torch.optim.AdamW or len(optimizer.param_groups) != 1:
            return False
        group = optimizer.param_groups[0]
        return bool(group["fused"] and not group["amsgrad"] and hasattr(torch, "_fused_adamw_"))

    def __call__(self, rate: float | None = None) -> None:
        """Update all parameters from their gradients."""
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
            lr=group["lr"] if rate is None else rate,
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
    """Set the learning rate of all groups; in place where a CUDA graph holds it as a tensor."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(value)
        else:
            group["lr"] = value


def make_steps(
    module: SparseInitMLP,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    batch_sizes: Sequence[int],
    n_groups: int,
) -> dict[int, list[Callable[..., None]]]:
    """Return the steps for each batch size, one for each of `n_groups` groups of members.

    Groups are for threads of their own: members never meet in training, so nothing waits at every product.
    On CUDA there is one group, and its steps are graphs.
    """
    edges = [round(i * module.n_members / n_groups) for i in range(n_groups + 1)]
    made: dict[int, list[Callable[..., None]]] = {size: [] for size in batch_sizes}
    for members in (slice(a, b) for a, b in pairwise(edges)):
        adamw = FusedAdamW(optimizer, members) if FusedAdamW.can_take(optimizer) else None
        largest = None
        for size in sorted(batch_sizes, reverse=True):
            step = TrainingStep(module, loss, optimizer, size, members=members, adamw=adamw, buffers=largest)
            largest = largest or step
            made[size].append(fastest(step))
    return made


def fastest(step: TrainingStep) -> Callable[..., None]:
    """Return the step as graphs where it trains on CUDA, else as it is."""
    return GraphedStep(step) if step.layers[0].weight.is_cuda else step


def can_split(optimizer: torch.optim.Optimizer) -> bool:
    """Say whether groups of members can be updated apart from each other."""
    return is_plain_sgd(optimizer) or FusedAdamW.can_take(optimizer)


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

    def __call__(self, slot: Slot, rate: float | None = None) -> None:
        """Train on the batch in `slot`, at `rate` or at the optimizer's own learning rate."""
        if rate is not None:
            set_learning_rate(self.step.optimizer, rate)
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
