"""The search space: what it draws can be fitted and stored, and the defaults are in it."""

import warnings

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor
from sparsemlp.search_space import _cost, best_params, default_suggestions, suggest_params

optuna.logging.set_verbosity(optuna.logging.WARNING)
#: what the learning rate is for tables of up to 20,000 rows
AUTO = {"learning_rate": 0.002}
SHORT = {"max_epochs": 1, "n_members": 2, "device": "cpu", "random_state": 0}


def random_study(seed=0, **options):
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed), **options)


@pytest.mark.parametrize("dense", [False, True])
def test_the_defaults_are_in_the_space(dense):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Optuna warns of a value outside its distribution
        params = suggest_params(optuna.trial.FixedTrial(default_suggestions(dense=dense)), 1000, 10, dense=dense)
    default = SparseInitMLPClassifier(sparsity=None if dense else "auto").get_params() | AUTO
    assert params == {name: default[name] for name in params}


@pytest.mark.parametrize("dense", [False, True])
def test_the_regressors_own_defaults_are_the_first_trial_of_a_regression(dense):
    study = random_study()
    study.enqueue_trial(default_suggestions(dense=dense, regression=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        params = suggest_params(study.ask(), 1000, 10, dense=dense, regression=True)
    default = SparseInitMLPRegressor(sparsity=None if dense else "auto").get_params() | AUTO
    assert params == {name: default[name] for name in params}
    assert params["activation"] != SparseInitMLPClassifier().activation


@given(n_samples=st.integers(1, 10**7), n_features=st.integers(1, 1000), seed=st.integers(0, 2**32 - 1))
def test_drawn_sizes_fit_the_table(n_samples, n_features, seed):
    params = suggest_params(random_study(seed).ask(), n_samples, n_features)
    assert params["sparsity"] == "auto" or params["sparsity"] <= n_features
    default = _cost(SparseInitMLPClassifier().width, n_features)
    assert _cost(params["width"], n_features) <= default * (2 if n_samples < 50_000 else 1)


@pytest.mark.parametrize("make", [SparseInitMLPClassifier, SparseInitMLPRegressor])
@pytest.mark.parametrize(("n_samples", "n_features"), [(4, 1), (10, 3)])
def test_whatever_is_drawn_can_be_fitted_to_a_tiny_table(make, n_samples, n_features):
    X = np.random.default_rng(0).normal(size=(n_samples, n_features))
    y = np.arange(n_samples) % 2
    study = random_study()
    for _ in range(6):
        params = suggest_params(study.ask(), n_samples, n_features)
        assert np.isfinite(make(**SHORT, **params).fit(X, y).predict(X)).all()


def test_every_choice_alone_can_be_fitted():
    X = np.random.default_rng(0).normal(size=(6, 8))
    trial = random_study().ask()
    suggest_params(trial, 6, 8)
    for name, distribution in trial.distributions.items():
        is_choice = isinstance(distribution, optuna.distributions.CategoricalDistribution)
        for choice in distribution.choices if is_choice else (distribution.low, distribution.high):
            fixed = optuna.trial.FixedTrial(default_suggestions() | {name: choice})
            SparseInitMLPClassifier(**SHORT, **suggest_params(fixed, 6, 8)).fit(X, np.arange(6) % 2)


@pytest.mark.parametrize("storage", [None, "sqlite:///{folder}/study.sqlite"], ids=["memory", "sqlite"])
def test_a_study_is_stored_without_warnings_and_its_best_trial_gives_its_parameters(storage, tmp_path):
    storage = storage and storage.format(folder=tmp_path)
    drawn = []

    def objective(trial):
        drawn.append(suggest_params(trial, 1000, 20))
        return len(drawn)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = random_study(storage=storage, study_name="net", direction="maximize")
        study.enqueue_trial(default_suggestions())
        study.optimize(objective, n_trials=4)
        if storage:
            study = optuna.load_study(study_name="net", storage=storage)
        assert suggest_params(study.best_trial, 1000, 20) == drawn[-1]
    assert study.trials[0].params == default_suggestions()
    assert drawn[0]["width"] == SparseInitMLPClassifier().width


def test_a_seed_draws_the_same_again():
    first, again = (
        [suggest_params(study.ask(), 1000, 20) for _ in range(5)] for study in (random_study(3), random_study(3))
    )
    assert first == again
    assert suggest_params(random_study(4).ask(), 1000, 20) != first[0]


def test_a_dense_net_draws_all_but_the_sparsity():
    trial = random_study().ask()
    params = suggest_params(trial, 1000, 20, dense=True)
    assert params["sparsity"] is None
    assert set(trial.distributions) == set(default_suggestions(dense=True)) == set(params) - {"sparsity"}


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize(("n_samples", "n_features"), [(60_000, 20), (40_000, 6), (1000, 500), (5, 1)])
def test_a_finished_trial_is_read_for_a_table_of_any_size(n_samples, n_features, dense, regression):
    options = {"dense": dense, "regression": regression}
    study = random_study()
    study.optimize(lambda trial: len(suggest_params(trial, 40_000, 20, **options)), n_trials=10)
    for trial in study.trials:
        read = suggest_params(trial, n_samples, n_features, **options)
        assert read["learning_rate"] == trial.params["learning_rate"]
        assert dense or read["sparsity"] == "auto" or read["sparsity"] <= n_features


def test_one_study_searches_tables_of_several_sizes():
    study = random_study()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study.optimize(
            lambda trial: len(suggest_params(trial, *[(1000, 300), (10**6, 3)][trial.number % 2])), n_trials=8
        )
    assert all(trial.state.name == "COMPLETE" for trial in study.trials)


@pytest.mark.parametrize("storage", [None, "sqlite:///{folder}/study.sqlite"], ids=["memory", "sqlite"])
@pytest.mark.parametrize("dense", [False, True])
def test_a_studys_best_parameters_make_the_estimator_of_its_best_trial(dense, storage, tmp_path):
    used = []

    def objective(trial):
        used.append(suggest_params(trial, 100_000, 3, dense=dense))
        return trial.number

    study = random_study(
        direction="maximize", storage=storage and storage.format(folder=tmp_path), study_name="net"
    )
    study.enqueue_trial({"width": "[1024, 128]", "sparsity": 8}, skip_if_exists=False)
    study.optimize(objective, n_trials=1)
    expected = {"width": (512, 128), "sparsity": None if dense else 3}
    assert best_params(study) == used[0] == used[0] | expected
    suggest_params(study.best_trial, 1000, 20, dense=dense)  # reading it for another table changes nothing
    assert SparseInitMLPClassifier(**best_params(study)).get_params().items() >= used[0].items()


def test_a_best_trial_without_parameters_of_ours_is_named():
    study = random_study()
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(ValueError, match=r"trial 0, the study's best, carries no parameters"):
        best_params(study)


@pytest.mark.parametrize("make", [SparseInitMLPClassifier, SparseInitMLPRegressor])
def test_a_width_as_a_database_has_it_is_an_error_that_names_the_way_out(make):
    with pytest.raises(ValueError, match=r"width='\[256, 64\]' is a text.*search_space.best_params\(study\)"):
        make(width="[256, 64]").fit([[0.0], [1.0]], [0, 1])
