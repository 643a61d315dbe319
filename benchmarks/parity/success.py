"""How often runs succeed, by setting, and with how many rows success begins."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

PLANE = ("start", "n_samples", "width")
N_RESAMPLES = 1000
LEVEL = (2.5, 97.5)

Floats = NDArray[np.float64]


def with_starts(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with a column ``start``: how the first layer was initialised, sparse before dense."""
    fields = runs[["sparsity", "init", "init_scale", "bias_init"]]
    names = {key: start_name(*key) for key in fields.drop_duplicates().itertuples(index=False, name=None)}
    ordered = sorted(names, key=lambda key: (key[0] == 0, key[0], names[key]))
    starts = [names[key] for key in fields.itertuples(index=False, name=None)]
    return runs.assign(start=pd.Categorical(starts, list(dict.fromkeys(names[key] for key in ordered))))


def start_name(sparsity: int, init: str, init_scale: float, bias_init: str) -> str:
    """Return what a start is called; sparsity 0 is dense."""
    if not sparsity:
        return "dense, zero biases" if bias_init == "zeros" else "dense, torch's biases"
    kind = {"sign": "", "ones": ", weights of 1"}.get(init, f", {init} weights")
    scale = "" if init_scale == 1 else f", x {init_scale:g}"
    return f"sparse, s = {sparsity}{kind}{scale}{'' if bias_init == 'auto' else ', uniform biases'}"


