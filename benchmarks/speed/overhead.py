"""What the harness adds to the seconds of a fit: the same fits on its workers, and alone in a process."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from statistics import median
from typing import Any

from benchmarks.data.splits import Size
from benchmarks.data.tasks import task_of
from benchmarks.engine import Call, Workers
from benchmarks.models import MODELS
from benchmarks.results.schema import DEFAULT_TRIAL
from benchmarks.tabular.evaluate import Work, evaluate
from benchmarks.tabular.plan import Evaluation, Study

TASK = "clusters"


def harness_overhead(
    models: Sequence[str] = ("hgb", "rf"), n_rows: int = 1000, repeats: int = 5
) -> list[dict[str, Any]]:
    """Time fits through the harness and alone, in turn, on the same rows with as many threads.

    Alone is the main thread of a process that fits nothing else. Both do a fit to warm up.

    Returns
    -------
    list of dict
        For each model: ``model``, ``harness`` and ``alone`` (median seconds of a fit), ``ratio``.
    """
    found = []

    def chain(model: str, call: Call) -> None:
        evaluation = Evaluation(Study(TASK, Size.rows(n_rows), 0, model), DEFAULT_TRIAL)
        work = Work(evaluation, task_of(TASK), MODELS[model], [])
        seconds: dict[str, list[float]] = {"harness": [], "alone": []}
        with ProcessPoolExecutor(1, get_context("spawn")) as process:  # in the environment of the workers
            for _ in range(1 + repeats):
                row = call(evaluate, work)
                seconds["harness"].append(row["fit_seconds"])
                seconds["alone"].append(process.submit(evaluate, work).result()["fit_seconds"])
        medians = {name: median(values[1:]) for name, values in seconds.items()}
        found.append({"model": model, **medians, "ratio": medians["harness"] / medians["alone"]})

    Workers(jobs=1).run(partial(chain, model) for model in models)
    return found
