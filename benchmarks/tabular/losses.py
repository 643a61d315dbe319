"""Says when it is no use to replace workers that are lost."""

from benchmarks.cli import UsageError
from benchmarks.results.store import Store
from benchmarks.tabular.worker import MAX_LOST


class Losses:
    """Counts the workers of one command that were lost since an evaluation was last stored.

    Workers are at ``jobs`` evaluations at a time, each of which is given up, and stored, after MAX_LOST workers.
    So more losses than that in a row are not the evaluations' doing.
    """

    def __init__(self, store: Store, jobs: int) -> None:
        self._store = store
        self._most = MAX_LOST * jobs
        self._n_lost = 0
        self._n_stored = len(store.finished())

    def add(self) -> None:
        """Count a lost worker; raises UsageError where there have been too many."""
        n_stored = len(self._store.finished())
        self._n_lost = 1 if n_stored > self._n_stored else self._n_lost + 1
        self._n_stored = n_stored
        if self._n_lost > self._most:
            raise UsageError(
                f"{self._n_lost} workers in a row were killed and no evaluation was finished; is there memory for "
                "so many --jobs?"
            )
