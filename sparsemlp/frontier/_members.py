"""Networks as members of one network: initialised from the seeds of runs, stacked, selected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sparsemlp.frontier._runs import INITIALISATION, Run
from sparsemlp.module import SparseInitMLP


def initial_networks(runs: Sequence[Run], purpose: int = INITIALISATION) -> SparseInitMLP:
    """Initialise every run's own network from its seed for `purpose`, and stack them as members of one."""
    return stacked([_initial_network(run, purpose) for run in runs])


@torch.no_grad()
def _initial_network(run: Run, purpose: int) -> SparseInitMLP:
    setting = run.setting
    generator = setting.torch_generator(run.number, purpose)
    net = SparseInitMLP(
        setting.n_features,
        1,
        setting.width,
        setting.sparsity,
        init=setting.init,
        bias_init=setting.initial_biases,
        generator=generator,
        dtype=torch.float32,  # as the rows are, whatever torch's default
    )
    if setting.sparsity is not None:
        net.input_layer.weight.mul_(setting.init_scale)
    return net


def stacked(nets: Sequence[SparseInitMLP]) -> SparseInitMLP:
    """Return a network whose members are those of `nets`, one after the other."""
    parameters = zip(*(net.parameters() for net in nets), strict=True)
    return assembled([torch.cat(values) for values in parameters], nets[0])


def select_members(module: SparseInitMLP, index: Sequence[int]) -> SparseInitMLP:
    """Return a network of some of the members."""
    return assembled([values[list(index)] for values in module.parameters()], module)


def assembled(values: Sequence[Tensor], like: SparseInitMLP | None = None) -> SparseInitMLP:
    """Return a network with copies of these parameters: weight and bias of every layer, from input to output.

    What is no parameter, the activation and the output's scale, is that of `like`.
    """
    n_members, _, n_features = values[0].shape
    *widths, n_outputs = (weight.shape[1] for weight in values[::2])
    options: dict[str, Any] = {"n_members": n_members, "generator": torch.Generator(), "dtype": values[0].dtype}
    if like is not None:
        options |= {"activation": like.activation, "richness": like.richness}
    module = SparseInitMLP(n_features, n_outputs, widths, 1, **options)
    if like is not None:
        module.output_scale = like.output_scale  # a part of a network gives its part of the output
    module.to(values[0].device)
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), values, strict=True):
            parameter.copy_(value)
    return module
