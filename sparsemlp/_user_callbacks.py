"""Callbacks that the user gives: what they need is checked before training, and what they leave can be saved."""

from __future__ import annotations

import copy
from typing import Any

from skorch.callbacks import EpochScoring
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler as TorchScheduler


def check_monitors(callbacks: list | tuple | None, score_name: str, way_out: str) -> None:
    """Raise where a callback monitors a score of validation rows, of which there are none.

    Parameters
    ----------
    callbacks : list of skorch callbacks, or None
        The estimator's parameter.
    score_name : str
        Name of the score of validation rows.
    way_out : str
        How to have validation rows.
    """
    given = _given(callbacks)
    scores = {"valid_loss", score_name}
    scores |= {each.name for each in given if isinstance(each, EpochScoring) and not each.on_train and each.name}
    for each in given:
        monitor = getattr(each, "monitor", None)
        if isinstance(monitor, str) and monitor.removesuffix("_best") in scores:
            raise ValueError(
                f"the callback {type(each).__name__} monitors {monitor!r}, and there are no validation rows; "
                f"{way_out}or let it monitor 'train_loss'"
            )


def without_tensors(callbacks: list | tuple | None) -> list | tuple | None:
    """Return callbacks without what they found in training if that is of tensors, as a schedule's optimizer is."""
    if not callbacks:
        return callbacks
    return type(callbacks)(
        (each[0], _without_tensors(each[1])) if isinstance(each, tuple) else _without_tensors(each)
        for each in callbacks
    )


def _given(callbacks: list | tuple | None) -> list[Any]:
    return [each[1] if isinstance(each, tuple) else each for each in callbacks or ()]


def _without_tensors(callback: Any) -> Any:
    found = [name for name, value in _attributes(callback) if name.endswith("_") and _holds_tensors(value)]
    if not found:
        return callback
    callback = copy.copy(callback)
    for name in found:
        setattr(callback, name, None)
    return callback


def _attributes(callback: Any) -> list[tuple[str, Any]]:
    return list(getattr(callback, "__dict__", {}).items())


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(map(_holds_tensors, value))
    return isinstance(value, Tensor | Optimizer | TorchScheduler)
