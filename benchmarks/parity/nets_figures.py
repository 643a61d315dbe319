"""The figures of the experiments that the frontier cannot train, a function of the rows for each."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from benchmarks.parity import figures
from benchmarks.parity.success import rates, with_starts
from benchmarks.report import style

#: what the differences between the nets on tables are taken from
REFERENCE = {"sparsity": 2, "width": 512, "depth": 2}


def depth(rows: pd.DataFrame) -> Figure:
    """Draw success and steps by rows, a line for each depth."""
    runs = rows.assign(init="sign", init_scale=1.0, bias_init="auto", train_error=np.nan, test_error=np.nan)
    found = rates(with_starts(runs), ("start", "depth", "n_samples"))
    return figures.lines(found, "n_samples", "depth", "start", "Hidden layers of 100 neurons")


@style.styled
def trees(rows: pd.DataFrame) -> Figure:
    """Draw by rows how many nets learn, where trees choose the inputs of neurons and where chance does."""
    targets = list(dict.fromkeys(rows["target"]))
    figure, panels = style.panels(len(targets), 3, 2.4, 2.3)
    for axes, target in zip(panels, targets, strict=True):
        for colour, (name, own) in zip(
            style.COLOURS, rows[rows["target"] == target].groupby("sampling", sort=False), strict=False
        ):
            _shares(axes, own, colour, {"uniform": "at random", "trees": "from trees"}[str(name)])
        axes.set(title=target, xlabel="training rows", ylim=(-0.03, 1.03))
        style.log_x(axes)
        style.grid(axes)
    panels[0].set_ylabel("share of nets that learn")
    style.legend(figure)
    style.title(figure, "Where the first layer's inputs come from")
    return figure


def _shares(axes: Axes, rows: pd.DataFrame, colour: str, label: str) -> None:
    """Draw the shares of nets with an error of at most 10 %, with Wilson's intervals."""
    learned = (rows["test_error"] <= 0.1).groupby(rows["n_samples"]).agg(["sum", "size"])
    intervals = [
        stats.binomtest(int(n), int(size)).proportion_ci(method="wilson") for n, size in learned.to_numpy()
    ]
    axes.plot(learned.index, learned["sum"] / learned["size"], "o-", color=colour, ms=3.5, lw=1.2, label=label)
    axes.fill_between(
        learned.index, [i.low for i in intervals], [i.high for i in intervals], color=colour, alpha=0.12, lw=0
    )


@style.styled
def tables(rows: pd.DataFrame) -> Figure:
    """Draw accuracy by width less that of the reference, with the standard error over tables."""
    sizes, depths = sorted(rows["n_rows"].unique()), sorted(rows["depth"].unique())
    figure = Figure(figsize=(2.5 * len(depths), 0.9 + 2.1 * len(sizes)), layout="constrained")
    grid = figure.subplots(len(sizes), len(depths), sharex=True, sharey="row", squeeze=False)
    for n_rows, line in zip(sizes, grid, strict=True):
        differences = from_reference(rows[rows["n_rows"] == n_rows])
        for n_layers, axes in zip(depths, line, strict=True):
            _by_width(axes, differences[differences.index.get_level_values("depth") == n_layers])
            axes.set_title(f"{n_rows} rows, {n_layers} hidden layer{'s' if n_layers > 1 else ''}", fontsize=8)
            axes.axhline(0, color=style.BLACK, lw=0.6)
            axes.set_xscale("log", base=2)
            axes.set_xticks(sorted(rows["width"].unique()), map(str, sorted(rows["width"].unique())))
            style.grid(axes)
        line[0].set_ylabel("points of accuracy")
    for axes in grid[-1]:
        axes.set_xlabel("width")
    style.legend(figure, n_columns=4)
    style.title(figure, "The paper's net on the tables, less that of width 512, two layers, s = 2")
    return figure


def from_reference(rows: pd.DataFrame) -> pd.DataFrame:
    """Return points of accuracy less the reference's: a column for each table, a row for each kind of net."""
    accuracy = 100 * rows.pivot_table(index=["sparsity", "width", "depth"], columns="task", values="accuracy")
    return accuracy - accuracy.xs(tuple(REFERENCE.values()))


def _by_width(axes: Axes, differences: pd.DataFrame) -> None:
    for colour, sparsity in zip(style.COLOURS, (1, 2, 4, 0), strict=False):
        own = differences.loc[differences.index.get_level_values("sparsity") == sparsity]
        values, widths = own.to_numpy(), own.index.get_level_values("width")
        error = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
        label = f"s = {sparsity}" if sparsity else "dense"
        axes.errorbar(widths, values.mean(axis=1), error, fmt="o-", color=colour, ms=3.5, lw=1.2, label=label)
