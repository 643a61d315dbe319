"""Search in sorted tables, one for every column: for ranks, and for categories that are numbers.

ONNX has no operator for it. Comparison with all of a table's values takes as much memory as rows times values;
bisection takes ten steps, each of one ``Gather``.
"""

from __future__ import annotations

import numpy as np

from sparsemlp._onnx.graph import Graph

LOWEST = np.finfo(np.float64).min


class SortedTables:
    """Increasing values of every column, from `LOWEST` on and padded to a power of two.

    Parameters
    ----------
    columns : list of ndarray of shape (n_values,)
        The values of every column, sorted.
    """

    def __init__(self, columns: list[np.ndarray]) -> None:
        self.size = 1 << max(len(values) for values in columns).bit_length()
        self.values = self.padded(columns, LOWEST, np.inf)

    def padded(self, columns: list[np.ndarray], first: float, after: float = 0.0) -> np.ndarray:
        """Return what belongs to the values, one column after another, with `first` for what is below them all."""
        table = np.full((len(columns), self.size), after)
        table[:, 0] = first
        for row, values in zip(table, columns, strict=True):
            row[1 : 1 + len(values)] = values
        return table.ravel()

    def find(self, graph: Graph, x: str) -> str:
        """Return the place of the last value that is not above `x`, which has the shape (n_rows, n_columns)."""
        place = graph.constant(np.arange(0, len(self.values), self.size)[np.newaxis])
        step = self.size // 2
        while step:
            probe = graph.add("Add", place, np.int64(step))
            is_below = graph.add("LessOrEqual", graph.add("Gather", self.values, probe), x)
            place = graph.add("Where", is_below, probe, place)
            step //= 2
        return place

    def equals(self, graph: Graph, x: str, place: str) -> str:
        """Return whether `x` is the value at its place."""
        return graph.add("Equal", graph.add("Gather", self.values, place), x)
