"""The four OpenML suites: their tasks, and category columns through splits, workers, store and report."""

import dataclasses
import json
from functools import partial

import numpy as np
import optuna
import pandas as pd
import pytest
from helpers.benchmark_toys import evaluation, words
from sklearn.dummy import DummyRegressor
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.pipeline import Pipeline

from benchmarks import models
from benchmarks.__main__ import main
from benchmarks.cli import UsageError
from benchmarks.data import openml, suites, tasks
from benchmarks.data.splits import Size, make_split
from benchmarks.data.table import Data, DataUnavailableError, category_columns, rows_of
from benchmarks.models.categories import CategoryEncoder, encoded, named
from benchmarks.results.store import Store
from benchmarks.tabular import condition_sections, presets, scores, sections
from benchmarks.tabular.command import add_arguments, make_plan
from benchmarks.tabular.comparisons import compare

CATEGORIES = ["10", "2", "b", "a"]


def table(n_rows=600, kind="regression"):
    """Two numbers and two categories, on which the target depends; the last category is rare."""
    rng = np.random.default_rng(0)
    color = rng.choice(CATEGORIES, n_rows, p=[0.4, 0.3, 0.28, 0.02])
    X = pd.DataFrame(
        {
            "size": rng.normal(size=n_rows),
            "color": pd.Categorical(color, categories=CATEGORIES, ordered=True),
            "weight": rng.normal(size=n_rows),
            "shape": pd.Categorical(rng.choice(["round", "flat"], n_rows)),
        }
    )
    y = 100 * (X["size"] + 2 * (X["color"] == "2") - (X["shape"] == "flat")).to_numpy() + 1000
    return Data(X, y if kind == "regression" else (y > np.median(y)).astype(np.int64), n_rows, "synthetic", True)


@pytest.fixture
def frames(monkeypatch, workers_in_threads):
    """A task of each kind whose table has categories."""
    for kind in ("regression", "classification"):
        task = tasks.Task(f"frame-{kind}", partial(table, kind=kind), kind)
        monkeypatch.setitem(tasks.TASKS, task.name, task)


def evaluations(folder):
    store = Store.open(folder, create=False)
    rows, datasets = store.frame("evaluations"), store.frame("datasets")
    store.close()
    return rows, datasets


# Tasks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suite", "n_tasks", "kind"),
    [(337, 16, "classification"), (334, 7, "classification"), (335, 17, "regression"), (336, 19, "regression")],
)
def test_a_suite_has_its_tasks_of_one_kind(suite, n_tasks, kind):
    found = [tasks.TASKS[name] for name in suites.names(suite)]
    assert len(found) == n_tasks
    assert {task.kind for task in found} == {kind}
    assert {suites.suite_of(task.name) for task in found} == {suite}


def test_no_two_tasks_share_a_number_a_data_set_or_a_name():
    sources = [source for sources in suites.SUITES.values() for source in sources]
    for numbers in ([source.task_id for source in sources], [source.data_id for source in sources]):
        assert len(set(numbers)) == len(sources) == 59
    assert len({source.name for source in sources}) == 59
    assert max(len(source.name) for source in sources) <= 64, "the store's column"


def test_the_tables_of_the_numeric_suite_have_the_names_that_older_results_know_them_by():
    assert suites.names(337)[:2] == ("credit", "electricity")
    assert suites.names(334)[0] == "334/electricity"


def test_a_task_may_be_named_by_its_number():
    assert tasks.chosen_tasks(["361110", "361055", "334/electricity"]) == ("334/electricity", "credit")


def planned(*options):
    import argparse

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return make_plan(parser.parse_args(list(options)))


def test_all_tables_are_those_of_the_suites_asked_for():
    assert {study.task for study in planned().studies} == set(suites.names(337))
    assert {study.task for study in planned("--suite", "336", "334").studies} == set(suites.names(336, 334))
    smoke = planned("--profile", "smoke", "--suite", "334")
    assert {study.task for study in smoke.studies} == set(suites.names(334))
    assert {study.task for study in planned("--suite", "334", "--tasks", "pol").studies} == {"pol"}


def test_a_suite_of_regression_is_refused_for_a_model_without_a_regressor():
    with pytest.raises(UsageError, match="'logistic' has no regressor"):
        planned("--suite", "337", "336", "--models", "logistic")


def test_an_unknown_suite_is_one_line(capsys):
    with pytest.raises(SystemExit):
        main(["tabular", "--suite", "338"])
    (line,) = capsys.readouterr().err.splitlines()
    assert "--suite" in line
    assert "337" in line


