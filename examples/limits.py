"""Measure what a fit of the classifier's defaults costs, by rows, columns and classes.

    python examples/limits.py
    python examples/limits.py --large

Prints a Markdown table: seconds of a fit, of the processor in it and of a prediction of 10,000 rows, and the size
of the pickled model. Data are ``sklearn.datasets.make_classification`` with ten informative columns. The second
command has 100,000 and a million rows.
"""

import pickle
import sys
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
LARGE = ((100_000, 30, 2), (1_000_000, 30, 2))
N_NEW = 10_000


def cost(n_rows: int, n_columns: int, n_classes: int) -> tuple[float, float, float, float]:
    """Return the seconds of a fit, of the processor and of a prediction, and the pickled model's megabytes."""
    X, y = make_classification(
        n_rows + N_NEW, n_columns, n_informative=10, n_classes=n_classes, n_clusters_per_class=1, random_state=0
    )
    started, started_cpu = time.perf_counter(), time.process_time()
    net = SparseInitMLPClassifier(random_state=0).fit(X[:n_rows], y[:n_rows])
    fitted, cpu = time.perf_counter(), time.process_time() - started_cpu
    net.predict_proba(X[n_rows:])
    return fitted - started, cpu, time.perf_counter() - fitted, len(pickle.dumps(net)) / 1e6


def main() -> None:
    """Print a row for each setting."""
    SparseInitMLPClassifier(max_epochs=1).fit([[0.0], [1.0]] * 20, [0, 1] * 20)  # what a process does once
    heads = ("rows", "columns", "classes", "fit, s", "processor, s", "prediction of 10,000 rows, s", "model, MB")
    print("| " + " | ".join(heads) + " |\n|" + len(heads) * "---|")
    for setting in LARGE if "--large" in sys.argv else SETTINGS:
        fit, cpu, predict, size = cost(*setting)
        counts = " | ".join(f"{n:,}" for n in setting)
        print(f"| {counts} | {fit:.1f} | {cpu:.1f} | {predict:.2f} | {size:.0f} |", flush=True)


if __name__ == "__main__":
    main()
