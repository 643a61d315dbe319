"""What a busy process on one of two cores costs: fits and predictions beside it, over those without it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

# Both processes are bound to cores before anything is imported, as pools of threads are sized at the import. The
# neighbour is stopped and continued, so that the two ways alternate.
SCRIPT = """
import json, os, signal, subprocess, sys, time, warnings
name, *numbers = sys.argv[1:]
repeats, n_fit, n_predict = map(int, numbers)
cores = sorted(os.sched_getaffinity(0))[:2]
os.sched_setaffinity(0, cores)
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sparsemlp import SparseInitMLPClassifier
warnings.simplefilter("ignore")
X = np.random.default_rng(0).standard_normal((max(n_fit, n_predict), 20)).astype(np.float32)
y = (X[:, 0] * X[:, 1] > 0).astype(int)
models = {
    "sparsemlp": lambda: SparseInitMLPClassifier(random_state=0, device="cpu"),
    "RandomForestClassifier": lambda: RandomForestClassifier(n_jobs=2, random_state=0),
    "HistGradientBoostingClassifier": lambda: HistGradientBoostingClassifier(random_state=0),
    "MLPClassifier": lambda: MLPClassifier(random_state=0),
}
model = models[name]()
busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
os.sched_setaffinity(busy.pid, cores[-1:])
def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
def both_ways(work):
    work()
    found = {"alone": [], "beside": []}
    for _ in range(repeats):
        for way, what in (("alone", signal.SIGSTOP), ("beside", signal.SIGCONT)):
            busy.send_signal(what)
            time.sleep(0.1)
            found[way].append(seconds(work))
    busy.send_signal(signal.SIGSTOP)
    return {way: float(np.median(values)) for way, values in found.items()}
try:
    busy.send_signal(signal.SIGSTOP)
    fit = both_ways(lambda: model.fit(X[:n_fit], y[:n_fit]))
    print(json.dumps({"what": f"fit of {n_fit} rows", **fit}), flush=True)
    predict = both_ways(lambda: model.predict_proba(X[:n_predict]))
    print(json.dumps({"what": f"prediction of {n_predict} rows", **predict}), flush=True)
finally:
    busy.kill()
    busy.wait()
"""
#: models, and their numbers of threads. Two threads of HistGradientBoostingClassifier would wait for each other at
#: every node of every tree, which takes hundreds of times as long beside a busy process.
MODELS = {
    "sparsemlp": 2,
    "RandomForestClassifier": 2,
    "HistGradientBoostingClassifier": 1,
    "MLPClassifier": 2,
}
#: for all fits and predictions of one model
TIME_LIMIT = 900.0


def beside_a_busy_process(
    repeats: int, n_fit: int = 5000, n_predict: int = 10_000, models: Sequence[str] = tuple(MODELS)
) -> list[dict[str, Any]]:
    """Time fits and predictions in a process on two cores, with and without a busy process on one of them.

    Returns
    -------
    list of dict
        For each model and each of fit and prediction: ``model`` with its number of threads, ``what``, ``alone``
        and ``beside`` (median seconds). What could not be timed has ``failure``, the reason, in place of the
        seconds.
    """
    return [row for name in models for row in _timed(name, repeats, n_fit, n_predict)]


def _timed(name: str, repeats: int, n_fit: int, n_predict: int) -> list[dict[str, Any]]:
    n_threads = MODELS[name]
    label = f"{name}, {n_threads} thread{'s' if n_threads > 1 else ''}"
    if sys.platform != "linux":
        return [{"model": label, "what": "fit and prediction", "failure": "only Linux binds processes to cores"}]
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, name, *map(str, (repeats, n_fit, n_predict))],
        env=os.environ | {"OMP_NUM_THREADS": str(n_threads)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    failure = ""
    try:
        output, errors = process.communicate(timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        failure = f"took more than {TIME_LIMIT:.0f} s"
        os.killpg(process.pid, signal.SIGKILL)  # with its neighbour
        output, errors = process.communicate()
    rows = [{"model": label, **json.loads(line)} for line in output.splitlines()]
    if process.returncode:
        reason = failure or (errors.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
        rows.append({"model": label, "what": ("prediction" if rows else "fit"), "failure": reason})
    return rows
