"""A run on a dask cluster on this machine, one of whose workers is killed on the way."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from helpers.benchmark_toys import words

from benchmarks.__main__ import main
from benchmarks.results.database import locate
from benchmarks.results.store import Store

distributed = pytest.importorskip("distributed")

ROOT = Path(__file__).parents[2]
PLAN = words(
    "--plugin tests/helpers/benchmark_toys.py --tasks toy small gone --train-size 60 --models slow broken"
)
PLAN += words("--trials 4 --seeds 1")
KEY = ["task", "size", "seed", "model", "trial"]
RESULT = ["parameters", "validation_score", "fold_scores", "test_accuracy", "test_log_loss", "failure"]


@contextlib.contextmanager
def process(*arguments, folder):
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
        running.kill()
        running.wait()


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers: the scheduler's address and the workers' processes."""
    with contextlib.ExitStack() as stack:
        file = tmp_path / "scheduler.json"
        options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file)
        stack.enter_context(process("distributed.cli.dask_scheduler", *options, folder=tmp_path))
        deadline = time.monotonic() + 60
        while not file.exists():
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.1)
        options = ("--scheduler-file", file, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        workers = []
        for number in range(2):
            folder = tmp_path / f"worker-{number}"
            folder.mkdir()
            workers.append(stack.enter_context(process("distributed.cli.dask_worker", *options, folder=folder)))
        with distributed.Client(scheduler_file=str(file)) as client:
            client.wait_for_workers(2, timeout=60)
            yield client.scheduler.address, workers


def rows(storage):
    store = Store.open(locate(Path("unused"), storage), create=False)
    frame = store.frame("evaluations").sort_values(KEY).reset_index(drop=True)
    store.close()
    return frame


def code(folder):
    """The fingerprint that the one environment of these results has."""
    store = Store.open(folder, create=False)
    versions = store.frame("environments")["versions"].item()
    store.close()
    return json.loads(versions)["sparsemlp code"]


def start(*options):
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "tabular", *PLAN, *options],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_workers_on_a_cluster_find_what_this_process_finds(cluster, tmp_path, monkeypatch, registries):
    address, _ = cluster
    monkeypatch.chdir(ROOT)
    plan = words(
        "--plugin tests/helpers/benchmark_toys.py --tasks toy --train-size 60 --models nearest "
        "--trials 2 --seeds 1"
    )
    there, here = tmp_path / "there", tmp_path / "here"
    assert main(["tabular", *plan, "--results", str(there), *words(f"--backend dask --scheduler {address}")]) == 0
    assert main(["tabular", *plan, "--results", str(here)]) == 0
    found, expected = (rows(f"sqlite:///{folder / 'results.sqlite'}") for folder in (there, here))
    pd.testing.assert_frame_equal(found[KEY + RESULT], expected[KEY + RESULT])
    assert len(found) == 3
    assert (found["threads"] == 1).all()
    assert code(there) == code(here)  # there it comes from a zip file


@pytest.mark.slow
def test_a_cluster_of_which_a_worker_is_killed_finds_what_one_process_finds(cluster, tmp_path):
    address, workers = cluster
    storage = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    options = words(f"--backend dask --scheduler {address} --jobs 2 --lease 2")
    running = start("--storage", storage, *options)
    deadline = time.monotonic() + 200
    while True:  # until both workers are at work
        assert time.monotonic() < deadline
        with contextlib.suppress(Exception):  # the store may not be there yet
            if rows(storage)["model"].nunique() == 2:
                break
        time.sleep(0.1)
    workers[0].kill()
    _, errors = running.communicate(timeout=300)
    assert running.returncode == 0, errors
    assert "left out: gone (OpenML task 0) cannot be had" in errors

    alone = start("--results", str(tmp_path / "alone"))
    assert alone.wait(300) == 0
    found, expected = rows(storage), rows(f"sqlite:///{tmp_path / 'alone' / 'results.sqlite'}")
    pd.testing.assert_frame_equal(found[KEY + RESULT], expected[KEY + RESULT])
    assert len(found) == 2 * 2 * 5
    assert (found["threads"] == 1).all()


def test_a_scheduler_that_is_not_there_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("benchmarks.tabular.cluster.CONNECT_SECONDS", 1)
    options = words("--backend dask --scheduler tcp://127.0.0.1:9")
    assert main(["tabular", *PLAN, *options, "--results", str(tmp_path)]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(lines) == 1
    assert "--scheduler tcp://127.0.0.1:9 cannot be reached" in lines[0]
