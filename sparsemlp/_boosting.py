"""Boosted trees of columns that are binned already, grown for their splits.

scikit-learn's trees sort every column to bin it, and do so for every target. With thousands of columns that takes
longer than to grow them. The bins here are the same.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import ThreadpoolController

from sparsemlp._association import divisions, smallest_leaf, strongest_pair, without_linear_effects

#: trees of a member; fewer for many columns, so that growing them takes about as long as for MANY_COLUMNS
N_TREES, FEWEST_TREES = 60, 10
MANY_COLUMNS = 1000
#: of few rows fewer trees, of a larger learning rate: starts are as good, and take a third of the time
ROWS_A_TREE, TREES_OF_FEW_ROWS = 5, 20
#: learning rate times number of trees, before many columns make them fewer
RATE_TIMES_TREES = 6.0
#: a full tree has this many rows a leaf, but is at least SMALLEST_DEPTH deep
ROWS_A_LEAF, SMALLEST_DEPTH = 256, 3
MAX_BINS = 255
#: so many pairs of columns, and of no more than MANY_COLUMNS, have trees of their own, by this factor fewer than
#: all columns have, as more would find noise
MAX_PAIRS, FEWER_FOR_PAIRS = 3, 3


def binned(columns: np.ndarray, numeric: np.ndarray, n_bins: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Return numeric columns as the numbers of their values' bins, and the edges between the bins of each.

    The bins are those of scikit-learn's boosted trees: of many different values, between their quantiles.
    scikit-learn selects each quantile on its own, which takes longer than to sort, and with weights longer than
    growing the trees.
    """
    columns, edges = np.array(columns, order="F"), {}
    order = np.argsort(columns[:, numeric].T, axis=1)
    ordered = np.take_along_axis(columns[:, numeric].T, order, axis=1)
    n_values = 1 + (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1)
    place = len(columns) * (np.linspace(0, 100, n_bins + 1)[1:-1] / 100) - 1
    before = np.floor(place).astype(int)
    # numpy's "averaged_inverted_cdf": a value, or the mean of two
    is_mean = place == before
    for j, rows, values, few in zip(numeric, order, ordered, n_values <= n_bins, strict=True):
        if few:
            known = np.unique(values).astype(np.float64)
            edges[j] = (known[1:] + known[:-1]) / 2
        else:
            low, high = values[before].astype(np.float64), values[before + 1].astype(np.float64)
            edges[j] = np.unique(np.where(is_mean, high - (high - low) * 0.5, high))
        # looking edges up in the values takes less than the values in the edges
        n_up_to = np.searchsorted(values, edges[j], side="right")
        columns[rows, j] = np.repeat(np.arange(len(n_up_to) + 1), np.diff(n_up_to, prepend=0, append=len(values)))
    return columns, edges


class BinnedTrees(HistGradientBoostingRegressor):
    """scikit-learn's trees, of columns that hold the numbers of bins."""

    def _bin_data(self, X: np.ndarray, *args: Any, **kwargs: Any) -> np.ndarray:
        """Return the numbers of the bins that have rows, as scikit-learn finds them by sorting."""
        if self.categorical_features is not None:
            return super()._bin_data(X, *args, **kwargs)
        bins, mapper = X.astype(np.uint8, order="F"), self._bin_mapper
        known = [np.flatnonzero(np.bincount(column)) for column in bins.T]
        for column, numbers in zip(bins.T, known, strict=True):
            if len(numbers) <= numbers[-1]:
                column[:] = np.searchsorted(numbers, column)
        mapper.missing_values_bin_idx_ = mapper.n_bins - 1
        mapper.is_categorical_ = np.zeros(len(known), dtype=np.uint8)
        mapper.bin_thresholds_ = [(numbers[1:] + numbers[:-1]) / 2 for numbers in known]
        mapper.n_bins_non_missing_ = np.array([len(numbers) for numbers in known], dtype=np.uint32)
        return bins


