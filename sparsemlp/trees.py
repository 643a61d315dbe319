"""Starts from trees: first-layer neurons that begin as splits of shallow boosted trees.

A random start hopes that a neuron holds features that matter together. Shallow trees say which ones do, and at
which thresholds: two splits on the path from a root to a leaf bound a box. Trees only choose the start; the
network is trained as ever. (Lutz, Arnould, Boyer and Scornet 2023, *Sparse tree-based initialization for
neural networks*, arXiv:2209.15283; Biau, Scornet and Welbl 2019, *Neural Random Forests*, arXiv:1604.07143.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Self, get_args

import numpy as np
import torch
from torch import Tensor

from sparsemlp.init import s_hot_

FeatureSampling = Literal["trees", "uniform"]
FEATURE_SAMPLINGS: tuple[str, ...] = get_args(FeatureSampling)
#: no more rows than these grow trees
MAX_ROWS = 10_000
#: share of the probability that is the same for all features, for those that matter only together
EVEN_SHARE = 0.3


class TreePaths(NamedTuple):
    """The paths from leaves to roots of boosted trees, each a sequence of splits.

    A split asks whether ``column <= threshold`` or, of a categorical feature, whether its category is in a set.

    Attributes
    ----------
    column : ndarray of shape (n_paths, depth), int
        The column of every split; the places of shorter paths are filled with 0.
    threshold : ndarray of shape (n_paths, depth), float
        The threshold of every split.
    category_set : ndarray of shape (n_paths, depth), int
        Which of `sets` a split asks for; -1 where it has a threshold. The column of such a split is the first of
        the feature's one-hot columns.
    length : ndarray of shape (n_paths,), int
        The number of splits of every path, at least 1.
    probability : ndarray of shape (n_paths,), float
        In proportion to what the splits of a path gain together, in the loss of the trees.
    column_gain : ndarray of shape (n_columns,), float
        Share of each column in the gain of all splits.
    sets : ndarray of shape (n_sets, n_categories), bool
        Sets of categories, one for every split of a categorical feature.
    """

    column: np.ndarray
    threshold: np.ndarray
    category_set: np.ndarray
    length: np.ndarray
    probability: np.ndarray
    column_gain: np.ndarray
    sets: np.ndarray

    @classmethod
    def grow(
        cls,
        columns: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray | None = None,
        *,
        column_groups: Sequence[Sequence[int]] | None = None,
        n_views: Sequence[int] | None = None,
        one_hot: Sequence[tuple[int, int]] = (),
        generator: torch.Generator | None = None,
    ) -> Self | None:
        """Grow trees that predict targets from columns; None where these have nothing to split.

        They are scikit-learn's ``HistGradientBoostingRegressor``, with squared loss: 60 trees, of fewer than 300
        rows one for five rows and at least 20, and fewer from 1000 columns on. Their depth is 3, or 4 from 4096
        rows and 5 from 8192 rows on. Up to four classes have trees of their own; more are divided into two halves
        at random, four times, for the trees to tell these apart.

        Of up to 1000 columns, pairs whose product says much of the targets, and single columns little, have trees
        of their own before: as many of each pair, of up to three. The others predict what these leave.

        Parameters
        ----------
        columns : ndarray of shape (n_rows, n_columns), float
            Scaled rows; at most 10000 of them, chosen at random, are used.
        target : ndarray of shape (n_rows,) or (n_rows, n_outputs)
            Targets of the network's outputs.
        weight : ndarray of shape (n_rows,), optional
            Non-negative weights of the rows.
        column_groups : sequence of sequences of int, optional
            Columns that stem from the same raw feature. Default: every column is a feature of its own.
        n_views : sequence of int, optional
            How many of the first columns of each group are views of the same values, such as two scalings: of
            these the trees see one, chosen at random. Default: the first two of each group are.
        one_hot : sequence of (int, int), optional
            Where the one-hot columns of each categorical feature start and stop. In `column_groups`, which is
            needed then, the first column stands for them.
        generator : torch.Generator, optional
            A CPU generator for all random numbers. Default: torch's global one.

        Returns
        -------
        TreePaths or None

        Examples
        --------
        >>> import numpy as np
        >>> from sparsemlp.trees import TreePaths
        >>> X = np.random.default_rng(0).normal(size=(500, 10)).astype(np.float32)
        >>> paths = TreePaths.grow(X, X[:, [3]] > 1.0)
        >>> int(paths.column_gain.argmax()), float(np.median(paths.threshold[paths.column == 3]).round(1))
        (3, 1.0)
        """
        from sparsemlp._boosting import grow_trees  # most of the time that sparsemlp takes to import

        rng = np.random.default_rng(int(torch.randint(2**31 - 1, (1,), generator=generator)))
        target = np.asarray(target, dtype=np.float64)
        target = target[:, np.newaxis] if target.ndim == 1 else target
        if weight is not None and (used := weight > 0).sum() < len(weight):
            columns, target, weight = columns[used], target[used], weight[used]
        if len(columns) > MAX_ROWS:
            some = rng.permutation(len(columns))[:MAX_ROWS]
            columns, target = columns[some], target[some]
            weight = None if weight is None else weight[some]
        if len(columns) < 2:
            return None
        seen = _one_view(columns.shape[1], column_groups, n_views, rng)
        values, n_categories = np.ascontiguousarray(columns[:, seen]), np.zeros(len(seen), dtype=int)
        for start, stop in one_hot:
            for place in np.flatnonzero(seen == start):
                values[:, place] = columns[:, start:stop].argmax(axis=1)
                n_categories[place] = stop - start
        nodes, sets = grow_trees(values, n_categories, target, weight, rng)
        is_split = ~nodes["is_leaf"].astype(bool)
        if not is_split.any():
            return None
        nodes["feature_idx"][is_split] = seen[nodes["feature_idx"][is_split]]
        return cls._of(nodes, is_split, columns.shape[1], sets)

    @classmethod
    def _of(cls, nodes: np.ndarray, is_split: np.ndarray, n_columns: int, sets: np.ndarray) -> Self:
        """Climb from every leaf to its root."""
        parent = np.full(len(nodes), -1)
        splits = np.flatnonzero(is_split)
        for side in ("left", "right"):
            parent[nodes[side][splits]] = splits
        steps = [parent[np.flatnonzero(~is_split)]]
        while (steps[-1] >= 0).any():
            steps.append(np.where(steps[-1] >= 0, parent[steps[-1]], -1))
        path = np.stack(steps[:-1] or steps, axis=1)
        path = path[path[:, 0] >= 0]  # a tree without any split has one leaf and no path
        is_there = path >= 0
        gain = np.maximum(nodes["gain"], 0) * is_split + np.finfo(np.float32).tiny
        probability = (gain[path] * is_there).sum(axis=1)
        column_gain = np.bincount(nodes["feature_idx"][splits], gain[splits], minlength=n_columns)
        return cls(
            np.where(is_there, nodes["feature_idx"][path], 0).astype(np.int64),
            np.where(is_there, nodes["num_threshold"][path], 0.0),
            np.where(is_there & (nodes["is_categorical"][path] == 1), nodes["bitset_idx"][path].astype(int), -1),
            is_there.sum(axis=1),
            probability / probability.sum(),
            column_gain / column_gain.sum(),
            sets,
        )

    def feature_weights(self, column_groups: Sequence[Sequence[int]] | None = None) -> Tensor:
        """Return the probabilities with which other neurons sample their features.

        A share of 0.3 is the same for all features. The rest is in proportion to the gain of a feature's splits.

        Parameters
        ----------
        column_groups : sequence of sequences of int, optional
            Columns that stem from the same raw feature. Default: every column is a feature of its own.

        Returns
        -------
        Tensor of shape (n_features,), float64
        """
        gain = self.column_gain
        if column_groups is not None:
            gain = np.array([gain[list(group)].sum() for group in column_groups])
        return torch.from_numpy(EVEN_SHARE / len(gain) + (1 - EVEN_SHARE) * gain)

    def sample_pairs(
        self, n_pairs: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Sample pairs of splits, two of the same path each.

        A path of one split is paired with a split of another path.

        Parameters
        ----------
        n_pairs : int
            Number of pairs.
        generator : torch.Generator, optional
            A CPU generator. Default: torch's global one.

        Returns
        -------
        columns, thresholds, category_sets : Tensor of shape (2, n_pairs)
            See the attributes.
        """
        probability, length = torch.from_numpy(self.probability), torch.from_numpy(self.length)
        path, other = torch.multinomial(probability, 2 * n_pairs, replacement=True, generator=generator).view(
            2, -1
        )
        uniform = torch.rand(2, n_pairs, dtype=torch.float64, generator=generator)
        is_alone = length[path] == 1
        first = (uniform[0] * length[path]).long()
        step = 1 + (uniform[1] * (length[path] - 1)).long()
        second = torch.where(is_alone, (uniform[1] * length[other]).long(), (first + step) % length[path])
        paths, places = torch.stack([path, torch.where(is_alone, other, path)]), torch.stack([first, second])
        columns, thresholds, category_sets = (
            torch.from_numpy(values)[paths, places] for values in (self.column, self.threshold, self.category_set)
        )
        return columns, thresholds, category_sets


