"""Does the evaluations of a plan one after the other, and stores each as soon as it is finished."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from benchmarks.evaluation import chance_accuracy, cross_validate, measure
from benchmarks.pipelines import MODELS
from benchmarks.progress import progress
from benchmarks.splits import Size, make_split
from benchmarks.store import EVALUATION_KEY, Store
from benchmarks.tasks import Data, DataUnavailableError, load
from benchmarks.tuning import Tuning


@dataclass(frozen=True)
class Piece:
    """One evaluation to do; ``trial`` is -1 for the untuned pipeline."""

    task: str
    size: Size
    seed: int
    model: str
    trial: int

    @property
    def key(self) -> tuple[Any, ...]:
        """The key of its row in the store."""
        return (self.task, self.size.key, self.seed, self.model, self.trial)

    def __str__(self) -> str:
        what = "" if self.trial < 0 else f" trial {self.trial}"
        return f"{self.task} {self.size.key} seed {self.seed} {self.model}{what}"


@dataclass(frozen=True)
class TrainTest:
    """The rows of one split at one size, the same for every model."""

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    X_test: NDArray[np.float64]
    y_test: NDArray[np.int64]
    fraction: float


def run_pieces(pieces: Sequence[Piece], store: Store) -> int:
    """Do the pieces that the store does not hold yet; return the exit status.

    A model that fails is a row like any other, and a data set that cannot be had leaves out its task. Only
    where nothing at all could be done is the status 1.
    """
    finished = store.finished()
    missing = [piece for piece in pieces if piece.key not in finished]
    if len(missing) < len(pieces):
        print(f"{len(pieces) - len(missing)} of {len(pieces)} evaluations are there already", file=sys.stderr)
    runner = Runner(store)
    n_failed = 0
    for piece in progress(missing):
        n_failed += runner.do(piece)
    if n_failed:
        print(f"{n_failed} evaluations failed; the report says why", file=sys.stderr)
    for message in runner.unavailable.values():
        print(f"left out: {message}", file=sys.stderr)
    return 1 if missing and runner.n_done == 0 else 0


class Runner:
    """Does pieces one after the other and keeps what the next one can use again.

    Attributes
    ----------
    n_done : int
    unavailable : dict
        Tasks whose data could not be had, with the reason.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._data: dict[str, Data] = {}
        self._rows: tuple[Any, TrainTest] | None = None
        self._tuning: tuple[Any, Tuning] | None = None
        self.n_done = 0
        self.unavailable: dict[str, str] = {}

    def do(self, piece: Piece) -> bool:
        """Do one piece and store its row; return whether the model failed."""
        rows = self._train_test(piece)
        if rows is None:
            return False
        outcome = self._default(piece, rows) if piece.trial < 0 else self._trial(piece, rows)
        self._store.add_evaluation(
            dict(zip(EVALUATION_KEY, piece.key, strict=True))
            | {
                "n_train": len(rows.y),
                "fraction": rows.fraction,
                "n_test": len(rows.y_test),
                "chance_accuracy": chance_accuracy(rows.y, rows.y_test),
            }
            | outcome
        )
        self.n_done += 1
        return outcome["failure"] is not None

    def _default(self, piece: Piece, rows: TrainTest) -> dict[str, Any]:
        def make() -> Pipeline:
            return MODELS[piece.model].build(piece.seed, *rows.X.shape)

        measured = measure(make, rows.X, rows.y, rows.X_test, rows.y_test)
        return measured | {
            "parameters": {},
            "suggestions": {},
            "validation": None,
            "validation_score": None,
            "tuning_seconds": None,
        }

    def _trial(self, piece: Piece, rows: TrainTest) -> dict[str, Any]:
        """Score a trial on the folds; only then, and unseen by the study, measure it on the test rows."""
        tuning = self._study(piece, rows)
        trial, parameters = tuning.ask(piece.trial)

        def make() -> Pipeline:
            return MODELS[piece.model].build(piece.seed, *rows.X.shape).set_params(**parameters)

        validation, score, seconds, failure = cross_validate(make, rows.X, rows.y, piece.seed)
        tuning.tell(trial, score)
        measured = measure(make, rows.X, rows.y, rows.X_test, rows.y_test)
        return measured | {
            "parameters": parameters,
            "suggestions": trial.params,
            "validation": validation,
            "validation_score": score,
            "tuning_seconds": seconds,
            "failure": failure or measured["failure"],
        }

    def _study(self, piece: Piece, rows: TrainTest) -> Tuning:
        """Return the study of a piece, with the trials before it replayed from the store."""
        key = piece.key[:-1]
        if self._tuning is None or self._tuning[0] != key:
            tuning = Tuning(MODELS[piece.model], key, *rows.X.shape)
            stored = self._store.trials(*key)
            for number in range(piece.trial):
                tuning.replay(stored[number])
            self._tuning = (key, tuning)
        return self._tuning[1]

    def _train_test(self, piece: Piece) -> TrainTest | None:
        """Return the rows of a piece, or None where its data cannot be had."""
        key = (piece.task, piece.size, piece.seed)
        if self._rows is None or self._rows[0] != key:
            data = self._load(piece.task)
            if data is None:
                return None
            split = make_split(piece.task, data.y, piece.seed)
            train = split.training_rows(piece.size, data.y)
            fraction = len(train) / len(split.pool)
            self._rows = (
                key,
                TrainTest(data.X[train], data.y[train], data.X[split.test], data.y[split.test], fraction),
            )
        return self._rows[1]

    def _load(self, name: str) -> Data | None:
        if name in self.unavailable:
            return None
        if name not in self._data:
            try:
                data = load(name)
            except DataUnavailableError as error:
                self.unavailable[name] = str(error)
                return None
            self._store.record_dataset(
                name,
                {
                    "n_rows": data.X.shape[0],
                    "n_features": data.X.shape[1],
                    "n_published": data.n_published,
                    "statement": data.statement,
                    "complete": data.complete,
                },
            )
            self._data[name] = data
        return self._data[name]
