"""Competitors and tasks of a user's own, and the plan that --dry-run prints."""

import re
import sqlite3

import pytest
from benchmark_toys import words

from benchmarks.__main__ import main
from benchmarks.database import FILE_NAME
from benchmarks.models import MODELS
from benchmarks.store import Store

pytestmark = pytest.mark.usefixtures("registries")
OPTIONS = words("--plugin tests/benchmark_toys.py --tasks toy --train-size 60 --seeds 1")


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)


def rows(folder):
    store = Store.open(folder, create=False)
    frame = store.frame("evaluations")
    store.close()
    return frame


def test_the_example_of_an_own_competitor_is_tuned_beside_the_others(tmp_path):
    own = words("--plugin examples/own_competitor.py --models knn nearest --trials 2")
    assert main(["tabular", *OPTIONS, *own, "--results", str(tmp_path)]) == 0
    found = rows(tmp_path)
    assert found["failure"].isna().all(), found["failure"].tolist()
    assert found.groupby("model").size().to_dict() == {"knn": 3, "nearest": 3}
    first = found[(found["model"] == "knn") & (found["trial"] == 0)]["parameters"].item()
    assert first == '{"model__n_neighbors": 5, "model__weights": "uniform"}'
    assert MODELS["knn"].label == "Nearest neighbours"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "cannot be read"),
        ("MODELS = [", "fails: SyntaxError"),
        ("import no_such_package", "fails: ModuleNotFoundError"),
        ("models = []", "neither a list MODELS nor a list TASKS"),
        ("MODELS = ['knn']", "'knn' is no Model"),
    ],
)
def test_a_plugin_that_is_none_is_one_line(tmp_path, capsys, source, message):
    path = tmp_path / "plugin.py"
    if source is not None:
        path.write_text(source)
    assert main(["tabular", "--plugin", str(path), "--results", str(tmp_path / "results")]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert message in error


def test_a_dry_run_prints_what_is_missing_and_makes_nothing(tmp_path, capsys):
    plan = [*OPTIONS, *words("--models nearest broken --trials 3"), "--results", str(tmp_path / "results")]
    assert main(["tabular", *plan, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"\| nearest \| +4 of 4 \|", text)
    assert "8 evaluations: 0 are there, 8 are missing." in text
    assert "For 8 nothing is stored that they could be judged by." in text
    assert not (tmp_path / "results").exists()


def test_a_dry_run_judges_the_time_by_evaluations_like_those_that_are_missing(tmp_path, capsys):
    plan = [*OPTIONS, *words("--models nearest --trials 2"), "--results", str(tmp_path)]
    assert main(["tabular", *plan]) == 0
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("update evaluations set fit_seconds = 100, predict_seconds = 20, tuning_seconds = 0")
    connection.close()
    capsys.readouterr()
    assert main(["tabular", *plan, "--seeds", "3", "--dry-run", "--jobs", "2"]) == 0
    text = capsys.readouterr().out
    assert "9 evaluations: 3 are there, 6 are missing." in text
    assert "Estimated time of 6 of them: 6.0 minutes with 2 at a time" in text  # 6 x 120 s on 2 workers
