"""
Learning from a stream
======================

``partial_fit`` makes one pass over each chunk of rows. Every chunk is scored before the net learns from it, so
that the scores are those of new rows. After half of the stream the label changes.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import SGDClassifier

from sparsemlp import SparseInitMLPClassifier

rng = np.random.default_rng(0)
CHUNK, N_CHUNKS = 500, 60
net = SparseInitMLPClassifier(early_stopping=False, n_members=2, width=256, random_state=0)
linear = SGDClassifier(loss="log_loss", random_state=0)
scores: dict[str, list[float]] = {"sparse net": [], "linear model": []}
for chunk in range(N_CHUNKS):
    X = rng.normal(size=(CHUNK, 10))
    partner = 1 if chunk < N_CHUNKS // 2 else 2
    y = X[:, 0] * X[:, partner] > 0
    for name, model in (("sparse net", net), ("linear model", linear)):
        if chunk:
            scores[name].append(float(model.score(X, y)))
        model.partial_fit(X, y, classes=[False, True])

# %%
# The label is the sign of a product of two columns, which no linear model has. At the dashed line one of the
# columns changes. The net learns the new product too, more slowly than the first.

figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for name, values in scores.items():
    ax.plot(np.arange(1, N_CHUNKS) * CHUNK, values, label=name)
ax.axvline(N_CHUNKS // 2 * CHUNK, color="0.5", ls="--")
ax.set(xlabel="rows seen", ylabel="accuracy of the next chunk", ylim=(0.4, 1))
ax.legend(frameon=False)
plt.show()
