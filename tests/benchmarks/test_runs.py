"""Runs on small synthetic tables: rows, failures, resumption, tuning, exit statuses."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from helpers import benchmark_toys
from helpers.benchmark_toys import Nearest, competitor, toy_data, words

from benchmarks import models
from benchmarks.__main__ import main
from benchmarks.cli import command_line
from benchmarks.data import tasks
from benchmarks.data.splits import Size, make_split
from benchmarks.results.store import Store

SCORES = ["validation_score", "test_accuracy", "test_roc_auc", "test_log_loss", "test_brier", "parameters"]


@pytest.fixture
def toys(monkeypatch, workers_in_threads):
    """Small tasks, one that cannot be had, and competitors of which some do not work."""
    for task in benchmark_toys.TASKS:
        monkeypatch.setitem(tasks.TASKS, task.name, task)
    for model in benchmark_toys.MODELS:
        monkeypatch.setitem(models.MODELS, model.name, model)
    monkeypatch.setattr(Nearest, "seen", ())


def evaluations(folder):
    store = Store.open(folder, create=False)
    rows = store.frame("evaluations")
    store.close()
    return rows


def tabular(folder, *options):
    return main(["tabular", "--results", str(folder), *options])


def test_a_finished_evaluation_is_a_row_with_its_scores(toys, tmp_path):
    assert tabular(tmp_path, *words("--tasks toy --rows 100 --models nearest logistic --seeds 2")) == 0
    rows = evaluations(tmp_path)
    assert sorted(zip(rows["seed"], rows["model"], strict=True)) == [
        (100, "logistic"),
        (100, "nearest"),
        (101, "logistic"),
        (101, "nearest"),
    ]
    assert set(rows["n_train"]) == {100}
    assert set(rows["n_test"]) == {180}
    assert rows["failure"].isna().all()
    data = toy_data()
    split = make_split("toy", data.y, 100)
    train = split.training_rows(Size.rows(100), data.y)
    model = Nearest().fit(data.X[train], data.y[train])
    expected = model.score(data.X[split.test], data.y[split.test])
    assert rows.set_index(["model", "seed"])["test_accuracy"]["nearest", 100] == expected


def test_every_model_sees_the_same_training_rows_and_never_a_test_row(toys, tmp_path):
    options = words("--tasks toy --fractions 0.2 --models nearest --seeds 1 --trials 2")
    assert tabular(tmp_path, *options) == 0
    data = toy_data()
    split = make_split("toy", data.y, 100)
    train = set(split.training_rows(Size.fraction(0.2), data.y).tolist())
    assert len(train) == 84
    fits = [set(rows.tolist()) for rows in Nearest.seen]
    assert all(fit <= train for fit in fits)
    assert sum(fit == train for fit in fits) == 3  # the default and two trials; all else are folds
    assert len(fits) == 3 + 2 * 15
    assert not train & set(split.test.tolist())


def test_what_is_there_is_not_done_again(toys, tmp_path):
    options = words("--tasks toy --rows 50 --models nearest --seeds 1")
    tabular(tmp_path, *options)
    fitted = len(Nearest.seen)
    before = evaluations(tmp_path)
    assert tabular(tmp_path, *options) == 0
    assert len(Nearest.seen) == fitted
    pd.testing.assert_frame_equal(evaluations(tmp_path), before)
    tabular(tmp_path, *words("--tasks toy --rows 50 --models nearest --seeds 3"))
    assert len(Nearest.seen) == fitted + 2


def test_what_was_found_on_the_same_rows_under_another_name_is_taken_over(toys, tmp_path):
    by_rows, by_share = words("--tasks toy --rows 84"), words("--tasks toy --fractions 0.2 0.1")
    rest = words("--models nearest --seeds 1 --trials 3")
    tabular(tmp_path / "both", *by_rows, *rest)
    fitted = len(Nearest.seen)
    tabular(tmp_path / "both", *by_share, *rest)
    assert {len(rows) for rows in Nearest.seen[fitted:]} <= set(range(43))  # those of 0.1 only, and their folds
    tabular(tmp_path / "share", *by_share, *rest)
    found, expected = (
        evaluations(folder).query("size != 'rows:84'").sort_values(["size", "trial"])
        for folder in (tmp_path / "both", tmp_path / "share")
    )
    timed = ["id", "fit_seconds", "predict_seconds", "tuning_seconds", "peak_memory"]
    found, expected = (rows.drop(columns=timed).reset_index(drop=True) for rows in (found, expected))
    assert len(found) == 8
    pd.testing.assert_frame_equal(found, expected)


def test_what_was_found_on_other_cores_or_failed_is_not_taken_over(toys, tmp_path, monkeypatch):
    tabular(tmp_path, *words("--tasks toy --rows 84 --models nearest broken --seeds 1"))
    fitted = len(Nearest.seen)
    monkeypatch.setattr("benchmarks.environment.n_cores", lambda: 99)
    tabular(tmp_path, *words("--tasks toy --fractions 0.2 --models nearest broken --seeds 1"))
    assert len(Nearest.seen) == fitted + 1
    assert evaluations(tmp_path).query("model == 'broken'")["failure"].notna().all()


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_run_that_is_interrupted_ends_with_the_rows_of_one_left_alone(toys, tmp_path, monkeypatch, capsys, stop):
    options = words("--tasks toy small --rows 80 --models nearest --seeds 1 --trials 3")
    assert tabular(tmp_path / "alone", *options) == 0
    added = Store.add_evaluation

    def interrupted(self, row):
        if len(self.finished()) == stop - 1:
            raise KeyboardInterrupt
        added(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_evaluation", interrupted)
        assert tabular(tmp_path / "cut", *options) == 130
    assert "goes on from here" in capsys.readouterr().err
    assert len(evaluations(tmp_path / "cut")) == stop - 1
    assert tabular(tmp_path / "cut", *options) == 0
    key = ["task", "size", "seed", "model", "trial"]
    alone, cut = (
        evaluations(tmp_path / name).sort_values(key).reset_index(drop=True) for name in ("alone", "cut")
    )
    assert len(alone) == 8
    pd.testing.assert_frame_equal(alone[key + SCORES], cut[key + SCORES])


def test_tuning_begins_with_the_default_configuration(toys, tmp_path):
    tabular(tmp_path, *words("--tasks toy --rows 50 --models nearest --seeds 1 --trials 3"))
    rows = evaluations(tmp_path).set_index("trial")
    assert rows.loc[0, "parameters"] == '{"model__scale": 1.0}'
    assert rows.loc[0, "test_log_loss"] == rows.loc[-1, "test_log_loss"]
    assert rows.loc[[0, 1, 2], "parameters"].nunique() == 3
    assert set(rows.loc[[0, 1, 2], "validation"]) == {"3 x 5-fold"}
    assert np.isnan(rows.loc[-1, "validation_score"])


def test_a_failing_model_is_a_row_with_its_reason_and_the_rest_go_on(toys, tmp_path, capsys):
    options = [
        "--tasks",
        "toy",
        "--rows",
        "50",
        "--models",
        "broken",
        "nan",
        "nearest",
        "--seeds",
        "1",
        "--trials",
        "1",
    ]
    assert tabular(tmp_path, *options) == 0
    rows = evaluations(tmp_path).set_index(["model", "trial"])
    assert rows.loc[("broken", -1), "failure"] == "ValueError: this one never fits"
    assert rows.loc[("broken", 0), "failure"] == "ValueError: this one never fits"
    assert "not finite" in rows.loc[("nan", -1), "failure"]
    assert rows.loc["nearest", "failure"].isna().all()
    assert "4 evaluations failed" in capsys.readouterr().err
    assert main(["report", "--results", str(tmp_path)]) == 0
    text = (tmp_path / "report" / "report.md").read_text()
    assert "this one never fits" in text
    chance = rows.loc[("broken", -1), "baseline_score"]
    assert f"{100 * chance:.1f} †" in text


def test_a_space_that_does_not_work_is_a_row_with_its_reason(toys, tmp_path, monkeypatch):
    def space(trial, n_samples, n_features):
        return {"model__scale": trial.suggest_float("scale", 2.0, 1.0)}

    model = dataclasses.replace(models.MODELS["nearest"], space=space)
    monkeypatch.setitem(models.MODELS, "nearest", model)
    assert tabular(tmp_path, *words("--tasks toy --rows 50 --models nearest --seeds 1 --trials 2")) == 0
    rows = evaluations(tmp_path).set_index("trial")
    assert rows.loc[-1, "test_accuracy"] > 0.5
    assert rows.loc[[0, 1], "failure"].str.contains("ValueError.*low").all()


def test_failures_are_tried_again_on_request_only(toys, tmp_path, monkeypatch):
    options = words("--tasks toy --rows 50 --models broken --seeds 1")
    tabular(tmp_path, *options)
    tabular(tmp_path, *words("--tasks toy --rows 50 --models broken nan --first-seed 101 --seeds 1"))
    monkeypatch.setitem(models.MODELS, "broken", competitor("broken", Nearest))
    tabular(tmp_path, *options)
    assert evaluations(tmp_path)["failure"].notna().all()
    tabular(tmp_path, *options, "--retry-failures")
    rows = evaluations(tmp_path).set_index(["model", "seed"])["failure"]
    assert pd.isna(rows["broken", 100])
    assert rows["broken", 101] == "ValueError: this one never fits", "the failures of other plans stay"
    assert "not finite" in rows["nan", 101]


def test_data_that_cannot_be_had_are_named_and_the_rest_go_on(toys, tmp_path, capsys):
    options = words("--rows 50 --models nearest --seeds 1")
    assert tabular(tmp_path, "--tasks", "gone", "toy", *options) == 0
    assert "left out: gone (OpenML task 0) cannot be had" in capsys.readouterr().err
    assert evaluations(tmp_path)["task"].tolist() == ["toy"]
    assert tabular(tmp_path / "none", "--tasks", "gone", *options) == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("", "COMMAND"),
        ("fly", "fly"),
        ("tabular --tasks credti", "credti.*credit, electricity"),
        ("tabular --models forest", "forest.*rf, sparse_mlp"),
        ("tabular --seeds 0", "--seeds.*at least 1.*'0'"),
        ("tabular --seeds -3", "--seeds.*'-3'"),
        ("tabular --trials -1", "--trials.*at least 0"),
        ("tabular --trials many", "--trials.*'many'"),
        ("tabular --fractions 0.1 1.5", "--fractions.*at most 1.*'1.5'"),
        ("tabular --fractions nan", "--fractions.*'nan'"),
        ("tabular --rows 1", "--rows.*at least 2"),
        ("tabular --profile huge", "--profile.*smoke"),
        ("tabular --task credit", "--task"),
        ("tabular --jobs 0", "--jobs.*at least 1"),
        ("tabular --max-train some", "--max-train.*'some'"),
        ("tabular --time-limit 0", "--time-limit.*above 0"),
        (
            "tabular --scheduler tcp://127.0.0.1:9 --memory-limit 1",
            "--memory-limit is for workers on this machine",
        ),
        ("tabular --tasks parity-3-5 --rows 100", "'parity-3-5': k=5 relevant inputs must be from 1 to n=3"),
        ("tabular --tasks parity-3 --rows 100", "unknown task 'parity-3'"),
        ("tabular --tasks parity-5-2 --fractions 0.5", "'parity-5-2' has no pool.*give it --rows"),
        ("tabular --tasks pairs --models logistic --rows 50", "'logistic' has no regressor"),
        ("tabular --variant rf={}", "--variant rf: there is a competitor of this name"),
        ("parity --n-features 5 --n-informative 2 6", "--n-informative 6.*--n-features 5"),
        ("parity --n-features 50 5 --sparsities 9", "--sparsities 9.*--n-features 5"),
        ("parity --sparsities thin", "--sparsities.*'thin'"),
        ("parity --learning-rate 0", "--learning-rate.*'0'"),
        ("parity --weight-decay -1", "--weight-decay.*'-1'"),
        ("parity --widths 0", "--widths.*'0'"),
        ("parity --rows 0", "--rows.*at least 1, or 'online'.*'0'"),
        ("parity --max-steps -100", "--max-steps.*at least 1.*'-100'"),
        ("parity --flip-y 0.5", "--flip-y.*below 0.5.*'0.5'"),
        ("parity --target parity xor", "--target.*'xor'.*staircase"),
        ("parity --target polynomial --rows online", "polynomial.*cannot be trained online"),
        ("parity --experiment loss --widths 5", "--experiment loss has settings of its own; leave out --widths"),
        ("parity --experiment magic", "--experiment.*'magic'.*loss"),
        ("parity --profile smoke --device abacus", "--device.*'abacus' is unknown"),
        ("parity --profile smoke --results FILE", "cannot be made"),
        ("report --results FOLDER/nowhere", "no results in"),
        ("tabular --tasks toy --results FILE", "cannot be made"),
    ],
)
def test_a_mistake_gets_one_line_and_status_2(toys, tmp_path, capsys, command, words):
    (tmp_path / "file").write_text("")
    text = command.replace("FOLDER", str(tmp_path)).replace("FILE", str(tmp_path / "file"))
    if "--results" not in text and text not in ("", "fly"):
        text += f" --results {tmp_path / 'results'}"
    try:
        status = main(text.split())
    except SystemExit as stop:
        status = stop.code
    message = capsys.readouterr().err
    assert status == 2
    assert len(message.strip().splitlines()) == 1
    assert pd.Series([message]).str.contains(words, regex=True).item(), message
    assert not (tmp_path / "results").exists()


def test_a_foreign_results_file_ends_a_run_with_status_2(toys, tmp_path, capsys):
    (tmp_path / "results.sqlite").write_text("my thesis")
    assert tabular(tmp_path, "--tasks", "toy") == 2
    assert "no results file" in capsys.readouterr().err
    assert (tmp_path / "results.sqlite").read_text() == "my thesis"


def test_a_size_that_is_given_replaces_the_sizes_of_the_profile(toys, tmp_path):
    tabular(
        tmp_path,
        *[
            "--profile",
            "quick",
            "--tasks",
            "toy",
            "--fractions",
            "0.5",
            "0.1",
            "--models",
            "nearest",
            "--seeds",
            "1",
        ],
    )
    assert set(evaluations(tmp_path)["size"]) == {"fraction:0.5", "fraction:0.1"}


def test_the_command_is_recorded_without_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inside, outside = str(tmp_path / "results"), "/somewhere/else/results"
    assert command_line(["report", "--results", inside]) == "python -m benchmarks report --results results"
    assert command_line(["report", f"--results={outside}"]) == "python -m benchmarks report --results=results"
    secrets = ["--plugin", "https://me:secret@host/x", "--scheduler", "10.0.0.1:8786"]
    assert command_line(["tabular", *secrets]) == "python -m benchmarks tabular --plugin URL --scheduler ADDRESS"


# Everything ------------------------------------------------------------------------------------------


def test_the_smoke_profile_runs_from_end_to_end(toys, tmp_path, monkeypatch, capsys):
    from benchmarks.tabular import command

    smoke = command.PROFILES["smoke"] | {"tasks": ["small"], "rows": [40]}
    monkeypatch.setitem(command.PROFILES, "smoke", smoke)
    assert main(["all", "--profile", "smoke", "--results", str(tmp_path / "results")]) == 0
    output = capsys.readouterr().out
    assert "Sparse net (sparse_mlp)" in output
    assert str(tmp_path / "results" / "report" / "index.html") in output
    rows = evaluations(tmp_path / "results")
    assert set(rows[rows["task"] == "small"]["model"]) == {"rf", "sparse_mlp", "dense_mlp", "hgb"}
    nets = {"paper_net", "dense_paper_net", "sparse_mlp"}
    assert set(rows[rows["task"] == "parity-10-2"]["model"]) == {"rf", "hgb", *nets}
    assert rows["failure"].isna().all(), rows["failure"].tolist()
    assert rows["test_accuracy"].between(0.3, 1).all()


def test_a_data_set_may_have_more_than_two_classes(toys, tmp_path, monkeypatch):
    data = toy_data()
    three = dataclasses.replace(data, y=np.digitize(data.X[:, 0], [-0.5, 0.5]))
    monkeypatch.setitem(tasks.TASKS, "three", tasks.Task("three", lambda: three))
    assert tabular(tmp_path, *words("--tasks three --rows 90 --models nearest rf --seeds 1")) == 0
    rows = evaluations(tmp_path).set_index("model")
    assert rows.loc["rf", "test_accuracy"] > 0.9
    assert rows[["test_roc_auc", "test_log_loss", "test_brier"]].notna().all(axis=None)