# Loading ---------------------------------------------------------------------------------------------


class FakeTask:
    target_name = "y"
    description = "PROVENANCE: rebuilt"

    def __init__(self, X, y):
        self.data = X, y, None, None

    def get_dataset(self):
        return self

    def get_data(self, target):
        return self.data


def loaded(monkeypatch, X, y, name="335/Allstate_Claims_Severity"):
    client = pytest.importorskip("openml")
    monkeypatch.setattr(client.tasks, "get_task", lambda *args, **kwargs: FakeTask(X, pd.Series(y)))
    return tasks.load(name)


def test_categories_stay_categories_and_other_columns_become_floats(monkeypatch):
    X = table(40).X.assign(count=np.arange(40, dtype=np.int8))
    data = loaded(monkeypatch, X, np.arange(40) / 8)
    assert data.X.dtypes.map(str).tolist() == ["float64", "category", "float64", "category", "float64"]
    pd.testing.assert_series_equal(data.X["color"], X["color"])
    np.testing.assert_array_equal(data.y, np.arange(40) / 8)
    assert category_columns(data.X) == [1, 3]
    assert "40 of the 188318" in data.statement
    assert "the target rebuilt to 2e-15; 2 of 5 features are categories" in data.statement
    assert not data.complete


def test_a_table_without_categories_is_an_array(monkeypatch):
    X = pd.DataFrame({"a": np.arange(40, dtype=np.int8), "b": np.arange(40, dtype=np.float32)})
    data = loaded(monkeypatch, X, np.arange(40.0), "336/sulfur")
    assert type(data.X) is np.ndarray
    assert data.X.dtype == np.float64
    assert "categories" not in data.statement


def test_a_task_that_is_not_there_is_named_by_its_number(monkeypatch, tmp_path):
    client = pytest.importorskip("openml")

    def offline(*args, **kwargs):
        raise OSError("no route")

    monkeypatch.setattr(client.tasks, "get_task", offline)
    with pytest.raises(DataUnavailableError, match=r"336/superconduct \(OpenML task 361088\).* no route"):
        tasks.load("336/superconduct")


@pytest.mark.parametrize(("name", "n_categories"), [("334/compas-two-years", 8), ("335/abalone", 1)])
def test_the_cached_tables_have_their_categories(name, n_categories):
    number = tasks.TASKS[name].load.data_id
    if not (openml.cache_directory() / f"org/openml/www/datasets/{number}").exists():
        pytest.skip(f"the OpenML table {name!r} is not in the cache")
    data = tasks.load(name)
    assert len(category_columns(data.X)) == n_categories
    assert len(data.X) == len(data.y) == data.n_published


def test_rows_are_taken_by_their_places_whatever_a_frame_calls_them():
    X = table(10).X
    rows = np.array([7, 0, 3])
    shuffled = X.iloc[::-1]
    assert rows_of(shuffled, rows)["size"].tolist() == shuffled["size"].to_numpy()[rows].tolist()
    np.testing.assert_array_equal(rows_of(X[["size"]].to_numpy(), rows)[:, 0], X["size"].to_numpy()[rows])


# Encoders --------------------------------------------------------------------------------------------


def test_an_encoder_puts_numbers_in_place_of_categories_known_or_not():
    X = table().X
    known, unknown = X[X["color"] != "a"], X[X["color"] == "a"]
    ordinal = CategoryEncoder("ordinal").fit(known)
    assert ordinal.transform(unknown)[:, 0].tolist() == [-1] * len(unknown)
    assert set(ordinal.transform(known)[:, 0]) == {0, 1, 2}
    np.testing.assert_array_equal(ordinal.transform(X)[:, 2:], X[["size", "weight"]])
    onehot = CategoryEncoder("onehot").fit(known)
    assert onehot.transform(known).shape == (len(known), 3 + 2 + 2)
    assert (onehot.transform(known)[:, :3].sum(axis=1) == 1).all()
    assert (onehot.transform(unknown)[:, :3] == 0).all()


def test_tuning_chooses_between_encodings_and_begins_with_the_default():
    forest = models.MODELS["rf"]
    recipe = forest.recipe("classification", [1, 3])
    assert recipe.build(0, 100, 4)["categories"].encoding == "ordinal"
    assert recipe.space(optuna.trial.FixedTrial(recipe.default()), 100, 4)["categories__encoding"] == "ordinal"
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = [recipe.space(study.ask(), 100, 4) for _ in range(20)]
    assert {parameters["categories__encoding"] for parameters in found} == {"ordinal", "onehot"}
    recipe.build(0, 100, 4).set_params(**found[0])


