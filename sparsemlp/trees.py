"""Starts from trees: first-layer neurons that begin as splits of shallow boosted trees.

A random start hopes that a neuron holds features that matter together. Shallow trees say which ones do, and at
which thresholds: two splits on the path from a root to a leaf bound a box. Trees only choose the start; the
network is trained as ever. (Lutz, Arnould, Boyer and Scornet 2023, *Sparse tree-based initialization for
neural networks*, arXiv:2209.15283; Biau, Scornet and Welbl 2019, *Neural Random Forests*, arXiv:1604.07143.)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from sparsemlp.init import s_hot_

FeatureSampling = Literal["trees", "uniform"]
FEATURE_SAMPLINGS: tuple[str, ...] = get_args(FeatureSampling)
#: trees of a member; fewer for many columns, so that growing them takes about as long as for MANY_COLUMNS
N_TREES, FEWEST_TREES = 60, 10
MANY_COLUMNS = 1000
#: of few rows fewer trees, of a larger learning rate: starts are as good, and take a third of the time
ROWS_A_TREE, TREES_OF_FEW_ROWS = 5, 20
#: learning rate times number of trees, before many columns make them fewer
RATE_TIMES_TREES = 6.0
#: no more rows than these grow trees
MAX_ROWS = 10_000
#: a full tree has this many rows a leaf, but is at least SMALLEST_DEPTH deep
ROWS_A_LEAF, SMALLEST_DEPTH = 256, 3
MIN_LEAF = 5
MAX_BINS = 255
#: so many classes are predicted one by one; more are divided into two halves, at random, so many times
MAX_DIVISIONS = 4
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
        one_hot: Sequence[tuple[int, int]] = (),
        generator: torch.Generator | None = None,
    ) -> Self | None:
        """Grow trees that predict targets from columns; None where these have nothing to split.

        They are scikit-learn's ``HistGradientBoostingRegressor``, with squared loss: 60 trees, of fewer than 300
        rows one for five rows and at least 20, and fewer from 1000 columns on. Their depth is 3, or 4 from 4096
        rows and 5 from 8192 rows on. Up to four classes have trees of their own; more are divided into two halves
        at random, four times, for the trees to tell these apart.

        Parameters
        ----------
        columns : ndarray of shape (n_rows, n_columns), float
            Scaled rows; at most 10000 of them, chosen at random, are used.
        target : ndarray of shape (n_rows, n_outputs), float
            Targets of the network's outputs.
        weight : ndarray of shape (n_rows,), optional
            Non-negative weights of the rows.
        column_groups : sequence of sequences of int, optional
            Columns that stem from the same raw feature. Of the first two, which are scalings of the same values,
            the trees see one, chosen at random. Default: every column is a feature of its own.
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
        rng = np.random.default_rng(int(torch.randint(2**31 - 1, (1,), generator=generator)))
        if weight is not None and (used := weight > 0).sum() < len(weight):
            columns, target, weight = columns[used], target[used], weight[used]
        if len(columns) > MAX_ROWS:
            some = rng.permutation(len(columns))[:MAX_ROWS]
            columns, target = columns[some], target[some]
            weight = None if weight is None else weight[some]
        if len(columns) < 2:
            return None
        seen = _one_scaling(columns.shape[1], column_groups, rng)
        values, n_categories = np.ascontiguousarray(columns[:, seen]), np.zeros(len(seen), dtype=int)
        for start, stop in one_hot:
            for place in np.flatnonzero(seen == start):
                values[:, place] = columns[:, start:stop].argmax(axis=1)
                n_categories[place] = stop - start
        nodes, sets = _grow(values, n_categories, np.asarray(target, dtype=np.float64), weight, rng)
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


def _one_scaling(
    n_columns: int, column_groups: Sequence[Sequence[int]] | None, rng: np.random.Generator
) -> np.ndarray:
    """Choose the columns that trees see: one scaling of every feature, and the indicators of missing values."""
    if column_groups is None:
        return np.arange(n_columns)
    return np.concatenate([[group[int(rng.integers(min(2, len(group))))], *group[2:]] for group in column_groups])


