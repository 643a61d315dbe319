"""Tables beside the 16 of OpenML, on which no default was chosen: scikit-learn's own, and ones that are drawn."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

XY = tuple[NDArray[Any], NDArray[Any]]

N_ROWS = 20_000
N_FEATURES = 20


def breast_cancer() -> XY:
    """Return 569 rows, 30 measurements of cell nuclei, two classes."""
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    return X, y


def wine() -> XY:
    """Return 178 rows, 13 chemical measurements, three classes."""
    from sklearn.datasets import load_wine

    X, y = load_wine(return_X_y=True)
    return X, y


def digits() -> XY:
    """Return 1797 rows, 64 pixels, ten classes."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return X, y


def clusters() -> XY:
    """Return Gaussian clusters of two classes in five of 20 columns, a tenth of the labels drawn anew."""
    from sklearn.datasets import make_classification

    X, y = make_classification(N_ROWS, N_FEATURES, n_informative=5, flip_y=0.1, random_state=0)
    return X, y


def hastie() -> XY:
    """Return whether ten Gaussian columns lie outside a sphere."""
    from sklearn.datasets import make_hastie_10_2

    X, y = make_hastie_10_2(N_ROWS, random_state=0)
    return X, (y > 0).astype(np.int64)


def moons() -> XY:
    """Return two half moons that overlap, beside 18 columns of noise."""
    from sklearn.datasets import make_moons

    X, y = make_moons(N_ROWS, noise=0.3, random_state=0)
    return np.hstack([X, np.random.default_rng(0).standard_normal((N_ROWS, N_FEATURES - 2))]), y


def sparse_parity() -> XY:
    """Return the product of three of 20 signs, where forests fail and nets need luck."""
    from sparsemlp.datasets import make_sparse_parity

    X, y, *_ = make_sparse_parity(N_ROWS, N_FEATURES, 3, random_state=0)
    return X, y


def staircase() -> XY:
    """Return a parity of three of 20 signs whose inputs can be found one after the other."""
    from sparsemlp.datasets import make_staircase

    X, y, *_ = make_staircase(N_ROWS, N_FEATURES, 3, random_state=0)
    return X, y


def sparse_polynomial() -> XY:
    """Return whether a polynomial of three of 20 Gaussian columns exceeds its median."""
    from sparsemlp.datasets import make_sparse_polynomial

    X, y, *_ = make_sparse_polynomial(N_ROWS, N_FEATURES, 3, random_state=0)
    return X, y


def interval_parity() -> XY:
    """Return the exclusive or of intervals that two of ten uniform columns lie in."""
    from sparsemlp.datasets import make_interval_parity

    X, y, *_ = make_interval_parity(N_ROWS, 10, 2, random_state=0)
    return X, y


#: what is shipped whole, and what is drawn, with a word on each
SHIPPED: dict[Callable[[], XY], str] = {
    breast_cancer: "569 rows, 30 measurements of cell nuclei, two classes",
    wine: "178 rows, 13 chemical measurements, three classes",
    digits: "1797 rows, 64 pixels, ten classes",
}
DRAWN: dict[Callable[[], XY], str] = {
    clusters: "Gaussian clusters of two classes in five of 20 columns, a tenth of the labels drawn anew",
    hastie: "whether ten Gaussian columns lie outside a sphere",
    moons: "two half moons that overlap, beside 18 columns of noise",
    sparse_parity: "the product of three of 20 signs, where forests fail and nets need luck",
    staircase: "a parity of three of 20 signs whose inputs can be found one after the other",
    sparse_polynomial: "whether a polynomial of three of 20 Gaussian columns exceeds its median",
    interval_parity: "the exclusive or of intervals that two of ten uniform columns lie in",
}
