"""Categories in a graph: a column in, the index of each row's category out."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from sparsemlp._onnx.graph import DOUBLE, ML, Graph
from sparsemlp._onnx.lookup import SortedTables
from sparsemlp._scalers import in_float32

#: a missing text, and what onnxruntime makes of Python's objects for it
MISSING = ("", "None", "nan", "<NA>")


def is_text(name: str, categories: Sequence[Any]) -> bool:
    """Say whether categories are text; they may also be numbers, and ValueError is raised if they are neither."""
    if categories and all(isinstance(value, str) for value in categories):
        return True
    if not all(isinstance(value, Real) for value in categories):
        types = " and ".join(sorted({type(value).__name__ for value in categories}))
        raise ValueError(
            f"column {name!r} has categories of type {types}, and a column of an ONNX graph holds text alone or "
            f"numbers alone; make them text before fit: X[{name!r}] = X[{name!r}].astype('string')"
        )
    return False


def category_index(graph: Graph, column: str, name: str, categories: Sequence[Any]) -> str:
    """Return the index of each row's category, int64 of shape (n_rows,).

    They are the places of `categories`; then come a missing value, NaN or the empty text, and unknown categories.
    """
    n = len(categories)
    if is_text(name, categories):
        missing = [text for text in MISSING if text not in categories]
        keys = [*categories, *missing]
        index = graph.add(
            "LabelEncoder",
            column,
            domain=ML,
            keys_strings=keys,
            values_int64s=[*range(n), *[n] * len(missing)],
            default_int64=n + 1,
        )
        return graph.add("Reshape", index, np.array([-1]))
    numbers = np.array([float(value) for value in categories])
    order = np.argsort(numbers)
    rounded = in_float32(numbers[order])
    if (np.diff(rounded) == 0).any():
        raise ValueError(
            f"column {name!r} has categories that are the same number in float32, which the graph computes in; "
            f"make them text before fit: X[{name!r}] = X[{name!r}].astype('string')"
        )
    x = graph.cast(column, DOUBLE)
    tables = SortedTables([rounded])
    place = tables.find(graph, x)
    codes = tables.padded([order.astype(float)], n + 1).astype(np.int64)
    index = graph.add("Where", tables.equals(graph, x, place), graph.add("Gather", codes, place), np.int64(n + 1))
    index = graph.add("Where", graph.add("IsNaN", x), np.int64(n), index)
    return graph.add("Reshape", index, np.array([-1]))
