"""Workers in processes of this machine's, and when to stop replacing those that are lost."""

import os
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from helpers.benchmark_toys import evaluation

from benchmarks.cli import UsageError
from benchmarks.data.splits import Size
from benchmarks.results.database import locate
from benchmarks.results.store import Store
from benchmarks.tabular.losses import Losses
from benchmarks.tabular.plan import Plan, Study
from benchmarks.tabular.plugins import Plugin
from benchmarks.tabular.processes import work_in_processes
from benchmarks.tabular.worker import MAX_LOST, WorkerConfig


@pytest.fixture
def store(tmp_path):
    store = Store.open(tmp_path)
    yield store
    store.close()


def order(folder, *plugins, seeds=(100,)):
    plan = Plan(tuple(Study("toy", Size.rows(60), seed, "slow") for seed in seeds), 0)
    return WorkerConfig(plan, locate(folder, None).render_as_string(), "run", threads=1, plugins=plugins)


def workers():
    children = psutil.Process().children()
    return [child for child in children if any("popen_loky" in part for part in child.cmdline())]


def test_a_worker_that_is_killed_is_replaced_and_the_others_are_not_disturbed(
    store, tmp_path, monkeypatch, request, capsys
):
    monkeypatch.chdir(request.config.rootpath)
    monkeypatch.setenv("TOY_SECONDS", "2")
    toys = Plugin.read(request.config.rootpath / "tests" / "helpers" / "benchmark_toys.py")
    owners, lost, killed = defaultdict(set), defaultdict(set), False
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work_in_processes, order(tmp_path, toys, seeds=(100, 101)), store, 2)
        while not running.done():
            leases = store.frame("leases")
            for lease in leases.itertuples():
                owners[lease.seed].add(lease.owner)
                lost[lease.seed].add(lease.n_lost)
            if len(leases) == 2 and not killed:
                workers()[0].kill()
                killed = True
            time.sleep(0.05)
    assert running.result() == [{}, {}]
    assert sorted(map(len, owners.values())) == [1, 2]
    assert sorted(map(sorted, lost.values())) == [[0], [0, 1]]
    assert store.frame("evaluations")["failure"].isna().tolist() == [True, True]
    assert capsys.readouterr().err == "a worker was killed; its evaluation begins again\n"


class Deadly:
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (1,)


def test_workers_that_are_killed_before_they_begin_are_not_replaced_for_ever(store, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.tabular.losses.MAX_LOST", 1)
    monkeypatch.setattr("benchmarks.tabular.processes._work", Deadly())
    with pytest.raises(UsageError, match="2 workers in a row were killed and no evaluation was finished"):
        work_in_processes(order(tmp_path), store, 1)
    assert workers() == []


def test_losses_are_counted_anew_whenever_an_evaluation_is_finished(store):
    losses = Losses(store, jobs=2)
    for seed in range(2):
        for _ in range(2 * MAX_LOST):
            losses.add()
        store.add_evaluation(evaluation(seed=seed))
    for _ in range(2 * MAX_LOST):
        losses.add()
    with pytest.raises(UsageError, match="9 workers in a row"):
        losses.add()
