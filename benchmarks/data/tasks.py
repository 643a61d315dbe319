"""The tasks by name: tables of four OpenML suites, generated ones, and sparse targets such as ``parity-N-K``.

A `Task` is one table, which every seed splits. A `SampledTask` is a distribution, of which every seed has rows of
its own, as many as are asked for.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cli import UsageError, known_names
from benchmarks.data import suites, synthetic
from benchmarks.data.table import CLASSIFICATION, REGRESSION, Data, DataUnavailableError, Features

_SPARSE_TARGET = re.compile(rf"({'|'.join(synthetic.SPARSE_TARGETS)})-(\d+)-(\d+)")
#: the panel of sparse targets: task -> training rows
PANEL = {
    "sum-1000-1": 200,
    "sum-5000-1": 50,
    "product-50-2": 1000,
    "product-20-2": 300,
    "parity-50-2": 1000,
    "parity-50-3": 1000,
    "sum-200-3": 200,
    "box-50-2": 500,
}


@dataclass(frozen=True)
class Task:
    """A table; ``load`` brings it."""

    name: str
    load: Callable[[], Data]
    kind: str = CLASSIFICATION

    def data(self) -> Data:
        """Load the table; raises DataUnavailableError where that fails or its targets cannot be used."""
        data = self.load()
        X = np.ascontiguousarray(data.X) if isinstance(data.X, np.ndarray) else data.X
        return replace(data, X=X, y=_checked(self, data.y, X))


@dataclass(frozen=True)
class SampledTask:
    """A distribution of rows.

    Attributes
    ----------
    name : str
    sample : callable (n_train, seed) -> (X, y)
        Returns the training rows and, after them, the test rows.
    n_features : int
    statement : str
        What the rows are.
    kind : str
    """

    name: str
    sample: Callable[[int, int], synthetic.XY]
    n_features: int
    statement: str
    kind: str = CLASSIFICATION


AnyTask = Task | SampledTask


def _checked(task: Task, y: Any, X: Features) -> NDArray[Any]:
    """Return class numbers as integers, or finite targets as floats."""
    y = np.asarray(y)
    if task.kind == REGRESSION:
        if y.shape != X.shape[:1] or y.dtype.kind not in "biuf" or not np.isfinite(y).all():
            raise DataUnavailableError(
                f"{task.name} cannot be used: y must be the rows' finite numbers, got {y.dtype} of shape {y.shape}"
            )
        return y.astype(np.float64)
    labels = np.unique(y)
    if y.shape != X.shape[:1] or y.dtype.kind not in "biu" or not np.array_equal(labels, range(len(labels))):
        raise DataUnavailableError(
            f"{task.name} cannot be used: y must be the rows' class numbers, integers from 0 to n_classes - 1, "
            f"got {y.dtype} of shape {y.shape} with {', '.join(map(repr, labels[:3].tolist()))}, ..."
        )
    if len(labels) < 2:
        raise DataUnavailableError(f"{task.name} cannot be used: y has one class only")
    return y.astype(np.int64)


_SOURCES = [source for sources in suites.SUITES.values() for source in sources]
_BY_ID = {str(source.task_id): source.name for source in _SOURCES}
OPENML_TASKS = tuple(Task(source.name, source, source.kind) for source in _SOURCES)
OTHER_TASKS = tuple(Task(name, load) for name, load in synthetic.TABLES.items())
REGRESSION_TASKS = tuple(
    SampledTask(name, sample, n_features, words, REGRESSION)
    for name, (sample, n_features, words) in synthetic.REGRESSION.items()
)
_ALL: tuple[AnyTask, ...] = (*OPENML_TASKS, *OTHER_TASKS, *REGRESSION_TASKS)
TASKS = {task.name: task for task in _ALL}
OPENML_NAMES = suites.names(suites.NUMERIC)
OTHER_NAMES = tuple(task.name for task in OTHER_TASKS)


def family(name: str) -> str:
    """Return the family of a sparse target, such as ``parity`` of ``parity-50-3``; "" for other tasks."""
    found = None if name in TASKS else _SPARSE_TARGET.fullmatch(name)
    return found[1] if found else ""


def task_of(name: str) -> AnyTask:
    """Return the task with this name; KeyError where there is none, UsageError for a target that cannot be."""
    if not family(name):
        return TASKS[name]
    of, *sizes = name.split("-")
    n, k = map(int, sizes)
    if not 1 <= k <= n:
        raise UsageError(f"task {name!r}: k={k} relevant inputs must be from 1 to n={n}")
    make, words = synthetic.SPARSE_TARGETS[of]
    return SampledTask(name, make(name, n, k), n, f"{words.format(n=n, k=k)}, others for every seed")


def load(name: str) -> Data:
    """Load the table called ``name``."""
    task = task_of(name)
    if isinstance(task, SampledTask):
        raise DataUnavailableError(f"{name} is no table: every seed has rows of its own")
    return task.data()


def chosen_tasks(names: Sequence[str], every: Sequence[str] = OPENML_NAMES) -> tuple[str, ...]:
    """Return the names without repeats, ``all`` spelt out as ``every``; an unknown one is a UsageError.

    The tables of OpenML may also be named by the number of their task.
    """
    names = [_BY_ID.get(name, name) for name in names]
    targets = [name for name in names if family(name)]
    wanted = known_names("task", names, (*TASKS, *targets), every)
    for name in wanted:
        task_of(name)
    return wanted
