"""Does one evaluation, on a worker; its result depends on it and the study's earlier trials alone."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.trial import Trial
from sklearn.pipeline import Pipeline

from benchmarks import environment
from benchmarks.data.splits import Size, make_split
from benchmarks.data.table import REGRESSION, Data, DataUnavailableError, Features, category_columns, rows_of
from benchmarks.data.tasks import AnyTask, SampledTask, Task
from benchmarks.models import Model, Parameters, Recipe
from benchmarks.results.schema import MEASURED
from benchmarks.tabular.measure import baseline_score, measure, reason
from benchmarks.tabular.plan import Evaluation, Row, Study
from benchmarks.tabular.tuning import Tuning, validate

UNTUNED: Row = {
    "suggestions": {},
    "validation": None,
    "validation_score": None,
    "fold_scores": [],
    "pruned": False,
    "tuning_seconds": None,
}
UNMEASURED: Row = dict.fromkeys(MEASURED)


@dataclass(frozen=True)
class Work:
    """An evaluation with all that a worker needs for it.

    Attributes
    ----------
    evaluation : Evaluation
    task : Task or SampledTask
    model : Model
    earlier : sequence of dict
        The rows of the study's earlier trials.
    """

    evaluation: Evaluation
    task: AnyTask
    model: Model
    earlier: Sequence[Row]


@dataclass(frozen=True)
class TrainTest:
    """Training and test rows, the same for every model."""

    X: Features
    y: NDArray[Any]
    X_test: Features
    y_test: NDArray[Any]
    fraction: float
    dataset: Row


@dataclass(frozen=True)
class PendingTrial:
    """A study with its earlier trials, and the trial that it suggests next."""

    tuning: Tuning
    trial: Trial
    parameters: Parameters


class Evaluator:
    """Describes evaluations and does them; keeps the rows that the next one can use again."""

    def __init__(self) -> None:
        self._data: tuple[str, Data] | None = None
        self._rows: tuple[Any, TrainTest] | None = None
        self._pending: tuple[Evaluation, PendingTrial] | None = None

    def describe(self, work: Work) -> tuple[Row, Row]:
        """Return what the task's data are, and the part of the row that is known before any fit, the rest empty.

        Where the row has a failure, there is nothing to evaluate. Raises DataUnavailableError.
        """
        rows = self._train_test(work)
        row = {
            "kind": work.task.kind,
            "n_train": len(rows.y),
            "fraction": rows.fraction,
            "n_test": len(rows.y_test),
            "baseline_score": baseline_score(work.task.kind, rows.y, rows.y_test),
            "threads": environment.n_cores(),
            "environment": environment.here(),
            "parameters": work.model.pinned,
            **UNTUNED,
            **UNMEASURED,
        }
        if not work.evaluation.is_default:
            try:
                pending = _suggest(work, rows)
            except Exception as error:  # a space that does not work is its model's failure, as a fit is
                return rows.dataset, row | {"failure": reason(error)}
            self._pending = (work.evaluation, pending)
            row |= {"parameters": pending.parameters, "suggestions": pending.trial.params}
        return rows.dataset, row

    def evaluate(self, work: Work) -> Row:
        """Fit and measure; return the part of the row that `describe` left empty."""
        rows = self._train_test(work)
        if work.evaluation.is_default:
            return _measure(work, rows, work.model.pinned)
        known, self._pending = self._pending, None  # what was just described need not be suggested again
        pending = known[1] if known is not None and known[0] == work.evaluation else _suggest(work, rows)
        return _trial(work, rows, pending)

    def _train_test(self, work: Work) -> TrainTest:
        study = work.evaluation.study
        key = (study.task, study.size, study.seed)
        if self._rows is None or self._rows[0] != key:
            self._rows = None  # two data sets at a time may be more than fits
            if isinstance(work.task, SampledTask):
                self._rows = (key, _sample(work.task, study.size, study.seed))
            else:
                self._rows = (key, self._split(work.task, study))
        return self._rows[1]

    def _split(self, task: Task, study: Study) -> TrainTest:
        data = self._load(task)
        stratified = task.kind != REGRESSION
        split = make_split(study.task, data.y, study.seed, stratified=stratified)
        train = split.training_rows(study.size, data.y if stratified else None)
        dataset = {
            "n_rows": data.X.shape[0],
            "n_features": data.X.shape[1],
            "n_published": data.n_published,
            "statement": data.statement,
            "complete": data.complete,
        }
        X, X_test = rows_of(data.X, train), rows_of(data.X, split.test)
        return TrainTest(X, data.y[train], X_test, data.y[split.test], len(train) / len(split.pool), dataset)

    def _load(self, task: Task) -> Data:
        if self._data is None or self._data[0] != task.name:
            self._data = None
            try:
                self._data = (task.name, task.data())
            except DataUnavailableError:
                raise
            except Exception as error:  # a task of a user's own may raise anything; the other tasks go on
                raise DataUnavailableError(f"{task.name} cannot be loaded: {reason(error)}") from error
        return self._data[1]


class _Local(threading.local):
    def __init__(self) -> None:
        self.evaluator = Evaluator()


_of_thread = _Local()


def describe(work: Work) -> tuple[Row, Row]:
    """See `Evaluator.describe`; the evaluator is that of the worker's only thread that computes."""
    return _of_thread.evaluator.describe(work)


