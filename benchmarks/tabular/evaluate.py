"""Does one evaluation, whose result depends on it and the study's earlier trials alone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.trial import Trial
from sklearn.pipeline import Pipeline

from benchmarks.data.splits import make_split
from benchmarks.data.tasks import Data, DataUnavailableError, load
from benchmarks.environment import n_cores
from benchmarks.models import MODELS, Parameters
from benchmarks.results.schema import MEASURED
from benchmarks.tabular.measure import baseline_score, measure, reason
from benchmarks.tabular.plan import Evaluation, Row, Study
from benchmarks.tabular.tuning import Tuning
from benchmarks.tabular.validation import validate

UNTUNED: Row = {
    "parameters": {},
    "suggestions": {},
    "validation": None,
    "validation_score": None,
    "fold_scores": [],
    "pruned": False,
    "tuning_seconds": None,
}
UNMEASURED: Row = dict.fromkeys(MEASURED)


@dataclass(frozen=True)
class TrainTest:
    """The rows of one split at one size, the same for every model."""

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    X_test: NDArray[np.float64]
    y_test: NDArray[np.int64]
    fraction: float


@dataclass(frozen=True)
class PendingTrial:
    """A study with its earlier trials, and the trial that it draws next."""

    tuning: Tuning
    trial: Trial
    parameters: Parameters


class Evaluator:
    """Describes evaluations and does them; keeps the rows that the next one can use again."""

    def __init__(self) -> None:
        self._data: tuple[str, Data] | None = None
        self._rows: tuple[Any, TrainTest] | None = None
        self._asked: tuple[Evaluation, PendingTrial] | None = None

    def dataset(self, task: str) -> Row:
        """Return what there is to say about a task's data; raises DataUnavailableError."""
        data = self._load(task)
        return {
            "n_rows": data.X.shape[0],
            "n_features": data.X.shape[1],
            "n_published": data.n_published,
            "statement": data.statement,
            "complete": data.complete,
        }

    def describe(self, evaluation: Evaluation, earlier: Sequence[Row]) -> Row:
        """Return the part of an evaluation's row that is known before any fit, the rest empty.

        Where the row has a failure, there is nothing to evaluate.
        """
        rows = self._train_test(evaluation.study)
        row = {
            "kind": "classification",
            "n_train": len(rows.y),
            "fraction": rows.fraction,
            "n_test": len(rows.y_test),
            "baseline_score": baseline_score(rows.y, rows.y_test),
            "threads": n_cores(),
            **UNTUNED,
            **UNMEASURED,
        }
        if not evaluation.is_default:
            try:
                asked = _ask(evaluation, rows, earlier)
            except Exception as error:  # a space that does not work is its model's failure, as a fit is
                return row | {"failure": reason(error)}
            self._asked = (evaluation, asked)
            row |= {"parameters": asked.parameters, "suggestions": asked.trial.params}
        return row

    def evaluate(self, evaluation: Evaluation, earlier: Sequence[Row]) -> Row:
        """Fit and measure; return the part of the row that `describe` left empty."""
        rows = self._train_test(evaluation.study)
        if evaluation.is_default:
            return _measure(evaluation.study, rows, {})
        known, self._asked = self._asked, None  # what was just described need not be asked for again
        asked = known[1] if known is not None and known[0] == evaluation else _ask(evaluation, rows, earlier)
        return _trial(evaluation.study, rows, asked)

    def _train_test(self, study: Study) -> TrainTest:
        key = (study.task, study.size, study.seed)
        if self._rows is None or self._rows[0] != key:
            data = self._load(study.task)
            split = make_split(study.task, data.y, study.seed)
            train = split.training_rows(study.size, data.y)
            fraction = len(train) / len(split.pool)
            rows = TrainTest(data.X[train], data.y[train], data.X[split.test], data.y[split.test], fraction)
            self._rows = (key, rows)
        return self._rows[1]

    def _load(self, task: str) -> Data:
        if self._data is None or self._data[0] != task:
            try:
                self._data = (task, load(task))
            except DataUnavailableError:
                raise
            except Exception as error:  # a task of a user's own may raise anything; the other tasks go on
                raise DataUnavailableError(f"{task} cannot be loaded: {reason(error)}") from error
        return self._data[1]


def _ask(evaluation: Evaluation, rows: TrainTest, earlier: Sequence[Row]) -> PendingTrial:
    """Replay a study's earlier trials and draw the next."""
    study = evaluation.study
    key = (study.task, len(rows.y), study.seed, study.model)  # not what the size is called
    tuning = Tuning(MODELS[study.model], key, *rows.X.shape).replay_all(earlier)
    trial, parameters = tuning.ask(evaluation.trial)
    return PendingTrial(tuning, trial, _storable(parameters))


def _storable(parameters: Parameters) -> Parameters:
    """Return the parameters with numpy's numbers as Python's; TypeError where the store could not keep one."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in parameters.items()}
    for name, value in plain.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"the space's {name} must be something that JSON can hold, got {value!r}") from error
    return plain


def _trial(study: Study, rows: TrainTest, asked: PendingTrial) -> Row:
    """Score a trial on the folds; only then, and unseen by the study, measure it on the test rows."""
    found = validate(
        lambda: _pipeline(study, rows, asked.parameters),
        rows.X,
        rows.y,
        study.seed,
        lambda step, score: asked.tuning.should_prune(asked.trial, step, score),
    )
    row = UNMEASURED | {"failure": found.failure}
    if found.score is not None:
        row = _measure(study, rows, asked.parameters)
    return row | {
        "validation": found.scheme,
        "validation_score": found.score,
        "fold_scores": found.fold_scores,
        "pruned": found.pruned,
        "tuning_seconds": found.seconds,
    }


def _measure(study: Study, rows: TrainTest, parameters: Parameters) -> Row:
    return measure(lambda: _pipeline(study, rows, parameters), rows.X, rows.y, rows.X_test, rows.y_test)


def _pipeline(study: Study, rows: TrainTest, parameters: Parameters) -> Pipeline:
    return MODELS[study.model].build(study.seed, *rows.X.shape).set_params(**parameters)
