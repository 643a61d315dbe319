"""A running average of the weights, which replaces a falling learning rate at any length of training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

# The n-th step enters with weight (EMPHASIS + 1) / (EMPHASIS + n): the average is over about the last ninth.
EMPHASIS = 8


class WeightAverage:
    """Polynomial-decay average of a network's parameters over the steps of training.

    Between epochs the network holds the average, for predictions and callbacks. During an epoch it holds the
    weights in training.
    (Shamir and Zhang 2013, *Stochastic Gradient Descent for Non-smooth Optimization*, arXiv:1212.1824, section 4.)

    Parameters
    ----------
    module : SparseInitMLP
        The network; its parameters have a leading members dimension.
    groups : sequence of slice
        Groups of members, which threads of their own update.
    """

    def __init__(self, module: nn.Module, groups: Sequence[slice]) -> None:
        self.parameters = [parameter.detach() for parameter in module.parameters()]
        self.averages = [parameter.clone() for parameter in self.parameters]
        self.in_training = [parameter.clone() for parameter in self.parameters]
        self.groups = [
            ([average[members] for average in self.averages], [one[members] for one in self.parameters])
            for members in groups
        ]
        self.n_steps = [0] * len(groups)
        self.in_epoch = False

    def begin_epoch(self) -> None:
        """Put the weights in training into the network."""
        torch._foreach_copy_(self.parameters, self.in_training)
        self.in_epoch = True

    def update(self, group: int) -> None:
        """Include a group's weights after a step."""
        self.n_steps[group] += 1
        averages, parameters = self.groups[group]
        torch._foreach_lerp_(averages, parameters, (EMPHASIS + 1) / (EMPHASIS + self.n_steps[group]))

    def end_epoch(self) -> None:
        """Put the averages into the network."""
        torch._foreach_copy_(self.in_training, self.parameters)
        torch._foreach_copy_(self.parameters, self.averages)
        self.in_epoch = False
