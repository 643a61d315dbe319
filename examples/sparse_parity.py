"""Plot the accuracy on a sparse parity against the number of training rows, for nets, forests and boosted trees.

    python examples/sparse_parity.py

The label is the product of 3 of 50 random signs. Two networks differ in the start of their first layer alone:
each neuron of one has weights on two inputs and no bias, the other starts as ``torch.nn.Linear``. Trees are at
scikit-learn's defaults, but the forest has 250 of them. Every seed has its own hidden inputs and rows. Writes
``sparse_parity.csv`` and ``sparse_parity.png`` into the folder that is given, by default the current one.
"""

import sys
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from sparsemlp import paper_net
from sparsemlp.datasets import make_sparse_parity

N_ROWS = (400, 600, 800, 1000, 1400, 2000)
N_TEST = 2000
SEEDS = range(100, 105)
COLOURS = {"sparse start": "C0", "dense start": "C1", "boosted trees": "C2", "random forest": "C3"}


def models(seed: int) -> dict[str, ClassifierMixin]:
    """Return the four models by name."""
    return {
        "sparse start": paper_net(width=1000, sparsity=2, max_epochs=300, random_state=seed),
        "dense start": paper_net(
            width=1000, sparsity=None, bias_init="uniform", max_epochs=300, random_state=seed
        ),
        "boosted trees": HistGradientBoostingClassifier(random_state=seed),
        "random forest": RandomForestClassifier(250, random_state=seed),
    }


def accuracies(n_rows: int, seed: int) -> list[dict[str, object]]:
    """Fit the models to the same rows and score them on fresh ones."""
    X, y = make_sparse_parity(n_rows + N_TEST, n_features=50, n_informative=3, random_state=seed)
    return [
        {
            "n_rows": n_rows,
            "seed": seed,
            "model": name,
            "accuracy": model.fit(X[:n_rows], y[:n_rows]).score(X[n_rows:], y[n_rows:]),
        }
        for name, model in models(seed).items()
    ]


def plot(table: pd.DataFrame) -> Figure:
    """Return a figure with a line through the means and a point for each seed."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    ax = figure.subplots()
    for name, colour in COLOURS.items():
        rows = table[table["model"] == name]
        means = rows.groupby("n_rows")["accuracy"].mean()
        ax.plot(means.index, means, color=colour, label=name)
        ax.plot(rows["n_rows"], rows["accuracy"], ".", color=colour, alpha=0.5)
    ax.set(xscale="log", xlabel="training rows", ylabel="test accuracy", ylim=(0.45, 1.02))
    ax.set_xticks(N_ROWS, [str(n) for n in N_ROWS])
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return figure


def main() -> None:
    """Write the table and the figure."""
    folder = Path(*sys.argv[1:2])
    table = pd.DataFrame([row for n_rows in N_ROWS for seed in SEEDS for row in accuracies(n_rows, seed)])
    table.to_csv(folder / "sparse_parity.csv", index=False)
    plot(table).savefig(folder / "sparse_parity.png", dpi=150)


if __name__ == "__main__":
    main()
