"""What first-layer neurons start as, kept for :func:`sparsemlp.inspection.neuron_starts`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sparsemlp.module import SparseInitMLP


class FirstLayerStart(NamedTuple):
    """A first layer before training, as plain arrays: its nonzero weights and its biases."""

    member: np.ndarray  # of every nonzero weight, int32
    neuron: np.ndarray
    column: np.ndarray
    weight: np.ndarray  # float32
    bias: np.ndarray  # (n_members, width), float32

    @staticmethod
    def of(module: SparseInitMLP) -> FirstLayerStart:
        """Copy the first layer of a module."""
        weight, bias = (values.detach().cpu() for values in module.input_layer.parameters())
        position = weight.nonzero(as_tuple=True)
        member, neuron, column = (index.numpy().astype(np.int32) for index in position)
        return FirstLayerStart(member, neuron, column, weight[position].numpy().copy(), bias.numpy().copy())
