"""What a busy process on one of two cores costs: fits and predictions beside it, over those without it."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

# Both processes are bound to cores before anything is imported, as pools of threads are sized at the import. The
# neighbour is stopped and continued, so that the two ways alternate.
SCRIPT = """
import json, os, signal, subprocess, sys, time, warnings
repeats, n_fit, n_predict = map(int, sys.argv[1:4])
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
    "sparsemlp": SparseInitMLPClassifier(random_state=0, device="cpu"),
    "RandomForestClassifier": RandomForestClassifier(n_jobs=2, random_state=0),
    "HistGradientBoostingClassifier": HistGradientBoostingClassifier(random_state=0),
    "MLPClassifier": MLPClassifier(random_state=0),
}
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
    for name in sys.argv[4:]:
        model = models[name]
        fit = both_ways(lambda: model.fit(X[:n_fit], y[:n_fit]))
        print(json.dumps({"model": name, "what": f"fit of {n_fit} rows", **fit}))
        predict = both_ways(lambda: model.predict_proba(X[:n_predict]))
        print(json.dumps({"model": name, "what": f"prediction of {n_predict} rows", **predict}))
finally:
    busy.kill()
    busy.wait()
"""


MODELS = ("sparsemlp", "RandomForestClassifier", "HistGradientBoostingClassifier", "MLPClassifier")


def beside_a_busy_process(
    repeats: int, n_fit: int = 5000, n_predict: int = 10_000, models: Sequence[str] = MODELS
) -> list[dict[str, Any]]:
    """Time fits and predictions in a process on two cores, with and without a busy process on one of them.

    Returns
    -------
    list of dict
        For each model and each of fit and prediction: ``model``, ``what``, ``alone`` and ``beside`` (median
        seconds). Empty where processes cannot be bound to two cores.
    """
    command = [sys.executable, "-c", SCRIPT, *map(str, (repeats, n_fit, n_predict)), *models]
    if sys.platform != "linux":
        return []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [] if done.returncode else [json.loads(line) for line in done.stdout.splitlines()]
