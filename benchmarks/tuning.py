"""Tuning: one Optuna study per task, size, seed and model, which goes on from the trials that are stored.

Trial 0 is the model's default configuration. The sampler of every trial is seeded by the study and the
trial's number, and stored trials are told to the study again before the next is asked for: a study that was
cut short draws what it would have drawn undisturbed.
"""

import warnings
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import optuna
from optuna.study import Study
from optuna.trial import Trial, TrialState

from benchmarks.pipelines import Model, Parameters


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
        self._study: Study = optuna.create_study(direction="maximize")

    def ask(self, number: int) -> tuple[Trial, Parameters]:
        """Return the trial with this number, which must be the next, and the parameters it draws."""
        self._study.sampler = optuna.samplers.TPESampler(seed=crc32(repr((*self._key, number)).encode()))
        if number == 0:
            self._study.enqueue_trial(self._model.default())
        return self._draw()

    def replay(self, stored: Mapping[str, Any]) -> None:
        """Tell the study a stored trial: its suggestions, its score or its failure."""
        self._study.enqueue_trial(stored["suggestions"])
        trial, _ = self._draw()
        self.tell(trial, stored["validation_score"])

    def tell(self, trial: Trial, score: float | None) -> None:
        """Tell the study the validation score of a trial, or None where it failed."""
        if score is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, score)

    def _draw(self) -> tuple[Trial, Parameters]:
        trial = self._study.ask()
        with warnings.catch_warnings():
            # A default may lie outside the searched range; it is tried all the same, and Optuna warns of it.
            warnings.simplefilter("ignore", UserWarning)
            return trial, self._model.space(trial, *self._size)
