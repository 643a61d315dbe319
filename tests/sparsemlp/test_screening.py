"""Which features a network sees where they are at least as many as the rows."""

import pickle

import numpy as np
import pytest
import torch
from helpers.small import small_classifier
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.tree import DecisionTreeRegressor

from sparsemlp import SparseInitMLPClassifier, _screening
from sparsemlp._association import split_gains
from sparsemlp._screening import strong_columns
from sparsemlp.inspection import feature_importances
from sparsemlp.preprocessing import InputScaler
from sparsemlp.trees import TreePaths

OWN = {"n_members": 4, "early_stopping": "out_of_fold", "feature_sampling": "trees", "activation": "mixed"}


def a_sum(n_features=80, n_rows=60):
    X = np.random.default_rng(0).normal(size=(n_rows + 1000, n_features))
    y = X[:, :2].sum(axis=1) > 0
    return X[:n_rows], y[:n_rows], X[n_rows:], y[n_rows:]


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_the_gain_of_a_column_is_that_of_the_best_stump(n_outputs):
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(40, 6)).round(1).astype(np.float32)  # with ties
    target, weight = rng.normal(size=(40, n_outputs)), rng.random((2, 40))
    gains = split_gains(columns, target, weight, generator())
    for member, own in enumerate(weight):
        for column in range(6):
            x = columns[:, [column]]
            stump = DecisionTreeRegressor(max_depth=1, min_samples_leaf=4).fit(x, target, own)
            prediction = stump.predict(x).reshape(target.shape)
            constant = np.average(target, axis=0, weights=own)
            expected = (own[:, np.newaxis] * ((target - constant) ** 2 - (target - prediction) ** 2)).sum()
            assert_allclose(gains[member, column], expected, rtol=1e-5)


def test_rows_of_weight_zero_do_not_count():
    rng = np.random.default_rng(2)
    columns, target = rng.normal(size=(50, 5)).astype(np.float32), rng.normal(size=(50, 1))
    own = np.arange(50) % 5 > 0
    of_all = split_gains(columns, target, own[np.newaxis] * 1.0, generator())
    assert_allclose(of_all, split_gains(columns[own], target[own], np.ones((1, 40)), generator()))


def test_columns_without_a_split_gain_nothing():
    gains = split_gains(
        np.zeros((30, 2), np.float32), np.arange(30.0)[:, np.newaxis], np.ones((1, 30)), generator()
    )
    assert_array_equal(gains, 0)


def test_columns_of_a_feature_are_strong_together():
    gain = np.array([0.5, 0.0, 0.04, 0.45, 0.01])
    trees = TreePaths(*[np.ones(1)] * 5, gain, np.ones((0, 0)))
    strong = strong_columns([trees, trees], np.array([0, 0, 1, 2, 2]))
    assert strong.tolist() == [[1, 1, 0, 1, 1]] * 2
    assert strong_columns([trees, None], np.arange(5)) is None


@pytest.fixture
def few_features(monkeypatch):
    """Members see nine features each, where there are more than forty."""
    monkeypatch.setattr(_screening, "MAX_FEATURES", 40)
    monkeypatch.setattr(_screening, "N_BEST", 5)
    monkeypatch.setattr(_screening, "N_RANDOM", 4)


@pytest.mark.usefixtures("few_features")
def test_weights_of_features_that_a_member_does_not_see_stay_zero():
    X, y, _, _ = a_sum()
    net = small_classifier(**OWN).fit(X, y)
    weight = net.net_.module_.input_layer.weight.detach()
    n_seen = (weight != 0).any(dim=1).sum(dim=1)
    assert n_seen.max() <= 2 * 9
    kept = np.unique(net.scaler_.column_features_)
    assert len(kept) <= 4 * 5 + 4
    assert {0, 1} <= set(kept.tolist())
    importances = feature_importances(net)
    assert importances.shape == (80,)
    assert importances[np.setdiff1d(np.arange(80), kept)].sum() == 0
    assert importances.sum() == pytest.approx(1)


@pytest.mark.usefixtures("few_features")
def test_fits_of_chosen_features_survive_pickling_and_are_the_same_for_sparse_rows():
    X, y, X_new, _ = a_sum()
    net = small_classifier(**OWN).fit(X, y)
    decision = net.decision_function(X_new)
    assert_array_equal(pickle.loads(pickle.dumps(net)).decision_function(X_new), decision)
    of_sparse = small_classifier(**OWN).fit(sparse.csr_matrix(X), y)
    assert_allclose(of_sparse.decision_function(sparse.csr_matrix(X_new)), decision, atol=1e-5)


def test_a_sum_of_two_of_many_inputs_is_learned_from_strong_columns():
    X, y, X_new, y_new = a_sum()
    net = SparseInitMLPClassifier(64, n_members=4, random_state=0).fit(X, y)
    weight = net.net_.module_.input_layer.weight
    assert (weight != 0).any(dim=1).sum(dim=1).max() < 40
    assert net.score(X_new, y_new) > 0.85


@pytest.mark.parametrize(
    ("n_features", "options"),
    [
        (59, {}),
        (80, {"feature_sampling": "uniform"}),
        (80, {"sparsity": None}),
        (80, {"warm_start": True}),
        (80, {"early_stopping": False}),
    ],
)
def test_other_fits_see_all_features(n_features, options, monkeypatch):
    monkeypatch.setattr(_screening, "MAX_FEATURES", 0)
    X, y, _, _ = a_sum(n_features)
    net = small_classifier(**(OWN | options)).fit(X, y)
    assert len(np.unique(net.scaler_.column_features_)) == n_features


def test_a_scaler_of_chosen_features_gives_their_columns():
    X = np.random.default_rng(3).normal(size=(30, 6))
    X[3, 4] = np.nan
    features = np.array([1, 4])
    scaler = InputScaler("both", features=features).fit(X)
    assert_array_equal(scaler.transform(X), InputScaler("both").fit_transform(X[:, features]))
    assert_array_equal(scaler.column_features_, [1, 4, 1, 4, 4])
    assert scaler.column_groups() == [[0, 2], [1, 3, 4]]
