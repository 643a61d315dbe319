"""The results file: what it keeps, what it refuses."""

import sqlite3

import pytest
from helpers.benchmark_toys import evaluation

from benchmarks import environment
from benchmarks.cli import UsageError
from benchmarks.results.database import FILE_NAME
from benchmarks.results.store import Store

VERSIONS = environment.versions()


@pytest.fixture
def store(tmp_path):
    store = Store.open(tmp_path)
    yield store
    store.close()


def test_rows_are_there_after_opening_again(store, tmp_path):
    store.add_evaluation(evaluation(parameters={"model__max_depth": None}, test_accuracy=1 / 3))
    store.close()
    again = Store.open(tmp_path)
    rows = again.frame("evaluations")
    assert again.finished() == {("toy", "rows:100", 100, "rf", -1)}
    assert rows["test_accuracy"].item() == 1 / 3
    assert rows["parameters"].item() == '{"model__max_depth": null}'
    again.close()


def test_a_row_is_never_written_twice(store):
    store.add_evaluation(evaluation())
    with pytest.raises(Exception, match="UNIQUE"):
        store.add_evaluation(evaluation(test_accuracy=0.9))
    assert store.frame("evaluations")["test_accuracy"].tolist() == [0.8]


def test_every_row_says_on_what_machine_and_with_which_versions(store):
    store.add_evaluation(evaluation())
    store.add_evaluation(evaluation(seed=101))
    environments = store.frame("environments")
    assert len(environments) == 1
    assert set(store.frame("evaluations")["environment"]) == set(environments["id"])
    assert "scikit-learn" in environments["versions"].item()
    assert "cores" in environments["machine"].item()


def test_rows_of_other_code_stay_finished_but_are_not_taken_over(store, tmp_path, monkeypatch):
    store.add_evaluation(evaluation())
    same_rows = evaluation(size="fraction:0.1")
    assert store.found_on_same_rows(same_rows)["test_accuracy"] == 0.8
    monkeypatch.setattr(environment, "versions", lambda: VERSIONS | {environment.CODE: "other"})
    later = Store.open(tmp_path)
    assert later.finished() == {("toy", "rows:100", 100, "rf", -1)}
    assert later.found_on_same_rows(same_rows) is None
    later.close()


def test_failures_among_the_keys_given_can_be_forgotten_and_all_else_stays(store):
    store.add_evaluation(evaluation())
    for seed in (101, 102):
        store.add_evaluation(evaluation(seed=seed, test_accuracy=None, failure="ValueError: no"))
    store.forget_failures([("toy", "rows:100", seed, "rf", -1) for seed in (100, 101)])
    assert store.frame("evaluations")["seed"].tolist() == [100, 102]


def test_other_data_under_the_same_name_are_refused(store):
    facts = {"n_rows": 100, "n_features": 3, "n_published": 200, "statement": "a subset", "complete": False}
    store.record_dataset("toy", facts)
    store.record_dataset("toy", facts)
    with pytest.raises(UsageError, match=r"toy with 100 rows .* now have 200"):
        store.record_dataset("toy", facts | {"n_rows": 200})


def write_text(path):
    path.write_text("seed,accuracy\n100,0.8\n" * 100)


def write_other_database(path):
    with sqlite3.connect(path) as connection:
        connection.execute("create table about (title text)")
    connection.close()


def write_other_version(path):
    Store.open(path.parent).close()
    with sqlite3.connect(path) as connection:
        connection.execute("update about set schema_version = 999")
    connection.close()


def write_damaged(path):
    store = Store.open(path.parent)
    for seed in range(300):
        store.add_evaluation(evaluation(seed=seed))
    store.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x55" * (len(content) - 4096)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (write_text, "no results file"),
        (write_other_database, "no results file|another program's"),
        (write_other_version, "format 999"),
        (write_damaged, "damaged"),
    ],
)
@pytest.mark.parametrize("create", [True, False])
def test_a_foreign_or_damaged_file_is_refused_and_left_alone(tmp_path, write, words, create):
    path = tmp_path / FILE_NAME
    write(path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=words):
        Store.open(tmp_path, create=create)
    assert path.read_bytes() == before


def test_a_results_folder_that_cannot_be_made_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be made"):
        Store.open(tmp_path / "file")
    with pytest.raises(UsageError, match="cannot be made"):
        Store.open(tmp_path / "file" / "below")


def test_reading_results_that_are_not_there_makes_no_file(tmp_path):
    with pytest.raises(UsageError, match="no results"):
        Store.open(tmp_path / "results", create=False)
    assert not (tmp_path / "results").exists()
