"""From raw columns to the network's scaled inputs, in float64 as ``InputScaler`` computes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from sparsemlp._onnx.categories import category_index, is_text
from sparsemlp._onnx.graph import DOUBLE, FLOAT, STRING, Graph
from sparsemlp._onnx.lookup import SortedTables
from sparsemlp._scalers import LARGEST, MidRankScaler, SquashingScaler, in_float32
from sparsemlp.preprocessing import InputScaler


class RawColumns:
    """The inputs of a graph: one matrix X of numbers, or an input for every column where some are text."""

    def __init__(self, graph: Graph, estimator: Any) -> None:
        encoder, n_features = estimator._categories, estimator.n_features_in_
        features = [] if encoder is None else np.flatnonzero(encoder.is_categorical).tolist()
        names = getattr(estimator, "feature_names_in_", [f"x{i}" for i in range(n_features)])
        self.graph, self.names = graph, names
        #: the categories of each categorical feature
        self.categories = {} if encoder is None else dict(zip(features, encoder.categories, strict=True))
        texts = {feature for feature, values in self.categories.items() if is_text(names[feature], values)}
        self.matrix: str | None = None
        if texts:
            for feature, name in enumerate(names):
                graph.input(name, STRING if feature in texts else FLOAT, 1)
        else:
            self.matrix = graph.input("X", FLOAT, n_features)

    def __getitem__(self, features: list[int]) -> str:
        """Return features side by side."""
        if self.matrix is None:
            return self.graph.concat([self.names[feature] for feature in features], axis=1)
        if features == list(range(len(self.names))):
            return self.matrix
        return self.graph.add("Gather", self.matrix, np.array(features), axis=1)


def scaled_inputs(graph: Graph, estimator: Any) -> tuple[str, np.ndarray]:
    """Add the nodes that scale rows.

    Parameters
    ----------
    graph : Graph
        Gets inputs and nodes.
    estimator : estimator
        Fitted.

    Returns
    -------
    str
        The scaled columns, float32 of shape (n_rows, n_columns).
    ndarray of shape (n_columns,)
        Which column of ``scaler_`` each of them is: the graph has blocks of columns of the same kind.
    """
    scaler: InputScaler = estimator.scaler_
    columns = RawColumns(graph, estimator)
    index = {
        feature: category_index(graph, columns[[feature]], columns.names[feature], categories)
        for feature, categories in columns.categories.items()
        if feature in scaler.column_features_
    }
    n_numeric = sum(len(block.column_features()) for block in scaler.blocks_)
    parts, order = [], [np.arange(n_numeric, len(scaler.column_features_))]
    if len(scaler.numeric_):
        scaled, order_of_scaled = _numeric_columns(graph, scaler, _numbers(graph, scaler, columns, index))
        parts, order = scaled, [order_of_scaled, *order]
    for feature, encoded in scaler.categories_.items():
        table = encoded.transform(_codes(len(columns.categories[feature])))
        parts.append(graph.add("Gather", table, index[feature], axis=0))
    return graph.concat(parts, axis=1), np.concatenate(order)


def _codes(n_codes: int) -> np.ndarray:
    """Return the codes of known categories, of a missing value and of an unknown category, by their index."""
    return np.array([*range(n_codes), np.nan, -1.0])


def _numbers(graph: Graph, scaler: InputScaler, columns: RawColumns, index: dict[int, str]) -> str:
    """Return the numeric columns as float64; a feature of two categories is the number of its code, or NaN."""
    parts = []
    for is_category, features in groupby(scaler.numeric_.tolist(), key=index.__contains__):
        if not is_category:
            parts.append(graph.cast(columns[list(features)], DOUBLE))
            continue
        for feature in features:
            codes = _codes(len(columns.categories[feature]))
            codes[-1] = np.nan
            number = graph.add("Gather", codes, index[feature])
            parts.append(graph.add("Unsqueeze", number, np.array([1])))
    return graph.concat(parts, axis=1)


def _numeric_columns(graph: Graph, scaler: InputScaler, x: str) -> tuple[list[str], np.ndarray]:
    """Fill missing values and scale; return the blocks of columns, float32, and their order in the scaler."""
    blocks = scaler.blocks_

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(block, name) for block in blocks])

    factor, indicator, median = joined("factor_"), joined("indicator_"), joined("median_")
    if (factor != 1).any():
        x = graph.add("Mul", x, factor)
    is_missing = graph.add("IsNaN", x)
    scaled = [(x, median)]
    kinds = list(zip(*(block.scalers_ for block in blocks), strict=True))
    if kinds:
        medians = zip(*(block.scaled(block.median_[np.newaxis]) for block in blocks), strict=True)
        scaled = [
            (_scaled(graph, scalers, x, factor), np.concatenate(values, axis=1))
            for scalers, values in zip(kinds, medians, strict=True)
        ]
    # filled after scaling: a median can be a value that the graph knows in float32 only
    parts = [graph.cast(graph.add("Where", is_missing, fill, values), FLOAT) for values, fill in scaled]
    n_kinds = len(parts)
    if indicator.any():
        parts.append(graph.cast(graph.add("Compress", is_missing, indicator, axis=1), FLOAT))
    places = [
        np.repeat(np.arange(n_kinds + 1), [block.stop - block.start] * n_kinds + [block.indicator_.sum()])
        for block in blocks
    ]
    return parts, np.argsort(np.concatenate(places), kind="stable")


def _scaled(graph: Graph, scalers: Sequence[Any], x: str, factor: np.ndarray) -> str:
    """Scale columns by what the blocks' scalers of one kind have learned."""
    if isinstance(scalers[0], MidRankScaler):
        quantiles = [column for scaler in scalers for column in scaler.quantiles_.T]
        return _mid_ranks(graph, x, quantiles, scalers[0].ranks_, factor)
    is_squashing = isinstance(scalers[0], SquashingScaler)
    center = np.concatenate([scaler.center_ if is_squashing else scaler.mean_ for scaler in scalers])
    scale = np.concatenate([scaler.scale_ for scaler in scalers])
    z = graph.add("Div", graph.add("Sub", x, center), scale)
    if not is_squashing:
        return z
    z = graph.add("Clip", z, np.array(-LARGEST), np.array(LARGEST))
    third = graph.add("Div", z, np.array(3.0))
    root = graph.add("Sqrt", graph.add("Add", graph.add("Mul", third, third), np.array(1.0)))
    return graph.add("Div", z, root)


