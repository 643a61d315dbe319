"""Ablation, of classifiers and of regressors: differences are paired by task, size and seed, and a run goes on."""

import numpy as np
import pandas as pd
import pytest
from helpers import benchmark_toys
from helpers.benchmark_toys import evaluation, words
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline

from benchmarks import models
from benchmarks.__main__ import main
from benchmarks.data import synthetic, tasks
from benchmarks.models import Recipe
from benchmarks.results.store import Store
from benchmarks.tabular import presets

pytestmark = pytest.mark.usefixtures("workers_in_threads")
TASK = words("--tasks sparse_parity --rows 40 --seeds 2 --first-seed 0")
SMALL = 'small={"width": [8, 4], "max_epochs": 1, "n_members": 1}'


def evaluations(folder):
    store = Store.open(folder, create=False)
    rows = store.frame("evaluations")
    store.close()
    return rows


def rows_of(scores, **changes):
    """Rows from {(model, task, seed): score}."""
    changes = {"test_r2": None, "failure": None} | changes
    rows = [
        evaluation(model=model, task=task, seed=seed, test_accuracy=score, kind="classification", **changes)
        for (model, task, seed), score in scores.items()
    ]
    return pd.DataFrame(rows).assign(id=range(len(rows))).astype({"test_r2": float})


def test_differences_are_paired_by_seed():
    rows = rows_of({("rf", "t", 0): 0.5, ("rf", "t", 1): 0.9, ("net", "t", 0): 0.6, ("net", "t", 1): 0.94})
    printed = presets.tables(rows, "rf")
    assert "| t             | 70.0 | +7.00 (3.00) |" in printed, "of 10 and 4 points"
    assert "| won/tied/lost |      |        1/0/0 |" in printed


def test_the_mean_has_its_error_over_tasks():
    scores = {("rf", task, 0): 0.5 for task in "abc"}
    scores |= {("net", task, 0): 0.5 + gain for task, gain in zip("abc", (0.01, 0.03, 0.08), strict=True)}
    error = 100 * np.std([0.01, 0.03, 0.08], ddof=1) / np.sqrt(3)
    assert f"+4.00 ({error:.2f})" in presets.tables(rows_of(scores), "rf")


def test_differences_of_regression_are_those_of_r2():
    rows = rows_of({("rf", "t", 0): None, ("net", "t", 0): None}).assign(kind="regression", test_r2=[0.7, 0.5])
    assert "| 0.700 | -0.2000 (-) |" in presets.tables(rows.astype({"test_accuracy": float}), "rf")


def test_a_failed_fit_counts_as_the_baseline():
    rows = rows_of({("rf", "t", 0): 0.8, ("net", "t", 0): None}).assign(failure=[None, "ValueError: no"])
    assert "-30.00" in presets.tables(rows.astype({"test_accuracy": float}), "rf")


def test_a_run_goes_on_from_what_it_holds(tmp_path, capsys):
    command = ["ablation", *TASK, "--variant", SMALL, "--results", str(tmp_path)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "sparse_parity" in printed
    rows = evaluations(tmp_path)
    assert rows.groupby("model")["seed"].unique().map(list).to_dict() == {
        "rf": [0, 1],
        "small": [0, 1],
        "sparse_mlp": [0, 1],
    }
    small = rows[rows["model"] == "small"]
    assert small["failure"].isna().all()
    assert set(small["parameters"]) == {
        '{"model__max_epochs": 1, "model__n_members": 1, "model__width": [8, 4]}'
    }, "a variant's row says what is pinned"
    assert main(command) == 0
    captured = capsys.readouterr()
    assert captured.out == printed
    assert "6 of 6 evaluations are there already" in captured.err
    pd.testing.assert_frame_equal(evaluations(tmp_path), rows)


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ([SMALL, "--against", "best"], "unknown competitor 'best'; choose from: rf, sparse_mlp, small"),
        ([SMALL, "--against", "all"], "--against takes one competitor, not all"),
        (["small={width}"], "must be NAME={JSON}"),
        (["small=5"], "must be NAME={JSON}"),
        (["rf={}"], "there is a competitor of this name"),
        (["small={}", 'small={"n_members": 2}'], "the name 'small' is given twice"),
        (['typo={"widht": 5}'], "the estimator has no parameter 'widht'"),
    ],
)
def test_a_mistake_is_one_line(variants, said, tmp_path, capsys):
    try:
        status = main(["ablation", *TASK, "--results", str(tmp_path), "--variant", *variants])
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_other_parameters_under_a_known_name_are_refused(tmp_path, capsys):
    base = ["ablation", *TASK, "--results", str(tmp_path), "--variant"]
    assert main([*base, SMALL]) == 0
    assert main([*base, 'small={"n_members": 2}']) == 2
    assert "hold the variant 'small' with other parameters" in capsys.readouterr().err


def test_a_tuned_variant_keeps_what_is_pinned(tmp_path):
    command = ["tabular", *words("--tasks wine --rows 40 --models rf --seeds 1 --trials 2")]
    assert main([*command, "--variant", SMALL, "--results", str(tmp_path)]) == 0
    small = evaluations(tmp_path).query("model == 'small' and trial >= 0")
    assert small["failure"].isna().all()
    assert small["parameters"].str.contains('"model__width": [8, 4]', regex=False).all()
    assert small["parameters"].nunique() == 2


