"""Seeded splits: one order of the rows, of which every training set is a prefix."""

from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

TRAIN_SHARE = 0.7
TRAIN_CAP = 10_000
TEST_CAP = 10_000
REPORT_SEED = 100  # the first of the seeds of published numbers; 0 to 4 are for choosing defaults
MIN_ROWS_PER_CLASS = 2

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Size:
    """How many training rows: a share of the training pool, or a number of rows.

    Attributes
    ----------
    kind : str
        ``fraction`` or ``rows``.
    value : float
    cap : int or None
        The most rows of the pool that a fraction is taken of; None: all of them.
    """

    kind: str
    value: float
    cap: int | None = TRAIN_CAP

    @classmethod
    def fraction(cls, value: float, cap: int | None = TRAIN_CAP) -> "Size":
        """Return the size that is ``value`` of the first ``cap`` rows of the training pool."""
        return cls("fraction", value, cap)

    @classmethod
    def rows(cls, value: int) -> "Size":
        """Return the size of ``value`` rows, or of the whole pool where that is smaller."""
        return cls("rows", value)

    @classmethod
    def parse(cls, key: str) -> "Size":
        """Return the size that ``key`` was made of."""
        what, _, cap = key.partition("/")
        kind, _, value = what.partition(":")
        return cls(kind, float(value), (None if cap == "all" else int(cap)) if cap else TRAIN_CAP)

    @property
    def key(self) -> str:
        """The size as the store writes it: ``fraction:0.1``, ``rows:1000``, ``fraction:0.1/all`` (no cap)."""
        text = f"{self.kind}:{_exactly(self.value)}"
        if self.cap == TRAIN_CAP:
            return text
        return f"{text}/{'all' if self.cap is None else self.cap}"

    def __str__(self) -> str:
        if self.kind == "rows":
            return f"{self.value:.0f} training rows"
        of = {None: " (uncapped)", TRAIN_CAP: ""}.get(self.cap, f" (at most {self.cap} of them)")
        what = "all training rows" if self.value == 1 else f"{100 * self.value:g}% of the training rows"
        return what + of

    def n_rows(self, n_pool: int) -> int:
        """Return the number of rows out of a pool of ``n_pool``."""
        if self.kind == "rows":
            return min(int(self.value), n_pool)
        return max(1, round(self.value * (n_pool if self.cap is None else min(n_pool, self.cap))))


@dataclass(frozen=True)
class Split:
    """Row numbers of one split: ``pool`` in the order in which training sets grow, and ``test``."""

    pool: Rows
    test: Rows

    def training_rows(self, size: Size, y: NDArray[np.int64] | None) -> Rows:
        """Return the first rows of the pool, as many as ``size`` says and never under two a class of ``y``."""
        at_least = 0 if y is None else _prefix_with_every_class(y[self.pool])
        return self.pool[: max(size.n_rows(len(self.pool)), at_least)]


def make_split(name: str, y: NDArray[Any], seed: int, *, stratified: bool = True) -> Split:
    """Split the rows of the task called ``name`` into a training pool (70 %) and a test set.

    Neither the caps nor the size enter here, and the model does not either: the test rows and the order of
    the pool depend on the task and the seed alone, so that smaller training sets are nested in larger ones.

    Parameters
    ----------
    name : str
        The task; two tasks with the same number of rows are shuffled differently.
    y : array of shape (n_rows,)
        Class numbers, or the targets of regression.
    seed : int
        The seed of the split.
    stratified : bool, default=True
        Whether the classes keep their proportions; False for regression.

    Returns
    -------
    Split
    """
    rng = np.random.default_rng([seed, crc32(name.encode())])
    order = stratified_order(y, rng) if stratified else rng.permutation(len(y))
    n_pool = int(TRAIN_SHARE * len(y))
    return Split(order[:n_pool], order[n_pool:][:TEST_CAP])


def stratified_order(y: NDArray[np.int64], rng: np.random.Generator) -> Rows:
    """Return the row numbers shuffled such that every prefix has the classes in their proportions."""
    key = np.empty(len(y))
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        # Each class spreads its rows evenly over [0, 1), from a random start.
        key[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    return np.argsort(key, kind="stable")


def _exactly(value: float) -> str:
    """Return a number in few characters if they are all there is to say, else in full."""
    short = f"{value:g}"
    if float(short) == value:
        return short
    return str(int(value)) if value == int(value) else repr(float(value))


def _prefix_with_every_class(y: NDArray[np.int64]) -> int:
    """Return the length of the shortest prefix with MIN_ROWS_PER_CLASS rows of every class."""
    longest = 0
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        longest = max(longest, int(rows[:MIN_ROWS_PER_CLASS][-1]) + 1)
    return longest
