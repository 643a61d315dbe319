"""What a user's script may rely on in an editor. Checked by `make types`, and not run as a test.

mypy and pyright read it against the installed wheel, so that a type that is lost in the package shows here.
"""

from typing import assert_type

import numpy as np
from sklearn.datasets import load_breast_cancer

from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor, paper_net

X, y = load_breast_cancer(return_X_y=True)

net = SparseInitMLPClassifier(
    width=(64, 16), sparsity="auto", activation="mixed", early_stopping="out_of_fold", loss="cross_entropy"
)
assert_type(net.fit(X, y), SparseInitMLPClassifier)
assert_type(net.partial_fit(X, y, classes=[0, 1]), SparseInitMLPClassifier)
probabilities: np.ndarray = net.fit(X, y).predict_proba(X)
classes: np.ndarray = net.classes_
score: float = net.score(X, y)
importances: np.ndarray = net.feature_importances_

regressor = SparseInitMLPRegressor(loss="huber", scaling="both")
assert_type(regressor.fit(X, y), SparseInitMLPRegressor)
predictions: np.ndarray = regressor.predict(X)

assert_type(paper_net(width=100, sparsity=2, max_epochs=3), SparseInitMLPClassifier)
