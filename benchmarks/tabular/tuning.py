"""Tuning: one Optuna study per task, size, seed and model, which goes on from the trials that are stored.

Trial 0 is the model's default configuration. The sampler of every trial is seeded by the study and the
trial's number, and stored trials are told to the study again before the next is asked for: a study that was
cut short suggests what it would have suggested undisturbed.

Trials are scored on training rows alone: by repeated cross-validation of few, by a holdout of many. The folds
depend on the rows and the seed only, so that all trials of all models are scored on the same ones.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from scipy import stats
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold, ShuffleSplit, StratifiedShuffleSplit
from sklearn.pipeline import Pipeline

from benchmarks.data.table import Features, rows_of
from benchmarks.models import Parameters, Recipe
from benchmarks.tabular import measure
from benchmarks.tabular.measure import Targets, reason

PRUNE_BELOW = 0.05
MIN_FOLDS = 3

FEW_ROWS = 300  # up to here a single cross-validation says little, and fits are cheap: it is repeated
MANY_ROWS = 5000  # from here on a holdout is large enough, and fits are expensive
N_FOLDS, N_REPEATS, HOLDOUT = 5, 3, 0.25

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


class PairedPruner(BasePruner):
    """Stops a trial that is worse than the best one on the same folds.

    Worse: by a one-sided paired t-test on the folds so far, at least MIN_FOLDS of them, with p < PRUNE_BELOW.
    (Optuna's own WilcoxonPruner asks the same with a rank test, which takes longer than many of our fits.)
    """

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether to stop a trial that has reported its scores so far."""
        try:
            best = study.best_trial.intermediate_values
        except ValueError:  # none is finished
            return False
        lag = np.array([best[step] - score for step, score in trial.intermediate_values.items()])
        if len(lag) < MIN_FOLDS or lag.mean() <= 0:
            return False
        error = lag.std(ddof=1) / np.sqrt(len(lag))
        return bool(error == 0 or stats.t.sf(lag.mean() / error, len(lag) - 1) < PRUNE_BELOW)


class Tuning:
    """A study of one model on one training set.

    Parameters
    ----------
    recipe : Recipe
        The model, for the kind of the task.
    key : tuple
        What identifies the study; it seeds the samplers.
    n_samples, n_features : int
        Size of the training set, for the space.
    """

    def __init__(self, recipe: Recipe, key: tuple[Any, ...], n_samples: int, n_features: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._recipe = recipe
        self._key = key
        self._size = (n_samples, n_features)
        self._study: Study = optuna.create_study(direction="maximize", pruner=PairedPruner())

    def ask(self, number: int) -> tuple[Trial, Parameters]:
        """Return the trial with this number, which must be the next, and the parameters it suggests."""
        self._study.sampler = optuna.samplers.TPESampler(seed=crc32(repr((*self._key, number)).encode()))
        if number == 0:
            self._study.enqueue_trial(self._recipe.default())
        return self._suggest()

    def replay(self, stored: Mapping[str, Any]) -> None:
        """Tell the study a stored trial: its suggestions, its fold scores, its score or why there is none."""
        self._study.enqueue_trial(stored["suggestions"])
        trial, _ = self._suggest()
        for step, score in enumerate(stored["fold_scores"]):
            trial.report(score, step)
        self.tell(trial, stored["validation_score"], pruned=stored["pruned"])

    def replay_all(self, stored: Sequence[Mapping[str, Any]]) -> "Tuning":
        """Tell the study all trials before the next one; return it."""
        for trial in stored:
            self.replay(trial)
        return self

    def should_prune(self, trial: Trial, step: int, score: float) -> bool:
        """Report the score on a fold; return whether the trial is so much worse that it can be stopped."""
        trial.report(score, step)
        return bool(trial.should_prune())

    def tell(self, trial: Trial, score: float | None, *, pruned: bool = False) -> None:
        """Tell the study the validation score of a trial, or None where it was pruned or failed."""
        if score is not None:
            self._study.tell(trial, score)
        else:
            self._study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)

    def _suggest(self) -> tuple[Trial, Parameters]:
        trial = self._study.ask()
        with warnings.catch_warnings():
            # A default may lie outside the searched range; it is tried all the same, and Optuna warns of it.
            warnings.simplefilter("ignore", UserWarning)
            return trial, self._recipe.space(trial, *self._size)


# Validation ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scheme:
    """Folds and what they are called."""

    name: str
    folds: Callable[[], Iterator[Fold]]
    n_folds: int


def scheme(y: Targets, seed: int, kind: str = "classification") -> Scheme:
    """Return how a pipeline is validated on training rows with the targets ``y``."""
    stratified = kind != "regression"
    rows = np.empty((len(y), 0))
    if len(y) >= MANY_ROWS:
        split = StratifiedShuffleSplit if stratified else ShuffleSplit
        holdout = split(1, test_size=HOLDOUT, random_state=seed)
        return Scheme(f"holdout {HOLDOUT:.0%}", lambda: holdout.split(rows, y), 1)
    n_folds = int(min(N_FOLDS, np.bincount(y)[np.unique(y)].min() if stratified else len(y)))
    n_repeats = N_REPEATS if len(y) <= FEW_ROWS else 1
    folds = RepeatedStratifiedKFold if stratified else RepeatedKFold
    repeated = folds(n_splits=n_folds, n_repeats=n_repeats, random_state=seed)
    name = f"{n_folds}-fold" if n_repeats == 1 else f"{n_repeats} x {n_folds}-fold"
    return Scheme(name, lambda: repeated.split(rows, y), n_folds * n_repeats)


@dataclass
class Validation:
    """The scores of a trial on the folds.

    Attributes
    ----------
    scheme : str
        How it was validated.
    fold_scores : list of float
        Accuracy, or R2, on each fold that was done.
    seconds : float
    pruned : bool
        Whether it was stopped before the last fold.
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
    y: Targets,
    seed: int,
    prune: Callable[[int, float], bool] = lambda step, score: False,
    kind: str = "classification",
) -> Validation:
    """Fit and score what ``make`` returns on one fold after the other.

    ``prune(step, score)`` is called after every fold but the last, and returns whether to stop.
    """
    how = scheme(y, seed, kind)
    found = Validation(how.name)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for step, (train, held_out) in enumerate(how.folds()):
                pipeline = make().fit(rows_of(X, train), y[train])
                score = measure.score(kind, y[held_out], pipeline.predict(rows_of(X, held_out)))
                found.fold_scores.append(score)
                if step + 1 < how.n_folds and prune(step, score):
                    found.pruned = True
                    break
        except Exception as error:  # whatever goes wrong is the model's result, and the run goes on
            found.failure = reason(error)
    found.seconds = time.perf_counter() - start
    return found
