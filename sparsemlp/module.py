"""The network: dense layers with a leading members dimension, of which the first starts sparse."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparsemlp._activations import (
    ACTIVATIONS,
    STEEP,
    apply_gains_,
    blocks,
    interchangeable,
    sparse_layer_activation,
)
from sparsemlp._validation import check_richness
from sparsemlp.init import BIAS_INITS, data_bias_, fan_in_uniform_, random_sets_, s_hot_, torch_linear_
from sparsemlp.parametrization import antisymmetric_
from sparsemlp.trees import TreePaths, splits_

# Up to this many values of hidden neurons, 1 MiB, members are computed together on a CPU: more leave a core's
# cache between two layers, which costs more than several small products do; measured, see docs/speed.md.
GROUP_VALUES = 2**18


class MemberLinear(nn.Module):
    """One linear layer for each of `n_members` networks, computed as one batched product.

    **Shape**

    - Input: (n_members, batch, n_inputs), or (batch, n_inputs) that all members share.
    - Output: (n_members, batch, n_outputs).

    Parameters
    ----------
    n_inputs, n_outputs : int
        Sizes of one member's layer.
    n_members : int
        Number of independent layers.
    transposed : bool, default=False
        Store the weights input by input in memory; their shape stays the same. Where inputs are few, the
        product that makes the weights' gradient takes half the time in this order.
    dtype : torch.dtype, optional
        Of the parameters. Default: torch's default. Random numbers are sampled in float32 for all dtypes.

    Examples
    --------
    >>> import torch
    >>> from sparsemlp.module import MemberLinear
    >>> layer = MemberLinear(n_inputs=4, n_outputs=2, n_members=3)
    >>> layer.reset_parameters(torch.Generator().manual_seed(0))
    >>> layer(torch.zeros(5, 4)).shape
    torch.Size([3, 5, 2])
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        n_members: int,
        *,
        transposed: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if transposed:
            weight = torch.empty(n_members, n_inputs, n_outputs, dtype=dtype).mT
        else:
            weight = torch.empty(n_members, n_outputs, n_inputs, dtype=dtype)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.empty(n_members, n_outputs, dtype=dtype))

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Initialise weights and biases as ``torch.nn.Linear`` does."""
        torch_linear_(self.weight, generator)
        fan_in_uniform_(self.bias, self.weight.shape[-1], generator)

    def forward(self, x: Tensor, members: slice = slice(None), out: Tensor | None = None) -> Tensor:
        """Map inputs to the members' outputs, in `out` where that is given."""
        weight, bias = self.weight[members], self.bias[members]
        if x.ndim == 2:
            x = x.expand(len(weight), -1, -1)
        return torch.baddbmm(bias.unsqueeze(1), x, weight.mT, out=out)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        # safetensors takes no transposed tensors, and a file should not depend on how weights lie in memory
        destination[f"{prefix}weight"] = destination[f"{prefix}weight"].contiguous()

    def extra_repr(self) -> str:
        """Show the sizes in ``print(module)``."""
        n_members, n_outputs, n_inputs = self.weight.shape
        return f"n_inputs={n_inputs}, n_outputs={n_outputs}, n_members={n_members}"