def test_data_that_cannot_be_had_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(tasks.TASKS, "gone", tasks.Task("gone", benchmark_toys.unavailable))
    command = words("ablation --tasks gone --rows 40 --seeds 1 --results")
    assert main([*command, str(tmp_path)]) == 1
    assert "left out: gone (OpenML task 0) cannot be had" in capsys.readouterr().err


# Regression ------------------------------------------------------------------------------------------


SEEN = []


class Recorded(LinearRegression):
    def fit(self, X, y):
        SEEN.append((X.shape, float(X.sum())))
        return super().fit(X, y)


@pytest.fixture
def fitted(monkeypatch):
    """Quick regressors in place of forest and net, and the rows that they were given."""
    SEEN.clear()
    replace_regressors(monkeypatch, Recorded)
    return SEEN


def replace_regressors(monkeypatch, estimator):
    def build(seed, n_samples, n_features):
        return Pipeline([("model", estimator())])

    for name in ("rf", "sparse_mlp"):
        model = models.Model(name, name, build, dict, dict, regressor=Recipe(build, dict, dict))
        monkeypatch.setitem(models.MODELS, name, model)


@pytest.mark.parametrize("name", synthetic.REGRESSION)
def test_a_seed_samples_the_same_rows_again_and_another_seed_others(name):
    task = tasks.TASKS[name]
    (X, y), (again, _), (other, _) = task.sample(300, 0), task.sample(300, 0), task.sample(300, 1)
    assert len(X) == len(y) >= 300
    assert X.shape[1] == task.n_features
    np.testing.assert_array_equal(X, again)
    assert not np.array_equal(X, other)
    assert np.isfinite(y).all()


def test_both_models_meet_the_same_rows_and_a_regression_run_goes_on(fitted, tmp_path, capsys):
    command = ["ablation", *words("--tasks diabetes pairs --rows 50 --first-seed 0 --results"), str(tmp_path)]
    assert main([*command, "--seeds", "1"]) == 0
    assert [shape for shape, _ in fitted] == [(50, 10)] * 2 + [(50, 20)] * 2
    assert fitted[0] == fitted[1] != fitted[2] == fitted[3]
    fitted.clear()
    assert main([*command, "--seeds", "2"]) == 0
    assert len(fitted) == 4
    rows = evaluations(tmp_path)
    assert set(rows["kind"]) == {"regression"}
    assert rows[["test_r2", "test_rmse", "fit_seconds"]].notna().all(axis=None)
    assert rows["test_accuracy"].isna().all()
    assert "| diabetes " in capsys.readouterr().out


def test_a_size_beyond_a_data_set_is_left_out(fitted, tmp_path, capsys):
    command = words("ablation --tasks diabetes --seeds 1 --rows 1000 100 --results")
    assert main([*command, str(tmp_path)]) == 0
    assert set(evaluations(tmp_path)["n_train"]) == {100}
    message = "left out: diabetes, 1000 training rows: a data set of 442 rows has too few for 1000 and a test"
    assert message in capsys.readouterr().err


def test_the_score_is_that_of_rows_that_were_not_trained_on(monkeypatch, tmp_path):
    replace_regressors(monkeypatch, DummyRegressor)
    assert (
        main([*words("ablation --tasks friedman1 --rows 100 --seeds 1 --first-seed 100 --results"), str(tmp_path)])
        == 0
    )
    _, y = tasks.TASKS["friedman1"].sample(100, 100)
    train, test = y[:100], y[100:]
    errors = test - train.mean()
    row = evaluations(tmp_path).iloc[0]
    assert row["n_test"] == len(test) == synthetic.N_TEST
    assert row["test_r2"] == pytest.approx(1 - (errors**2).sum() / ((test - test.mean()) ** 2).sum())
    assert row["test_rmse"] == pytest.approx(np.sqrt((errors**2).mean()))
    assert row["baseline_score"] == row["test_r2"], "the mean is what the dummy predicts"


def test_a_regressor_is_tuned_by_r2(tmp_path):
    command = words("tabular --tasks pairs --rows 60 --models hgb --trials 2 --seeds 1 --results")
    assert main([*command, str(tmp_path)]) == 0
    rows = evaluations(tmp_path).set_index("trial")
    assert rows["failure"].isna().all(), rows["failure"].tolist()
    assert rows.loc[0, "test_r2"] == pytest.approx(rows.loc[-1, "test_r2"], rel=1e-3), "trial 0 is the default"
    assert set(rows.loc[[0, 1], "validation"]) == {"3 x 5-fold"}


def test_an_unknown_data_set_is_one_line(capsys):
    assert main(["ablation", "--tasks", "mauna"]) == 2
    assert "unknown task 'mauna'; choose from: " in capsys.readouterr().err


def test_a_task_that_one_model_lacks_is_a_dash():
    names = "test_roc_auc test_log_loss test_brier calibration failure"
    common = dict.fromkeys(words(names)) | {"kind": "classification"}
    rows = [evaluation(task=t, model=m) | common for t in "ab" for m in ("rf", "sparse_mlp")]
    lines = presets.tables(pd.DataFrame(rows[:-1]).assign(id=range(3)), "rf").splitlines()
    assert [line.split("|")[-2].strip() for line in lines if line.startswith("| b")] == ["-"]