def _grow(
    columns: np.ndarray,
    n_categories: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes of all trees in one array, in which children and sets are numbered, and the sets."""
    from sparsemlp._binned_trees import BinnedTrees, binned  # most of the time that sparsemlp takes to import

    is_categorical = n_categories > 0
    n_rows, n_columns = columns.shape
    by_rows = int(np.clip(n_rows // ROWS_A_TREE, TREES_OF_FEW_ROWS, N_TREES))
    n_trees = min(n_rows, by_rows, int(np.clip(N_TREES * MANY_COLUMNS // n_columns, FEWEST_TREES, N_TREES)))
    n_bins = max(2, min(MAX_BINS, n_rows))
    columns, edges = binned(columns, np.flatnonzero(~is_categorical), n_bins)
    goals = divisions(target, rng)
    parts: list[np.ndarray] = []
    sets: list[np.ndarray] = []
    offset = 0
    for goal in goals:
        trees = BinnedTrees(
            learning_rate=RATE_TIMES_TREES / by_rows,
            max_iter=max(1, n_trees // len(goals)),
            max_leaf_nodes=None,
            max_depth=max(SMALLEST_DEPTH, int(np.log2(max(1.0, n_rows / ROWS_A_LEAF)))),
            min_samples_leaf=smallest_leaf(n_rows),
            max_bins=max(n_bins, int(n_categories.max(initial=0))),
            categorical_features=is_categorical if is_categorical.any() else None,
            early_stopping=False,
            random_state=0,  # nothing is random here; None would read numpy's global generator
        )
        # Of several threads, each waits for the slowest at every node: 100 times as long beside a busy process.
        with _libraries().limit(limits=1, user_api="openmp"):
            trees.fit(columns, goal, sample_weight=weight)
        for (tree,) in trees._predictors:
            nodes = tree.nodes.copy()
            for side in ("left", "right"):
                nodes[side] += np.uint32(offset)
            if is_categorical.any():
                sets.extend(_sets(trees, tree, nodes, n_categories))
                nodes["bitset_idx"] += np.uint32(len(sets) - len(tree.raw_left_cat_bitsets))
            for i in np.flatnonzero((nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)):
                nodes["num_threshold"][i] = edges[nodes["feature_idx"][i]][int(nodes["num_threshold"][i])]
            parts.append(nodes)
            offset += len(nodes)
    return np.concatenate(parts), np.array(sets) if sets else np.zeros((0, 0), dtype=bool)


@cache
def _libraries() -> ThreadpoolController:
    """Return the loaded libraries that have threads: finding them takes as long as growing several trees."""
    return ThreadpoolController()


def _sets(trees: Any, tree: Any, nodes: np.ndarray, n_categories: np.ndarray) -> np.ndarray:
    """Return a tree's sets of categories; give nodes back the order of columns that scikit-learn has changed."""
    is_categorical = n_categories > 0
    order = np.concatenate([np.flatnonzero(is_categorical), np.flatnonzero(~is_categorical)])
    splits = np.flatnonzero(nodes["is_leaf"] == 0)
    known = trees._preprocessor.named_transformers_["encoder"].categories_
    # bit i of a set is the i-th of the categories that the rows have
    bits = np.unpackbits(tree.raw_left_cat_bitsets.astype("<u4").view(np.uint8), axis=1, bitorder="little")
    sets = np.zeros((len(bits), n_categories.max()), dtype=bool)
    for split in splits[nodes["is_categorical"][splits] == 1]:
        categories = known[nodes["feature_idx"][split]].astype(int)
        index = nodes["bitset_idx"][split]
        sets[index, categories] = bits[index, : len(categories)]
    nodes["feature_idx"][splits] = order[nodes["feature_idx"][splits]]
    return sets


def smallest_leaf(n_rows: int) -> int:
    """Return how many rows a leaf has at least."""
    return max(1, min(MIN_LEAF, n_rows // 10))


def divisions(target: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Return what trees are to predict: each of a few outputs, or which random half a class is in."""
    n_outputs = target.shape[1]
    if n_outputs <= MAX_DIVISIONS:
        return list(target.T)
    return [target[:, rng.permutation(n_outputs)[: n_outputs // 2]].sum(axis=1) for _ in range(MAX_DIVISIONS)]
