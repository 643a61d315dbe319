"""The numbers of the parity study: success rates, the edge of success, and how far results bear them out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from benchmarks.parity.tables import SETTING_FIELDS

PLANE = ("n_samples", "width", "sparsity")
FRONTIER_KEY = tuple(name for name in SETTING_FIELDS if name not in PLANE)
N_RESAMPLES = 1000
LEVEL = (2.5, 97.5)


def frontiers(runs: pd.DataFrame) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Return for every frontier what its cells share, and its runs.

    A dense start has no initial weights of a kind and scale, and stands beside the sparse starts of every kind.
    """
    start = ["init", "init_scale"]
    shared = [name for name in FRONTIER_KEY if name not in start]
    sparse, dense = runs[runs["sparsity"] > 0], runs[runs["sparsity"] == 0]
    starts = sparse[list(FRONTIER_KEY)].drop_duplicates()
    beside = dense.drop(columns=start).merge(starts, on=shared)
    alone = dense[~dense["id"].isin(beside["id"])]
    groups = pd.concat([sparse, beside, alone]).groupby(list(FRONTIER_KEY), sort=True)
    return [(dict(zip(FRONTIER_KEY, key, strict=True)), group) for key, group in groups]


def with_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the runs or cells that have a number of training rows: all but those on fresh rows."""
    return table[table["n_samples"] > 0]


def by_cell(runs: pd.DataFrame, by: Sequence[str] = PLANE) -> pd.DataFrame:
    """Return a row per cell: `successes` of `runs`, `rate` with its 95 % Wilson interval, and medians.

    `median_steps` is of the successes, `train_error` and `test_error` are means over all runs at their end.
    """
    rows = []
    for key, group in runs.groupby(list(by), sort=True, dropna=False):
        interval = stats.binomtest(int(group["succeeded"].sum()), len(group)).proportion_ci(method="wilson")
        rows.append(
            dict(zip(by, key, strict=True))
            | {
                "successes": int(group["succeeded"].sum()),
                "runs": len(group),
                "rate": float(group["succeeded"].mean()),
                "low": interval.low,
                "high": interval.high,
                "median_steps": group.loc[group["succeeded"].astype(bool), "steps"].median(),
                "train_error": group["train_error"].mean(),
                "test_error": group["test_error"].mean(),
            }
        )
    return pd.DataFrame(rows)


def violations(cells: pd.DataFrame) -> pd.DataFrame:
    """Return every pair of widths of a column of which the wider net succeeds less often.

    Returns
    -------
    DataFrame
        sparsity, n_samples, narrow, wide, their rates as texts, the `drop` in rate with its 95 % interval
        (Newcombe 1998, method 10, made of the two Wilson intervals), and whether that leaves out zero.
    """
    rows = []
    for (sparsity, n_samples), column in cells.groupby(["sparsity", "n_samples"]):
        ordered = column.sort_values("width").to_dict("records")
        for a, b in combinations(ordered, 2):
            if b["rate"] >= a["rate"]:
                continue
            drop = a["rate"] - b["rate"]
            low = drop - np.hypot(a["rate"] - a["low"], b["high"] - b["rate"])
            high = drop + np.hypot(a["high"] - a["rate"], b["rate"] - b["low"])
            rows.append(
                {
                    "sparsity": sparsity,
                    "n_samples": n_samples,
                    "narrow": a["width"],
                    "wide": b["width"],
                    "narrow_rate": f"{a['successes']}/{a['runs']}",
                    "wide_rate": f"{b['successes']}/{b['runs']}",
                    "drop": drop,
                    "low": low,
                    "high": high,
                    "significant": low > 0,
                }
            )
    return pd.DataFrame(rows)


def n_comparisons(cells: pd.DataFrame) -> int:
    """Return the number of pairs of widths that `violations` compares."""
    return int(sum(len(column) * (len(column) - 1) // 2 for _, column in cells.groupby(["sparsity", "n_samples"])))


@dataclass(frozen=True)
class Estimate:
    """A number with a 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __format__(self, form: str) -> str:
        return f"{self.value:{form}} ({self.low:{form}} to {self.high:{form}})"


