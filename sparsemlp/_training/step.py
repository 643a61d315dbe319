"""The training step in closed form, on buffers that are allocated once.

Small nets spend their time outside the matrix products: in autograd's graph, in fresh 100 KiB tensors that the
allocator maps and page-faults at every step, in the optimizer's passes over gradients. Here forward, backward
and update write to preallocated buffers, and plain SGD needs no gradient of a weight matrix at all: decay,
gradient and update are one accumulating product. The same static buffers are what a CUDA graph needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sparsemlp._activations import n_saved, relu_backward, sparse_layer_backward_calls, sparse_layer_calls
from sparsemlp._training.lone_member import LoneMember
from sparsemlp._training.losses import Loss
from sparsemlp._training.optimizers import FusedAdamW, is_plain_sgd, rate_of, set_learning_rate
from sparsemlp.module import SparseInitMLP

#: rows between the members' parts of a buffer; any positive number will do, this one keeps them aligned
GAP_ROWS = 16


class BatchBuffers(NamedTuple):
    """The buffers of one batch; several members, or `independent` ones, have a leading dimension."""

    x: Tensor  # (batch, n_features)
    target: Tensor  # (batch, n_outputs)
    weight: Tensor | None  # (batch, 1), of mean one over the training set; None: all ones
    output: Tensor  # (batch, n_outputs), written by the step


class _Layer:
    """Some members' parameters of one layer, with activations and their gradients for a fixed batch size.

    In low precision a hidden layer computes on copies of its parameters in `dtype`. The output layer computes
    on the parameters themselves, so that the loss has full precision, and passes its gradient down by a copy.
    """

    def __init__(
        self,
        layer: Any,
        batch_size: int,
        members: slice,
        is_output: bool,
        dtype: torch.dtype,
        buffers: _Layer | None,
        independent: bool,
    ) -> None:
        self.members = members
        self.independent = independent
        self.weight, self.bias = self._view(layer.weight), self._view(layer.bias)
        self.bias_row = self.bias.unsqueeze(-2)
        has_copy = dtype != self.weight.dtype
        #: what products take in place of the parameters
        self.weight_operand = torch.empty_like(self.weight, dtype=dtype) if has_copy else self.weight
        self.is_low_precision = has_copy and not is_output
        self.bias_operand = torch.empty_like(self.bias, dtype=dtype) if self.is_low_precision else self.bias
        weight = self.weight_operand if self.is_low_precision else self.weight
        self.weight_t, self.bias_row_operand = weight.mT, self.bias_operand.unsqueeze(-2)
        shape = (*self.bias.shape[:-1], batch_size, self.bias.shape[-1])
        self.output: Tensor  # of hidden layers; the last one's is the batch's
        if not is_output:
            self.output = _buffer(weight, shape, None if buffers is None else buffers.output)
        #: derivative of the loss by this layer's linear part
        self.delta: Tensor = _buffer(weight, shape, None if buffers is None else buffers.delta)
        if is_output and independent:
            self.delta = _spaced_buffer(weight, shape)
        self.delta_t = self.delta.mT
        self.delta_operand = torch.empty_like(self.delta, dtype=dtype) if has_copy and is_output else self.delta
        self.weight_gradient: Tensor
        self.bias_gradient: Tensor
        #: the optimizer's groups of parameters that they are in
        self.weight_group = self.bias_group = 0
        self.low_precision_gradient: Tensor | None = None  # the weights' gradient in `dtype`

    def _view(self, values: Tensor) -> Tensor:
        """Return the members' part, without the members dimension where it is one and not `independent`."""
        part = values.detach()[self.members]
        return part[0] if len(part) == 1 and not self.independent else part

    def allocate_gradients(self, layer: Any) -> None:
        for parameter in (layer.weight, layer.bias):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.weight_gradient = self._view(layer.weight.grad)
        self.bias_gradient = self._view(layer.bias.grad)
        if self.is_low_precision:
            self.low_precision_gradient = torch.empty_like(self.in_memory(self.weight_operand))

    def in_memory(self, values: Tensor) -> Tensor:
        """Return weights, or their gradient, in the order in which they lie in memory.

        Some of torch's batched products are a thousand times slower when they write to a transposed tensor.
        """
        return values if self.weight.is_contiguous() else values.mT

    def gradient_factors(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factors of the weights' gradient in that order."""
        return (self.delta_t, inputs) if self.weight.is_contiguous() else (inputs.mT, self.delta)

    def copies(self) -> Iterator[Callable[[], Any]]:
        """Yield the calls that bring the copies of the parameters up to date."""
        if self.weight_operand is not self.weight:
            yield partial(self.weight_operand.copy_, self.weight)
        if self.bias_operand is not self.bias:
            yield partial(self.bias_operand.copy_, self.bias)


def _buffer(like: Tensor, shape: tuple[int, ...], shared: Tensor | None) -> Tensor:
    """Return a buffer of this shape, in the first part of `shared` if that is given."""
    n_values = math.prod(shape)
    flat = like.new_empty(n_values) if shared is None else shared.view(-1)[:n_values]
    return flat.view(shape)


def _spaced_buffer(like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a buffer with a gap after each member's part.

    Kernels then pass over each member's values on their own. In one pass over all of them the last few values, for
    which a sigmoid is rounded differently than for full vectors, would be those of the last member alone.
    """
    n_members, n_rows, n_columns = shape
    return like.new_empty(n_members, n_rows + GAP_ROWS, n_columns)[:, :n_rows]


class TrainingStep:
    """One step of gradient descent on a :class:`SparseInitMLP`, in closed form on static buffers.

    The work on a batch is recorded once, as a list of calls on fixed tensors, and the list is run at every
    step; so no tensor is made and no attribute looked up on the way.

    Parameters
    ----------
    module : SparseInitMLP
        The network; its parameters are updated in place.
    loss : Loss
        Each member's objective is the mean over its batch of ``weight * loss``.
    optimizer : torch.optim.Optimizer
        ``torch.optim.SGD`` without momentum is applied in closed form, and fused ``torch.optim.AdamW`` by its own
        kernel, both with the values of the parameter groups as they stand at each step. Any other optimizer
        gets gradients in preallocated ``.grad`` buffers and its own ``step()`` is called.
    batch_size : int
        Rows of every member's batch.
    members : slice, default=slice(None)
        The members to train; others may be trained by other threads at the same time.
    adamw : FusedAdamW, optional
        The update of these members, for steps of several batch sizes to share.
    buffers : TrainingStep, optional
        A step for the same members and batches at least as large, whose buffers are used too.
    dtype : torch.dtype, optional
        What hidden layers' products are computed in, on copies of the weights. Default: the weights' own.
    independent : bool, default=False
        Whether a member trains to the same bits among any other members, and alone. This holds for networks of one
        output, plain SGD and one thread on a CPU, and where `members` are all. Batches of a single member then
        have a members dimension too.
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
        dtype: torch.dtype | None = None,
        independent: bool = False,
    ) -> None:
        self.loss = loss
        self.activation = module.activation
        self.output_scale = module.output_scale
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.independent = independent
        # else batches of one member have no such dimension
        self.members = members if module.n_members > 1 or independent else None
        full = module.input_layer.weight.dtype
        dtype = full if dtype is None else dtype
        self.is_low_precision = dtype != full
        #: None among others, and on devices that round as they like
        is_on_cpu = module.input_layer.weight.device.type == "cpu"
        self.lone = LoneMember() if independent and module.n_members == 1 and is_on_cpu else None
        if self.lone is not None:
            for parameter in module.parameters():
                self.lone.move_(parameter)
        self._make_layers(module, members, dtype, buffers)
        self._make_buffers(buffers)
        self._choose_products(n_members=len(range(module.n_members)[members]))
        self._join_optimizer(module, members, adamw)
        # The batch is kept with its calls, so that no other batch can have its id.
        self._recorded: dict[int, tuple[BatchBuffers, list[Callable[[], Any]]]] = {}
        #: learning rate and weight decay of every parameter group
        self._scalars: tuple[tuple[float, float], ...] = ()

    def _make_layers(
        self, module: SparseInitMLP, members: slice, dtype: torch.dtype, buffers: TrainingStep | None
    ) -> None:
        shared = [None] * len(module.layers) if buffers is None else buffers.layers
        self.layers: list[_Layer] = [
            _Layer(
                layer, self.batch_size, members, layer is module.output_layer, dtype, its_buffers, self.independent
            )
            for layer, its_buffers in zip(module.layers, shared, strict=True)
        ]

    def _make_buffers(self, buffers: TrainingStep | None) -> None:
        """Make the buffers that do not belong to one layer."""
        first, last_hidden = self.layers[0], self.layers[-2]
        shape = (*first.output.shape[:-1], n_saved(self.activation, first.output.shape[-1]))
        self.saved: Tensor = _buffer(first.output, shape, None if buffers is None else buffers.saved)
        if self.is_low_precision:
            self.x = first.delta.new_empty(*first.delta.shape[:-1], first.weight.shape[-1])
            self.last_hidden = torch.empty_like(last_hidden.output, dtype=first.weight.dtype)

    def _choose_products(self, n_members: int) -> None:
        """Choose matrix products for one member, batched products for several."""
        squeeze = n_members == 1 and not self.independent
        self.affine: Callable[..., Tensor] = torch.addmm if squeeze else torch.baddbmm
        self.product: Callable[..., Tensor] = torch.mm if squeeze else torch.bmm
        self.accumulate_: Callable[..., Tensor] = Tensor.addmm_ if squeeze else Tensor.baddbmm_
        ones = self.layers[-1].delta.new_ones(1, self.batch_size)
        self.ones = ones if squeeze else ones.expand(n_members, -1, -1)

    def _join_optimizer(self, module: SparseInitMLP, members: slice, adamw: FusedAdamW | None) -> None:
        """Give the optimizer what it needs, and find the groups of parameters that layers are in."""
        optimizer = self.optimizer
        self.is_plain_sgd = is_plain_sgd(optimizer)
        groups = {id(p): i for i, group in enumerate(optimizer.param_groups) for p in group["params"]}
        for layer, parameters in zip(self.layers, module.layers, strict=True):
            if layer.is_low_precision or not self.is_plain_sgd:
                layer.allocate_gradients(parameters)
            layer.weight_group, layer.bias_group = groups[id(parameters.weight)], groups[id(parameters.bias)]
        if adamw is None and FusedAdamW.can_take(optimizer):
            adamw = FusedAdamW(optimizer, members)
        self.adamw = adamw
        # Learning-rate schedulers look for it, and warn of a missing step.
        optimizer._opt_called = True  # type: ignore[attr-defined]

    def __call__(self, batch: BatchBuffers, rate: float | None = None) -> None:
        """Train on the batch in `batch`, and leave the outputs before the update in ``batch.output``.

        The learning rate is `rate`; if it is None, every parameter group of the optimizer has its own.
        """
        if self.is_plain_sgd:
            self._forget_old_scalars(rate)
        if id(batch) not in self._recorded:
            self._recorded[id(batch)] = batch, self._record(self._own(batch))
        for call in self._recorded[id(batch)][1]:
            call()
        if self.adamw is not None:
            self.adamw(rate)
        elif not self.is_plain_sgd:
            if rate is not None:
                set_learning_rate(self.optimizer, rate)
            self.optimizer.step()

    def _forget_old_scalars(self, rate: float | None) -> None:
        """Drop the records of plain SGD, which hold its rates, if these have changed."""
        scalars = tuple((rate_of(group, rate), group["weight_decay"]) for group in self.optimizer.param_groups)
        if scalars != self._scalars:
            self._recorded.clear()
            self._scalars = scalars

    def _own(self, batch: BatchBuffers) -> BatchBuffers:
        """Return the members' part of the batch."""
        if self.members is None:
            return batch
        parts = [values if values is None else values[self.members] for values in batch]
        if self.independent:
            return BatchBuffers(*parts)  # type: ignore
        return BatchBuffers(*(part[0] if part is not None and len(part) == 1 else part for part in parts))  # type: ignore

    def _record(self, batch: BatchBuffers) -> list[Callable[[], Any]]:
        copies = (call for layer in self.layers for call in layer.copies())
        calls = [*copies, *self._forward(batch), *self._output_delta(batch), *self._backward(batch)]
        return calls if self.lone is None else [part for call in calls for part in self.lone.as_among_others(call)]

    def _forward(self, batch: BatchBuffers) -> Iterator[Callable[[], Any]]:
        x = batch.x
        if self.is_low_precision:
            yield partial(self.x.copy_, x)
            x = self.x
        for layer in self.layers[:-1]:
            yield partial(self.affine, layer.bias_row_operand, x, layer.weight_t, out=layer.output)
            if layer is self.layers[0]:
                yield from sparse_layer_calls(self.activation, layer.output, self.saved)
            else:
                yield layer.output.relu_
            x = layer.output
        if self.is_low_precision:
            yield partial(self.last_hidden.copy_, x)
            x = self.last_hidden
        layer = self.layers[-1]
        scale = self.output_scale
        yield partial(self.affine, layer.bias_row, x, layer.weight_t, beta=scale, alpha=scale, out=batch.output)

    def _output_delta(self, batch: BatchBuffers) -> Iterator[Callable[[], Any]]:
        layer = self.layers[-1]
        yield partial(self.loss.gradient_, batch.output, batch.target, out=layer.delta)
        if batch.weight is not None:
            yield partial(layer.delta.mul_, batch.weight)
        divisor = 1 if self.is_plain_sgd else self.batch_size  # SGD has the mean's divisor in its scalars
        if divisor / self.output_scale != 1:
            yield partial(layer.delta.div_, divisor / self.output_scale)
        if self.is_low_precision:
            yield partial(layer.delta_operand.copy_, layer.delta)

    def _backward(self, batch: BatchBuffers) -> Iterator[Callable[[], Any]]:
        update = self._sgd_update if self.is_plain_sgd else self._store_gradients
        for layer, below in zip(self.layers[:0:-1], self.layers[-2::-1], strict=True):
            # An outer product is a broadcast multiplication.
            product = torch.mul if layer.delta.shape[-1] == 1 else self.product
            yield partial(product, layer.delta_operand, layer.weight_operand, out=below.delta)
            if below is self.layers[0]:
                yield from sparse_layer_backward_calls(self.activation, below.output, self.saved, below.delta)
            else:
                yield relu_backward(below.output, below.delta)
            inputs = self.last_hidden if self.is_low_precision and not layer.is_low_precision else below.output
            yield from update(layer, inputs)  # after the product, which needs the weights as they were
        yield from update(self.layers[0], self.x if self.is_low_precision else batch.x)

    def _sgd_update(self, layer: _Layer, inputs: Tensor) -> Iterator[Callable[[], Any]]:
        keep, alpha = self._keep_and_alpha(layer.weight_group)
        bias_keep, bias_alpha = self._keep_and_alpha(layer.bias_group)
        if layer.is_low_precision:
            yield from self._store_gradients(layer, inputs)
            yield partial(layer.weight.mul_, keep)
            yield partial(layer.weight.add_, layer.weight_gradient, alpha=alpha)
            yield partial(layer.bias.mul_, bias_keep)
            yield partial(layer.bias.add_, layer.bias_gradient, alpha=bias_alpha)
        else:
            factors, ones = layer.gradient_factors(inputs), self.ones
            yield partial(self.accumulate_, layer.in_memory(layer.weight), *factors, beta=keep, alpha=alpha)
            yield partial(self.accumulate_, layer.bias_row, ones, layer.delta, beta=bias_keep, alpha=bias_alpha)

    def _keep_and_alpha(self, group: int) -> tuple[float, float]:
        """Return what SGD multiplies parameters of a group and their summed gradients by."""
        rate, weight_decay = self._scalars[group]
        return 1 - rate * weight_decay, -rate / self.batch_size

    def _store_gradients(self, layer: _Layer, inputs: Tensor) -> Iterator[Callable[[], Any]]:
        factors, out = layer.gradient_factors(inputs), layer.in_memory(layer.weight_gradient)
        if layer.low_precision_gradient is None:
            yield partial(self.product, *factors, out=out)
            # half the time of a sum over rows, and a tenth of the product with a column of ones
            yield partial(self.product, self.ones, layer.delta, out=layer.bias_gradient.unsqueeze(-2))
        else:
            yield partial(self.product, *factors, out=layer.low_precision_gradient)
            yield partial(out.copy_, layer.low_precision_gradient)
            yield partial(torch.sum, layer.delta, dim=-2, dtype=layer.bias.dtype, out=layer.bias_gradient)
