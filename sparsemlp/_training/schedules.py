"""Learning rates that a scheduler among the callbacks sets, kept from one training to the next."""

from __future__ import annotations

from typing import Any, NamedTuple

from skorch.callbacks import LRScheduler
from torch import Tensor

# What torch's schedulers write into the optimizer's groups, and read where they go on.
KEPT = ("lr", "initial_lr", "min_lr", "max_lr", "base_momentum", "max_momentum")


class Schedule(NamedTuple):
    """The learning rates of an optimizer's groups, and the one that training began with."""

    learning_rate: float
    groups: list[dict[str, float]]


def schedule_of(net: Any) -> Schedule | None:
    """Return the learning rates as they are; None where no callback sets them."""
    if not any(isinstance(callback, LRScheduler) for _, callback in net.callbacks_):
        return None
    groups = [
        {name: float(group[name]) for name in KEPT if name in group} for group in net.optimizer_.param_groups
    ]
    return Schedule(float(net.lr), groups)


def resume(net: Any, schedule: Schedule | None) -> None:
    """Let schedules go on in a net with a new optimizer, unless the learning rate that they began with is another.

    torch's schedulers refuse to go on without an ``initial_lr``; skorch keeps the optimizer instead.
    """
    groups = net.optimizer_.param_groups
    if schedule is None or schedule.learning_rate != float(net.lr) or len(schedule.groups) != len(groups):
        kept: list[dict[str, float]] = [{"initial_lr": float(group["lr"])} for group in groups]
    else:
        kept = schedule.groups
    for group, values in zip(groups, kept, strict=True):
        for name, value in values.items():
            if isinstance(group.get(name), Tensor):
                group[name].fill_(value)
            else:
                group[name] = value
