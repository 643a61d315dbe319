"""Batched products of one member, computed as if it were one of several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

_PRODUCTS: tuple[Any, ...] = (torch.baddbmm, torch.bmm, Tensor.baddbmm_)


def as_among_others(call: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """Yield calls that give one member, to the bit, what it would get from this call among several.

    Libraries compute a batch of one product with a vector by another kernel than a batch of several, which adds up
    in another order. Such a product is therefore done for the member and a twin of it, whose operands are the same
    memory. Other products, and calls of other functions, stay as they are.
    """
    if not isinstance(call, partial) or call.func not in _PRODUCTS or not _has_vector(*call.args[-2:]):
        yield call
        return
    is_in_place = call.func is Tensor.baddbmm_
    options = dict(call.keywords)
    out = call.args[0] if is_in_place else options.pop("out")
    pair = out.new_empty(2, *out.shape[1:])
    operands = [operand.expand(2, -1, -1) for operand in call.args]
    if is_in_place:
        yield partial(pair.copy_, out)
        yield partial(pair.baddbmm_, *operands[1:], **options)
    else:
        yield partial(call.func, *operands, **options, out=pair)
    yield partial(out.copy_, pair[:1])


def _has_vector(left: Tensor, right: Tensor) -> bool:
    """Return whether a factor is a row or a column, or their product is."""
    return 1 in (*left.shape[1:], right.shape[-1])
