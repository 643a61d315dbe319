"""The centred mean-field parametrisation, in which a parameter sets how far features move.

With one hidden layer of N neurons the output is f(x) = 1/(gamma N) sum_i a_i phi(w_i x + b_i), of weights a_i and
w_i of order one, and plain gradient descent has the rate N gamma^2 eta. Then f moves at a speed that depends on
neither N nor gamma, while weights move by the order of gamma: a small gamma leaves the network in its linear
("lazy") neighbourhood of the start, a gamma of one and more lets features be learned ("rich"). The output is
divided by gamma, so 0 is an error: lazy is a small number.
(Bordelon, Atanasov and Pehlevan 2025, *How Feature Learning Can Improve Neural Scaling Laws*, arXiv 2409.17858;
the rates for gamma above one from Atanasov, Meterez, Simon and Pehlevan 2025, *The Optimization Landscape of SGD
Across the Feature Learning Strength*, arXiv 2410.04642.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sparsemlp._validation import check_choice

if TYPE_CHECKING:
    from sparsemlp.module import SparseInitMLP

#: how the rate grows with richness: Adam divides the gradient's own 1 / richness out
POWERS = {"sgd": 2, "adamw": 1}
#: AdamW's rate at richness 1 is this times the learning rate, so that the same values serve as without richness,
#: where weights move less and count for more (they are not divided by the width)
ADAMW_FACTOR = 64.0
#: AdamW's epsilon without richness; gradients, and it with them, shrink by the output's scale
ADAM_EPS = 1e-8


def rate_scales(module: SparseInitMLP, optimizer: str) -> dict[str, float]:
    """Return the factor of the learning rate for every parameter, by its name.

    All ones if ``richness=None``. Else, for weights of order one in a network of L layers whose last hidden
    layer has N neurons: SGD has N gamma^2, and AdamW, whose steps do not depend on the gradient's size, has gamma
    times :data:`ADAMW_FACTOR`. Above gamma = 1 the exponents are divided by L: there weights grow to gamma^(1/L),
    and steps need grow no faster. A hidden layer's weights, of order 1/sqrt(fan-in), move by 1/fan-in of that.

    Parameters
    ----------
    module : SparseInitMLP
        The network.
    optimizer : {"sgd", "adamw"}
        SGD without momentum, or AdamW.

    Returns
    -------
    dict of str to float

    Examples
    --------
    >>> from sparsemlp import SparseInitMLP
    >>> from sparsemlp.parametrization import rate_scales
    >>> module = SparseInitMLP(n_features=10, n_outputs=1, width=(64, 16), sparsity=2, richness=0.5)
    >>> scales = rate_scales(module, "sgd")
    >>> scales["input_layer.weight"], scales["hidden_layers.0.weight"]  # 16 * 0.5**2, and by fan-in 64
    (4.0, 0.0625)
    """
    check_choice("optimizer", optimizer, POWERS)
    names = [name for name, _ in module.named_parameters()]
    if module.richness is None:
        return dict.fromkeys(names, 1.0)
    power = POWERS[optimizer] / (1 if module.richness <= 1 else len(module.layers))
    size = 1 / (module.richness * module.output_scale) if optimizer == "sgd" else ADAMW_FACTOR
    scales = dict.fromkeys(names, size * module.richness**power)
    for i, layer in enumerate(module.layers[1:-1]):
        scales[f"hidden_layers.{i}.weight"] /= layer.weight.shape[-1]
    return scales


def parameter_groups(
    module: SparseInitMLP, learning_rate: float, weight_decay: float = 0.0, optimizer: str = "sgd"
) -> list[dict[str, Any]]:
    """Return a network's parameters for ``torch.optim.SGD`` or ``torch.optim.AdamW``, with their learning rates.

    Parameters
    ----------
    module : SparseInitMLP
        The network.
    learning_rate : float
        One value serves every width and richness.
    weight_decay : float, default=0.0
        A step shrinks all weights by `learning_rate` times this, whatever their own rates are.
    optimizer : {"sgd", "adamw"}, default="sgd"
        The optimizer that the groups are for.

    Returns
    -------
    list of dict

    Examples
    --------
    >>> import torch
    >>> from sparsemlp import SparseInitMLP
    >>> from sparsemlp.parametrization import parameter_groups
    >>> module = SparseInitMLP(n_features=10, n_outputs=1, width=64, sparsity=2, richness=0.5)
    >>> sgd = torch.optim.SGD(parameter_groups(module, learning_rate=0.1))
    >>> sgd.param_groups[0]["lr"]  # 64 * 0.5**2 times the learning rate
    1.6
    """
    parameters = dict(module.named_parameters())
    by_scale: dict[float, list[Tensor]] = {}
    for name, scale in rate_scales(module, optimizer).items():
        by_scale.setdefault(scale, []).append(parameters[name])
    extra = {"eps": ADAM_EPS * module.output_scale} if optimizer == "adamw" else {}
    return [
        {"params": params, "lr": learning_rate * scale, "weight_decay": weight_decay / scale} | extra
        for scale, params in by_scale.items()
    ]


def _twins(n_units: int, blocks: Sequence[slice] = ()) -> Tensor:
    """Return the index of every neuron's twin, of shape (n_units,): in each half of a layer those of the other.

    Neurons of a block have the same activation and are paired among themselves. An odd one out is its own.
    """
    index = torch.arange(n_units)
    for block in blocks or [slice(0, n_units)]:
        half = (block.stop - block.start) // 2
        middle = block.start + half
        index[block.start : middle] += half
        index[middle : middle + half] -= half
    return index


@torch.no_grad()
def antisymmetric_(layers: Sequence[tuple[Tensor, Tensor]], blocks: Sequence[slice] = ()) -> None:
    """Make the output 0 up to rounding: every neuron gets a twin, and what twins do cancels in the readout.

    An odd one out, of a layer or of the first layer's neurons of one activation, gets the readout 0.

    Twins have the same bias and weights, w[i', j'] = w[i, j] for twins i, i' and j, j' of two layers, and opposite
    readouts. That centres the model, f(x) - f_0(x), with no second pass through a frozen copy and nothing to
    store. Gradients of twins differ in sign, in every layer, so that they part at the first step; the kernel is
    that of half as many neurons. (Twins in the last hidden layer alone would leave those before without gradient.)

    This is an antisymmetrical initialisation (ASI, Zhang et al. [1]_). It removes the error that a random output
    at the start leaves in the trained network. Lazy training needs an output near zero at the start, too (Chizat,
    Oyallon and Bach [2]_).

    Parameters
    ----------
    layers : sequence of (weight, bias)
        From input to output, weights of shape (n_members, n_units, n_inputs), initialised for the usual network.
        The first half of a hidden layer stays as it is. The readout is brought to variance one, its bias to 0.
    blocks : sequence of slice, default=()
        The first layer's neurons by activation. Default: all have the same.

    References
    ----------
    .. [1] Y. Zhang, Z.-Q. J. Xu, T. Luo, Z. Ma, "A type of generalization error induced by initialization in deep
       neural networks", 2020, arXiv:1905.07777.
    .. [2] L. Chizat, E. Oyallon, F. Bach, "On Lazy Training in Differentiable Programming", NeurIPS 2019,
       arXiv:1812.07956.

    Examples
    --------
    >>> import torch
    >>> from sparsemlp.parametrization import antisymmetric_
    >>> hidden, readout = (torch.randn(1, 6, 4), torch.randn(1, 6)), (torch.randn(1, 1, 6), torch.randn(1, 1))
    >>> antisymmetric_([hidden, readout])
    >>> bool((readout[0][..., :3] == -readout[0][..., 3:]).all())
    True
    """
    *hidden, (readout, readout_bias) = layers
    inputs = None  # the twins of the layer before
    for weight, bias in hidden:
        own = _twins(bias.shape[-1], blocks if inputs is None else ())
        index = torch.arange(len(own))
        first, alone = index[own > index], index[own == index]
        rows = weight[:, first]
        if inputs is not None:
            rows = rows[..., inputs]
            weight[:, alone] = (weight[:, alone] + weight[:, alone][..., inputs]) / 2
        weight[:, own[first]] = rows
        bias[:, own[first]] = bias[:, first]
        inputs = own
    assert inputs is not None
    readout -= readout[..., inputs]
    readout *= math.sqrt(1.5 * len(inputs))  # the variance of a difference of two is 2/3 over their number
    readout_bias.zero_()
