"""Plot a pair of box neurons as it starts, from two splits of a tree, and as training leaves it.

    python examples/box_neuron.py

The label is 1 in a square of two of ten inputs. Writes ``box_neuron.png`` into the folder that is given, by
default the current one.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sparsemlp import SparseInitMLP, SparseInitMLPClassifier
from sparsemlp.lottery import KeepInitialisation

N_ROWS, N_FEATURES, HALF_WIDTH = 1000, 10, 0.8
GRID = np.linspace(-2.5, 2.5, 101)


def output(module: SparseInitMLP, columns: np.ndarray, pair: int) -> np.ndarray:
    """Return a b of a pair of box neurons, for the first member of a network of box neurons alone."""
    layer = module.input_layer
    sums = torch.from_numpy(columns) @ layer.weight[0].detach().T + layer.bias[0].detach()
    a, b = torch.sigmoid(sums).chunk(2, dim=1)
    return (a * b)[:, pair].numpy()


def main(folder: Path) -> None:
    """Fit a network of box neurons and plot the one that training has given the largest part."""
    X = np.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES))
    y = (np.abs(X[:, :2]) < HALF_WIDTH).all(axis=1)
    keep = KeepInitialisation()
    net = SparseInitMLPClassifier(64, activation="box", callbacks=[keep], random_state=0).fit(X, y)
    trained, initial = net.net_.module_, keep.initial_
    first, second = np.meshgrid(GRID, GRID)
    plane = np.zeros((first.size, N_FEATURES))
    plane[:, 0], plane[:, 1] = first.ravel(), second.ravel()
    columns = net.scaler_.transform(plane)
    features = net.scaler_.column_features_[initial.input_layer.weight[0].detach().abs().argmax(dim=1).numpy()]
    of_both = [pair for pair in range(32) if {features[pair], features[pair + 32]} == {0, 1}]
    pair = max(of_both, key=lambda i: abs(float(trained.output_layer.weight[0, 0, 32 + i].detach())))

    figure = Figure(figsize=(8.5, 3.1), layout="constrained")
    axes = figure.subplots(1, 3, sharex=True, sharey=True)
    axes[0].scatter(*X[:, :2].T, c=np.where(y, "C1", "0.75"), s=4)
    axes[0].set_title("rows, by label")
    for ax, module, title in zip(axes[1:], (initial, trained), ("start of a pair", "after training"), strict=True):
        values = output(module, columns, pair).reshape(first.shape)
        image = ax.pcolormesh(GRID, GRID, values, vmin=0, vmax=1, cmap="Blues", shading="nearest", rasterized=True)
        ax.set_title(title)
    for ax in axes:
        ax.add_patch(
            Rectangle((-HALF_WIDTH, -HALF_WIDTH), 2 * HALF_WIDTH, 2 * HALF_WIDTH, fill=False, color="C3", lw=1)
        )
        ax.set(xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), aspect="equal", xlabel="$x_0$")
    axes[0].set_ylabel("$x_1$")
    figure.colorbar(image, ax=axes[2], label="output $ab$")
    figure.savefig(folder / "box_neuron.png", dpi=150)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
