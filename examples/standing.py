"""Plot where the net stands among untuned models on 16 tables: accuracy against the seconds of a fit.

    python examples/standing.py docs/results docs/results

Reads ``tables/scores.csv`` of the first folder, which `python -m benchmarks tabular` wrote, and writes
``standing.png`` into the second. A point is a model: its mean accuracy minus that of a random forest of 250 trees,
with the standard error over tables, and its median seconds of a fit on one core.
"""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

MODELS = {
    "sparse_mlp": ("sparse net", "C0"),
    "dense_mlp": ("dense start", "C1"),
    "catboost": ("CatBoost", "C2"),
    "rf": ("forest", "C3"),
    "lightgbm": ("LightGBM", "C4"),
    "xgboost": ("XGBoost", "C5"),
    "hgb": ("sklearn boosting", "C7"),
}
SIZES = {"rows:100": "100 rows", "rows:1000": "1000 rows", "rows:10000": "10,000 rows at most"}


def plot(scores: pd.DataFrame) -> Figure:
    """Return a figure with a panel for each number of rows."""
    by_split = scores.pivot_table(index=["size", "task", "seed"], columns="model", values="score")
    points = 100 * by_split.sub(by_split["rf"], axis=0).groupby(["size", "task"]).mean()
    seconds: Any = scores.groupby(["size", "model"])["fit_seconds"].median()
    figure = Figure(figsize=(7, 3.7), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for ax, (size, title) in zip(panels, SIZES.items(), strict=True):
        ax.axhline(0, color="0.85", lw=1, zorder=0)
        for model, (label, colour) in MODELS.items():
            values: Any = points.loc[size][model]
            ours = model == "sparse_mlp"
            ax.errorbar(
                seconds[size, model],
                values.mean(),
                values.sem(),
                color=colour,
                fmt="*" if ours else "o",
                ms=13 if ours else 6,
                elinewidth=1,
                label=label,
            )
        ax.set(title=title, xscale="log", xlim=(0.01, 30), xlabel="seconds of a fit")
        ax.set_xticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
        ax.minorticks_off()
        ax.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("points of accuracy\nahead of the forest")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False,
                  fontsize="small", columnspacing=1, handletextpad=0.2)  # fmt: skip
    return figure


def main(results: Path, folder: Path) -> None:
    """Read the scores and write the figure."""
    scores = pd.read_csv(results / "tables" / "scores.csv").query("not tuned")
    plot(scores).savefig(folder / "standing.png", dpi=150)


if __name__ == "__main__":
    main(*(Path(name) for name in sys.argv[1:3]))
