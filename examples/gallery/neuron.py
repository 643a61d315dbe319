"""
What a neuron starts as and becomes
===================================

The label is 1 in a square of two of ten inputs. A pair of box neurons starts as two splits of a tree, which cut
out a corner; training moves, tilts and combines them.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Rectangle

from sparsemlp import SparseInitMLP, SparseInitMLPClassifier
from sparsemlp.lottery import KeepInitialisation

HALF_WIDTH = 0.8
X = np.random.default_rng(0).normal(size=(1000, 10))
y = (np.abs(X[:, :2]) < HALF_WIDTH).all(axis=1)
keep = KeepInitialisation()
net = SparseInitMLPClassifier(64, activation="box", callbacks=[keep], random_state=0).fit(X, y)
trained, initial = net.net_.module_, keep.initial_

# %%
# Of the pairs that start with both relevant inputs, take the one that training has given the largest part.

features = net.scaler_.column_features_[initial.input_layer.weight[0].detach().abs().argmax(dim=1).numpy()]
of_both = [pair for pair in range(32) if {features[pair], features[pair + 32]} == {0, 1}]
pair = max(of_both, key=lambda i: abs(float(trained.output_layer.weight[0, 0, 32 + i].detach())))


def output(module: SparseInitMLP, columns: np.ndarray) -> np.ndarray:
    """Return the product a b of the pair, for the first member."""
    layer = module.input_layer
    sums = torch.from_numpy(columns) @ layer.weight[0].detach().T + layer.bias[0].detach()
    a, b = torch.sigmoid(sums).chunk(2, dim=1)
    return (a * b)[:, pair].numpy()


# %%
# Left: the rows. Middle: the pair as it starts. Right: the same pair after training.

grid = np.linspace(-2.5, 2.5, 101)
first, second = np.meshgrid(grid, grid)
plane = np.zeros((first.size, 10))
plane[:, 0], plane[:, 1] = first.ravel(), second.ravel()
columns = net.scaler_.transform(plane)
figure, axes = plt.subplots(1, 3, figsize=(8.5, 3.1), sharex=True, sharey=True, layout="constrained")
axes[0].scatter(X[:, 0], X[:, 1], c=np.where(y, "C1", "0.75"), s=4)
axes[0].set_title("rows, by label")
for ax, module, title in zip(axes[1:], (initial, trained), ("start of a pair", "after training"), strict=True):
    values = output(module, columns).reshape(first.shape)
    image = ax.pcolormesh(grid, grid, values, vmin=0, vmax=1, cmap="Blues", shading="nearest", rasterized=True)
    ax.set_title(title)
for ax in axes:
    ax.add_patch(Rectangle((-HALF_WIDTH, -HALF_WIDTH), 2 * HALF_WIDTH, 2 * HALF_WIDTH, fill=False, color="C3"))
    ax.set(xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), aspect="equal", xlabel="$x_0$")
axes[0].set_ylabel("$x_1$")
figure.colorbar(image, ax=axes[2], label="output $ab$")
plt.show()
