"""The 16 OpenML tables of Grinsztajn et al. 2022.

The tasks are those of OpenML suite 337 (numerical features, classification). Their numbers are written
down here because the suite's own list needs a network, while a task that the client has cached does not.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.table import Data, DataUnavailableError

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

    def __call__(self) -> Data:
        """Load the data through the openml client."""
        X, y, rebuilt = _fetch(self)
        statement, complete = describe_rows(len(y), self.n_published)
        if rebuilt and self.rebuilt_note:
            statement = f"{statement}; {self.rebuilt_note}"
        return Data(X, y, self.n_published, statement, complete and not (rebuilt and self.rebuilt_note))


SOURCES = (
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
