"""The threads that members train in: each takes the next piece of work, and nothing that one raises is lost."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.small import LooksAtBatches, labelled_rows, small_classifier
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sparsemlp._training import threads
from sparsemlp._training.net import ClassifierNet
from sparsemlp._training.step import TrainingStep
from sparsemlp._training.threads import compute_threads

THREADS_OF_THE_SYSTEM = Path("/proc/self/task")


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("n_functions", [1, 2, 7])
def test_every_function_runs_once(n_threads, n_functions):
    ran = []
    with compute_threads(n_threads) as compute:
        functions = [lambda i=i: ran.append((i, threading.current_thread().name)) for i in range(n_functions)]
        compute(compute.run_all, [[function] for function in functions])
    assert sorted(i for i, _ in ran) == list(range(n_functions))
    assert all(name.startswith("sparsemlp") for _, name in ran)


def test_a_thread_that_is_held_up_leaves_the_rest_to_the_other():
    ran = []
    raise_if_cancelled = threading.Event()

    def held_up():
        assert raise_if_cancelled.wait(60)

    with compute_threads(2) as compute:
        last = [lambda: ran.append("last"), raise_if_cancelled.set]
        functions = [held_up, *(lambda i=i: ran.append(i) for i in range(5)), *last]
        compute(compute.run_all, [[function] for function in functions])
    assert ran == [0, 1, 2, 3, 4, "last"]


@pytest.mark.parametrize("n_chains", [2, 3, 5])
def test_threads_take_turns_with_chains_which_are_run_in_order(n_chains):
    ran, both_run = [], threading.Barrier(2, timeout=60)

    def run(*what):
        both_run.wait()
        ran.append(what)

    with compute_threads(2) as compute:
        chains = [[partial(run, chain, position) for position in range(2)] for chain in range(n_chains)]
        compute(compute.run_all, chains)
    assert sorted(ran) == [(chain, position) for chain in range(n_chains) for position in range(2)]
    assert all(ran.index((chain, 0)) < ran.index((chain, 1)) for chain in range(n_chains))


@pytest.mark.parametrize("position", range(4))
def test_what_any_function_raises_is_raised(position):
    def fail():
        raise RuntimeError("on the way")

    with compute_threads(2) as compute:
        functions = [lambda: None] * 4
        functions[position] = fail
        with pytest.raises(RuntimeError, match="on the way"):
            compute(compute.run_all, [[function] for function in functions])


def in_a_new_thread(function):
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function).result()


def test_threads_flush_denormal_numbers_and_the_caller_is_left_as_it_was():
    before = torch.get_num_threads()
    denormal = torch.tensor([1e-40])
    with compute_threads(2, n_inner=1) as compute:
        assert [part.item() for part in compute.map([lambda: denormal * 0.5] * 2)] == [0, 0]
        assert compute(torch.get_num_threads) == 1
    assert torch.get_num_threads() == before
    assert (denormal * 0.5).item() > 0


@pytest.mark.parametrize("n_inner", [1, 2, 3])
def test_threads_that_are_not_ours_keep_their_number(n_inner):
    before, others = torch.get_num_threads(), in_a_new_thread(torch.get_num_threads)
    with compute_threads(2, n_inner) as compute:
        assert compute(torch.get_num_threads) == n_inner
        assert in_a_new_thread(torch.get_num_threads) == others
    with threadpool_limits(1):
        small_classifier().fit(*labelled_rows())
    assert (torch.get_num_threads(), in_a_new_thread(torch.get_num_threads)) == (before, others)


def test_the_number_of_new_threads_is_kept_where_it_is_not_the_callers():
    before = torch.get_num_threads()
    in_a_new_thread(lambda: torch.set_num_threads(before + 2))
    try:
        with compute_threads(2, 1) as compute:
            assert compute.map([torch.get_num_threads] * 4) == [1] * 4
            assert in_a_new_thread(torch.get_num_threads) == before + 2
            assert torch.get_num_threads() == before
    finally:
        in_a_new_thread(lambda: torch.set_num_threads(before))


@pytest.mark.skipif(not THREADS_OF_THE_SYSTEM.exists(), reason="the system does not list its threads")
def test_threads_are_gone_when_they_have_ended():  # a fork in the moment in which one ends breaks MKL's memory
    def product():
        torch.ones(64, 64) @ torch.ones(64, 64)
        return threading.get_native_id()

    for _ in range(50):
        with compute_threads(2, n_inner=1) as compute:
            numbers = set(compute.map([product] * 4))
        assert not numbers & {int(path.name) for path in THREADS_OF_THE_SYSTEM.iterdir()}


def test_ctrl_c_while_threads_start_leaves_none_and_their_number_as_it_was(monkeypatch):
    others, prepare = in_a_new_thread(torch.get_num_threads), threads._prepare_thread

    def slow(*args):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.05)  # for the main thread to take notice
        return prepare(*args)

    monkeypatch.setattr(threads, "_prepare_thread", slow)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # programs in the background ignore it
    try:
        with pytest.raises(KeyboardInterrupt), compute_threads(1, others + 1):
            pass
    finally:
        signal.signal(signal.SIGINT, handler)
    assert not any(thread.name.startswith("sparsemlp") for thread in threading.enumerate())
    assert in_a_new_thread(torch.get_num_threads) == others


def test_fits_at_the_same_time_give_what_each_gives_alone():
    X, y = labelled_rows()

    def fitted(seed):
        return small_classifier(n_members=4, random_state=seed).fit(X, y).decision_function(X)

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        alone = [fitted(seed) for seed in range(4)]
        with ThreadPoolExecutor(4) as executor:
            together = list(executor.map(fitted, range(4)))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("path", ["one thread", "two threads", "autograd"])
@pytest.mark.parametrize("n_interrupts", [1, 2])
def test_ctrl_c_ends_an_epoch_on_its_way_and_waits_for_its_threads(path, n_interrupts, monkeypatch):
    X, y = labelled_rows(1000)
    steps, left, lock = [], [n_interrupts], threading.Lock()

    def interrupting(method):
        def interrupted(*args, **kwargs):
            steps.append(1)
            with lock:
                presses = len(steps) >= 5 and left[0] > 0
                left[0] -= presses
            if presses:
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.01)  # for the main thread to take notice
            return method(*args, **kwargs)

        return interrupted

    if path == "autograd":
        monkeypatch.setattr(ClassifierNet, "train_step", interrupting(ClassifierNet.train_step))
    else:
        monkeypatch.setattr(TrainingStep, "__call__", interrupting(TrainingStep.__call__))
    callbacks = [LooksAtBatches()] if path == "autograd" else None
    net = small_classifier(batch_size=1, callbacks=callbacks)
    monkeypatch.setattr("sparsemlp._training.interrupts._latest", -np.inf)
    before = torch.get_num_threads()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # programs in the background ignore it
    try:
        torch.set_num_threads(2 if path == "two threads" else 1)
        # a second one that the system does not merge with the first is passed on
        passed_on = contextlib.suppress(KeyboardInterrupt) if n_interrupts == 2 else contextlib.nullcontext()
        with warnings.catch_warnings(), passed_on:
            warnings.simplefilter("ignore", ConvergenceWarning)
            net.fit(X, y)
    finally:
        signal.signal(signal.SIGINT, handler)
        torch.set_num_threads(before)
    assert len(steps) < 500  # of a thousand in the first epoch
    assert not any(thread.name.startswith("sparsemlp") for thread in threading.enumerate())
    assert net.history_ == []
    assert np.isfinite(net.decision_function(X)).all()


LATE = """
import atexit, sys, threading, time
from helpers.small import labelled_rows, small_classifier

