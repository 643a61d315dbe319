"""How the runs of a frontier share batches, threads and memory, and how they end by Ctrl-C."""

import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.frontier_runs import CPU, QUICK, make_setting

import sparsemlp.frontier._scheduling as batches_module
from sparsemlp.frontier import Run, make_batches, success_frontier, train_runs
from sparsemlp.frontier._run_batch import RunBatch, train_to_success
from sparsemlp.frontier._run_data import N_TEST
from sparsemlp.lottery import ticket_experiment


def test_runs_share_a_batch_where_one_network_and_one_optimizer_do_for_all():
    settings = [
        make_setting(n_samples=m, sparsity=s, flip_y=f) for m in (20, 60) for s in (2, None) for f in (0, 0.1)
    ]
    assert [
        len(batch) for batch in make_batches([Run(setting, i) for setting in settings for i in (0, 1)], CPU)
    ] == [16]
    apart = [
        make_setting(),
        make_setting(width=11),
        make_setting(loss="squared"),
        make_setting(weight_decay=0),
        make_setting(),
    ]
    apart += [make_setting(max_steps=10), make_setting(learning_rate=0.2), make_setting(n_samples=None)]
    apart += [make_setting(decay="uncoupled"), make_setting(batch_size=9), make_setting(n_features=13)]
    runs = [Run(setting, i) for i, setting in enumerate(apart)]
    batches = list(make_batches(runs, CPU))
    shared = [sorted(run.number for run in batch) for batch in batches]
    assert sorted(shared) == [[0, 4], [1], [2], [3], *([i] for i in range(5, 11))]


def test_batches_fit_in_memory_and_change_no_outcome(monkeypatch):
    together = success_frontier(n_samples=200, width=30, n_runs=5, **QUICK)
    monkeypatch.setattr(batches_module, "_memory_bytes", lambda device: 16_000_000)
    sizes = [len(batch) for batch in make_batches([Run(make_setting(n_samples=200), i) for i in range(50)], CPU)]
    assert sum(sizes) == 50
    assert max(sizes) * N_TEST * 12 * 4 < 4_000_000
    apart = success_frontier(n_samples=200, width=30, n_runs=5, **QUICK)
    pd.testing.assert_frame_equal(together, apart, check_exact=True)


@pytest.mark.parametrize("loss", ["hinge", "cross_entropy"])
@pytest.mark.parametrize(("batch_size", "width"), [(1, 10), (7, 1), (8, 30), (32, 100)])
def test_a_run_trains_to_the_same_bits_in_any_company(loss, batch_size, width):
    run, *others = [
        Run(make_setting(loss=loss, batch_size=batch_size, width=width, sparsity=s), i)
        for i in range(4)
        for s in (2, None)
    ]
    trained = []
    with torch.no_grad():
        for n_others in (0, 1, 2, 7):
            training = RunBatch([*others[:n_others], run], CPU)
            training.advance(20)
            training.keep([0, n_others] if n_others > 1 else [n_others])
            training.advance(20)
            trained.append([values[-1] for values in training.module.parameters()])
    assert all(values.isfinite().all() for values in trained[0])
    for among in trained[1:]:
        assert all(torch.equal(*pair) for pair in zip(among, trained[0], strict=True))


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_row_is_equal_to_the_bit_whatever_the_numbers_of_runs_settings_and_threads(n_threads):
    options = QUICK | {"n_samples": 60, "width": 30, "n_threads": n_threads}
    alone = success_frontier(sparsity=2, n_runs=1, **(options | {"n_threads": 1}))
    for n_runs, sparsity in ((1, 2), (2, 2), (3, (2, None)), (8, (2, None))):
        rows = success_frontier(sparsity=sparsity, n_runs=n_runs, **options)
        pd.testing.assert_frame_equal(rows.iloc[:1], alone, check_exact=True)
        assert set(rows["device"]) == {"cpu"}


