"""Sparse initialisation, in the style of ``torch.nn.init``: functions that fill a tensor in place."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

WeightInit = Literal["sign", "ones", "normal", "uniform"]
BiasInit = Literal["zeros", "uniform", "data"]
WEIGHT_INITS: tuple[str, ...] = get_args(WeightInit)
BIAS_INITS: tuple[str, ...] = get_args(BiasInit)
CHUNK_SIZE = 2**22
# Repeated features are rejected and sampled again while the features sampled before have at most this share of
# the weights.
MOST_REPEATED = 0.9


@torch.no_grad()
def s_hot_(
    tensor: Tensor,
    sparsity: int,
    init: str = "sign",
    generator: torch.Generator | None = None,
    *,
    column_groups: Sequence[Sequence[int]] | None = None,
    feature_weights: Tensor | None = None,
) -> Tensor:
    """Fill `tensor` with rows that hold exactly `sparsity` nonzeros, at random positions.

    Every row of the result is one neuron that starts by looking at `sparsity` random inputs
    (Edelman et al. 2023, section 3: "s-sparse initialisation").

    Parameters
    ----------
    tensor : Tensor of shape (..., width, n_features)
        The weights to fill in place.
    sparsity : int
        Number s of nonzeros in each row, from 1 to n_features.
    init : {"sign", "ones", "normal", "uniform"}, default="sign"
        Distribution of the nonzeros: -1 or +1 (the paper's experiments), 1 (its theory), Gaussian with
        variance 2 / s, or uniform with the same variance. None of them is ever exactly zero.
    generator : torch.Generator, optional
        A CPU generator for all random numbers; the same seed gives the same weights on every device.
    column_groups : sequence of sequences of int, optional
        Columns that stem from the same raw feature. A row then takes `sparsity` distinct groups and one
        column of each. Default: every column is a group of its own.

    feature_weights : Tensor of shape (n_features,), optional
        Positive weights of the features, or of the groups. A row samples its features one after the other without
        replacement, with probabilities in proportion to the weights. Default: all equal.

    Returns
    -------
    Tensor
        The same `tensor`.

    Raises
    ------
    ValueError
        If `sparsity` is not in 1 ... number of features (or groups), `init` is unknown, or `feature_weights` are
        not one positive number for each.

    Examples
    --------
    >>> import torch
    >>> from sparsemlp.init import s_hot_
    >>> weight = s_hot_(torch.empty(4, 10), sparsity=2)
    >>> weight.abs().sum(dim=1)
    tensor([2., 2., 2., 2.])
    """
    if init not in WEIGHT_INITS:
        raise ValueError(f"init={init!r} is unknown; choose one of {', '.join(map(repr, WEIGHT_INITS))}")
    n_features = tensor.shape[-1] if column_groups is None else len(column_groups)
    if not 1 <= sparsity <= n_features:
        raise ValueError(
            f"sparsity={sparsity} must be between 1 and the number of features, {n_features}: "
            "a neuron cannot start with more inputs than there are"
        )
    for i, columns in enumerate(column_groups or ()):
        if not len(columns):
            raise ValueError(f"column_groups[{i}] is empty; every group needs a column")
    n_rows = tensor.numel() // max(tensor.shape[-1], 1)
    if feature_weights is None:
        positions = _distinct_positions(n_rows, n_features, sparsity, generator)
    else:
        positions = _weighted_positions(n_rows, n_features, sparsity, feature_weights, generator)
    if column_groups is not None:
        positions = _one_column_of_each(positions, column_groups, generator)
    values = _nonzeros(n_rows, sparsity, init, generator)
    shape = (*tensor.shape[:-1], sparsity)
    return tensor.zero_().scatter_(-1, positions.view(shape).to(tensor.device), values.view(shape).to(tensor))


@torch.no_grad()
def random_sets_(
    tensor: Tensor, one_hot: Sequence[tuple[int, int]], generator: torch.Generator | None = None
) -> Tensor:
    """Turn weights on the first of a feature's one-hot columns into questions about a random set of categories.

    Each category is in the set with probability 1/2; the set is neither empty nor all of them. All of its columns
    get the weight of the first one.

    Parameters
    ----------
    tensor : Tensor of shape (..., n_columns)
        Weights, for example of :func:`s_hot_`, changed in place.
    one_hot : sequence of (int, int)
        Where the one-hot columns of each categorical feature start and stop.
    generator : torch.Generator, optional
        A CPU generator for all random numbers. Default: torch's global one.

    Returns
    -------
    Tensor
        The same `tensor`.

    Examples
    --------
    >>> import torch
    >>> from sparsemlp.init import random_sets_, s_hot_
    >>> generator = torch.Generator().manual_seed(0)
    >>> random_sets_(torch.tensor([[0.5, 0.0, 0.0, 0.0, 0.0]]), [(0, 4)], generator)
    tensor([[0.5000, 0.0000, 0.5000, 0.5000, 0.0000]])
    """
    for start, stop in one_hot:
        columns = tensor[..., start:stop]
        chosen = columns[..., 0] != 0
        n_sets, n_categories = int(chosen.sum()), stop - start
        is_in = torch.rand(n_sets, n_categories, generator=generator) < 0.5
        # where all or none are in it, one category alone is
        alone = torch.randint(n_categories, (n_sets, 1), generator=generator)
        trivial = (is_in == is_in[:, :1]).all(dim=1, keepdim=True)
        is_in = torch.where(trivial, torch.arange(n_categories) == alone, is_in)
        columns[chosen] = columns[chosen][:, :1] * is_in.to(tensor)
    return tensor


def _distinct_positions(n_rows: int, n_features: int, sparsity: int, generator: torch.Generator | None) -> Tensor:
    """Sample a uniformly random `sparsity`-subset of the features for every row, by Floyd's algorithm.

    It needs `sparsity` random numbers a row and no shuffle of all features, which makes a wide layer cheap:
    for j = n-s ... n-1, sample t from 0 ... j, and take j itself if t is already in the subset.
    """
    positions = torch.empty(n_rows, sparsity, dtype=torch.int64)
    few = sparsity <= 16  # comparing with the earlier columns beats a table of what is taken
    taken = None if few else torch.zeros(n_rows, n_features, dtype=torch.bool)
    for i, last in enumerate(range(n_features - sparsity, n_features)):
        candidate = torch.randint(last + 1, (n_rows, 1), generator=generator)
        if taken is None:
            repeated = (positions[:, :i] == candidate).any(dim=1, keepdim=True)
        else:
            repeated = taken.gather(1, candidate)
        candidate.masked_fill_(repeated, last)
        positions[:, i : i + 1] = candidate
        if taken is not None:
            taken.scatter_(1, candidate, True)
    return positions


def _weighted_positions(
    n_rows: int, n_features: int, sparsity: int, weights: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Sample features for every row one after the other, without replacement, in proportion to the weights."""
    if weights.shape != (n_features,) or not bool((weights > 0).all() and weights.isfinite().all()):
        raise ValueError(
            f"feature_weights must be {n_features} positive numbers, one for each feature or group, got {weights}"
        )
    weights = (weights / weights.max()).to("cpu", torch.float32)  # only ratios count, and float32 must hold them
    if weights.topk(sparsity).values.sum() <= MOST_REPEATED * weights.sum():
        return _without_repeats(n_rows, sparsity, weights, generator)
    return _winners_of_races(n_rows, sparsity, weights, generator)


def _without_repeats(n_rows: int, sparsity: int, weights: Tensor, generator: torch.Generator | None) -> Tensor:
    """Sample one feature after the other, again if the row has it already: fast if that is rare."""
    cumulative = weights.double().cumsum(0)
    cumulative /= cumulative[-1].clone()
    positions = torch.empty(n_rows, sparsity, dtype=torch.int64)
    for i in range(sparsity):
        rows = torch.arange(n_rows)
        while len(rows):
            uniform = torch.rand(len(rows), dtype=torch.float64, generator=generator)
            positions[rows, i] = torch.searchsorted(cumulative, uniform, right=True)
            rows = rows[(positions[rows, :i] == positions[rows, i : i + 1]).any(dim=1)]
    return positions


def _winners_of_races(n_rows: int, sparsity: int, weights: Tensor, generator: torch.Generator | None) -> Tensor:
    """Sample the same for weights of any kind: the features with the smallest E / weight, E exponential.

    Efraimidis and Spirakis 2006, *Weighted random sampling with a reservoir*, Information Processing Letters 97.
    """
    n_features = len(weights)
    parts = []
    for n in _chunks(n_rows, max(1, CHUNK_SIZE // n_features)):
        times = torch.empty(n, n_features, dtype=torch.float32).exponential_(generator=generator).div_(weights)
        parts.append(times.topk(sparsity, dim=1, largest=False).indices)
    return torch.cat(parts)


def _chunks(total: int, size: int) -> Iterator[int]:
    """Yield numbers up to `size` that add up to `total`."""
    for start in range(0, total, size):
        yield min(size, total - start)


def _one_column_of_each(
    groups: Tensor, column_groups: Sequence[Sequence[int]], generator: torch.Generator | None
) -> Tensor:
    """Replace every group index by a uniformly random column of that group."""
    sizes = torch.tensor([len(columns) for columns in column_groups])
    starts = sizes.cumsum(0) - sizes
    columns = torch.tensor([column for group in column_groups for column in group])
    fractions = torch.rand(groups.shape, generator=generator, dtype=torch.float64)
    return columns[starts[groups] + (fractions * sizes[groups]).long()]


def _nonzeros(n_rows: int, sparsity: int, init: str, generator: torch.Generator | None) -> Tensor:
    shape = (n_rows, sparsity)
    if init == "ones":
        return torch.ones(shape, dtype=torch.float32)
    if init == "sign":
        return torch.randint(2, shape, generator=generator).mul_(2).sub_(1).float()
    scale = math.sqrt(2 / sparsity)  # Kaiming's gain for relu, with s in place of fan_in
    if init == "normal":
        values = torch.randn(shape, generator=generator, dtype=torch.float32).mul_(scale)
    else:
        values = (
            torch.rand(shape, generator=generator, dtype=torch.float32).mul_(2).sub_(1).mul_(scale * math.sqrt(3))
        )
    return values.masked_fill_(values == 0, scale)


@torch.no_grad()
def torch_linear_(tensor: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Fill weights of shape (..., fan_out, fan_in) as ``torch.nn.Linear`` does.

    Uniform on (-1 / sqrt(fan_in), 1 / sqrt(fan_in)), which is ``kaiming_uniform_(weight, a=sqrt(5))`` on every
    member of a batch of weight matrices. `generator` is a CPU generator; default: torch's global one.

    Examples
    --------
    >>> import torch
    >>> from sparsemlp.init import torch_linear_
    >>> weight = torch_linear_(torch.empty(3, 5, 4))
    >>> bool(weight.abs().max() <= 0.5)
    True
    """
    return fan_in_uniform_(tensor, tensor.shape[-1], generator)


@torch.no_grad()
def fan_in_uniform_(tensor: Tensor, fan_in: int, generator: torch.Generator | None = None) -> Tensor:
    """Fill `tensor` from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as ``torch.nn.Linear`` initialises its biases.

    Examples
    --------
    >>> import torch
    >>> from sparsemlp.init import fan_in_uniform_
    >>> bool(fan_in_uniform_(torch.empty(100), fan_in=4).abs().max() <= 0.5)
    True
    """
    values = torch.rand(tensor.shape, generator=generator, dtype=torch.float32)
    return tensor.copy_(values.mul_(2).sub_(1).div_(math.sqrt(fan_in)))


@torch.no_grad()
def data_bias_(bias: Tensor, weight: Tensor, rows: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Place the threshold of every neuron at a random training row: b = -w . x.

    An s-sparse neuron then starts as a cut through the data, like a split of a decision tree, instead of a cut
    through the origin.

    Parameters
    ----------
    bias : Tensor of shape (..., width)
        Filled in place.
    weight : Tensor of shape (..., width, n_features)
        The weights of the same neurons.
    rows : Tensor of shape (n_rows, n_features)
        Rows to sample from, scaled as the network will see them.
    generator : torch.Generator, optional
        A CPU generator.

    Returns
    -------
    Tensor
        The same `bias`.

    Examples
    --------
    >>> import torch
    >>> from sparsemlp.init import data_bias_
    >>> data_bias_(torch.empty(2), weight=torch.tensor([[1.0], [-2.0]]), rows=torch.tensor([[3.0]]))
    tensor([-3.,  6.])
    """
    n_features = weight.shape[-1]
    flat_weight = weight.reshape(-1, n_features)
    chosen = torch.randint(len(rows), (len(flat_weight),), generator=generator).to(rows.device)
    chunk = max(1, 2**22 // max(n_features, 1))  # a wide layer's rows at once would be a second weight matrix
    values = [
        (w * rows[i].to(w)).sum(dim=1).neg_()
        for w, i in zip(flat_weight.split(chunk), chosen.split(chunk), strict=True)
    ]
    return bias.copy_(torch.cat(values).view(bias.shape))
