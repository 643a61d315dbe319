"""Evaluations that take too long, too much memory, their process or their worker with them."""

import pandas as pd
import psutil
import pytest
from helpers.benchmark_toys import words
from sqlalchemy import make_url

from benchmarks.__main__ import main
from benchmarks.data.splits import Size
from benchmarks.results.database import locate
from benchmarks.results.store import Store
from benchmarks.tabular import worker
from benchmarks.tabular.evaluate import Evaluator
from benchmarks.tabular.isolation import IsolatedEvaluator, Limits
from benchmarks.tabular.plan import Evaluation, Plan, Study
from benchmarks.tabular.plugins import Plugin

TOYS = "tests/helpers/benchmark_toys.py"


@pytest.fixture
def toys(monkeypatch, request, registries):
    monkeypatch.chdir(request.config.rootpath)
    return (Plugin.read(request.config.rootpath / TOYS),)


def study(model):
    return Study("toy", Size.rows(60), 100, model)


def rows(folder):
    store = Store.open(folder, create=False)
    frame = store.frame("evaluations")
    store.close()
    return frame


def run(folder, options):
    plan = words("--tasks toy --train-size 60 --seeds 1")
    assert main(["tabular", "--plugin", TOYS, "--results", str(folder), *plan, *words(options)]) == 0
    return rows(folder)


def test_what_takes_too_long_is_a_row_with_the_parameters_it_drew(toys, tmp_path):
    found = run(tmp_path, "--models endless --trials 1 --time-limit 0.5").set_index("trial")
    assert (found["failure"] == "time limit: not finished within 0.5 s").all()
    assert found["test_accuracy"].isna().all()
    assert found["parameters"].to_dict() == {-1: "{}", 0: '{"model__scale": 1.0}'}
    assert (found["n_train"] == 60).all()


def test_what_takes_too_much_memory_or_its_process_with_it_is_a_row_and_the_rest_go_on(toys, tmp_path, capsys):
    found = run(tmp_path, "--models hungry crash broken nearest --trials 0 --memory-limit 0.75").set_index("model")
    assert found["failure"].fillna("none").to_dict() == {
        "hungry": "memory limit: more than 0.75 GiB",
        "crash": "the process that fitted was killed by signal 9 (9: as when memory runs out)",
        "broken": "ValueError: this one never fits",
        "nearest": "none",
    }
    assert found.loc["nearest", "test_accuracy"] > found.loc["nearest", "baseline_score"]
    assert found["test_accuracy"].notna().sum() == 1
    assert "3 evaluations failed" in capsys.readouterr().err


def test_a_process_of_its_own_finds_what_this_one_finds(toys):
    from benchmarks.tabular.plugins import register

    register(toys)
    here = Evaluator()
    seconds = {"fit_seconds", "predict_seconds", "tuning_seconds", "peak_memory"}
    with IsolatedEvaluator(1, Limits(), toys) as there:
        assert there.dataset("toy") == here.dataset("toy")
        earlier = []
        for trial in range(-1, 3):
            evaluation = Evaluation(study("nearest"), trial)
            described = here.describe(evaluation, earlier)
            assert there.describe(evaluation, earlier) == described | {"threads": 1}
            found, expected = there.evaluate(evaluation, earlier), here.evaluate(evaluation, earlier)
            assert {k: v for k, v in found.items() if k not in seconds} == {
                k: v for k, v in expected.items() if k not in seconds
            }
            if trial >= 0:
                earlier.append(described | expected)


def test_the_process_ends_with_its_evaluator_and_what_it_raises_is_raised_here(toys):
    from benchmarks.data.tasks import DataUnavailableError

    children = set(psutil.Process().children())
    with IsolatedEvaluator(1, Limits(), toys) as there:
        with pytest.raises(DataUnavailableError, match="gone"):
            there.dataset("gone")
        (process,) = set(psutil.Process().children()) - children
    assert not process.is_running()


def test_an_evaluation_that_loses_its_workers_is_given_up(toys, tmp_path, monkeypatch):
    url = locate(tmp_path, None)
    store = Store.open(url)
    now = [1000.0]
    monkeypatch.setattr("benchmarks.tabular.leases.clock", lambda connection: now[0])
    for number in range(worker.MAX_LOST):
        assert store.leases(f"lost/{number}", 10).claim(study("nearest").key, -1) is not None
        now[0] += 11
    config = worker.WorkerConfig(
        Plan((study("nearest"),), 1), url.render_as_string(), "run", threads=1, plugins=toys, lease_seconds=10
    )
    assert worker.work(config) == {}
    frame = store.frame("evaluations").set_index("trial")
    store.close()
    assert frame.loc[-1, "failure"] == "4 workers were lost during it, as when memory runs out"
    assert pd.isna(frame.loc[-1, "test_accuracy"])
    assert pd.isna(frame.loc[0, "failure"]), "the next evaluation is tried"
    assert make_url(config.storage) == url
