"""Which features neurons start with: the probabilities, the draws, and what they do for few rows."""

import numpy as np
import pytest
import torch
from helpers.small import small_classifier, small_regressor
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import make_classification

from sparsemlp.datasets import make_sparse_parity
from sparsemlp.init import s_hot_
from sparsemlp.relevance import relevance_weights

OWN = {"feature_sampling": "relevance", "max_epochs": 1, "width": 2000, "scaling": "standard"}


def table(n_rows=200, n_columns=5, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, n_columns))


def test_half_is_even_and_half_goes_with_the_largest_correlation():
    X = table()
    Y = np.column_stack([X[:, 1] + 0.5 * table(seed=1)[:, 0], X[:, 3] ** 2])
    largest = [max(np.corrcoef(values, y)[0, 1] ** 2 for values in (x, x**2) for y in Y.T) for x in X.T]
    relevance = 1 + 200 * np.array(largest)
    expected = 0.5 / 5 + 0.5 * relevance / relevance.sum()
    found = relevance_weights(X, Y, np.arange(5)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert set(found.argsort()[-2:]) == {1, 3}


def test_a_feature_is_as_relevant_as_its_best_column():
    X = table(n_columns=4)
    alone = relevance_weights(X[:, :2], X[:, [1]], np.arange(2))
    beside = relevance_weights(X[:, [0, 0, 1, 2]], X[:, [1]], np.array([0, 1, 1, 1]))
    np.testing.assert_allclose(beside, alone, rtol=1e-3)  # the third column is noise


def test_an_integer_weight_is_repetition_of_equal_size():
    X, weight = table(), np.repeat([1, 2], 100)
    Y = (X[:, [0]] > 0).astype(float)
    doubled = relevance_weights(np.tile(X, (2, 1)), np.tile(Y, (2, 1)), np.arange(5), np.tile(weight, 2))
    n_effective = 300**2 / (100 + 400)
    assert doubled.sum() == pytest.approx(1)
    r2 = [max(_weighted_r(values, Y[:, 0], weight) ** 2 for values in (x, x**2)) for x in X.T]
    relevance = 1 + 2 * n_effective * np.array(r2)
    np.testing.assert_allclose(doubled, 0.1 + 0.5 * relevance / relevance.sum(), rtol=1e-9)


def _weighted_r(x, y, weight):
    covariance = np.cov(x, y, aweights=weight)
    return covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])


def test_rows_without_any_weight_say_nothing():
    X, y = table(), np.repeat([0, 1], 100)
    found = relevance_weights(X, X[:, [1]], np.arange(5), np.zeros(200))
    np.testing.assert_array_equal(found, np.full(5, 0.2))
    first = small_classifier(**OWN, class_weight={0: 0.0, 1: 1.0}).partial_fit(X[:100], y[:100], classes=[0, 1])
    assert shares_of_neurons(first) == pytest.approx([2 / 5] * 5, abs=0.05)
    assert np.isfinite(first.partial_fit(X, y).predict_proba(X)).all()


@given(st.integers(0, 1000), st.floats(-6, 6))
def test_neither_scale_nor_shift_matters_and_constants_are_drawn_least(seed, power):
    X = table(seed=seed)
    X[:, 2] = 7.0
    Y = X[:, [0]]
    found = relevance_weights(X, Y, np.arange(5)).numpy()
    assert found[2] == found.min()
    assert found.min() >= 0.5 / 5
    scaled = relevance_weights(X * 10**power, -3 * Y + 1, np.arange(5)).numpy()
    np.testing.assert_allclose(scaled, found, rtol=1e-6)


def test_blocks_of_rows_change_nothing(monkeypatch):
    X = table(n_columns=7)
    whole = relevance_weights(X, X[:, [2]], np.arange(7))
    monkeypatch.setattr("sparsemlp.relevance.BLOCK_VALUES", 3 * 200)
    np.testing.assert_allclose(relevance_weights(X, X[:, [2]], np.arange(7)), whole, rtol=1e-12)


@settings(max_examples=20)
@given(st.integers(1, 6), st.sampled_from([[8, 4, 2, 1, 1, 0.5], [3, 2.5, 2, 1.5, 1.5, 1]]), st.integers(0, 1000))
def test_weighted_draws_are_distinct_and_as_frequent_as_their_weights(sparsity, weights, seed):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.tensor(weights)
    drawn = s_hot_(torch.empty(4000, 6), sparsity, "ones", generator, feature_weights=weights)
    assert (drawn.sum(dim=1) == sparsity).all()
    share = drawn.mean(dim=0)
    if sparsity == 1:
        expected = weights / weights.sum()
        assert ((share - expected).abs() < 5 * (expected * (1 - expected) / 4000).sqrt()).all()
    assert (share.diff()[[0, 1, 2, 4]] <= 0.05).all()


@pytest.mark.parametrize("most_repeated", [0.0, 1.0], ids=["races", "no repeats"])
def test_pairs_are_drawn_one_after_the_other(monkeypatch, most_repeated):
    monkeypatch.setattr("sparsemlp.init.MOST_REPEATED", most_repeated)
    weights = torch.tensor([5.0, 3.0, 2.0])
    drawn = s_hot_(torch.empty(100_000, 3), 2, "ones", torch.Generator().manual_seed(0), feature_weights=weights)
    without_last = drawn[:, 2] == 0
    expected = 0.5 * 3 / 5 + 0.3 * 5 / 7  # first 0 then 1 of what is left, or the other way round
    assert without_last.float().mean().item() == pytest.approx(expected, abs=0.008)


