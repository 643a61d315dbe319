"""Workers: what a call meets there, and what happens to calls that raise, take too long or lose their worker."""

import multiprocessing
import os
import signal
import threading
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.engine import LostError, Workers


def returned(workers, function, *arguments, times=1):
    """What the function returns on the workers, one chain for each time."""
    found = []
    workers.run([lambda call: found.append(call(function, *arguments))] * times)
    return found


def surroundings():
    """Where a call runs, how many threads libraries may use, and what a fit with OpenMP adds to the threads."""
    import joblib
    import torch
    from sklearn.datasets import make_classification
    from sklearn.ensemble import HistGradientBoostingClassifier

    X, y = make_classification(200, random_state=0)
    n_threads = []
    for _ in range(3):
        n_threads.append(len(list(Path("/proc/self/task").iterdir())))
        HistGradientBoostingClassifier(max_iter=3).fit(X, y)
    return {
        "process": os.getpid(),
        "thread": threading.get_native_id(),
        "torch": torch.get_num_threads(),
        "joblib": joblib.cpu_count(),
        "added": [after - before for before, after in pairwise(n_threads)],
        "malloc": os.environ.get("MALLOC_TRIM_THRESHOLD_"),
    }


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted where the kernel lists them")
@pytest.mark.parametrize(("jobs", "threads"), [(1, 2), (2, 1)])
def test_a_fit_runs_in_the_only_computing_thread_of_a_process_with_the_threads_asked_for(jobs, threads):
    found = returned(Workers(jobs=jobs, threads=threads), surroundings, times=4)
    processes = {each["process"] for each in found}
    assert os.getpid() not in processes
    assert len(processes) <= jobs
    assert len({each["thread"] for each in found}) == len(processes), "one thread a process makes all calls"
    assert {each["torch"] for each in found} == {threads}
    assert {each["joblib"] for each in found} == {min(threads, os.cpu_count())}
    assert all(each["added"][1] == 0 for each in found), (
        "one pool of OpenMP threads, which the next fit uses again"
    )
    assert found[0]["added"][0] == threads - 1
    assert {each["malloc"] for each in found} == {None}


def test_the_environment_is_as_it_was_afterwards(monkeypatch, workers_in_threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    before = dict(os.environ)
    assert returned(Workers(threads=3), os.getenv, "OMP_NUM_THREADS") == ["3"]
    assert os.environ == before


def raise_if(number, wrong):
    if number == wrong:
        raise ValueError(f"not {number}")
    return number


def test_a_chain_makes_its_calls_one_after_the_other_and_is_thrown_what_they_raise(workers_in_threads):
    log = []

    def chain(first, call):
        for number in range(first, first + 3):
            try:
                log.append(call(raise_if, number, 11))
            except ValueError as error:
                log.append(str(error))

    Workers(jobs=2).run(partial(chain, first) for first in (0, 10, 20))
    assert sorted(map(str, log)) == ["0", "1", "10", "12", "2", "20", "21", "22", "not 11"]
    for start in (0, 20):
        assert [number for number in log if number in range(start, start + 3)] == list(range(start, start + 3))


def test_what_a_chain_raises_itself_ends_the_run(workers_in_threads):
    def chain(call):
        call(raise_if, 0, 1)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Workers().run([chain])


def test_what_a_chain_raises_ends_the_other_chains_and_their_calls():
    def endless(call):
        call(time.sleep, 1000)

    def chain(call):
        call(time.sleep, 1)
        raise KeyError("mine")

    before = multiprocessing.active_children()
    with pytest.raises(KeyError, match="mine"):
        Workers(jobs=2).run([endless, chain])
    assert multiprocessing.active_children() == before


def kill_myself(log, times):
    """Count the attempts in a file; the first ones end with the process."""
    with Path(log).open("a") as file:
        file.write("x")
    if len(Path(log).read_text()) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return len(Path(log).read_text())


def test_a_call_that_loses_its_worker_is_made_again_and_after_four_losses_given_up(tmp_path):
    outcomes = {}
    before = multiprocessing.active_children()

    def chain(name, times, call):
        try:
            outcomes[name] = call(kill_myself, str(tmp_path / name), times)
        except LostError as error:
            outcomes[name] = str(error)
        outcomes[name + " next"] = call(kill_myself, str(tmp_path / name), 0)

    Workers().run([partial(chain, "once", 1), partial(chain, "always", 99)])
    assert outcomes["once"] == 2
    assert outcomes["always"] == "4 workers were lost during it, as when memory runs out"
    assert outcomes["always next"] == 5
    assert multiprocessing.active_children() == before


def hold(gibibytes):
    held = b"x" * int(gibibytes * 2**30)
    time.sleep(2)
    return len(held)


def test_a_call_over_its_time_limit_is_given_up_and_one_without_goes_on():
    outcomes = {}

    def chain(limited, call):
        try:
            outcomes[limited] = call(time.sleep, 1000.0 if limited else 3.0, limited=limited)
        except LostError as error:
            outcomes[limited] = str(error)
            outcomes["next"] = call(raise_if, 5, 0)

    Workers(jobs=2, seconds=1.0).run(partial(chain, limited) for limited in (True, False))
    assert outcomes == {True: "time limit: not finished within 1 s", "next": 5, False: None}


@pytest.mark.slow
def test_a_worker_over_its_memory_limit_is_lost():
    outcomes = []

    def chain(call):
        outcomes.append(call(hold, 0.01))
        try:
            call(hold, 0.6)
        except LostError as error:
            outcomes.append(str(error))

    Workers(gibibytes=0.5).run([chain])
    assert outcomes[1:] == ["4 workers were lost during it, as when memory runs out (limit: 0.5 GiB)"]
