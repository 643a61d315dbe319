"""Compare the first layer's importances with permutation importance, on tables.

    OMP_NUM_THREADS=1 python -m examples.importances

For each task and seed: Spearman's rank correlation with the permutation importance of the same fitted net (log
loss of test rows, five permutations a feature) of

- the plain mass: the sum of the absolute first-layer weights on a feature;
- the net's ``feature_importances_``;
- the impurity importances of a random forest on the same training rows, which is another model.

Means over the seeds are printed as a markdown table.
"""

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance

from benchmarks.data.splits import Size, make_split
from benchmarks.data.tasks import load
from sparsemlp import SparseInitMLPClassifier

TASKS = ("electricity", "california", "pol", "MagicTelescope", "house_16H", "covertype", "heloc", "Higgs")
SEEDS = (100, 101)
N_TRAIN, N_TEST = 1000, 1000


def plain_mass(net: SparseInitMLPClassifier) -> np.ndarray:
    """Sum the absolute weights on every feature."""
    columns = net.net_.module_.input_layer.weight.detach().abs().sum(dim=(0, 1)).numpy()
    return np.bincount(net.scaler_.column_features_, columns)


def correlations(task: str, seed: int) -> dict[str, float]:
    """Fit both models to a split and correlate."""
    data = load(task)
    split = make_split(task, data.y, seed)
    train, test = split.training_rows(Size.rows(N_TRAIN), data.y), split.test[:N_TEST]
    net = SparseInitMLPClassifier(random_state=seed).fit(data.X[train], data.y[train])
    forest = RandomForestClassifier(250, random_state=seed).fit(data.X[train], data.y[train])
    permuted = permutation_importance(
        net, data.X[test], data.y[test], scoring="neg_log_loss", n_repeats=5, random_state=seed
    ).importances_mean
    found = {
        "plain mass": plain_mass(net),
        "feature_importances_": net.feature_importances_,
        "forest": forest.feature_importances_,
    }
    return {name: float(spearmanr(values, permuted).statistic) for name, values in found.items()}


def main() -> None:
    """Print a row for each task."""
    rows = pd.DataFrame(
        [{"task": task, "seed": seed} | correlations(task, seed) for task in TASKS for seed in SEEDS]
    )
    means = rows.groupby("task", sort=False).mean().drop(columns="seed")
    means.loc["mean"] = means.mean()
    print("| task | " + " | ".join(means.columns) + " |\n|---" + "|---" * len(means.columns) + "|")
    for task, values in means.iterrows():
        print(f"| {task} | " + " | ".join(f"{value:.2f}" for value in values) + " |")


if __name__ == "__main__":
    main()