def test_chunks_of_rows_are_independent_draws(monkeypatch):
    monkeypatch.setattr("sparsemlp.init.MOST_REPEATED", 0.0)
    monkeypatch.setattr("sparsemlp.init.CHUNK_SIZE", 30)
    drawn = s_hot_(
        torch.empty(1000, 3), 1, "ones", torch.Generator().manual_seed(0), feature_weights=torch.ones(3)
    )
    assert (drawn.sum(dim=1) == 1).all()
    assert drawn.mean(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=0.07)


@pytest.mark.parametrize("size", [1e-60, 1e60])
def test_only_ratios_of_weights_count(size):
    weights = torch.tensor([1.0, 2.0, 4.0, 1.0], dtype=torch.float64)
    drawn = [
        s_hot_(torch.empty(2000, 4), 2, "ones", torch.Generator().manual_seed(0), feature_weights=values)
        for values in (weights, weights * size)
    ]
    assert (drawn[0] == drawn[1]).all(dim=1).float().mean() > 0.99  # rounding may decide a draw


def test_one_feature_of_nearly_all_the_weight_does_not_keep_the_others_from_being_drawn():
    weights = torch.tensor([1e30, 1.0, 1.0, 1.0])
    drawn = s_hot_(torch.empty(3000, 4), 2, "ones", torch.Generator().manual_seed(0), feature_weights=weights)
    assert (drawn[:, 0] == 1).all()
    assert drawn[:, 1:].mean(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=0.05)


@pytest.mark.parametrize("weights", [[1.0, 2.0], [1.0, 0.0, 1.0], [1.0, -1.0, 1.0], [1.0, float("nan"), 1.0]])
def test_unusable_weights_are_refused(weights):
    with pytest.raises(ValueError, match="feature_weights must be 3 positive numbers, one for each"):
        s_hot_(torch.empty(2, 3), 1, feature_weights=torch.tensor(weights))


def first_layer(estimator):
    return estimator.net_.module_.input_layer.weight.detach()


def shares_of_neurons(estimator):
    """Return for every column the share of the neurons that started with it."""
    return (first_layer(estimator).abs() > 1e-6).float().mean(dim=(0, 1))  # a step of training moves all by less


@pytest.mark.parametrize("make", [small_classifier, small_regressor])
@pytest.mark.parametrize("as_sparse", [False, True])
def test_neurons_start_more_often_with_what_goes_with_the_target(make, as_sparse):
    X = table(300, 20)
    y = (X[:, 4] > 0).astype(int)
    rows = sparse.csr_matrix(X) if as_sparse else X
    estimator = make(**OWN, learning_rate=1e-12).fit(rows, y)
    counts = shares_of_neurons(estimator)
    assert counts.argmax() == 4
    assert counts[4] > 0.4
    assert counts.min() > 0.5 * 0.5 * 2 / 20


@pytest.mark.parametrize("as_sparse", [False, True])
def test_a_wide_table_is_not_made_dense_as_a_whole(monkeypatch, as_sparse):
    X = table(300, 20)
    y = (X[:, 4] > 0).astype(int)
    seen = []
    real = relevance_weights

    def noted(columns, *args):
        seen.append(columns.shape)
        return real(columns, *args)

    monkeypatch.setattr("sparsemlp._base.relevance_weights", noted)
    monkeypatch.setattr("sparsemlp._data.MAX_INIT_VALUES", 50 * 20)
    estimator = small_classifier(**OWN, learning_rate=1e-12).fit(sparse.csr_matrix(X) if as_sparse else X, y)
    assert seen == [(50, 20)]
    assert shares_of_neurons(estimator).argmax() == 4


def test_parity_has_nothing_to_go_by():
    X, y, support = make_sparse_parity(2000, 30, 3, random_state=0, return_support=True)
    estimator = small_classifier(**OWN, learning_rate=1e-12).fit(X, y)
    counts = shares_of_neurons(estimator)
    assert counts[support].mean() == pytest.approx(2 / 30, rel=0.5)


def test_few_rows_of_many_columns_are_told_apart_better():
    scores = {"relevance": [], "uniform": []}
    for seed in range(3):
        X, y = make_classification(1100, 60, n_informative=3, n_redundant=0, random_state=seed)
        for name, found in scores.items():
            estimator = small_classifier(feature_sampling=name, width=256, max_epochs=10, bias_init="data")
            found.append(estimator.fit(X[:100], y[:100]).score(X[100:], y[100:]))
    assert np.mean(scores["relevance"]) > np.mean(scores["uniform"]) + 0.02


def test_a_single_feature_and_a_dense_start_have_nothing_to_draw():
    X = table(60, 1)
    y = (X[:, 0] > 0).astype(int)
    one = small_classifier(**(OWN | {"width": 8})).fit(X, y)
    assert first_layer(one).count_nonzero() == first_layer(one).numel()
    dense = [
        small_classifier(sparsity=None, width=8, feature_sampling=name, bias_init="zeros").fit(table(60), y)
        for name in ("relevance", "uniform")
    ]
    assert torch.equal(*map(first_layer, dense))
