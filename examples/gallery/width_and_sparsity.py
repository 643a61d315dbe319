"""
A grid over width and sparsity
==============================

The label is the product of two of thirty signs. :func:`~sparsemlp.paper_net` is the network of the paper, so
that width and sparsity act alone: no trees and no ensemble help.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.model_selection import GridSearchCV

from sparsemlp import paper_net
from sparsemlp.datasets import make_sparse_parity

X, y = make_sparse_parity(300, n_features=30, n_informative=2, random_state=0)
grid = {"width": [10, 30, 100, 300], "sparsity": [1, 2, 4, None]}
search = GridSearchCV(paper_net(max_epochs=60, random_state=0), grid, cv=3).fit(X, y)
results = pd.DataFrame(search.cv_results_)
results["sparsity"] = ["dense" if s is None else str(s) for s in results["param_sparsity"]]
table = results.pivot(index="sparsity", columns="param_width", values="mean_test_score").loc[
    ["1", "2", "4", "dense"]
]
table.round(2)

# %%
# After 60 epochs, starts with one or two inputs a neuron are above 0.9 at every width, and starts with four inputs
# are behind. The rows are those of one seed: repeat the grid with others before you conclude anything.

figure, ax = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
image = ax.imshow(table, vmin=0.5, vmax=1, cmap="Blues", aspect="auto")
scores = table.to_numpy(dtype=float)
for i in range(4):
    for j in range(4):
        value = scores[i, j]
        ax.text(j, i, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.8 else "black")
ax.set_xticks(range(4), [str(w) for w in table.columns])
ax.set_yticks(range(4), list(table.index))
ax.set(xlabel="width", ylabel="sparsity")
figure.colorbar(image, label="accuracy of held-out rows")
plt.show()