class SparseInitMLP(nn.Module):
    """A multilayer perceptron whose first-layer neurons start with `sparsity` random inputs each.

    Only the start is sparse: training is dense, nothing is masked (Edelman et al. 2023, arXiv 2309.03800,
    section 3). A neuron that happens to hold relevant inputs, a "lottery ticket", needs far fewer samples to
    find the rest. Width is a parallel search for such neurons.

    **Shape**

    - Input: (batch, n_features), or (n_members, batch, n_features) for a batch of its own for every member.
    - Output: (n_members, batch, n_outputs).
    - ``input_layer.weight``: (n_members, width, n_features).

    Parameters
    ----------
    n_features, n_outputs : int
        Sizes of input and output.
    width : int or sequence of int
        Widths of the hidden layers; the first is the sparse one.
    sparsity : int or None
        Number s of inputs that every first-layer neuron starts with. None: dense ``torch.nn.Linear``
        initialisation; the weights of tanh and sin neurons are still scaled by their gain.
    init : {"sign", "ones", "normal", "uniform"}, default="sign"
        Distribution of the nonzero weights, see :func:`sparsemlp.init.s_hot_`.
    bias_init : {"zeros", "uniform", "data"}, default="zeros"
        First-layer biases: 0; U(-1/sqrt(s), 1/sqrt(s)); or thresholds at random rows of `data`.
    activation : {"relu", "tanh", "sin", "box", "relu-tanh", "mixed"}, default="relu"
        Of the first layer; other hidden layers are relu. Box neurons come in pairs, whose outputs are a (1 - b)
        and a b for the logistic functions a and b of their two sums. The weights of tanh neurons start ten times
        as large, those of box neurons twenty times, those of sin neurons one to four times. "relu-tanh": half of
        the neurons each; "mixed": a quarter relu, a quarter sin, half box.
    richness : float or None, default=None
        None: the usual parametrisation. A number gamma: the centred mean-field one, in which the output starts
        at 0 and is divided by gamma times the last hidden layer's width, see :mod:`sparsemlp.parametrization`.
        Weights move by the order of gamma: lazy below one, rich from one on. It needs the learning rates of
        :func:`sparsemlp.parametrization.parameter_groups`.
    n_members : int, default=1
        Number of independent networks.
    data : Tensor of shape (n_rows, n_features), optional
        Rows for ``bias_init="data"``.
    column_groups : sequence of sequences of int, optional
        Columns of the input that stem from the same raw feature, see :func:`sparsemlp.init.s_hot_`.
    one_hot : sequence of (int, int), optional
        Where the one-hot columns of each categorical feature start and stop. Neurons that start with the first of
        them start with a random set of categories, see :func:`sparsemlp.init.random_sets_`.
    paths : sequence of (TreePaths or None), optional
        Trees for every member, see :mod:`sparsemlp.trees`. Its tanh and box neurons start as their splits, and the
        others sample the features that these split most. Default, and for a member with None: random starts.
    generator : torch.Generator, optional
        A CPU generator for all random numbers. Default: torch's global one.
    dtype : torch.dtype, optional
        Of the parameters. Default: torch's default. Random numbers are sampled in float32 for all dtypes.

    Raises
    ------
    ValueError
        If a size is below one, `sparsity` exceeds the number of features, `richness` is not positive, or a choice
        is unknown.

    Examples
    --------
    >>> import torch
    >>> from sparsemlp import SparseInitMLP
    >>> module = SparseInitMLP(n_features=10, n_outputs=1, width=64, sparsity=2, n_members=3)
    >>> module.input_layer.weight.count_nonzero(dim=-1).unique()
    tensor([2])
    >>> module(torch.zeros(5, 10)).shape
    torch.Size([3, 5, 1])
    """

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        width: int | Sequence[int],
        sparsity: int | None,
        *,
        init: str = "sign",
        bias_init: str = "zeros",
        activation: str = "relu",
        richness: float | None = None,
        n_members: int = 1,
        data: Tensor | None = None,
        column_groups: Sequence[Sequence[int]] | None = None,
        one_hot: Sequence[tuple[int, int]] = (),
        paths: Sequence[TreePaths | None] | None = None,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        widths = tuple(width) if isinstance(width, Iterable) else (width,)
        sizes = {"n_features": n_features, "n_outputs": n_outputs, "n_members": n_members}
        sizes |= {f"width[{i}]": size for i, size in enumerate(widths)}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name}={size} must be at least 1")
        if not widths:
            raise ValueError("width=() must name at least one hidden layer")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r} is unknown; choose one of {ACTIVATIONS}")
        check_richness(richness)
        self.n_members = n_members
        self.activation = activation
        self.richness = richness
        #: factor of the last layer's values
        self.output_scale = 1.0 if richness is None else 1 / (richness * widths[-1])
        self.input_layer = MemberLinear(n_features, widths[0], n_members, transposed=True, dtype=dtype)
        self.hidden_layers = nn.ModuleList(
            MemberLinear(n_inputs, n_units, n_members, dtype=dtype) for n_inputs, n_units in pairwise(widths)
        )
        self.output_layer = MemberLinear(widths[-1], n_outputs, n_members, dtype=dtype)
        self._reset_input_layer(sparsity, init, bias_init, data, column_groups, one_hot, paths, generator)
        for layer in self.layers[1:]:
            layer.reset_parameters(generator)
        if richness is not None:
            parameters = [(layer.weight, layer.bias) for layer in self.layers]
            antisymmetric_(parameters, interchangeable(activation, widths[0]))

    @property
    def layers(self) -> list[MemberLinear]:
        """All layers, from input to output."""
        return [self.input_layer, *self.hidden_layers, self.output_layer]

    def _reset_input_layer(
        self,
        sparsity: int | None,
        init: str,
        bias_init: str,
        data: Tensor | None,
        column_groups: Sequence[Sequence[int]] | None,
        one_hot: Sequence[tuple[int, int]],
        paths: Sequence[TreePaths | None] | None,
        generator: torch.Generator | None,
    ) -> None:
        weight, bias = self.input_layer.weight, self.input_layer.bias
        thresholds: list[tuple[int, slice, Tensor]] = []
        if sparsity is None:
            torch_linear_(weight, generator)
        elif paths is None:
            s_hot_(weight, sparsity, init, generator, column_groups=column_groups)
            random_sets_(weight, one_hot, generator)
        else:
            thresholds = self._start_from_trees(sparsity, init, column_groups, one_hot, paths, generator)
        apply_gains_(weight, self.activation, generator)
        if bias_init == "zeros":
            nn.init.zeros_(bias)
        elif bias_init == "uniform":
            fan_in_uniform_(bias, sparsity or weight.shape[-1], generator)
        elif bias_init == "data":
            if data is None:
                raise ValueError("bias_init='data' places thresholds at rows of the data: pass data=...")
            data_bias_(bias, weight, data, generator)
        else:
            raise ValueError(f"bias_init={bias_init!r} is unknown; choose one of {BIAS_INITS}")
        with torch.no_grad():
            for member, neurons, values in thresholds:
                split = weight[member, neurons]
                bias[member, neurons] = -split.sum(dim=1) / split.count_nonzero(dim=1) * values

    @torch.no_grad()
    def _start_from_trees(
        self,
        sparsity: int,
        init: str,
        column_groups: Sequence[Sequence[int]] | None,
        one_hot: Sequence[tuple[int, int]],
        paths: Sequence[TreePaths | None],
        generator: torch.Generator | None,
    ) -> list[tuple[int, slice, Tensor]]:
        """Fill the first layer's weights; return members and neurons that are splits, with their thresholds."""
        thresholds = []
        width = self.input_layer.bias.shape[1]
        steep = [neurons for kind, neurons in blocks(self.activation, width) if kind in STEEP]
        for member, (weight, trees) in enumerate(zip(self.input_layer.weight, paths, strict=True)):
            by_gain = None if trees is None else trees.feature_weights(column_groups)
            s_hot_(weight, sparsity, init, generator, column_groups=column_groups, feature_weights=by_gain)
            random_sets_(weight, one_hot, generator)
            if trees is None:
                continue
            for neurons in steep:
                values = splits_(weight[neurons], trees, init, generator)
                thresholds.append((member, slice(neurons.start, neurons.start + len(values)), values))
        return thresholds

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs to every member's outputs."""
        n_groups = self.n_groups(x.shape[-2])
        if n_groups == 1:
            return self._forward(x, slice(None))
        groups = self.groups_of_members(n_groups)
        buffers = None
        # fresh memory costs a tenth of the time; hooks may keep what they see
        if not (torch.is_grad_enabled() or any(layer._forward_hooks for layer in self.layers)):
            size = max(members.stop - members.start for members in groups)
            buffers = [x.new_empty(size, x.shape[-2], layer.bias.shape[1]) for layer in self.layers[:-1]]
        return torch.cat([self._forward(x if x.ndim == 2 else x[members], members, buffers) for members in groups])

    def _forward(self, x: Tensor, members: slice, buffers: Sequence[Tensor] | None = None) -> Tensor:
        first, *hidden, output_layer = self.layers
        outs: list[Tensor | None] = [None] * (1 + len(hidden))
        if buffers is not None:
            outs = [buffer[: members.stop - members.start] for buffer in buffers]
        x = sparse_layer_activation(self.activation, first(x, members, outs[0]))
        for layer, out in zip(hidden, outs[1:], strict=True):
            # hooks of modules, as explainers set them, allow no change of what a layer returns to autograd
            x = F.relu(layer(x, members, out), inplace=not torch.is_grad_enabled())
        x = output_layer(x, members)
        return x if self.richness is None else x * self.output_scale

    @torch.no_grad()
    def see_only_(self, columns: Tensor) -> None:
        """Set the weights of columns to 0 that members do not see, by `columns` of (n_members, n_features)."""
        self.input_layer.weight.mul_(columns.unsqueeze(1))

    def n_groups(self, n_rows: int) -> int:
        """Return how many groups of members to compute one after another, each small enough for a core's cache."""
        if self.input_layer.weight.device.type != "cpu":
            return 1
        n_values = n_rows * sum(layer.bias.shape[-1] for layer in self.layers[:-1])
        return math.ceil(self.n_members / max(1, GROUP_VALUES // max(1, n_values)))

    def groups_of_members(self, n_groups: int) -> list[slice]:
        """Divide the members into groups of nearly equal size."""
        edges = [round(i * self.n_members / n_groups) for i in range(n_groups + 1)]
        return [slice(a, b) for a, b in pairwise(edges)]
