"""Tables beside the 16 of OpenML, on which no default was chosen: scikit-learn's own, and ones that are drawn."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

XY = tuple[NDArray[Any], NDArray[Any]]

N_ROWS = 20_000
N_FEATURES = 20


def _shipped(name: str) -> XY:
    from sklearn import datasets

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return X, y


def _clusters() -> XY:
    from sklearn.datasets import make_classification

    X, y = make_classification(N_ROWS, N_FEATURES, n_informative=5, flip_y=0.1, random_state=0)
    return X, y


def _hastie() -> XY:
    from sklearn.datasets import make_hastie_10_2

    X, y = make_hastie_10_2(N_ROWS, random_state=0)
    return X, (y > 0).astype(np.int64)


def _moons() -> XY:
    from sklearn.datasets import make_moons

    X, y = make_moons(N_ROWS, noise=0.3, random_state=0)
    return np.hstack([X, np.random.default_rng(0).standard_normal((N_ROWS, N_FEATURES - 2))]), y


def _hidden(name: str, n_features: int = N_FEATURES, n_informative: int = 3) -> XY:
    from sparsemlp import datasets

    X, y = getattr(datasets, f"make_{name}")(N_ROWS, n_features, n_informative, random_state=0)
    return X, y


#: name -> how to get the rows, and what they are: those that are shipped whole, and those that are drawn
SHIPPED: dict[str, tuple[Callable[[], XY], str]] = {
    name: (partial(_shipped, name), words)
    for name, words in {
        "breast_cancer": "569 rows, 30 measurements of cell nuclei, two classes",
        "wine": "178 rows, 13 chemical measurements, three classes",
        "digits": "1797 rows, 64 pixels, ten classes",
    }.items()
}
DRAWN: dict[str, tuple[Callable[[], XY], str]] = {
    "clusters": (_clusters, "Gaussian clusters in five of 20 columns, a tenth of the labels drawn anew"),
    "hastie": (_hastie, "whether ten Gaussian columns lie outside a sphere"),
    "moons": (_moons, "two half moons that overlap, beside 18 columns of noise"),
    "sparse_parity": (
        partial(_hidden, "sparse_parity"),
        "the product of three of 20 signs, where forests fail and nets need luck",
    ),
    "staircase": (
        partial(_hidden, "staircase"),
        "a parity of three of 20 signs whose inputs can be found one after the other",
    ),
    "sparse_polynomial": (
        partial(_hidden, "sparse_polynomial"),
        "whether a polynomial of three of 20 Gaussian columns exceeds its median",
    ),
    "interval_parity": (
        partial(_hidden, "interval_parity", 10, 2),
        "the exclusive or of intervals that two of ten uniform columns lie in",
    ),
}
