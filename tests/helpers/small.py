"""Small tables, and estimators that fit them in a fraction of a second."""

import numpy as np
import pandas as pd
from sklearn.datasets import make_classification, make_regression
from skorch.callbacks import Callback

from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor

TOWNS = ["Bonn", "Lima", "Oslo", "Rome", "Suva"]
SMALL = {
    "width": (32,),
    "n_members": 2,
    "batch_size": 32,
    "max_epochs": 5,
    "early_stopping": False,
    "lr_schedule": "cosine",
    "weight_averaging": False,
    "activation": "relu",
    "feature_sampling": "uniform",
    "learning_rate": 0.01,
    "device": "cpu",
    "random_state": 0,
}


def small_classifier(**parameters):
    return SparseInitMLPClassifier(**(SMALL | parameters))


def small_regressor(**parameters):
    return SparseInitMLPRegressor(**(SMALL | parameters))


def labelled_rows(n_samples=120, n_classes=2, n_features=6, random_state=0):
    return make_classification(
        n_samples,
        n_features,
        n_informative=4,
        n_redundant=0,
        n_classes=n_classes,
        class_sep=1.5,
        random_state=random_state,
    )


def numbered_rows(n_samples=120, n_features=6, random_state=0):
    X, y = make_regression(n_samples, n_features, n_informative=4, noise=1.0, random_state=random_state)
    return X, y


def raw_table(n_samples=200, random_state=0):
    """Columns of many scales: heavy tails, counts, a constant, mostly zeros, missing values."""
    rng = np.random.default_rng(random_state)
    X = np.column_stack(
        [
            rng.standard_normal(n_samples),
            1e4 * rng.lognormal(0, 2, n_samples),
            rng.poisson(3, n_samples),
            np.full(n_samples, 7.0),
            rng.random(n_samples) * (rng.random(n_samples) > 0.95),
            rng.standard_normal(n_samples),
        ]
    )
    X[rng.random(n_samples) < 0.1, 5] = np.nan
    return X


class LooksAtBatches(Callback):
    """Force skorch's autograd path, by being there."""

    def __init__(self):
        self.n_batches = 0

    def on_batch_end(self, net, batch, training, **kwargs):
        self.n_batches += training


def mixed_table(n_rows=300, seed=0):
    """A frame with a column of towns, one of shapes with missing values, and two of numbers."""
    rng = np.random.default_rng(seed)
    town, shape = rng.integers(5, size=n_rows), rng.integers(3, size=n_rows)
    X = pd.DataFrame(
        {
            "length": rng.normal(size=n_rows),
            "town": pd.Categorical(np.array(TOWNS)[town]),
            "shape": pd.Series(np.array(["round", "flat", None], dtype=object)[shape]),
            "age": rng.normal(size=n_rows),
        }
    )
    y = np.isin(town, [1, 3]) ^ (shape == 2)
    return X, y.astype(int)