def _mid_ranks(graph: Graph, x: str, quantiles: list[np.ndarray], ranks: np.ndarray, factor: np.ndarray) -> str:
    """Return centred ranks: those of the training values where these are met, interpolated ones between them."""
    edges, at, slopes, intercepts = [], [], [], []
    for column, size in zip(quantiles, factor, strict=True):
        value, first, count = np.unique(column, return_index=True, return_counts=True)
        low, high = (_centred(ranks[place]) for place in (first, first + count - 1))
        at.append((low + high) / 2)
        with np.errstate(over="ignore", invalid="ignore"):  # no number lies between denormal ones
            slope = np.append((low[1:] - high[:-1]) / np.diff(value), 0.0)
            slopes.append(slope)
            intercepts.append(high - slope * value)
        # tied values as the graph sees them, so that it knows them again
        edge = np.where(count > 1, in_float32(value / size) * size, value)
        edges.append(np.maximum.accumulate(edge))
    tables = SortedTables(edges)
    place = tables.find(graph, x)
    slope_there = graph.add("Gather", tables.padded(slopes, 0.0), place)
    intercept = graph.add("Gather", tables.padded(intercepts, _centred(0.0)), place)
    between = graph.add("Add", graph.add("Mul", x, slope_there), intercept)
    exactly = graph.add("Gather", tables.padded(at, 0.0), place)
    return graph.add("Where", tables.equals(graph, x, place), exactly, between)


def _centred(rank: Any) -> Any:
    return (rank - 0.5) * np.sqrt(12)