@pytest.mark.parametrize("model", models.MODELS.values(), ids=models.MODELS)
def test_without_categories_a_recipe_is_the_same_with_and_without_an_encoder(model):
    assert model.recipe("classification") == model.recipe("classification", [])
    assert model.recipe("classification").build is model.build


def test_only_one_encoding_leaves_nothing_to_tune():
    recipe = encoded("onehot")(models.Recipe(lambda *args: Pipeline([("model", None)]), dict, dict), [0])
    assert recipe.space is dict
    assert recipe.build(0, 1, 1)["categories"].encoding == "onehot"


def test_columns_are_named_by_the_parameter():
    from sklearn.ensemble import HistGradientBoostingClassifier

    recipe = models.Recipe(lambda *args: Pipeline([("model", HistGradientBoostingClassifier())]), dict, dict)
    pipeline = named("model__categorical_features")(recipe, [1, 3]).build(0, 1, 1)
    assert pipeline["model"].categorical_features == [1, 3]


NATIVE = ("hgb", "catboost", "lightgbm", "xgboost")


@pytest.mark.parametrize("name", ["rf", "sparse_mlp_onehot", *NATIVE])
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_a_model_learns_from_categories_in_any_order(name, kind):
    model = models.MODELS[name]
    if not model.is_installed:
        pytest.skip(f"{model.package} is not installed")
    data = table(600, kind)
    pipeline = model.recipe(kind, category_columns(data.X)).build(0, 400, 4)
    if name == "sparse_mlp_onehot":
        pipeline.set_params(model__width=256, model__n_members=2, model__max_epochs=20)
    pipeline.fit(data.X[:400], data.y[:400])
    assert pipeline.score(data.X[400:], data.y[400:]) > 0.85


# Runs ------------------------------------------------------------------------------------------------


def test_frames_go_to_the_workers_and_their_scores_into_the_store(frames, tmp_path):
    options = words("--tasks frame-regression frame-classification --rows 350 --models rf --seeds 1 --trials 1")
    assert main(["tabular", *options, "--results", str(tmp_path)]) == 0
    rows, datasets = evaluations(tmp_path)
    assert rows["failure"].isna().all(), rows["failure"].tolist()
    assert datasets["n_features"].tolist() == [4, 4]
    regression = rows[rows["kind"] == "regression"]
    assert regression[["test_r2", "test_rmse"]].notna().all(axis=None)
    assert regression[["test_accuracy", "test_log_loss", "test_roc_auc", "test_brier"]].isna().all(axis=None)
    assert rows[rows["kind"] == "classification"][["test_accuracy", "test_log_loss"]].notna().all(axis=None)
    chosen = rows[rows["trial"] == 0]["parameters"].map(json.loads)
    assert [parameters["categories__encoding"] for parameters in chosen] == ["ordinal"] * 2

    data = table()
    split = make_split("frame-regression", data.y, 100, stratified=False)
    train = split.training_rows(Size.rows(350), None)
    pipeline = models.MODELS["rf"].recipe("regression", [1, 3]).build(100, 350, 4)
    pipeline.fit(data.X.iloc[train], data.y[train])
    predicted, truth = pipeline.predict(data.X.iloc[split.test]), data.y[split.test]
    found = regression.set_index("trial").loc[-1]
    # The threads of a forest add up its trees in any order.
    assert found["test_r2"] == pytest.approx(r2_score(truth, predicted), rel=1e-12)
    assert found["test_rmse"] == pytest.approx(root_mean_squared_error(truth, predicted), rel=1e-12)


SEEN = []


class Recorded(DummyRegressor):
    def fit(self, X, y):
        SEEN.append(X)
        return super().fit(X, y)


def test_our_nets_are_given_the_frame_as_it_is(frames, tmp_path, monkeypatch):
    def build(seed, n_samples, n_features):
        return Pipeline([("model", Recorded())])

    SEEN.clear()
    for name in ("sparse_mlp", "dense_mlp", "sparse_mlp_onehot"):
        model = models.MODELS[name]
        stub = dataclasses.replace(model, regressor=model.regressor._replace(build=build))
        monkeypatch.setitem(models.MODELS, name, stub)
    command = words("tabular --tasks frame-regression --rows 50 --models sparse_mlp dense_mlp sparse_mlp_onehot")
    assert main([*command, "--seeds", "1", "--results", str(tmp_path)]) == 0
    sparse, dense, onehot = SEEN
    assert [str(dtype) for dtype in sparse.dtypes] == ["float64", "category", "float64", "category"]
    pd.testing.assert_frame_equal(sparse, dense)
    assert onehot.shape[1] > 4
    assert onehot.dtype == np.float64


