"""What an experiment of the scaling-laws study is, and what several of them share."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pandas as pd
from numpy.typing import ArrayLike

from benchmarks.environment import n_cores
from benchmarks.report.document import Section
from sparsemlp.scaling_laws import PowerLaw, fit_power_law

#: a piece of work as JSON can hold it: the names and values that say what to compute
Setting = dict[str, Any]
#: numbers of a finished setting, as JSON can hold them
Row = dict[str, Any]


class Experiment(NamedTuple):
    """One experiment of the study.

    Attributes
    ----------
    title : str
        What it is called in the report.
    settings : callable
        Maps a profile ("smoke", "quick", "full") to its pieces of work. A setting is its own key: what is
        stored under it is not computed again.
    compute : callable
        Computes one setting, and returns its rows. The same setting gives the same rows.
    section : callable
        Maps the rows of all finished settings, whose fields are among the columns, to a section of the report.
    """

    title: str
    settings: Callable[[str], list[Setting]]
    compute: Callable[[Setting], list[Row]]
    section: Callable[[pd.DataFrame], Section]


def run_all(work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return what `work` makes of each of the arguments, computed in processes of one thread each."""
    from joblib import Parallel, delayed, parallel_config

    n_jobs = min(n_cores(), len(arguments))
    if n_jobs == 1:
        return [work(*each) for each in arguments]
    with parallel_config("loky", inner_max_num_threads=1):
        return list(Parallel(n_jobs=n_jobs)(delayed(work)(*each) for each in arguments))


def fit_or_none(x: ArrayLike, y: ArrayLike, x_min: float, x_max: float) -> PowerLaw | None:
    """Return the power law of a curve, None where too little of it is in the range."""
    try:
        return fit_power_law(x, y, x_min=x_min, x_max=x_max)
    except ValueError:
        return None


def interval(law: PowerLaw) -> str:
    """Return the exponent of something that falls, with its interval of 95 %."""
    decay = law.decay
    return f"{decay.value:.2f} ({decay.low:.2f} to {decay.high:.2f})"
