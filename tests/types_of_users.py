"""What a user's script may rely on in an editor. Checked by `make types`, and not run as a test.

mypy and pyright read it against the installed wheel, so that a type that is lost in the package shows here.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

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
assert_type(net.fit(X, y).predict(X), np.ndarray)
assert_type(net.fit(X, y).predict_proba(X), np.ndarray)
assert_type(net.predict_set(X, coverage=0.8), np.ndarray)
assert_type(net.classes_, np.ndarray)
assert_type(net.feature_importances_, np.ndarray)
score: float = net.score(X, y)

regressor = SparseInitMLPRegressor(loss="huber", scaling="both")
assert_type(regressor.fit(X, y), SparseInitMLPRegressor)
assert_type(regressor.predict(X), np.ndarray)
assert_type(regressor.predict_interval(X), np.ndarray)

assert_type(paper_net(width=100, sparsity=2, max_epochs=3, random_state=0), SparseInitMLPClassifier)

# Choices and names that do not exist are errors: each of these lines must be one.
SparseInitMLPClassifier(activation="gelu")  # type: ignore[arg-type]
SparseInitMLPRegressor(loss="hinge")  # type: ignore[arg-type]
paper_net(loss="huber")  # type: ignore[arg-type]
paper_net(width_of_members=3)  # type: ignore[call-arg]
