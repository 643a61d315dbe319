"""Measure what a fit of the classifier's defaults costs, by rows, columns and classes.

    OMP_NUM_THREADS=1 python examples/limits.py

Prints a Markdown table: seconds of a fit and of a prediction of 10,000 rows, and the size of the pickled model.
Data are ``sklearn.datasets.make_classification`` with ten informative columns.
"""

import pickle
import time

from sklearn.datasets import make_classification

from sparsemlp import SparseInitMLPClassifier

SETTINGS = (  # rows, columns, classes
    (100, 20, 2),
    (1000, 20, 2),
    (10_000, 20, 2),
    (30_000, 20, 2),
    (1000, 200, 2),
    (1000, 1000, 2),
    (1000, 20, 10),
    (1000, 20, 100),
)
N_NEW = 10_000


def cost(n_rows: int, n_columns: int, n_classes: int) -> tuple[float, float, float]:
    """Return the seconds of a fit and of a prediction, and the megabytes of the pickled model."""
    X, y = make_classification(
        n_rows + N_NEW, n_columns, n_informative=10, n_classes=n_classes, n_clusters_per_class=1, random_state=0
    )
    started = time.perf_counter()
    net = SparseInitMLPClassifier(random_state=0).fit(X[:n_rows], y[:n_rows])
    fitted = time.perf_counter()
    net.predict_proba(X[n_rows:])
    return fitted - started, time.perf_counter() - fitted, len(pickle.dumps(net)) / 1e6


def main() -> None:
    """Print a row for each setting."""
    SparseInitMLPClassifier(max_epochs=1).fit([[0.0], [1.0]] * 20, [0, 1] * 20)  # what a process does once
    print("| rows | columns | classes | fit, s | prediction of 10,000 rows, s | model, MB |\n|" + 6 * "---|")
    for setting in SETTINGS:
        fit, predict, size = cost(*setting)
        print(
            "| " + " | ".join(f"{n:,}" for n in setting) + f" | {fit:.1f} | {predict:.2f} | {size:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