def with_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the runs or rates that have a number of training rows: all but those on fresh rows."""
    return table[table["n_samples"] > 0]


def rates(runs: pd.DataFrame, by: Sequence[str] = PLANE) -> pd.DataFrame:
    """Return a row per group: `successes` of `runs`, `rate` with its 95 % Wilson interval, and medians.

    `median_steps` is of the successes, with its exact 95 % interval, which needs six of them; `train_error` and
    `test_error` are means over all runs at their end.
    """
    rows = []
    for key, group in runs.groupby(list(by), sort=True, dropna=False, observed=True):
        succeeded = group["succeeded"].astype(bool)
        interval = stats.binomtest(int(succeeded.sum()), len(group)).proportion_ci(method="wilson")
        steps = group.loc[succeeded, "steps"]
        median = stats.quantile_test(steps).confidence_interval() if len(steps) else (np.nan, np.nan)
        rows.append(
            dict(zip(by, key, strict=True))
            | {
                "successes": int(succeeded.sum()),
                "runs": len(group),
                "rate": float(succeeded.mean()),
                "low": interval.low,
                "high": interval.high,
                "median_steps": steps.median(),
                "steps_low": median[0],
                "steps_high": median[1],
                "train_error": group["train_error"].mean(),
                "test_error": group["test_error"].mean(),
            }
        )
    return pd.DataFrame(rows)


def violations(found: pd.DataFrame) -> pd.DataFrame:
    """Return every pair of widths of a column of which the wider net succeeds less often.

    Returns
    -------
    DataFrame
        start, n_samples, narrow, wide, their rates as texts, the `drop` in rate with its 95 % interval
        (Newcombe 1998, method 10, made of the two Wilson intervals), and whether that leaves out zero.
    """
    rows = []
    for (start, n_samples), column in found.groupby(["start", "n_samples"], sort=False):
        ordered = column.sort_values("width").to_dict("records")
        for a, b in combinations(ordered, 2):
            if b["rate"] >= a["rate"]:
                continue
            drop = a["rate"] - b["rate"]
            low = drop - np.hypot(a["rate"] - a["low"], b["high"] - b["rate"])
            high = drop + np.hypot(a["high"] - a["rate"], b["rate"] - b["low"])
            rows.append(
                {
                    "start": start,
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


def informative_pairs(found: pd.DataFrame) -> tuple[int, int]:
    """Return the number of pairs of widths that `violations` compares, and of those that could differ.

    Two widths of which no run succeeds, or every run, are equal whatever width does.
    """
    n_pairs = n_informative = 0
    for _, column in found.groupby(["start", "n_samples"]):
        for a, b in combinations(column["rate"], 2):
            n_pairs += 1
            n_informative += a != b or 0 < a < 1
    return n_pairs, n_informative


@dataclass(frozen=True)
class Estimate:
    """A number between `least` and `most`, with a 95 % bootstrap interval.

    The two are the same where the number is known. A number that is only bounded has one that is 0 or infinite.
    """

    least: float
    most: float
    low: float
    high: float

    @classmethod
    def of(cls, ends: Floats) -> "Estimate":
        """Return the estimate of ends of shape (2, 1 + resamples), the first of all runs."""
        known = ends[:, 1:][:, ~np.isnan(ends[:, 1:]).any(axis=0)]
        if not known.size:
            return cls(float(ends[0, 0]), float(ends[1, 0]), np.nan, np.nan)
        # Without interpolation, which between a number and infinity would be none.
        low, high = (
            float(np.percentile(e, level, method="nearest")) for e, level in zip(known, LEVEL, strict=True)
        )
        return cls(float(ends[0, 0]), float(ends[1, 0]), low, high)

    @property
    def is_known(self) -> bool:
        """Whether it is a number and not only bounded."""
        return self.least == self.most

    def __format__(self, form: str) -> str:
        return f"{self.least:{form}} ({self.low:{form}} to {self.high:{form}})" if form else str(self)

    def __str__(self) -> str:
        value, interval = _range(self.least, self.most), _range(self.low, self.high)
        return value if "-" in (value, interval) or value == interval else f"{value} ({interval})"


def _range(low: float, high: float) -> str:
    first, last = (f"{x:.{0 if x >= 100 else 2}f}" for x in (low, high))
    if np.isnan(low) or (low == 0 and high == np.inf):
        return "-"
    if low == 0 or high == np.inf:
        return f"at most {last}" if low == 0 else f"at least {first}"
    return first if first == last else f"{first} to {last}"


class Edges:
    """Where success begins: the number of rows at which half of the runs succeed, by start and width.

    The rates of a width are made non-decreasing in the number of rows (isotonic regression), and interpolated on
    a logarithmic scale. An edge is censored where half of the runs succeed with the fewest rows already, which it
    is below, or do not succeed with the most, which it is above. Intervals are percentiles over resampled runs; a
    run has the same data for all widths and starts, so these are resampled together.

    Parameters
    ----------
    runs : DataFrame
        The runs of a frontier. Those on fresh rows have no number of rows, and are left out.

    Attributes
    ----------
    ends : dict
        (start, width) -> the least and the most that the edge can be, of shape (2, 1 + resamples): of all runs
        first, and of every resample.
    """

    def __init__(self, runs: pd.DataFrame) -> None:
        runs = with_rows(runs)
        self.sizes = np.array(sorted(runs["n_samples"].unique()))
        numbers = sorted(runs["run"].unique())
        resamples = np.random.default_rng(0).integers(0, len(numbers), (N_RESAMPLES, len(numbers)))
        samples = np.vstack([np.arange(len(numbers)), resamples])
        self.ends: dict[tuple[str, int], Floats] = {}
        groups: Iterable[Any] = runs.groupby(["start", "width"], observed=True)
        for key, group in groups:
            table = group.pivot(index="n_samples", columns="run", values="succeeded").reindex(columns=numbers)
            self.ends[key] = _edges(table, samples)

    @property
    def starts(self) -> list[str]:
        """The starts, sparse ones first."""
        return list(dict.fromkeys(start for start, _ in self.ends))

    def widths(self, *starts: str) -> list[int]:
        """Return the widths that all of these starts have."""
        shared = [{width for start, width in self.ends if start == one} for one in starts]
        return sorted(set.intersection(*shared))

    def edge(self, start: str, width: int) -> Estimate:
        """Return the rows at which half of the runs succeed."""
        return Estimate.of(self.ends[start, width])

    def ratio(self, width: int, sparse: str, dense: str) -> Estimate:
        """Return how many times as many rows the dense start needs; of censored edges, between what and what."""
        return Estimate.of(self._ratio(width, sparse, dense))

    def _ratio(self, width: int, sparse: str, dense: str) -> Floats:
        a, b = self.ends[dense, width], self.ends[sparse, width]
        with np.errstate(divide="ignore"):
            return a / b[::-1]

    def mean_ratio(self, sparse: str, dense: str) -> tuple[Estimate, list[int]] | None:
        """Return the geometric mean of the ratios, and the widths that it is over.

        A ratio to a censored edge has one bound only, and so has a mean over it. Two edges at the same end of the
        grid say nothing about their ratio: their width is left out.
        """
        found = {width: self._ratio(width, sparse, dense) for width in self.widths(sparse, dense)}
        widths = [width for width, (least, most) in found.items() if least[0] > 0 or most[0] < np.inf]
        if not widths:
            return None
        ends = np.array([found[width] for width in widths])
        ends[np.broadcast_to((ends[:, :1] == 0) & (ends[:, 1:] == np.inf), ends.shape)] = np.nan
        known = ~np.isnan(ends).all(axis=(0, 1))
        with np.errstate(divide="ignore"):
            return Estimate.of(np.exp(np.nanmean(np.log(ends[..., known]), axis=0))), widths

    def slope(self, start: str) -> tuple[Estimate, list[int]] | None:
        """Return the slope of log rows by log width along the edge, over the widths of which it is in the grid."""
        widths = [width for width in self.widths(start) if self.edge(start, width).is_known]
        if len(widths) < 2:
            return None
        least, most = np.array([self.ends[start, width] for width in widths]).swapaxes(0, 1)
        x, y = np.log(widths), np.log(np.where(least == most, least, np.nan))
        slopes = (x - x.mean()) @ y / ((x - x.mean()) ** 2).sum()
        return Estimate.of(np.stack([slopes, slopes])), widths


def _edges(succeeded: pd.DataFrame, samples: NDArray[np.int64]) -> Floats:
    """Return the ends of the edge of every sample of runs: (2, len(samples))."""
    table = succeeded.to_numpy(dtype=float)
    there = ~np.isnan(table)  # a study that was stopped has settings without some of the runs
    successes = np.where(there, table, 0.0)
    rising = rising_rates(successes[:, samples].sum(axis=2).T, there[:, samples].sum(axis=2).T)
    return np.array([_crossing(succeeded.index.to_numpy(dtype=float), one) for one in rising]).T


def _crossing(sizes: Floats, rising: Floats) -> tuple[float, float]:
    """Return between which numbers of rows the rates cross one half."""
    above = np.flatnonzero(rising >= 0.5)
    if np.isnan(rising).all():
        return np.nan, np.nan
    if not len(above):
        return sizes[-1], np.inf
    i = above[0]
    if i == 0:
        return 0.0, sizes[0]
    share = (0.5 - rising[i - 1]) / (rising[i] - rising[i - 1])
    edge = float(sizes[i - 1] * (sizes[i] / sizes[i - 1]) ** share)
    return edge, edge


def rising_rates(successes: Floats, counts: NDArray[np.int64]) -> Floats:
    """Return the isotonic regression of rates, row by row: the nearest that do not fall.

    The i-th is the largest over j <= i of the smallest over k >= i of the rate of all runs from j to k (Barlow and
    others 1972), for many rows at once, which bootstrapping wants.
    """
    sums = [np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1) for values in (successes, counts)]
    totals, numbers = (values[:, None, 1:] - values[:, :-1, None] for values in sums)
    fractions = np.divide(totals, numbers, out=np.full(totals.shape, np.nan), where=numbers > 0)
    columns = [
        np.fmax.reduce(np.fmin.reduce(fractions[:, : i + 1, i:], axis=2), axis=1)
        for i in range(successes.shape[1])
    ]
    return np.stack(columns, axis=1)