X, y = labelled_rows()
net = small_classifier(n_members=4, early_stopping="out_of_fold")

def fit(main_thread_ended):
    if main_thread_ended:
        threading.main_thread().join()
    sys.stdout.write(f"{net.fit(X, y).decision_function(X).tobytes().hex()}\\n")
    sys.stdout.flush()

fit(False)
if sys.argv[1] == "thread":
    threading.Thread(target=fit, args=[True]).start()
else:
    atexit.register(fit, False)
"""


@pytest.mark.parametrize("when", ["thread", "atexit"])
def test_a_fit_may_outlive_the_main_thread(when):
    paths = [".", "tests"]
    code = f"import sys; sys.path[:0] = {paths!r}\n{LATE}"
    done = subprocess.run([sys.executable, "-c", code, when], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    first, second = done.stdout.split()
    assert first == second


@pytest.mark.parametrize("n_threads", [2, 3, 4])
def test_groups_of_members_that_threads_take_turns_with_are_trained_as_in_one_thread(n_threads, monkeypatch):
    monkeypatch.setattr("sparsemlp.module.GROUP_VALUES", 1)  # a member is a group, as of the default width
    X, y = labelled_rows(300)
    net, before = small_classifier(n_members=5, weight_averaging=True, batch_size=20), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        expected = net.fit(X, y).decision_function(X)
        torch.set_num_threads(n_threads)
        np.testing.assert_array_equal(net.fit(X, y).decision_function(X), expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("n_started", [0, 1])
def test_where_threads_cannot_be_started_there_are_the_same_results(n_started, monkeypatch):
    X, y = labelled_rows()
    net = small_classifier(n_members=4, early_stopping="out_of_fold")
    before, denormal = torch.get_num_threads(), torch.tensor([1e-40])
    torch.set_num_threads(2)
    try:
        expected = net.fit(X, y).decision_function(X)
        start, started = threading.Thread.start, []

        def refuse(thread):
            if len(started) >= n_started and thread.name.startswith("sparsemlp"):
                raise RuntimeError("can't create new thread at interpreter shutdown")
            started.append(thread.name)
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)
        np.testing.assert_array_equal(net.fit(X, y).decision_function(X), expected)
        assert torch.get_num_threads() == 2
        assert (denormal * 0.5).item() > 0
    finally:
        torch.set_num_threads(before)


def test_what_cannot_be_prepared_is_raised_and_nothing_waits(monkeypatch):
    def broken(n_inner, use_callers_cuda):
        raise RuntimeError("no such device")

    monkeypatch.setattr("sparsemlp._training.threads._prepare_thread", broken)
    with compute_threads(2) as compute, pytest.raises(RuntimeError, match="no such device"):
        compute(int)


def test_after_a_function_that_failed_those_not_begun_are_not_run():
    ran = []

    def fail():
        raise RuntimeError("on the way")

    with compute_threads(1) as compute, pytest.raises(RuntimeError, match="on the way"):
        compute.map([fail, *[lambda: time.sleep(0.2) or ran.append(1)] * 50])
    assert len(ran) < 10