class Growth:
    """Boosted trees of some rows, collected for their splits.

    Parameters
    ----------
    columns : ndarray of shape (n_rows, n_columns)
        Scaled columns; categorical ones hold codes.
    n_categories : ndarray of shape (n_columns,)
        Of each categorical column; 0 for others.
    weight : ndarray of shape (n_rows,) or None
        Weights of the rows, not all 0.

    Attributes
    ----------
    nodes : list of ndarray
        Nodes of every tree as scikit-learn has them, but with children, columns and sets numbered over all trees,
        and with thresholds in place of numbers of bins.
    sets : list of ndarray of shape (n_categories,), bool
        Sets of categories.
    """

    def __init__(self, columns: np.ndarray, n_categories: np.ndarray, weight: np.ndarray | None) -> None:
        n_rows, n_columns = columns.shape
        self.nodes: list[np.ndarray] = []
        self.sets: list[np.ndarray] = []
        self.n_categories = n_categories
        # scikit-learn splits no node whose weights sum to less than a thousandth; only ratios are to count
        self.weight = None if weight is None else weight / weight.mean()
        self.numeric = np.flatnonzero(n_categories == 0)
        n_bins = max(2, min(MAX_BINS, n_rows))
        self.columns, self.edges = binned(columns, self.numeric, n_bins)
        by_rows = int(np.clip(n_rows // ROWS_A_TREE, TREES_OF_FEW_ROWS, N_TREES))
        by_columns = int(np.clip(N_TREES * MANY_COLUMNS // n_columns, FEWEST_TREES, N_TREES))
        self.n_trees = min(n_rows, by_rows, by_columns)
        self._options = {
            "learning_rate": RATE_TIMES_TREES / by_rows,
            "max_leaf_nodes": None,
            "max_depth": max(SMALLEST_DEPTH, int(np.log2(max(1.0, n_rows / ROWS_A_LEAF)))),
            "min_samples_leaf": smallest_leaf(n_rows),
            "max_bins": max(n_bins, int(n_categories.max(initial=0))),
            "early_stopping": False,
            "random_state": 0,  # nothing is random here; None would read numpy's global generator
        }
        self._n_nodes = 0

    def boost(self, goal: np.ndarray, n_trees: int, only: np.ndarray | None = None) -> BinnedTrees:
        """Grow trees that predict the goal, from all columns or `only` some numeric ones."""
        is_categorical = self.n_categories > 0 if only is None else np.zeros(len(only), dtype=bool)
        trees = BinnedTrees(
            max_iter=n_trees,
            categorical_features=is_categorical if is_categorical.any() else None,
            **self._options,
        )
        # Of several threads, each waits for the slowest at every node: 100 times as long beside a busy process.
        with _libraries().limit(limits=1, user_api="openmp"):
            trees.fit(self.columns if only is None else self.columns[:, only], goal, sample_weight=self.weight)
        for (tree,) in trees._predictors:
            nodes = tree.nodes.copy()
            for side in ("left", "right"):
                nodes[side] += np.uint32(self._n_nodes)
            if is_categorical.any():
                self.sets.extend(_sets(trees, tree, nodes, self.n_categories))
                nodes["bitset_idx"] += np.uint32(len(self.sets) - len(tree.raw_left_cat_bitsets))
            if only is not None:
                nodes["feature_idx"] = only[nodes["feature_idx"]]
            for i in np.flatnonzero((nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)):
                nodes["num_threshold"][i] = self.edges[nodes["feature_idx"][i]][int(nodes["num_threshold"][i])]
            self.nodes.append(nodes)
            self._n_nodes += len(nodes)
        return trees

    def boost_pairs(self, goal: np.ndarray, n_trees: int) -> np.ndarray:
        """Grow trees of pairs of columns that matter together; return what these leave of the goal."""
        if len(self.numeric) > MANY_COLUMNS:
            return goal
        weight = np.ones(len(goal)) if self.weight is None else self.weight
        numeric = self.columns[:, self.numeric]
        known: list[set[int]] = []
        while len(known) < MAX_PAIRS:
            pair = strongest_pair(numeric, goal, weight)
            if pair is None or set(pair.tolist()) in known:
                break
            known.append(set(pair.tolist()))
            only = self.numeric[pair]
            columns = self.columns[:, only]
            # what each of the two says alone, the other trees find
            alone = without_linear_effects(columns, goal, weight)
            trees = self.boost(alone, max(1, n_trees // FEWER_FOR_PAIRS), only)
            with _libraries().limit(limits=1, user_api="openmp"):
                goal = goal - trees.predict(columns)
        return goal


def grow_trees(
    columns: np.ndarray,
    n_categories: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes of all trees in one array, and the sets of categories, see :class:`Growth`."""
    growth = Growth(columns, n_categories, weight)
    goals = divisions(target, rng)
    n_trees = max(1, growth.n_trees // len(goals))
    for goal in goals:
        growth.boost(growth.boost_pairs(goal, n_trees), n_trees)
    return np.concatenate(growth.nodes), np.array(growth.sets) if growth.sets else np.zeros((0, 0), dtype=bool)


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
