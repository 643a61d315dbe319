"""The tasks: 16 OpenML tables of Grinsztajn et al. 2022, and others of :mod:`benchmarks.data.synthetic`.

The tasks are those of OpenML suite 337 (numerical features, classification). Their numbers are written
down here because the suite's own list needs a network, while a task that the client has cached does not.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import synthetic

PROJECT = Path(__file__).resolve().parents[2]


class DataUnavailableError(Exception):
    """A data set that cannot be had; the message says why, in one line."""


@dataclass(frozen=True)
class Data:
    """A table and what there is to say about where it comes from.

    Attributes
    ----------
    X : array of shape (n_rows, n_features)
    y : array of shape (n_rows,)
        Class numbers, 0 to n_classes - 1.
    n_published : int or None
        Rows of the published data set; None for a synthetic one.
    statement : str
        What the rows are: all published ones, a subset, a sample.
    complete : bool
        Whether these are the published rows, all of them.
    """

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    n_published: int | None
    statement: str
    complete: bool


@dataclass(frozen=True)
class Task:
    """A named classification task; ``load`` brings its data."""

    name: str
    load: Callable[[], Data]


@dataclass(frozen=True)
class OpenMLSource:
    """A task of OpenML and the row count of its published data set.

    ``rebuilt_note`` is what is known of a copy that was rebuilt from other sources rather than downloaded
    from OpenML; such a copy says so in its description.
    """

    task_id: int
    data_id: int
    name: str
    n_published: int
    rebuilt_note: str = ""

    def __call__(self) -> Data:
        """Load the data through the openml client."""
        X, y, rebuilt = _fetch(self)
        statement, complete = describe_rows(len(y), self.n_published)
        if rebuilt and self.rebuilt_note:
            statement = f"{statement}; {self.rebuilt_note}"
        return Data(X, y, self.n_published, statement, complete and not (rebuilt and self.rebuilt_note))


OPENML_SOURCES = (
    OpenMLSource(361055, 44089, "credit", 16714),
    OpenMLSource(361060, 44120, "electricity", 38474),
    OpenMLSource(361061, 44121, "covertype", 566602),
    OpenMLSource(361062, 44122, "pol", 10082),
    OpenMLSource(361063, 44123, "house_16H", 13488),
    OpenMLSource(361065, 44125, "MagicTelescope", 13376),
    OpenMLSource(361066, 44126, "bank-marketing", 10578),
    OpenMLSource(361068, 44128, "MiniBooNE", 72998, "drawn at random"),
    OpenMLSource(361069, 44129, "Higgs", 940160, "some from the same simulation rather than the same file"),
    OpenMLSource(361070, 44130, "eye_movements", 7608),
    OpenMLSource(361273, 45022, "Diabetes130US", 71090),
    OpenMLSource(361274, 45021, "jannis", 57580, "re-balanced"),
    OpenMLSource(361275, 45020, "default-of-credit-card-clients", 13272),
    OpenMLSource(361276, 45019, "Bioresponse", 3434, "the labels of 1374 rows inferred from the row order"),
    OpenMLSource(361277, 45028, "california", 20634),
    OpenMLSource(361278, 45026, "heloc", 10000),
)


def describe_rows(n_rows: int, n_published: int) -> tuple[str, bool]:
    """Say what ``n_rows`` rows are of a data set published with ``n_published``, and whether they are all."""
    if n_rows == n_published:
        return f"all {n_published} published rows", True
    if n_rows < n_published:
        return f"a subset: {n_rows} of the {n_published} published rows ({n_rows / n_published:.1%})", False
    return f"not the published data: {n_rows} rows where {n_published} are published", False


def cache_directory() -> Path:
    """Return the cache of the openml client: ``OPENML_CACHE_DIR``, or .cache/openml in the project.

    Where the project is an archive, as on a dask worker, the latter is in the home directory.
    """
    folder = PROJECT if PROJECT.is_dir() else Path.home()
    return Path(os.environ.get("OPENML_CACHE_DIR") or folder / ".cache" / "openml")


def _fetch(source: OpenMLSource) -> tuple[NDArray[np.float64], NDArray[np.int64], bool]:
    import openml

    logging.getLogger("openml").setLevel(logging.ERROR)
    openml.config.set_root_cache_directory(str(cache_directory()))
    openml.config.set_retry_policy("human", n_retries=2)  # the default of 5 sleeps for 10 seconds when offline
    try:
        task: Any = openml.tasks.get_task(source.task_id, download_splits=False)
        dataset = task.get_dataset()
        X, y, _, _ = dataset.get_data(target=task.target_name)
    except Exception as error:  # the client raises errors of its own, of requests, of pandas and of the system
        reason = " ".join(str(error).split())[:200]
        raise DataUnavailableError(
            f"{source.name} (OpenML task {source.task_id}) is neither in the cache nor can it be downloaded: "
            f"{type(error).__name__}: {reason}"
        ) from error
    labels, numbers = np.unique(np.asarray(y.astype(str)), return_inverse=True)
    if len(labels) < 2:
        raise DataUnavailableError(f"{source.name} (OpenML task {source.task_id}) has one class only in the cache")
    return X.to_numpy(np.float64), numbers.astype(np.int64), "PROVENANCE" in (dataset.description or "")


@dataclass(frozen=True)
class OtherSource:
    """A table of :mod:`benchmarks.data.synthetic`; the same every time."""

    make: Callable[[], synthetic.XY]
    words: str
    is_drawn: bool

    def __call__(self) -> Data:
        """Make the data."""
        X, y = self.make()
        kind, n_published = ("synthetic", None) if self.is_drawn else ("all rows", len(y))
        rows, labels = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.int64)
        return Data(rows, labels, n_published, f"{kind}: {self.words}", True)


OPENML_TASKS = tuple(Task(source.name, source) for source in OPENML_SOURCES)
OTHER_TASKS = tuple(
    Task(name, OtherSource(make, words, is_drawn))
    for tables, is_drawn in ((synthetic.SHIPPED, False), (synthetic.DRAWN, True))
    for name, (make, words) in tables.items()
)
TASKS = {task.name: task for task in OPENML_TASKS + OTHER_TASKS}
OTHER_NAMES = tuple(task.name for task in OTHER_TASKS)
OPENML_NAMES = tuple(task.name for task in OPENML_TASKS)


def load(name: str) -> Data:
    """Load the task called ``name``; raises DataUnavailableError where it cannot be had or has no classes."""
    data = TASKS[name].load()
    y = np.asarray(data.y)
    labels = np.unique(y)
    if y.shape != data.X.shape[:1] or y.dtype.kind not in "biu" or not np.array_equal(labels, range(len(labels))):
        raise DataUnavailableError(
            f"{name} cannot be used: y must be the rows' class numbers, integers from 0 to n_classes - 1, got "
            f"{y.dtype} of shape {y.shape} with {', '.join(map(repr, labels[:3].tolist()))}, ..."
        )
    if len(labels) < 2:
        raise DataUnavailableError(f"{name} cannot be used: y has one class only")
    return replace(data, X=np.ascontiguousarray(data.X), y=y.astype(np.int64))
