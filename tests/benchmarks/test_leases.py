"""Leases: who may do what, on SQLite and on PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.benchmark_toys import evaluation
from sqlalchemy.exc import IntegrityError

from benchmarks.results.database import locate
from benchmarks.results.store import Store
from benchmarks.tabular import leases as module

STUDY = ("toy", "rows:100", 100, "rf")


@pytest.fixture
def now(monkeypatch):
    """A clock that stands still until it is put forward: ``now[0] += 5``."""
    seconds = [1000.0]
    monkeypatch.setattr(module, "clock", lambda connection: seconds[0])
    return seconds


@pytest.fixture
def store(storage):
    store = Store.open(locate(Path("unused"), storage))
    yield store
    store.close()


def test_a_study_is_claimed_by_one_worker_only(store, now):
    first, second = (store.leases(owner, 10) for owner in ("run/0", "run/1"))
    with first.claim(STUDY, -1):
        assert second.claim(STUDY, -1) is None
        assert first.claim(STUDY, -1) is None
        assert second.claim((*STUDY[:3], "hgb"), -1) is not None
        assert {lease["owner"] for lease in store.running()} == {"run/0", "run/1"}
    with second.claim(STUDY, -1) as lease:
        assert lease.n_lost == 0, "nobody was lost: the lease was given back"


def test_a_lease_that_ran_out_is_taken_over_and_the_row_of_its_former_owner_is_refused(store, now):
    lost = store.leases("run/0", 10).claim(STUDY, -1)
    heir = store.leases("run/1", 10)
    now[0] += 9.9
    assert heir.claim(STUDY, -1) is None
    now[0] += 0.2
    taken = heir.claim(STUDY, -1)
    assert taken is not None
    assert not store.add_evaluation(evaluation(test_accuracy=0.1), lost)
    assert store.add_evaluation(evaluation(test_accuracy=0.9), taken)
    assert store.frame("evaluations")["test_accuracy"].tolist() == [0.9]


def test_a_worker_that_was_held_up_goes_on_where_nobody_has_taken_over(store, now):
    lease = store.leases("run/0", 10).claim(STUDY, -1)
    now[0] += 100
    assert store.add_evaluation(evaluation(), lease)
    assert store.leases("run/1", 10).claim(STUDY, 0) is None, "storing a row renews the lease"


def test_a_row_that_another_has_stored_is_refused(store, now):
    lease = store.leases("run/0", 10).claim(STUDY, -1)
    store.add_evaluation(evaluation(test_accuracy=0.9))
    assert not store.add_evaluation(evaluation(test_accuracy=0.1), lease)
    with pytest.raises(IntegrityError):
        store.add_evaluation(evaluation(test_accuracy=0.1))
    assert store.frame("evaluations")["test_accuracy"].tolist() == [0.9]


def test_workers_that_are_lost_are_counted_against_the_evaluation_they_were_at(store, now):
    counts = []
    for number in range(3):
        lease = store.leases(f"run/{number}", 10).claim(STUDY, -1)
        counts.append(lease.n_lost)
        now[0] += 11
    assert counts == [0, 1, 2]
    lease = store.leases("run/3", 10).claim(STUDY, -1)
    assert lease.n_lost == 3
    store.add_evaluation(evaluation(), lease)
    assert lease.n_lost == 0, "the next evaluation has a fresh count"
    now[0] += 11
    assert store.leases("run/4", 10).claim(STUDY, 0).n_lost == 1


def test_the_heartbeat_keeps_a_lease_for_as_long_as_its_owner_lives(storage, store):
    with store.leases("run/0", 1.0).claim(STUDY, -1):
        waited = threading.Event()
        for _ in range(20):  # twice as long as the lease
            assert store.leases("run/1", 1.0).claim(STUDY, -1) is None
            waited.wait(0.1)


@pytest.mark.parametrize(("end", "n_lost"), [("expire_leases", 1), ("release_leases", 0)])
def test_the_leases_of_a_run_end_at_once_and_count_as_lost_only_where_it_was(store, now, end, n_lost):
    for run, model in (("dead", "rf"), ("dead%", "hgb"), ("alive", "logistic")):
        store.leases(f"{run}/0", 10).claim((*STUDY[:3], model), -1)
    getattr(store, end)("dead")
    assert {lease["owner"] for lease in store.running()} == {"dead%/0", "alive/0"}
    assert store.leases("heir/0", 10).claim(STUDY, -1).n_lost == n_lost


def test_of_many_who_claim_at_once_one_gets_each_study(store):
    studies = [("toy", "rows:100", seed, "rf") for seed in range(8)]
    workers = [store.leases(f"run/{number}", 60) for number in range(8)]
    start = threading.Barrier(len(workers))

    def claim_all(worker):
        start.wait()
        return [study for study in studies if worker.claim(study, -1) is not None]

    with ThreadPoolExecutor(len(workers)) as pool:
        won = [study for found in pool.map(claim_all, workers) for study in found]
    assert sorted(won) == sorted(studies)


def test_workers_that_begin_together_make_the_tables_once(storage):
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: Store.open(locate(Path("unused"), storage)), range(6)))
    for store in stores:
        assert store.finished() == set()
        store.close()