class Edges:
    """Where success begins: the number of rows at which half of the runs succeed, by width.

    The rates of a width are made non-decreasing in the number of rows (isotonic regression), and interpolated on a
    logarithmic scale; infinite where half is never reached, and 0 where it is reached with the fewest rows
    already, so that the edge is somewhere below. Intervals are percentiles over resampled runs; a run has the same
    data for all widths and starts, so these are resampled together.

    Parameters
    ----------
    runs : DataFrame
        The runs of a frontier. Those on fresh rows have no number of rows, and are left out.
    """

    def __init__(self, runs: pd.DataFrame) -> None:
        runs = with_rows(runs)
        self.sizes = np.array(sorted(runs["n_samples"].unique()))
        self.numbers = np.array(sorted(runs["run"].unique()))
        self.tables: dict[tuple[int, int], NDArray[np.float64]] = {}
        for sparsity, width in runs[["sparsity", "width"]].drop_duplicates().itertuples(index=False):
            group = runs[(runs["sparsity"] == sparsity) & (runs["width"] == width)]
            table = group.pivot(index="n_samples", columns="run", values="succeeded")
            full = table.reindex(index=self.sizes, columns=self.numbers)
            self.tables[int(sparsity), int(width)] = full.to_numpy(dtype=float)
        rng = np.random.default_rng(0)
        self.resamples = rng.integers(0, len(self.numbers), (N_RESAMPLES, len(self.numbers)))
        everyone = np.arange(len(self.numbers))[None]
        self.values = {key: self._edges(table, everyone)[0] for key, table in self.tables.items()}
        self.resampled = {key: self._edges(table, self.resamples) for key, table in self.tables.items()}

    def _edges(self, table: NDArray[np.float64], samples: NDArray[np.int64]) -> NDArray[np.float64]:
        there = ~np.isnan(table)  # a study that was stopped has cells without some of the runs
        known = there.any(axis=1)
        successes, counts = np.where(there, table, 0.0)[known], there[known]
        rising = rising_rates(successes[:, samples].sum(axis=2).T, counts[:, samples].sum(axis=2).T)
        return np.array([_crossing(np.log(self.sizes[known]), rates) for rates in rising])

    def widths(self, sparsity: int) -> list[int]:
        """Return the widths of a start."""
        return sorted(width for s, width in self.tables if s == sparsity)

    def edge(self, sparsity: int, width: int) -> Estimate:
        """Return the rows at which half of the runs succeed."""
        return _estimate(self.values[sparsity, width], self.resampled[sparsity, width])

    def ratio(self, width: int, sparse: int, dense: int = 0) -> Estimate:
        """Return how many times as many rows the dense start needs."""
        with np.errstate(invalid="ignore", divide="ignore"):
            resampled = self.resampled[dense, width] / self.resampled[sparse, width]
            value = self.values[dense, width] / self.values[sparse, width]
        below = 0 in (self.values[dense, width], self.values[sparse, width])
        return _estimate(np.nan if below else value, resampled)

    def _is_known(self, sparsity: int, width: int) -> bool:
        return 0 < self.values[sparsity, width] < np.inf

    def mean_ratio(self, sparse: int, dense: int = 0) -> tuple[Estimate, list[int]] | None:
        """Return the geometric mean of the ratios over the widths of which both edges lie within the grid."""
        shared = [
            width
            for width in self.widths(sparse)
            if (dense, width) in self.tables and self._is_known(dense, width) and self._is_known(sparse, width)
        ]
        if not shared:
            return None
        pairs = [(self.resampled[dense, width], self.resampled[sparse, width]) for width in shared]
        with np.errstate(invalid="ignore", divide="ignore"):
            resampled = np.mean([np.log(a / b) for a, b in pairs], axis=0)
        value = np.mean([np.log(self.values[dense, width] / self.values[sparse, width]) for width in shared])
        estimate = _estimate(value, resampled)
        return Estimate(*(float(np.exp(x)) for x in (estimate.value, estimate.low, estimate.high))), shared

    def slope(self, sparsity: int) -> tuple[Estimate, list[int]] | None:
        """Return the slope of log rows by log width along the edge, over the widths of which it is in the grid."""
        widths = [width for width in self.widths(sparsity) if self._is_known(sparsity, width)]
        if len(widths) < 2:
            return None
        x = np.log(widths)
        slopes = _slopes(x, np.array([[self.values[sparsity, width]] for width in widths]))
        resampled = _slopes(x, np.array([self.resampled[sparsity, width] for width in widths]))
        return _estimate(slopes[0], resampled), widths


def rising_rates(successes: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the isotonic regression of rates, row by row: the nearest that do not fall.

    The i-th is the largest over j <= i of the smallest over k >= i of the rate of all runs from j to k (Barlow and
    others 1972), for many rows at once, which bootstrapping wants.
    """
    sums = [np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1) for values in (successes, counts)]
    totals, numbers = (values[:, None, 1:] - values[:, :-1, None] for values in sums)
    rates = np.divide(totals, numbers, out=np.full(totals.shape, np.nan), where=numbers > 0)
    columns = [
        np.fmax.reduce(np.fmin.reduce(rates[:, : i + 1, i:], axis=2), axis=1) for i in range(successes.shape[1])
    ]
    return np.stack(columns, axis=1)


def _crossing(log_sizes: NDArray[np.float64], rising: NDArray[np.float64]) -> float:
    above = np.flatnonzero(rising >= 0.5)
    if not len(above):
        return np.nan if np.isnan(rising).all() else np.inf
    i = above[0]
    if i == 0:
        return 0.0
    share = (0.5 - rising[i - 1]) / (rising[i] - rising[i - 1])
    return float(np.exp(log_sizes[i - 1] + share * (log_sizes[i] - log_sizes[i - 1])))


def _slopes(x: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    known = (np.isfinite(edges) & (edges > 0)).all(axis=0)
    y = np.log(edges[:, known])
    slopes: NDArray[np.float64] = (x - x.mean()) @ y / ((x - x.mean()) ** 2).sum()
    return slopes


def _estimate(value: float, resampled: NDArray[np.float64]) -> Estimate:
    known = np.sort(resampled[~np.isnan(resampled)])
    if not len(known):
        return Estimate(float(value), np.nan, np.nan)
    # Without interpolation, which between a number and infinity would be none.
    low, high = (float(np.percentile(known, level, method="nearest")) for level in LEVEL)
    return Estimate(float(value), low, high)
