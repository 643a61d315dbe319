"""Commands and workers that are killed or interrupted, here and on a cluster: the rows of a run left alone."""

import contextlib
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

from benchmarks.__main__ import main
from benchmarks.cli import UsageError
from benchmarks.results.store import Store

ROOT = Path(__file__).parents[2]
KEY = ["task", "size", "seed", "model", "trial"]
RESULT = [
    *("parameters", "suggestions", "validation", "validation_score", "fold_scores", "pruned"),
    *("test_accuracy", "test_roc_auc", "test_log_loss", "test_brier", "calibration", "failure"),
]
TOYS = ["--plugin", "tests/helpers/benchmark_toys.py"]
PLAN = words("--tasks toy small gone --rows 60 --models slow broken --trials 4 --seeds 1")
N_ROWS = 2 * 2 * 5


def start(folder, *options, seconds=0.0):
    """Start the command in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "tabular", *TOYS, *PLAN, "--results", str(folder), *options],
        cwd=ROOT,
        env=os.environ | {"TOY_SECONDS": str(seconds)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "left out: gone (OpenML task 0) cannot be had" in errors


def rows(folder):
    store = Store.open(folder, create=False)
    frame = store.frame("evaluations").sort_values(KEY).reset_index(drop=True)
    store.close()
    return frame


def n_rows(folder):
    with contextlib.suppress(UsageError):  # not made yet
        return len(rows(folder))
    return 0


def wait_for_rows(folder, number, process):
    while n_rows(folder) < number:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)


def workers_of(process):
    """The processes that fit: descendants that have imported the project, but for multiprocessing's tracker."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The rows of a run left alone."""
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(start(folder))
    frame = rows(folder)
    assert len(frame) == N_ROWS
    return frame


def assert_same(folder, undisturbed):
    pd.testing.assert_frame_equal(rows(folder)[KEY + RESULT], undisturbed[KEY + RESULT])


def test_two_workers_one_of_which_is_killed_find_what_one_finds(undisturbed, tmp_path):
    process = start(tmp_path, "--jobs", "2", seconds=0.04)
    wait_for_rows(tmp_path, 3, process)
    random.Random(0).choice(workers_of(process)).kill()
    finish(process)
    assert_same(tmp_path, undisturbed)


def test_a_killed_command_leaves_nothing_running_and_ends_with_the_same_rows_when_run_again(undisturbed, tmp_path):
    process = start(tmp_path, "--jobs", "2", seconds=0.04)
    wait_for_rows(tmp_path, 4, process)
    helpers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert n_rows(tmp_path) < N_ROWS
    _, alive = psutil.wait_procs(helpers, timeout=30)
    assert alive == []
    finish(start(tmp_path))
    assert_same(tmp_path, undisturbed)


def test_ctrl_c_ends_the_workers_and_the_same_command_goes_on(undisturbed, tmp_path):
    process = start(tmp_path, seconds=0.04)
    wait_for_rows(tmp_path, 2, process)
    helpers = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "interrupted; the same command goes on from here", errors
    assert "Traceback" not in errors
    _, alive = psutil.wait_procs(helpers, timeout=30)
    assert alive == []
    finish(start(tmp_path))
    assert_same(tmp_path, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_kills_at_random_moments_cost_only_what_was_running(undisturbed, tmp_path, seed):
    moments = random.Random(seed)
    process = start(tmp_path, "--jobs", "2", seconds=0.04)
    wait_for_rows(tmp_path, 1, process)
    for number in range(5):  # of 20 in all
        time.sleep(moments.uniform(0.1, 1.5))
        if process.poll() is not None:
            break
        before = n_rows(tmp_path)
        if number < 4 and (workers := workers_of(process)):
            moments.choice(workers).kill()
        else:
            process.kill()
            process.wait()
            process = start(tmp_path, "--jobs", "2", seconds=0.04)
        assert n_rows(tmp_path) >= before
    process.communicate(timeout=300)
    finish(start(tmp_path)) if n_rows(tmp_path) < N_ROWS else None
    assert_same(tmp_path, undisturbed)


# Clusters --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def dask(*arguments, folder):
    """Run one of dask's programs in ``folder``, where this project's code is not to be found."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-P", "-m", *map(str, arguments)]
    with (folder / "log").open("a") as log:
        running = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env=environment | {"TOY_SECONDS": "0.04"}
        )
    try:
        yield running
    finally:
        for process in [*psutil.Process(running.pid).children(recursive=True), running]:
            process.kill()
        running.wait()


@contextlib.contextmanager
def cluster(folder, *options):
    """A scheduler and two workers: the scheduler's address."""
    with contextlib.ExitStack() as stack:
        file = folder / "scheduler.json"
        at = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file)
        stack.enter_context(dask("distributed.cli.dask_scheduler", *at, folder=folder))
        deadline = time.monotonic() + 60
        while not file.exists():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        options = ("--scheduler-file", file, "--no-dashboard", *options)
        stack.enter_context(dask("distributed.cli.dask_worker", *options, folder=folder))
        from dask.distributed import Client

        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(1, timeout=60)
            yield client


@pytest.mark.slow
def test_a_cluster_of_which_a_worker_is_killed_finds_what_one_process_finds_twice(undisturbed, tmp_path):
    with cluster(tmp_path, "--nthreads", "1", "--nworkers", "2") as client:
        for name in ("first", "second"):  # the second command meets the first one's code and environment
            folder = tmp_path / name
            process = start(folder, "--scheduler", client.scheduler.address)
            wait_for_rows(folder, 3, process)
            pids = client.run(os.getpid)
            os.kill(next(iter(pids.values())), signal.SIGKILL)
            finish(process)
            assert_same(folder, undisturbed)
            assert set(rows(folder)["threads"]) == {1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--nthreads", "2"), "its workers have 2 threads; start them with --nthreads 1"),
        (("--nthreads", "1", "--no-nanny"), "its workers have no nanny"),
    ],
)
def test_a_cluster_whose_workers_will_not_do_is_one_line(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(ROOT)
    with cluster(tmp_path, *options) as client:
        command = [
            "tabular",
            *PLAN[4:],
            "--tasks",
            "wine",
            "--models",
            "rf",
            "--results",
            str(tmp_path / "results"),
        ]
        assert main([*command, "--scheduler", client.scheduler.address]) == 2
    assert message in one_error(capsys)


def test_a_cluster_with_other_packages_is_one_line(tmp_path, monkeypatch, capsys):
    from benchmarks import environment

    versions = environment.versions() | {"numpy": "0.0.1", "optuna": "0.0.2"}
    monkeypatch.setattr(environment, "versions", lambda: versions)
    with cluster(tmp_path, "--nthreads", "1") as client:
        command = ["tabular", "--tasks", "wine", "--models", "rf", "--results", str(tmp_path / "results")]
        assert main([*command, "--scheduler", client.scheduler.address]) == 2
    error = one_error(capsys)
    assert "its workers have other packages: numpy " in error
    assert "(here: 0.0.1), optuna " in error


def test_a_scheduler_that_does_not_answer_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.engine.CONNECT_SECONDS", 1)
    command = ["tabular", "--tasks", "wine", "--models", "rf", "--results", str(tmp_path)]
    assert main([*command, "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "--scheduler tcp://127.0.0.1:9 cannot be reached" in one_error(capsys)


def one_error(capsys):
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    return line
