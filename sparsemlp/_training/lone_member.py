"""Batched products of one member, computed as if it were one of several.

Libraries compute a batch of one product with a vector by another kernel than a batch of several, which adds up in
another order. Such a product is therefore done for the member and a twin of it, whose operands are the same
memory. Results need memory of their own; what the twin's are is of no interest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

_PRODUCTS: tuple[Any, ...] = (torch.baddbmm, torch.bmm, Tensor.baddbmm_)


class LoneMember:
    """A single member's parameters, in memory with room for a twin's right behind them."""

    def __init__(self) -> None:
        self._pairs: dict[int, Tensor] = {}

    def move_(self, parameter: nn.Parameter) -> None:
        """Move the values of a parameter, of shape (1, ...), to memory with that room."""
        shape, strides = (2, *parameter.shape[1:]), (parameter.numel(), *parameter.stride()[1:])
        pair = torch.empty_strided(shape, strides, dtype=parameter.dtype, device=parameter.device)
        pair.copy_(parameter.detach().expand_as(pair))
        parameter.data = pair[:1]
        self._pairs[pair.data_ptr()] = pair

    def as_among_others(self, call: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
        """Yield calls that give the member, to the bit, what it would get from this call among several.

        Calls of other functions than products with a vector stay as they are.
        """
        if not isinstance(call, partial) or call.func not in _PRODUCTS or not _has_vector(*call.args[-2:]):
            yield call
            return
        if call.func is Tensor.baddbmm_:
            out, *factors = call.args
            factors = [factor.expand(2, -1, -1) for factor in factors]
            yield partial(self._with_twin(out).baddbmm_, *factors, **call.keywords)
            return
        options = dict(call.keywords)
        out = options.pop("out")
        pair = out.new_empty(2, *out.shape[1:])
        yield partial(call.func, *(operand.expand(2, -1, -1) for operand in call.args), **options, out=pair)
        yield partial(out.copy_, pair[:1])

    def _with_twin(self, values: Tensor) -> Tensor:
        """Return all of a parameter, however it is viewed, with its twin's."""
        pair = self._pairs[values.data_ptr()]
        return pair.as_strided((2, *values.shape[1:]), (values.numel(), *values.stride()[1:]))


def _has_vector(left: Tensor, right: Tensor) -> bool:
    """Return whether a factor is a row or a column, or their product is."""
    return 1 in (*left.shape[1:], right.shape[-1])
