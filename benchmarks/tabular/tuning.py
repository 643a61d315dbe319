"""Tuning: one Optuna study per task, size, seed and model, which goes on from the trials that are stored.

Trial 0 is the model's default configuration. The sampler of every trial is seeded by the study and the
trial's number, and stored trials are told to the study again before the next is asked for: a study that was
cut short draws what it would have drawn undisturbed.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from scipy import stats

from benchmarks.models import Model, Parameters

PRUNE_BELOW = 0.05
MIN_FOLDS = 3


class PairedPruner(BasePruner):
    """Gives a trial up when it is worse than the best one on the same folds.

    Worse: by a one-sided paired t-test on the folds so far, at least MIN_FOLDS of them, with p < PRUNE_BELOW.
    (Optuna's own WilcoxonPruner asks the same with a rank test, which takes longer than many of our fits.)
    """

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether to give up a trial that has reported its scores so far."""
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
    model : Model
    key : tuple
        What identifies the study; it seeds the samplers.
    n_samples, n_features : int
        Size of the training set, for the space.
    """

    def __init__(self, model: Model, key: tuple[Any, ...], n_samples: int, n_features: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._model = model
        self._key = key
        self._size = (n_samples, n_features)
        self._study: Study = optuna.create_study(direction="maximize", pruner=PairedPruner())

    def ask(self, number: int) -> tuple[Trial, Parameters]:
        """Return the trial with this number, which must be the next, and the parameters it draws."""
        self._study.sampler = optuna.samplers.TPESampler(seed=crc32(repr((*self._key, number)).encode()))
        if number == 0:
            self._study.enqueue_trial(self._model.default())
        return self._draw()

    def replay(self, stored: Mapping[str, Any]) -> None:
        """Tell the study a stored trial: its suggestions, its fold scores, its score or why there is none."""
        self._study.enqueue_trial(stored["suggestions"])
        trial, _ = self._draw()
        for step, score in enumerate(stored["fold_scores"]):
            trial.report(score, step)
        self.tell(trial, stored["validation_score"], pruned=stored["pruned"])

    def replay_all(self, stored: Sequence[Mapping[str, Any]]) -> "Tuning":
        """Tell the study all trials before the next one; return it."""
        for trial in stored:
            self.replay(trial)
        return self

    def should_prune(self, trial: Trial, step: int, score: float) -> bool:
        """Report the score on a fold; return whether the trial is so much worse that it can be given up."""
        trial.report(score, step)
        return bool(trial.should_prune())

    def tell(self, trial: Trial, score: float | None, *, pruned: bool = False) -> None:
        """Tell the study the validation score of a trial, or None where it was pruned or failed."""
        if score is not None:
            self._study.tell(trial, score)
        else:
            self._study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)

    def _draw(self) -> tuple[Trial, Parameters]:
        trial = self._study.ask()
        with warnings.catch_warnings():
            # A default may lie outside the searched range; it is tried all the same, and Optuna warns of it.
            warnings.simplefilter("ignore", UserWarning)
            return trial, self._model.space(trial, *self._size)
