"""Tasks that are not from OpenML: scikit-learn's own tables, generated ones, sparse targets, regression."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.splits import TEST_CAP
from benchmarks.data.table import Data, DataUnavailableError

XY = tuple[NDArray[Any], NDArray[Any]]

Sample = Callable[[int, int], XY]

N_ROWS = 20_000
N_FEATURES = 20
BOX = 0.8  # half the side of the box in the target of this name, in standard deviations
N_TEST = 2000  # test rows of regression and of Gaussian targets, fewer where a data set has no more

# Tables ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """Loads a table that is the same every time."""

    make: Callable[[], XY]
    words: str
    is_generated: bool

    def __call__(self) -> Data:
        X, y = self.make()
        kind, n_published = ("synthetic", None) if self.is_generated else ("all rows", len(y))
        rows, labels = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.int64)
        return Data(rows, labels, n_published, f"{kind}: {self.words}", True)


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


_SHIPPED = {
    name: _Table(partial(_shipped, name), words, is_generated=False)
    for name, words in {
        "breast_cancer": "569 rows, 30 measurements of cell nuclei, two classes",
        "wine": "178 rows, 13 chemical measurements, three classes",
        "digits": "1797 rows, 64 pixels, ten classes",
    }.items()
}
_GENERATORS: dict[str, tuple[Callable[[], XY], str]] = {
    "clusters": (_clusters, "Gaussian clusters in five of 20 columns, a tenth of the labels random"),
    "hastie": (_hastie, "whether ten Gaussian columns lie outside a sphere"),
    "moons": (_moons, "two half moons that overlap, and 18 columns of noise"),
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
_GENERATED = {name: _Table(make, words, is_generated=True) for name, (make, words) in _GENERATORS.items()}
TABLES: dict[str, Callable[[], Data]] = {**_SHIPPED, **_GENERATED}

# Rows by seed ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parity:
    """Samples a sparse parity; every seed has its support, and fewer training rows are a prefix of more."""

    name: str
    n_features: int
    n_informative: int

    def __call__(self, n_train: int, seed: int) -> XY:
        """Return the training rows and then the test rows."""
        from sparsemlp.datasets import make_sparse_parity

        X, y = make_sparse_parity(TEST_CAP + n_train, self.n_features, self.n_informative, random_state=seed)
        return _test_rows_last(X.astype(np.float64), y, TEST_CAP)


@dataclass(frozen=True)
class GaussianTarget:
    """Samples standard normal inputs and a class that is a function of a few of them, others for every seed.

    Fewer training rows are a prefix of more.
    """

    is_in_class_1: Callable[[NDArray[np.float64]], NDArray[np.bool_]]
    name: str
    n_features: int
    n_informative: int

    def __call__(self, n_train: int, seed: int) -> XY:
        """Return the training rows and then the test rows."""
        rng = np.random.default_rng([seed, crc32(self.name.encode())])  # no stream that a model has from its seed
        relevant = rng.choice(self.n_features, self.n_informative, replace=False)
        X = rng.standard_normal((N_TEST + n_train, self.n_features))
        return _test_rows_last(X, self.is_in_class_1(X[:, relevant]).astype(np.int64), N_TEST)


def _test_rows_last(X: NDArray[np.float64], y: NDArray[Any], n_test: int) -> XY:
    """Move the test rows behind the training rows; sampled first, they do not depend on the number of those."""
    order = np.roll(np.arange(len(y)), -n_test)
    return X[order], y[order]


def _product(X: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(X.prod(axis=1) > 0)


def _sum(X: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(X.sum(axis=1) > 0)


def _box(X: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((np.abs(X) < BOX).all(axis=1))


#: family of sparse targets -> sampler by name, number of inputs and of relevant ones; what the classes are
SPARSE_TARGETS: dict[str, tuple[Callable[[str, int, int], Sample], str]] = {
    "parity": (Parity, "the product of {k} of {n} signs"),
    "product": (partial(GaussianTarget, _product), "the sign of the product of {k} of {n} Gaussian inputs"),
    "sum": (partial(GaussianTarget, _sum), "the sign of the sum of {k} of {n} Gaussian inputs"),
    "box": (
        partial(GaussianTarget, _box),
        f"whether {{k}} of {{n}} Gaussian inputs all lie between -{BOX} and {BOX}",
    ),
}


def _regression(make: Sample) -> Sample:
    """Return a sampler of N_TEST test rows after the training rows."""
    return partial(_sampled, make)


def _sampled(make: Sample, n_train: int, seed: int) -> XY:
    X, y = make(n_train + N_TEST, seed)
    if len(y) < 1.3 * n_train:
        raise DataUnavailableError(f"a data set of {len(y)} rows has too few for {n_train} and a test")
    return X, y


def _diabetes(n_rows: int, seed: int) -> XY:
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    return X[order], y[order]


def _made(name: str, noise_share: float = 0.0, **options: Any) -> Sample:
    """Return a function that samples from a generator of scikit-learn's.

    `noise_share` is the noise's standard deviation in units of the target's.
    """

    def sample(n_rows: int, seed: int) -> XY:
        from sklearn import datasets

        X, y = getattr(datasets, f"make_{name}")(n_rows, random_state=seed, **options)
        return X, y + noise_share * y.std() * np.random.default_rng(seed).standard_normal(n_rows)

    return sample


def _boxes(n_rows: int, seed: int) -> XY:
    """Sample a sum of 30 indicators of boxes in 3 of 10 inputs each: jumps along the axes, as trees make them."""
    rng = np.random.default_rng(seed)
    X = rng.random((n_rows, 10))
    y = 0.3 * rng.standard_normal(n_rows)
    for _ in range(30):
        features = rng.choice(10, 3, replace=False)
        above = rng.random(3) < 0.5
        y += rng.normal() * ((X[:, features] > rng.random(3)) == above).all(axis=1)
    return X, y


def _pairs(n_rows: int, seed: int) -> XY:
    """Sample the product of two of 20 inputs plus that of two others, which no input shows alone."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, 20))
    return X, X[:, 0] * X[:, 1] + X[:, 2] * X[:, 3] + 0.3 * rng.standard_normal(n_rows)


def _skewed(n_rows: int, seed: int) -> XY:
    """Sample the exponential of Friedman's first function: a target with a long tail."""
    X, y = _made("friedman1", noise=1.0)(n_rows, seed)
    return X, np.exp(y / 4)


#: name -> sampler of training rows and then test rows, number of features, what the rows are
REGRESSION: dict[str, tuple[Sample, int, str]] = {
    name: (_regression(make), n_features, words)
    for name, (make, n_features, words) in {
        "diabetes": (_diabetes, 10, "scikit-learn's 442 rows, in another order for every seed"),
        "friedman1": (_made("friedman1", noise=1.0), 10, "Friedman's first function"),
        "friedman1-100": (_made("friedman1", noise=1.0, n_features=100), 100, "the same with 95 columns of noise"),
        "friedman2": (_made("friedman2", 0.3), 4, "Friedman's second function"),
        "friedman3": (_made("friedman3", 0.3), 4, "Friedman's third function"),
        "linear": (_made("regression", 0.3, n_features=20), 20, "a linear function of ten of 20 columns"),
        "linear-5-of-100": (
            _made("regression", 0.3, n_features=100, n_informative=5),
            100,
            "a linear function of five of 100 columns",
        ),
        "boxes": (_boxes, 10, "a sum of indicators of boxes"),
        "pairs": (_pairs, 20, "products of two pairs of columns"),
        "skewed": (_skewed, 10, "the exponential of Friedman's first function"),
    }.items()
}
