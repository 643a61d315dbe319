"""
Sparse parity: watching a ticket win
====================================

The label is the product of three of fifty signs. Nothing seems to happen for many epochs; then accuracy rises
suddenly. Neurons that happened to start with two of the three hidden inputs explain why.
"""

import matplotlib.pyplot as plt
import numpy as np
from skorch import NeuralNet
from skorch.callbacks import Callback

from sparsemlp import paper_net
from sparsemlp.datasets import make_sparse_parity

X, y, support = make_sparse_parity(1000, n_features=50, n_informative=3, random_state=0, return_support=True)
X_new, y_new = make_sparse_parity(2000, n_features=50, n_informative=3, support=support, random_state=1)


class KeepWeights(Callback):
    """Keep the first layer's weights after every epoch."""

    def initialize(self) -> "KeepWeights":
        """Forget what an earlier fit left."""
        self.weights_: list[np.ndarray] = []
        return self

    def on_epoch_end(self, net: NeuralNet, **kwargs: object) -> None:
        """Copy the weights of the only member."""
        self.weights_.append(net.module_.input_layer.weight[0].detach().numpy().copy())


keep = KeepWeights()
net = paper_net(
    width=1000, max_epochs=200, callbacks=[keep], early_stopping=False, random_state=0
).fit(X, y, X_val=X_new, y_val=y_new)  # fmt: skip
weights = np.stack(keep.weights_)

# %%
# The neuron of largest weight at the end started with two hidden inputs. The third grows out of nothing.

winner = np.linalg.norm(weights[-1], axis=1).argmax()
figure, (above, below) = plt.subplots(2, 1, figsize=(7, 5), sharex=True, layout="constrained")
above.plot(net.validation_scores_, color="C0")
above.set(ylabel="accuracy of new rows", ylim=(0.4, 1.02))
others = np.setdiff1d(np.arange(50), support)
below.plot(weights[:, winner, others], color="0.8", lw=0.7)
for i, feature in enumerate(support):
    below.plot(weights[:, winner, feature], color=f"C{i + 1}", lw=2, label=f"hidden input {feature}")
below.set(xlabel="epoch", ylabel="weights of one neuron")
below.legend(frameon=False, fontsize="small")
plt.show()