def evaluate(work: Work) -> Row:
    """See `Evaluator.evaluate`."""
    return _of_thread.evaluator.evaluate(work)


def _sample(task: SampledTask, size: Size, seed: int) -> TrainTest:
    n_train = int(size.value)
    try:
        X, y = task.sample(n_train, seed)
    except DataUnavailableError as error:
        raise DataUnavailableError(f"{task.name}, {size}: {error}") from error
    dataset = {
        "n_rows": 0,  # any number of them
        "n_features": task.n_features,
        "n_published": None,
        "statement": f"sampled for every seed: {task.statement}",
        "complete": True,
    }
    share = 0.0  # of all rows, which have no end: those of two seeds do not overlap
    return TrainTest(X[:n_train], y[:n_train], X[n_train:], y[n_train:], share, dataset)


def _suggest(work: Work, rows: TrainTest) -> PendingTrial:
    """Replay a study's earlier trials and suggest the next."""
    study = work.evaluation.study
    key = (study.task, len(rows.y), study.seed, study.model)  # not what the size is called
    tuning = Tuning(_recipe(work, rows), key, *rows.X.shape).replay_all(work.earlier)
    trial, parameters = tuning.ask(work.evaluation.trial)
    return PendingTrial(tuning, trial, _storable(parameters | work.model.pinned))


def _storable(parameters: Parameters) -> Parameters:
    """Return the parameters with numpy's numbers as Python's; TypeError where the store could not keep one."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in parameters.items()}
    for name, value in plain.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"the space's {name} must be something that JSON can hold, got {value!r}") from error
    return plain


def _trial(work: Work, rows: TrainTest, pending: PendingTrial) -> Row:
    """Score a trial on the folds; only then, and unseen by the study, measure it on the test rows."""
    found = validate(
        lambda: _pipeline(work, rows, pending.parameters),
        rows.X,
        rows.y,
        work.evaluation.study.seed,
        lambda step, score: pending.tuning.should_prune(pending.trial, step, score),
        work.task.kind,
    )
    row = UNMEASURED | {"failure": found.failure}
    if found.score is not None:
        row = _measure(work, rows, pending.parameters)
    return row | {
        "validation": found.scheme,
        "validation_score": found.score,
        "fold_scores": found.fold_scores,
        "pruned": found.pruned,
        "tuning_seconds": found.seconds,
    }


def _measure(work: Work, rows: TrainTest, parameters: Parameters) -> Row:
    def make() -> Pipeline:
        return _pipeline(work, rows, parameters)

    return measure(make, rows.X, rows.y, rows.X_test, rows.y_test, work.task.kind)


def _pipeline(work: Work, rows: TrainTest, parameters: Parameters) -> Pipeline:
    return _recipe(work, rows).build(work.evaluation.study.seed, *rows.X.shape).set_params(**parameters)


def _recipe(work: Work, rows: TrainTest) -> Recipe:
    return work.model.recipe(work.task.kind, category_columns(rows.X))
