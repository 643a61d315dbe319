"""Tables of OpenML, by task number."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.data.table import (
    CLASSIFICATION,
    REGRESSION,
    Data,
    DataUnavailableError,
    Features,
    category_columns,
)

PROJECT = Path(__file__).resolve().parents[2]


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
    kind: str = CLASSIFICATION

    def __call__(self) -> Data:
        """Load the data through the openml client."""
        X, y, rebuilt = _fetch(self)
        statement, complete = describe_rows(len(y), self.n_published)
        if rebuilt and self.rebuilt_note:
            statement = f"{statement}; {self.rebuilt_note}"
        if n_categorical := len(category_columns(X)):
            statement = f"{statement}; {n_categorical} of {X.shape[1]} features are categories"
        return Data(X, y, self.n_published, statement, complete and not (rebuilt and self.rebuilt_note))


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


def _fetch(source: OpenMLSource) -> tuple[Features, NDArray[Any], bool]:
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
    rebuilt = "PROVENANCE" in (dataset.description or "")
    if source.kind == REGRESSION:
        return _features(X), y.to_numpy(np.float64), rebuilt
    labels, numbers = np.unique(np.asarray(y.astype(str)), return_inverse=True)
    if len(labels) < 2:
        raise DataUnavailableError(f"{source.name} (OpenML task {source.task_id}) has one class only in the cache")
    return _features(X), numbers.astype(np.int64), rebuilt


def _features(X: pd.DataFrame) -> Features:
    """Return an array, or a frame where columns are categories, its other columns as floats."""
    if not category_columns(X):
        return X.to_numpy(np.float64)
    numbers = X.select_dtypes(exclude="category").columns
    return X.astype(dict.fromkeys(numbers, np.float64))