# Report ----------------------------------------------------------------------------------------------


def rows_of_suites():
    """Two models on two tasks of each suite."""
    rows = []
    for suite in (337, 334, 335, 336):
        for number, task in enumerate(suites.names(suite)[:2]):
            for model, score in (("rf", 0.6), ("sparse_mlp", 0.6 + 0.1 * (1 - number))):
                regression = suites.KINDS[suite] == "regression"
                kind = "regression" if regression else "classification"
                measured = {"test_accuracy": None, "test_r2": score, "test_rmse": 1 - score, "baseline_score": 0.0}
                changes = measured if regression else {"test_accuracy": score, "test_r2": None, "test_rmse": None}
                common = {"failure": None, "fit_seconds": 1.0, "predict_seconds": 1.0, "peak_memory": 1.0}
                rows.append(evaluation(task=task, model=model, kind=kind, **common, **changes))
    columns = dict.fromkeys(("test_accuracy", "test_r2", "test_rmse"), float)
    none = {"test_roc_auc": np.nan, "test_log_loss": np.nan, "test_brier": np.nan, "calibration": None}
    return pd.DataFrame(rows).assign(id=range(len(rows)), **none).astype(columns)


def test_every_suite_is_a_condition_with_a_headline_of_its_own():
    found = scores.conditions(rows_of_suites())
    titles = [
        f"{name}100 training rows, default configurations"
        for name in ("", *(f"Suite {n}, " for n in (334, 335, 336)))
    ]
    assert [one.title for one in found] == titles
    assert [one.kind for one in found] == ["classification"] * 2 + ["regression"] * 2
    assert len({one.slug for one in found}) == 4
    headlines = sections.headlines(found)
    assert len(headlines) == 4
    assert all("1 won, 1 tied, 0 lost" in line for line in headlines)
    rows = sections.comparison_table(found, set()).rows
    assert [row[0] for row in rows] == titles
    assert [row[4] for row in rows] == ["1/1/0"] * 4


def test_names_of_figures_of_suites_have_no_spaces():
    rows = rows_of_suites()
    larger = rows.assign(size="rows:1000", n_train=1000)
    found = scores.conditions(pd.concat([rows, larger], ignore_index=True))
    by_rows = sections.rows_sections(found)
    assert len(by_rows) == 4
    names = [figure.name for section in by_rows for figure in section.figures]
    assert "suite-334-rows-default-score-by-rows" in names
    assert not any(" " in name for name in names)


def test_regression_is_won_by_r2_and_shown_with_rmse_and_without_probabilities():
    *_, condition = scores.conditions(rows_of_suites())
    assert compare(condition.of("sparse_mlp"), condition.of("rf")).record == (1, 1, 0)
    table = condition_sections.model_table(condition, None)
    assert "relative RMSE" in table.head
    assert not {"log loss", "ROC AUC", "calibration error"} & set(table.head)
    assert scores.per_model(condition).loc["rf", "relative_rmse"] == pytest.approx(np.sqrt(0.4))
    rmse = condition_sections.rmse_table(condition)
    assert rmse.rows[0] == ["336/cpu_act", "0.4", "0.3"]
    assert type(rmse.rows[0][2]).__name__ == "Best"


def test_a_tables_relative_rmse_is_in_units_of_the_error_of_the_training_mean():
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(5, 3, 50), rng.normal(5, 3, 50)
    row = evaluation(
        kind="regression",
        test_r2=r2_score(truth, predicted),
        baseline_score=r2_score(truth, np.full(50, 4.0)),
        failure=None,
    )
    (ratio,) = scores.with_scores(pd.DataFrame([row]))["relative_rmse"]
    expected = root_mean_squared_error(truth, predicted) / root_mean_squared_error(truth, np.full(50, 4.0))
    assert ratio == pytest.approx(expected)


def test_the_ablation_takes_a_suite(tmp_path, monkeypatch):
    asked = []

    def remembered(args, models, sizes, options):
        asked.extend(args.tasks)
        return 0, pd.DataFrame()

    monkeypatch.setattr(presets, "_evaluated", remembered)
    assert main(["ablation", "--suite", "336", "--results", str(tmp_path)]) == 0
    assert asked == list(suites.names(336))
