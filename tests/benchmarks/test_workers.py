"""Workers that share a store, some of which are killed: every row once, and the rows of a run left alone."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from helpers.benchmark_toys import words
from sqlalchemy.exc import OperationalError

from benchmarks.cli import UsageError
from benchmarks.results.database import locate
from benchmarks.results.store import Store

ROOT = Path(__file__).parents[2]
KEY = ["task", "size", "seed", "model", "trial"]
RESULT = [
    *("parameters", "suggestions", "validation", "validation_score", "fold_scores", "pruned"),
    *("test_accuracy", "test_roc_auc", "test_log_loss", "test_brier", "calibration", "failure"),
]
PLAN = words("--tasks toy small --train-size 60 --models slow broken --trials 4 --seeds 1")
N_ROWS = 2 * 2 * 5


def start(storage, *options, seconds=0.0, **environment):
    """Start the command in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "tabular", "--plugin", "tests/helpers/benchmark_toys.py", *PLAN]
    return subprocess.Popen(
        [*command, "--storage", storage, *options],
        cwd=ROOT,
        env=os.environ | {"TOY_SECONDS": str(seconds), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


def rows(storage):
    store = Store.open(locate(Path("unused"), storage), create=False)
    frame = store.frame("evaluations").sort_values(KEY).reset_index(drop=True)
    running = store.running()
    store.close()
    assert running == [], "every lease was given back"
    return frame


def n_rows(storage):
    try:
        store = Store.open(locate(Path("unused"), storage), create=False)
    except (UsageError, OperationalError):  # not made yet
        return 0
    try:
        return len(store.finished())
    finally:
        store.close()


def wait_for_rows(storage, number):
    deadline = time.monotonic() + 200
    while n_rows(storage) < number:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The rows of a run left alone, and how many fits it took."""
    folder = tmp_path_factory.mktemp("undisturbed")
    storage = f"sqlite:///{folder / 'results.sqlite'}"
    finish(start(storage, TOY_LOG=str(folder / "log")))
    frame = rows(storage)
    assert len(frame) == N_ROWS
    return frame, (folder / "log").read_text().count("fit")


def assert_same(storage, undisturbed):
    pd.testing.assert_frame_equal(rows(storage)[KEY + RESULT], undisturbed[0][KEY + RESULT])


def test_two_commands_on_one_store_share_the_work_and_do_nothing_twice(undisturbed, tmp_path):
    storage, log = f"sqlite:///{tmp_path / 'results.sqlite'}", tmp_path / "log"
    processes = [start(storage, seconds=0.01, TOY_LOG=str(log)) for _ in range(2)]
    for process in processes:
        finish(process)
    assert_same(storage, undisturbed)
    assert log.read_text().count("fit") == undisturbed[1]


@pytest.mark.slow
def test_workers_killed_at_random_moments_cost_nothing_but_their_running_evaluation(storage, undisturbed):
    moments = random.Random(0)
    workers = [start(storage, "--lease", "2", seconds=0.04) for _ in range(2)]
    wait_for_rows(storage, 1)
    for _ in range(3):
        time.sleep(moments.uniform(0.1, 1.0))
        before = n_rows(storage)
        victim = workers.pop(moments.randrange(len(workers)))
        victim.kill()
        victim.wait()
        assert n_rows(storage) >= before
        workers.append(start(storage, "--lease", "2", seconds=0.04))
    for worker in workers:
        finish(worker)
    assert_same(storage, undisturbed)


@pytest.mark.slow
def test_a_killed_command_leaves_nothing_running_and_ends_with_the_same_rows_when_run_again(undisturbed, tmp_path):
    storage = f"sqlite:///{tmp_path / 'results.sqlite'}"
    for number, jobs in ((3, "1"), (10, "2")):
        process = start(storage, "--lease", "1", "--jobs", jobs, seconds=0.02)
        wait_for_rows(storage, number)
        helpers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        assert n_rows(storage) < N_ROWS
        _, alive = psutil.wait_procs(helpers, timeout=30)
        assert alive == []
    finish(start(storage, "--lease", "1"))
    assert_same(storage, undisturbed)


@pytest.mark.slow
def test_a_command_with_several_jobs_outlives_one_that_is_killed(undisturbed, tmp_path):
    storage = f"sqlite:///{tmp_path / 'results.sqlite'}"
    process = start(storage, "--jobs", "2", seconds=0.04)
    wait_for_rows(storage, 3)
    workers = [
        child
        for child in psutil.Process(process.pid).children()
        if any("popen_loky" in part for part in child.cmdline())
    ]
    os.kill(workers[-1].pid, signal.SIGKILL)
    assert "a worker was killed" in finish(process)
    assert_same(storage, undisturbed)
