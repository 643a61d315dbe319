"""
Saving, loading and serving
===========================

A fitted estimator is a file, like any other of scikit-learn. A server loads it once and predicts rows as they
come; the figure has the time that takes.
"""

import tempfile
import time
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from sparsemlp import SparseInitMLPClassifier

X, y = load_breast_cancer(return_X_y=True)
net = SparseInitMLPClassifier(random_state=0).fit(X, y)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "net.joblib"
    joblib.dump(net, path)
    print(f"{path.stat().st_size / 1e6:.1f} MB")
    served = joblib.load(path)
assert (served.predict_proba(X) == net.predict_proba(X)).all()


# %%
# A handler for one request: values in, probabilities out.


def handle(rows: list[list[float]]) -> list[list[float]]:
    """Return the probabilities of all classes for each row."""
    return served.predict_proba(np.asarray(rows)).tolist()


handle(X[:2].tolist())

# %%
# The median of 20 requests each, on the machine that built this page.

sizes = (1, 10, 100, 1000)
medians = []
for size in sizes:
    request = np.resize(X, (size, X.shape[1])).tolist()
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        handle(request)
        seconds.append(time.perf_counter() - started)
    medians.append(1000 * float(np.median(seconds)))
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.loglog(sizes, medians, marker="o")
ax.set(xlabel="rows of a request", ylabel="milliseconds")
plt.show()
