"""How trials are scored on training rows alone: repeated cross-validation of few, a holdout of many.

The folds depend on the rows and the seed only, so that all trials of all models are scored on the same ones.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedShuffleSplit
from sklearn.pipeline import Pipeline

from benchmarks.tabular.measure import Features, Labels, reason

FEW_ROWS = 300  # up to here a single cross-validation says little, and fits are cheap: it is repeated
MANY_ROWS = 5000  # from here on a holdout is large enough, and fits are dear
N_FOLDS, N_REPEATS, HOLDOUT = 5, 3, 0.25

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True)
class Scheme:
    """Folds and what they are called."""

    name: str
    folds: Callable[[], Iterator[Fold]]
    n_folds: int


def scheme(y: Labels, seed: int) -> Scheme:
    """Return how a pipeline is validated on training rows with the classes ``y``."""
    if len(y) >= MANY_ROWS:
        holdout = StratifiedShuffleSplit(1, test_size=HOLDOUT, random_state=seed)
        return Scheme(f"holdout {HOLDOUT:.0%}", lambda: holdout.split(np.empty((len(y), 0)), y), 1)
    n_folds = int(min(N_FOLDS, np.bincount(y)[np.unique(y)].min()))
    n_repeats = N_REPEATS if len(y) <= FEW_ROWS else 1
    repeated = RepeatedStratifiedKFold(n_splits=n_folds, n_repeats=n_repeats, random_state=seed)
    name = f"{n_folds}-fold" if n_repeats == 1 else f"{n_repeats} x {n_folds}-fold"
    return Scheme(name, lambda: repeated.split(np.empty((len(y), 0)), y), n_folds * n_repeats)


@dataclass
class Validation:
    """What became of a trial on the folds.

    Attributes
    ----------
    scheme : str
        How it was validated.
    fold_scores : list of float
        Accuracy on each fold that was done.
    seconds : float
    pruned : bool
        Whether it was given up before the last fold.
    failure : str or None
    """

    scheme: str
    fold_scores: list[float] = field(default_factory=list)
    seconds: float = 0.0
    pruned: bool = False
    failure: str | None = None

    @property
    def score(self) -> float | None:
        """The mean over all folds; None where not all could be done."""
        return None if self.pruned or self.failure else float(np.mean(self.fold_scores))


def validate(
    make: Callable[[], Pipeline],
    X: Features,
    y: Labels,
    seed: int,
    prune: Callable[[int, float], bool] = lambda step, score: False,
) -> Validation:
    """Fit and score what ``make`` returns on one fold after the other.

    ``prune(step, score)`` hears of every fold but the last, and says whether to give up.
    """
    how = scheme(y, seed)
    found = Validation(how.name)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for step, (train, held_out) in enumerate(how.folds()):
                score = _accuracy(make(), X, y, train, held_out)
                found.fold_scores.append(score)
                if step + 1 < how.n_folds and prune(step, score):
                    found.pruned = True
                    break
        except Exception as error:  # whatever goes wrong is the model's result, and the run goes on
            found.failure = reason(error)
    found.seconds = time.perf_counter() - start
    return found


def _accuracy(
    pipeline: Pipeline, X: Features, y: Labels, train: NDArray[np.intp], held_out: NDArray[np.intp]
) -> float:
    pipeline.fit(X[train], y[train])
    return float(accuracy_score(y[held_out], pipeline.predict(X[held_out])))