def test_a_batch_holds_no_more_rows_than_its_share_of_the_memory(monkeypatch):
    memory = 64_000_000
    monkeypatch.setattr(batches_module, "_memory_bytes", lambda device: memory)
    batch = next(make_batches([Run(make_setting(n_samples=100_000), i) for i in range(8)], CPU))
    training = RunBatch(batch, CPU)
    held = training.rows.nbytes + sum(data.x.nbytes + data.test_x.nbytes for data in training.data)
    assert held <= memory * batches_module.MEMORY_SHARE


def test_one_run_trains_even_where_it_is_too_large(monkeypatch):
    monkeypatch.setattr(batches_module, "_memory_bytes", lambda device: 1)
    assert [len(batch) for batch in make_batches([Run(make_setting(), i) for i in range(3)], CPU)] == [1, 1, 1]


def test_progress_accounts_for_all_steps_of_all_runs():
    runs = [
        Run(make_setting(n_samples=m, width=width), i) for m in (30, 400) for width in (5, 40) for i in range(3)
    ]
    over, batches = {5: 0, 40: 0}, []

    def add(setting, n_steps):
        over[setting.width] += n_steps

    outcomes = train_runs(runs, CPU, 1, on_batch=batches.append, on_progress=add)
    assert over == {5: 6 * 750, 40: 6 * 750}
    assert any(outcome.n_steps < 750 for outcome in outcomes)
    assert [outcome.run for outcome in outcomes] == runs
    trained = [outcome.run for batch in batches for outcome in batch]
    assert len(trained) == len(runs)
    assert set(trained) == set(runs)


@pytest.fixture
def ctrl_c():
    """Ctrl-C as in a terminal; a shell's background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("study", [success_frontier, ticket_experiment])
def test_ctrl_c_ends_training_at_the_next_look(study, monkeypatch):
    looks = []

    def advance(training, n_steps):
        if len(looks) == 10:  # the main thread is waiting by now: Python sees no signal in the moment before
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        looks.append(n_steps)
        time.sleep(0.01)
        training.n_steps += n_steps

    monkeypatch.setattr(RunBatch, "advance", advance)
    with pytest.raises(KeyboardInterrupt):
        study(12, 5, width=5, n_runs=2, max_steps=100_000, device="cpu", n_threads=2)
    assert len(looks) < 100, "each batch has 400"


@pytest.mark.parametrize("study", [success_frontier, ticket_experiment])
def test_batches_are_told_of_by_one_thread_at_a_time(study):
    inside, n_told = threading.Lock(), []

    def on_batch(table):
        assert inside.acquire(blocking=False)
        time.sleep(0.2)  # all other batches end meanwhile
        inside.release()
        n_told.append(len(table))

    study(12, 5, width=5, n_runs=4, max_steps=1, device="cpu", n_threads=4, on_batch=on_batch)
    assert len(n_told) == 4


def test_progress_and_batches_are_told_of_by_one_thread_at_a_time():
    inside = threading.Lock()

    def told(*args):
        assert inside.acquire(blocking=False)
        time.sleep(0.02)
        inside.release()

    runs = [Run(make_setting(max_steps=2), i) for i in range(4)]
    assert len(train_runs(runs, CPU, 4, on_batch=told, on_progress=told)) == 4


@pytest.fixture
def double_by_default():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("double_by_default")
@pytest.mark.parametrize("n_samples", [200, None])
@pytest.mark.parametrize("init", ["sign", "normal"])
def test_training_is_in_single_precision_whatever_torchs_default(n_samples, init):
    settings = [make_setting(n_samples=n_samples, init=init, sparsity=s, width=50) for s in (2, None)]
    runs = [Run(setting, 0) for setting in settings]
    training = RunBatch(runs, CPU)
    assert {value.dtype for value in training.module.parameters()} == {torch.float32}
    assert all(np.isfinite(outcome.test_error) for outcome in train_to_success(training, with_curves=True))


@pytest.mark.usefixtures("double_by_default")
def test_tickets_are_trained_whatever_torchs_default():
    assert len(ticket_experiment(12, 2, width=50, n_runs=1, max_steps=250, device="cpu")) == 3
