"""The same work for several seeds at once, a core each."""

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.environment import n_cores


def run_all(work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return what `work` makes of each of the arguments, computed in processes of one thread each."""
    from joblib import Parallel, delayed, parallel_config

    n_jobs = min(n_cores(), len(arguments))
    if n_jobs == 1:
        return [work(*each) for each in arguments]
    with parallel_config("loky", inner_max_num_threads=1):
        return list(Parallel(n_jobs=n_jobs)(delayed(work)(*each) for each in arguments))
