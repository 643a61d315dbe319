"""Runs on small synthetic tables: rows, failures, resumption, tuning, exit statuses."""

import dataclasses

import numpy as np
import optuna
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from benchmarks import pipelines, tasks
from benchmarks.__main__ import main
from benchmarks.arguments import command_line
from benchmarks.splits import Size, make_split
from benchmarks.store import Store
from benchmarks.tuning import Tuning

SCORES = ["validation_score", "test_accuracy", "test_roc_auc", "test_log_loss", "test_brier", "parameters"]


def words(text):
    return text.split()


def toy_data(n_rows=600):
    """Three informative columns and the row's own number in a fourth."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 4))
    y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(np.int64)
    X[:, 3] = np.arange(n_rows)
    return tasks.Data(X, y, 2 * n_rows, "a subset: half of it", False)


def unavailable():
    raise tasks.DataUnavailableError("gone (OpenML task 0) cannot be had: OSError: offline")


class Nearest(ClassifierMixin, BaseEstimator):
    """Says the class of the nearest mean; remembers in ``seen`` which rows it was fitted on."""

    seen: tuple = ()

    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, X, y):
        type(self).seen = (*self.seen, X[:, 3].astype(int))
        self.classes_ = np.unique(y)
        self.means_ = np.stack([X[y == label, :3].mean(0) for label in self.classes_])
        return self

    def predict_proba(self, X):
        distance = ((X[:, None, :3] - self.means_) ** 2).sum(-1)
        weights = np.exp(-self.scale * (distance - distance.min(1, keepdims=True)))
        return weights / weights.sum(1, keepdims=True)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(1)]


class Broken(Nearest):
    def fit(self, X, y):
        raise ValueError("this one\nnever fits")


class NotANumber(Nearest):
    def predict_proba(self, X):
        return np.full((len(X), 2), np.nan)


def competitor(name, estimator):
    return pipelines.Model(
        name,
        name.title(),
        lambda seed, n_samples, n_features: Pipeline([("model", estimator())]),
        lambda trial, n_samples, n_features: {"model__scale": trial.suggest_float("scale", 0.01, 10, log=True)},
        lambda: {"scale": 1.0},
    )


@pytest.fixture
def toys(monkeypatch):
    """Two small tasks, one that cannot be had, and three competitors of which two do not work."""
    for name, load in {"toy": toy_data, "small": lambda: toy_data(60), "gone": unavailable}.items():
        monkeypatch.setitem(tasks.TASKS, name, tasks.Task(name, load))
    for name, estimator in {"nearest": Nearest, "broken": Broken, "nan": NotANumber}.items():
        monkeypatch.setitem(pipelines.MODELS, name, competitor(name, estimator))
    monkeypatch.setattr(Nearest, "seen", ())


def evaluations(folder):
    store = Store.open(folder, create=False)
    rows = store.frame("evaluations")
    store.close()
    return rows


def tabular(folder, *options):
    return main(["tabular", "--results", str(folder), *options])


def test_a_finished_evaluation_is_a_row_with_its_scores(toys, tmp_path):
    assert tabular(tmp_path, *words("--tasks toy --train-size 100 --models nearest logistic --seeds 2")) == 0
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
    assert len(fits) == 3 + 2 * 5
    assert not train & set(split.test.tolist())


def test_what_is_there_is_not_done_again(toys, tmp_path):
    options = words("--tasks toy --train-size 50 --models nearest --seeds 1")
    tabular(tmp_path, *options)
    fitted = len(Nearest.seen)
    before = evaluations(tmp_path)
    assert tabular(tmp_path, *options) == 0
    assert len(Nearest.seen) == fitted
    pd.testing.assert_frame_equal(evaluations(tmp_path), before)
    tabular(tmp_path, *words("--tasks toy --train-size 50 --models nearest --seeds 3"))
    assert len(Nearest.seen) == fitted + 2


@pytest.mark.parametrize("stop", [1, 9, 20])
def test_a_run_that_is_interrupted_ends_with_the_rows_of_one_left_alone(toys, tmp_path, monkeypatch, capsys, stop):
    options = [
        "--tasks",
        "toy",
        "small",
        "--train-size",
        "80",
        "--models",
        "nearest",
        "--seeds",
        "1",
        "--trials",
        "3",
    ]
    assert tabular(tmp_path / "alone", *options) == 0
    n_fits = 0
    fit = Nearest.fit

    def interrupted(self, X, y):
        nonlocal n_fits
        n_fits += 1
        if n_fits == stop:
            raise KeyboardInterrupt
        return fit(self, X, y)

    with monkeypatch.context() as patch:
        patch.setattr(Nearest, "fit", interrupted)
        assert tabular(tmp_path / "cut", *options) == 130
    assert "goes on from here" in capsys.readouterr().err
    assert tabular(tmp_path / "cut", *options) == 0
    key = ["task", "size", "seed", "model", "trial"]
    alone, cut = (
        evaluations(tmp_path / name).sort_values(key).reset_index(drop=True) for name in ("alone", "cut")
    )
    assert len(alone) == 8
    pd.testing.assert_frame_equal(alone[key + SCORES], cut[key + SCORES])


def test_tuning_begins_with_the_default_configuration(toys, tmp_path):
    tabular(tmp_path, *words("--tasks toy --train-size 50 --models nearest --seeds 1 --trials 3"))
    rows = evaluations(tmp_path).set_index("trial")
    assert rows.loc[0, "parameters"] == '{"model__scale": 1.0}'
    assert rows.loc[0, "test_log_loss"] == rows.loc[-1, "test_log_loss"]
    assert rows.loc[[0, 1, 2], "parameters"].nunique() == 3
    assert set(rows.loc[[0, 1, 2], "validation"]) == {"5-fold"}
    assert np.isnan(rows.loc[-1, "validation_score"])


def test_a_failing_model_is_a_row_with_its_reason_and_the_rest_go_on(toys, tmp_path, capsys):
    options = [
        "--tasks",
        "toy",
        "--train-size",
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
    chance = rows.loc[("broken", -1), "chance_accuracy"]
    assert f"{100 * chance:.1f} †" in text


def test_failures_are_tried_again_on_request_only(toys, tmp_path, monkeypatch):
    options = words("--tasks toy --train-size 50 --models broken --seeds 1")
    tabular(tmp_path, *options)
    monkeypatch.setitem(pipelines.MODELS, "broken", competitor("broken", Nearest))
    tabular(tmp_path, *options)
    assert evaluations(tmp_path)["failure"].notna().all()
    tabular(tmp_path, *options, "--retry-failures")
    assert evaluations(tmp_path)["failure"].isna().all()


def test_data_that_cannot_be_had_are_named_and_the_rest_go_on(toys, tmp_path, capsys):
    options = words("--train-size 50 --models nearest --seeds 1")
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
        ("tabular --train-size 1", "--train-size.*at least 2"),
        ("tabular --profile huge", "--profile.*smoke"),
        ("tabular --task credit", "--task"),
        ("parity --n-features 5 --n-informative 2 6", "--n-informative 6.*--n-features 5"),
        ("parity --n-features 50 5 --sparsities 9", "--sparsities 9.*--n-features 5"),
        ("parity --sparsities thin", "--sparsities.*'thin'"),
        ("parity --learning-rate 0", "--learning-rate.*'0'"),
        ("parity --weight-decay -1", "--weight-decay.*'-1'"),
        ("parity --widths 0", "--widths.*'0'"),
        ("parity --sizes 0", "--sizes.*at least 1, or 'online'.*'0'"),
        ("parity --max-steps -100", "--max-steps.*at least 1.*'-100'"),
        ("parity --flip-y 0.5", "--flip-y.*below 0.5.*'0.5'"),
        ("parity --target parity xor", "--target.*'xor'.*staircase"),
        ("parity --target polynomial --sizes online", "polynomial.*cannot be drawn online"),
        ("parity --experiment loss --widths 5", "--experiment loss has a grid of its own; leave out --widths"),
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


# Competitors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(pipelines.MODELS))
def test_the_default_of_a_space_is_the_default_of_its_pipeline(name):
    model = pipelines.MODELS[name]
    trial = optuna.trial.FixedTrial(model.default())
    parameters = model.space(trial, 1000, 10)
    default = model.build(0, 1000, 10).get_params()
    floor = {
        "model__l2_regularization": 1e-6,
        "model__weight_decay": max(default.get("model__weight_decay", 0), 1e-6),
    }
    for key, value in parameters.items():
        assert value == floor.get(key, default[key]), key
    model.build(0, 1000, 10).set_params(**parameters)


@pytest.mark.parametrize("name", list(pipelines.MODELS))
def test_a_space_draws_what_its_pipeline_takes(name):
    model = pipelines.MODELS[name]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [model.space(study.ask(), 1000, 1) for _ in range(20)]
    for parameters in drawn:
        model.build(0, 1000, 1).set_params(**parameters)
        assert parameters.get("model__sparsity", 1) in (1, "auto"), "a table of one column has one to keep"
    assert len({str(parameters) for parameters in drawn}) == 20


def test_forest_depths_are_drawn_with_the_published_weights():
    trials = [optuna.trial.FixedTrial({"max_depth": position}) for position in np.linspace(0, 1, 1001)]
    drawn = [pipelines._weighted(trial, "max_depth", pipelines.FOREST_DEPTHS) for trial in trials]
    assert drawn.count(None) == pytest.approx(700, abs=2)
    assert drawn.count(4) == pytest.approx(100, abs=2)


# Everything ------------------------------------------------------------------------------------------


def test_the_smoke_profile_runs_from_end_to_end(toys, tmp_path, monkeypatch, capsys):
    from benchmarks import tabular

    smoke = tabular.PROFILES["smoke"] | {"tasks": ["small"], "train_size": [40]}
    monkeypatch.setitem(tabular.PROFILES, "smoke", smoke)
    assert main(["all", "--profile", "smoke", "--results", str(tmp_path / "results")]) == 0
    output = capsys.readouterr().out
    assert "Sparse net (sparse_mlp)" in output
    assert str(tmp_path / "results" / "report" / "index.html") in output
    rows = evaluations(tmp_path / "results")
    assert set(rows["model"]) == {"rf", "sparse_mlp", "dense_mlp", "hgb"}
    assert rows["failure"].isna().all(), rows["failure"].tolist()
    assert rows["test_accuracy"].between(0.3, 1).all()


def test_a_data_set_may_have_more_than_two_classes(toys, tmp_path, monkeypatch):
    data = toy_data()
    three = dataclasses.replace(data, y=np.digitize(data.X[:, 0], [-0.5, 0.5]))
    monkeypatch.setitem(tasks.TASKS, "three", tasks.Task("three", lambda: three))
    assert tabular(tmp_path, *words("--tasks three --train-size 90 --models nearest rf --seeds 1")) == 0
    rows = evaluations(tmp_path).set_index("model")
    assert rows.loc["rf", "test_accuracy"] > 0.9
    assert rows[["test_roc_auc", "test_log_loss", "test_brier"]].notna().all(axis=None)


def test_a_study_that_goes_on_from_stored_trials_draws_as_if_undisturbed():
    def score(trial):
        return -abs(np.log(trial.params["scale"]) - 1)

    model = competitor("nearest", Nearest)
    whole, drawn = Tuning(model, ("toy", 100), 100, 4), []
    for number in range(14):  # more than the sampler's random start
        trial, _ = whole.ask(number)
        failed = number == 3
        whole.tell(trial, None if failed else score(trial))
        drawn.append({"suggestions": trial.params, "validation_score": None if failed else score(trial)})
    resumed = Tuning(model, ("toy", 100), 100, 4)
    for stored in drawn[:12]:
        resumed.replay(stored)
    for number in (12, 13):
        trial, _ = resumed.ask(number)
        assert trial.params == drawn[number]["suggestions"]
        resumed.tell(trial, drawn[number]["validation_score"])
    other, _ = Tuning(model, ("toy", 101), 100, 4).ask(1)
    assert other.params != drawn[1]["suggestions"]
