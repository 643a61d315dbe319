"""Competitors and tasks of a user's own, and the plan that --dry-run prints."""

import dataclasses
import pickle
import re
import sqlite3
import sys

import numpy as np
import pytest
from cloudpickle import dumps
from helpers.benchmark_toys import Nearest, competitor, words

from benchmarks.__main__ import main
from benchmarks.cli import UsageError
from benchmarks.data.tasks import TASKS
from benchmarks.models import MODELS
from benchmarks.results.database import FILE_NAME
from benchmarks.results.store import Store
from benchmarks.tabular.plugins import register

pytestmark = pytest.mark.usefixtures("registries", "workers_in_threads")
OPTIONS = words("--plugin tests/helpers/benchmark_toys.py --tasks toy --rows 60 --seeds 1")


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


NAMED = """
from dataclasses import replace
from benchmarks.models import Model
knn = Model("{name}", "Neighbours", print, print, dict)
{what}
"""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "cannot be read"),
        ("MODELS = [", "fails: SyntaxError"),
        ("import no_such_package", "fails: ModuleNotFoundError"),
        ("models = []", "neither a list MODELS nor a list TASKS"),
        ("MODELS = ['knn']", "'knn' is no Model"),
        (NAMED.format(what="MODELS = knn", name="knn"), "MODELS must be a list, got one Model"),
        (NAMED.format(what="MODELS = [knn]", name="rf"), "there is another Model called 'rf'; rename yours"),
        (NAMED.format(what="MODELS = [knn, replace(knn)]", name="knn"), "another Model called 'knn'"),
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


def test_a_name_that_another_plugin_has_taken_is_refused_and_the_same_plugin_twice_is_not(tmp_path):
    first, other = tmp_path / "first.py", tmp_path / "other.py"
    for path in (first, other):
        path.write_text(NAMED.format(what="MODELS = [knn]", name="knn"))
    register(first)
    register(first)
    with pytest.raises(UsageError, match=r"other\.py: there is another Model called 'knn'"):
        register(other)
    assert MODELS["knn"].build is print


DATACLASS = """
from __future__ import annotations
from dataclasses import InitVar, dataclass
from benchmarks.data.tasks import Task

@dataclass
class Loader:
    n_rows: int
    seed: InitVar[int] = 0
    def __call__(self):
        raise ValueError(f"only {self.n_rows} rows")

TASKS = [Task("lazy", Loader(3))]
"""


def test_a_plugins_classes_can_be_dataclasses_and_be_pickled_here_and_for_processes_that_lack_them(
    monkeypatch, tmp_path
):
    (tmp_path / "lazy.py").write_text(DATACLASS)
    register(tmp_path / "lazy.py")
    loader = TASKS["lazy"].load
    assert pickle.loads(pickle.dumps(loader)) == loader
    sent = dumps(loader)
    monkeypatch.delitem(sys.modules, type(loader).__module__)
    assert pickle.loads(sent).n_rows == 3


def test_a_task_whose_loader_raises_anything_is_left_out_and_the_rest_go_on(tmp_path, capsys):
    (tmp_path / "lazy.py").write_text(DATACLASS)
    options = ["--plugin", str(tmp_path / "lazy.py"), "--results", str(tmp_path), "--tasks", "lazy", "toy"]
    assert main(["tabular", *OPTIONS, *words("--models nearest"), *options]) == 0
    assert "left out: lazy cannot be loaded: ValueError: only 3 rows" in capsys.readouterr().err
    assert rows(tmp_path)["task"].tolist() == ["toy"]


LABELLED = """
import numpy as np
from benchmarks.data.table import Data
from benchmarks.data.tasks import Task

def load():
    X = np.random.default_rng(0).normal(size=(200, 4))
    return Data(X, {y}, None, "odd", True)

TASKS = [Task("odd", load)]
"""


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ("np.where(X[:, 0] > 0, 1, -1)", "integers from 0 to n_classes - 1, got int64 of shape (200,) with -1, 1"),
        ("1.0 * (X[:, 0] > 0)", "got float64 of shape (200,) with 0.0, 1.0"),
        ("1 + (X[:, 0] > 0)", "with 1, 2"),
        ("np.where(X[:, 0] > 0, 'yes', 'no')", "with 'no', 'yes'"),
        ("(X[:, :1] > 0).astype(int)", "of shape (200, 1)"),
        ("(X[:50, 0] > 0).astype(int)", "of shape (50,)"),
        ("np.zeros(200, dtype=int)", "y has one class only"),
    ],
)
def test_a_task_whose_labels_are_no_class_numbers_is_left_out_and_the_rest_go_on(tmp_path, capsys, y, message):
    (tmp_path / "odd.py").write_text(LABELLED.format(y=y))
    options = ["--plugin", str(tmp_path / "odd.py"), "--results", str(tmp_path), "--tasks", "odd", "toy"]
    assert main(["tabular", *OPTIONS, *words("--models nearest"), *options]) == 0
    error = capsys.readouterr().err
    assert "left out: odd cannot be used: y " in error
    assert message in error
    assert rows(tmp_path)["task"].tolist() == ["toy"]


def test_labels_may_be_true_and_false(tmp_path):
    (tmp_path / "odd.py").write_text(LABELLED.format(y="X[:, 0] > 0"))
    options = ["--plugin", str(tmp_path / "odd.py"), "--results", str(tmp_path), "--tasks", "odd"]
    assert main(["tabular", *OPTIONS, *words("--models nearest"), *options]) == 0
    assert rows(tmp_path)["test_accuracy"].item() > 0.5


def test_what_a_space_returns_is_stored_or_its_model_fails(tmp_path):
    scaled = dataclasses.replace(
        competitor("scaled", Nearest), space=lambda trial, *size: {"model__scale": np.float32(0.5)}
    )
    odd = dataclasses.replace(competitor("odd", Nearest), space=lambda trial, *size: {"model__scale": Nearest()})
    MODELS.update(scaled=scaled, odd=odd)
    assert main(["tabular", *OPTIONS, *words("--models scaled odd --trials 1"), "--results", str(tmp_path)]) == 0
    trials = rows(tmp_path).query("trial == 0").set_index("model")
    assert trials.loc["scaled", "parameters"] == '{"model__scale": 0.5}'
    assert trials.loc["scaled", "test_accuracy"] > 0.5
    expected = "TypeError: the space's model__scale must be something that JSON can hold, got Nearest()"
    assert trials.loc["odd", "failure"] == expected


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