@torch.no_grad()
def splits_(
    weight: Tensor, paths: TreePaths, init: str = "normal", generator: torch.Generator | None = None
) -> Tensor:
    """Let neurons start as splits of trees: neurons i and n // 2 + i as two splits of the same path.

    Parameters
    ----------
    weight : Tensor of shape (n, n_columns)
        Weights of n neurons, filled in place: one nonzero each, or one and the same for all categories of a set.
        An odd one out stays as it is.
    paths : TreePaths
        The trees.
    init : {"sign", "ones", "normal", "uniform"}, default="normal"
        Distribution of the nonzeros, that of two inputs a neuron, see :func:`sparsemlp.init.s_hot_`.
    generator : torch.Generator, optional
        A CPU generator for all random numbers. Default: torch's global one.

    Returns
    -------
    Tensor of shape (2 * (n // 2),)
        The neurons' thresholds: with minus this times a neuron's nonzero as its bias, it is 0 at its threshold.
        That of a set is 1/2.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sparsemlp.trees import TreePaths, splits_
    >>> X = np.random.default_rng(0).normal(size=(500, 10)).astype(np.float32)
    >>> paths = TreePaths.grow(X, (X[:, [3]] > 0) & (X[:, [7]] > 0))
    >>> weight = torch.zeros(1000, 10)
    >>> thresholds = splits_(weight, paths)
    >>> weight.count_nonzero(dim=0).topk(2).indices.sort().values  # the columns that most neurons start with
    tensor([3, 7])
    """
    if len(weight) < 2:
        return weight.new_empty(0)
    columns, thresholds, category_sets = (
        sampled.view(-1) for sampled in paths.sample_pairs(len(weight) // 2, generator)
    )
    values = s_hot_(weight.new_empty(columns.numel(), 2), 2, init, generator)[:, 0]
    split = weight[: columns.numel()].zero_()
    split.scatter_(1, columns.view(-1, 1).to(weight.device), values.unsqueeze(1))
    asks = torch.where(category_sets >= 0)[0]
    if len(asks):
        place, category = torch.from_numpy(paths.sets)[category_sets[asks]].nonzero(as_tuple=True)
        neuron = asks[place]
        split[asks, columns[asks]] = 0
        split[neuron, columns[neuron] + category] = values[neuron]
        thresholds[asks] = 0.5
    return thresholds.to(weight)


def _one_view(
    n_columns: int,
    column_groups: Sequence[Sequence[int]] | None,
    n_views: Sequence[int] | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """Choose the columns that trees see: of every feature one view, and all columns that are no views."""
    if column_groups is None:
        return np.arange(n_columns)
    if n_views is None:
        n_views = [min(2, len(group)) for group in column_groups]
    seen = [[group[int(rng.integers(n))], *group[n:]] for group, n in zip(column_groups, n_views, strict=True)]
    return np.concatenate(seen)
