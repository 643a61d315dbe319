"""The competitors: their defaults, what their spaces draw, and which of them are there."""

import numpy as np
import optuna
import pytest
from sklearn.datasets import load_iris

from benchmarks import models
from benchmarks.cli import UsageError
from benchmarks.data.tasks import task_of
from benchmarks.models import forest
from benchmarks.models.base import encode_choice, weighted


def each_model():
    for name, model in models.MODELS.items():
        missing = pytest.mark.skipif(not model.is_installed, reason=f"{model.package} is not installed")
        yield pytest.param(model, id=name, marks=missing)


@pytest.mark.filterwarnings("ignore:.*out of the range:UserWarning")
@pytest.mark.parametrize("model", list(each_model()))
def test_the_default_of_a_space_is_the_default_of_its_pipeline(model):
    trial = optuna.trial.FixedTrial(model.default())
    parameters = model.space(trial, 1000, 10)
    default = model.build(0, 1000, 10).get_params()
    floor = {
        "model__l2_regularization": 1e-6,
        "model__weight_decay": max(default.get("model__weight_decay") or 0, 1e-6),
    }
    if default.get("model__learning_rate") == "auto":
        default |= {"model__learning_rate": 0.002}  # of few rows
    for key, value in parameters.items():
        own = default.get(key)  # some libraries say None, or nothing, where they choose themselves
        assert own is None or value == floor.get(key, own), key
    model.build(0, 1000, 10).set_params(**parameters)


@pytest.mark.parametrize("model", list(each_model()))
def test_a_space_draws_what_its_pipeline_takes(model):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [model.space(study.ask(), 1000, 1) for _ in range(20)]
    for parameters in drawn:
        model.build(0, 1000, 1).set_params(**parameters)
        assert parameters.get("model__sparsity") in (None, 1, "auto"), "a table of one column has one to keep"
    assert len({str(parameters) for parameters in drawn}) == 20


@pytest.mark.parametrize("model", models.MODELS.values(), ids=models.MODELS)
def test_a_space_offers_only_choices_that_a_database_can_hold(model):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    model.space(trial, 1000, 10)
    for distribution in trial.distributions.values():
        for choice in getattr(distribution, "choices", ()):
            assert choice is None or isinstance(choice, bool | int | float | str), choice


@pytest.mark.parametrize(
    ("weights", "choice", "share"),
    [
        (forest.DEPTHS, None, 0.7),
        (forest.DEPTHS, 4, 0.1),
        (forest.FEATURES, "sqrt", 2 / 13),
        (forest.FEATURES, 0.9, 1 / 13),
        (forest.SPLITS, 3, 0.05),
        (forest.IMPURITIES, 0.0, 0.85),
    ],
)
def test_forest_parameters_are_drawn_with_the_published_weights(weights, choice, share):
    trials = [optuna.trial.FixedTrial({"name": position}) for position in np.linspace(0, 1, 1001)]
    drawn = [weighted(trial, "name", weights) for trial in trials]
    assert drawn.count(choice) == pytest.approx(1001 * share, abs=2)


def test_the_space_of_the_forest_is_the_published_one():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [models.MODELS["rf"].space(study.ask(), 1000, 10) for _ in range(300)]
    leaves = [parameters["model__min_samples_leaf"] for parameters in drawn]
    assert (min(leaves), max(leaves)) == (2, 50)  # log-uniform from 1.5 to 50.5, rounded
    assert sum(leaf <= 8 for leaf in leaves) / 300 == pytest.approx(
        np.log(8.5 / 1.5) / np.log(50.5 / 1.5), abs=0.1
    )
    assert {parameters["model__criterion"] for parameters in drawn} == {"gini", "entropy"}
    assert models.MODELS["rf"].build(0, 1000, 10)["model"].n_estimators == 250


def test_a_model_whose_package_is_missing_names_the_extra_to_install(monkeypatch):
    absent = models.Model("absent", "Absent", *[None] * 3, package="no_such_package", extra="boosting")
    monkeypatch.setitem(models.MODELS, "absent", absent)
    with pytest.raises(UsageError, match=r"'absent' needs the package no_such_package: pip install '\.\[boost"):
        models.chosen(["rf", "absent"])
    assert "absent" not in models.chosen(["all"])
    assert "rf" in models.chosen(["all"])


def test_the_tuple_of_a_width_is_told_as_text():
    assert encode_choice((256, 64)) == "[256, 64]"
    parameters = models.MODELS["sparse_mlp"].space(
        optuna.trial.FixedTrial(models.MODELS["sparse_mlp"].default() | {"width": encode_choice((256, 64))}),
        100,
        10,
    )
    assert parameters["model__width"] == (256, 64)


def test_an_l1_penalty_finds_one_input_of_many_where_an_l2_penalty_does_not():
    X, y = task_of("sum-500-1").sample(200, 0)
    accuracy = {}
    for name in ("l1_logistic", "logistic"):
        pipeline = models.MODELS[name].build(0, 200, 500).fit(X[:200], y[:200])
        accuracy[name] = pipeline.score(X[200:], y[200:])
    assert accuracy["l1_logistic"] > 0.95
    assert accuracy["logistic"] < 0.75


def test_an_l1_penalty_takes_three_classes():
    X, y = load_iris(return_X_y=True)
    pipeline = models.MODELS["l1_logistic"].build(0, *X.shape).fit(X, y)
    assert pipeline.predict_proba(X).shape == (150, 3)
    assert pipeline.score(X, y) > 0.9
