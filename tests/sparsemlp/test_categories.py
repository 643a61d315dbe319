"""Categorical columns: their codes, the input columns they become, and what neurons start as."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.small import mixed_table, small_classifier, small_regressor
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sparsemlp import SparseInitMLPClassifier
from sparsemlp._categories import MAX_COLUMNS, MIN_ROWS, N_FOLDS, CategoryColumns, targets_of_means
from sparsemlp.init import random_sets_, s_hot_
from sparsemlp.preprocessing import InputScaler
from sparsemlp.trees import TreePaths, splits_


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# -- the columns that a feature becomes --------------------------------------------------------------------------


def cross_fitted(codes, y, fold):
    columns = CategoryColumns().fit(codes, y, np.ones(len(y)))
    return columns, columns.cross_fit(codes, y, np.ones(len(y)), fold)


def random_codes(seed, n_categories, n_rows):
    """Return codes, a tenth of them missing, and their columns without mean targets."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(n_categories, size=n_rows).astype(float)
    codes[rng.random(n_rows) < 0.1] = np.nan
    columns = CategoryColumns().fit(codes, np.zeros((n_rows, 0)), np.ones(n_rows))
    return codes, columns


@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(3, 200))
def test_one_hot_columns_say_which_category_a_row_has(seed, n_categories, n_rows):
    codes, columns = random_codes(seed, n_categories, n_rows)
    out = columns.transform(codes)
    values, count = np.unique(codes, return_counts=True)
    frequent = values[count >= MIN_ROWS]
    if columns.n_one_hot == 0:
        assert len(frequent) + (len(frequent) < len(values)) < 2
        return
    assert out.shape == (n_rows, len(frequent) + (len(frequent) < len(values)))
    np.testing.assert_array_equal(out.sum(axis=1), 1)
    np.testing.assert_allclose(out.mean(axis=0), columns.frequency, rtol=1e-6)
    for value in frequent:
        same = (codes == value) | (np.isnan(codes) & np.isnan(value))
        assert len(np.unique(out[same].argmax(axis=1))) == 1


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(3, 200))
def test_the_code_of_a_one_hot_column_is_that_of_the_rows_that_have_it(seed, n_categories, n_rows):
    codes, columns = random_codes(seed, n_categories, n_rows)
    named = columns.one_hot_codes()
    assert len(named) == columns.n_one_hot
    for row, code in zip(columns.transform(codes), codes, strict=True) if named else ():
        of_column = named[row.argmax()]
        is_rare = not any(np.array_equal([code], [other], equal_nan=True) for other in named)
        assert of_column == -1 if is_rare else np.array_equal([of_column], [code], equal_nan=True)


def test_of_many_frequent_categories_the_most_frequent_have_columns():
    codes = np.repeat(np.arange(100.0), np.arange(100) + 20)
    columns = CategoryColumns().fit(codes, np.zeros((len(codes), 0)), np.ones(len(codes)))
    assert columns.n_one_hot == MAX_COLUMNS + 1
    own = columns.transform(np.arange(100.0)).argmax(axis=1) < MAX_COLUMNS
    np.testing.assert_array_equal(own, np.arange(100) >= 100 - MAX_COLUMNS)


def test_an_unknown_category_is_like_a_rare_one_and_has_the_mean_target_of_all_rows():
    codes = np.array([0.0] * 20 + [1.0] * 20 + [2.0] * 3)
    y = np.repeat([[1.0], [0.0]], [20, 23], axis=0)
    columns = CategoryColumns().fit(codes, y, np.ones(43))
    unknown, rare = columns.transform(np.array([-1.0, 2.0]))
    np.testing.assert_array_equal(unknown[:3], rare[:3])
    assert unknown[3] == 0
    np.testing.assert_array_equal(columns.transform(np.array([-1.0]))[0], columns.transform(np.array([9.0]))[0])


def test_mean_targets_of_training_rows_come_from_the_rows_of_other_folds():
    rng = np.random.default_rng(0)
    codes, fold = rng.integers(6, size=400).astype(float), rng.integers(N_FOLDS, size=400)
    y = (codes[:, None] + rng.normal(size=(400, 2))) * [1, -3]
    columns, out = cross_fitted(codes, y, fold)
    changed = y.copy()
    own = fold == 2
    changed[own] = rng.normal(size=(own.sum(), 2)) * 100
    again = columns.cross_fit(codes, changed, np.ones(400), fold)
    np.testing.assert_array_equal(out[own], again[own])
    assert (out[~own] != again[~own]).any()


def test_mean_targets_are_those_of_large_categories_and_shrunk_for_small_ones():
    rng = np.random.default_rng(0)
    size = np.array([400, 400, 5, 5])
    codes = np.repeat(np.arange(4.0), size)
    y = (np.array([1.0, -1.0, 1.0, -1.0])[codes.astype(int)] + rng.normal(size=len(codes)))[:, None]
    columns = CategoryColumns().fit(codes, y, np.ones(len(y)))
    means = np.array([y[codes == code].mean() for code in range(4)])
    shrunk = columns.mean[:4, 0] - y.mean()
    ratio = shrunk / (means - y.mean())
    assert (ratio[:2] > 0.98).all()
    assert (ratio[2:] < 0.95).all()
    assert (ratio > 0).all()


@pytest.mark.parametrize("n_outputs", [1, 2, 4])
def test_means_are_of_each_of_a_few_outputs(n_outputs):
    target = np.random.default_rng(0).normal(size=(20, n_outputs)).astype(np.float32)
    np.testing.assert_array_equal(targets_of_means(target), target)


@pytest.mark.parametrize("n_outputs", [5, 8, 10, 31, 100])
def test_few_means_tell_many_classes_apart(n_outputs):
    sums = targets_of_means(np.eye(n_outputs, dtype=np.float32))
    assert sums.shape[1] <= np.log2(n_outputs) + 2
    assert (sums.sum(axis=1) >= 2).all(), "every output counts"
    differ = (sums[:, np.newaxis] != sums).sum(axis=2)
    assert (differ[~np.eye(n_outputs, dtype=bool)] >= 2).all()


def test_which_of_ten_classes_a_row_has_is_learned_from_many_categories():
    rng = np.random.default_rng(0)
    class_of, town = rng.integers(10, size=200), rng.integers(200, size=3000)
    X = pd.DataFrame({"noise": rng.normal(size=3000), "town": pd.Categorical(town.astype(str))})
    clf = SparseInitMLPClassifier((128, 32), n_members=2, max_epochs=30, device="cpu", random_state=0)
    assert clf.fit(X[:2000], class_of[town[:2000]]).score(X[2000:], class_of[town[2000:]]) > 0.9


def test_weights_count_like_repeated_rows():
    rng = np.random.default_rng(0)
    codes, weight = rng.integers(5, size=4000).astype(float), rng.integers(1, 4, size=4000)
    y = codes[:, None] * 0.3 + rng.normal(size=(4000, 1))
    weighted = CategoryColumns().fit(codes, y, weight.astype(float))
    repeated = CategoryColumns().fit(np.repeat(codes, weight), np.repeat(y, weight, axis=0), np.ones(weight.sum()))
    # up to the shrinkage, which counts rows
    np.testing.assert_allclose(weighted.mean, repeated.mean, atol=0.01)


def test_mean_targets_of_random_categories_tell_nothing_of_the_rows_they_come_from():
    correlations = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        codes, y = rng.integers(300, size=1000).astype(float), rng.normal(size=(1000, 1))
        _, out = cross_fitted(codes, y, rng.permutation(1000) % N_FOLDS)
        means = out[:, -1]
        correlations.append(np.corrcoef(means, y[:, 0])[0, 1] if means.std() > 0 else 0.0)
    assert abs(np.mean(correlations)) < 3 * 1000**-0.5 / 20**0.5


def test_rows_that_are_equal_do_not_see_each_others_targets():
    rng = np.random.default_rng(0)
    X = np.repeat(np.column_stack([np.arange(100.0), rng.normal(size=100)]), 3, axis=0)
    y = np.repeat(rng.normal(size=(100, 1)), 3, axis=0)
    scaler = InputScaler("squash", 0, [0]).fit(X, y)
    means = scaler.transform_training_rows(X, y)[:, -1]
    assert abs(np.corrcoef(means, y[:, 0])[0, 1] if means.std() > 0 else 0.0) < 0.3
    assert abs(np.corrcoef(scaler.transform(X)[:, -1], y[:, 0])[0, 1]) > 0.9


def test_a_feature_of_two_categories_is_a_number():
    X = np.column_stack([np.tile([0.0, 1.0], 50), np.arange(100.0)])
    numbers, categories = InputScaler("both", 0).fit(X), InputScaler("both", 0, [0]).fit(X)
    np.testing.assert_array_equal(numbers.transform(X), categories.transform(X))
    unknown = categories.transform(np.array([[-1.0, 3.0], [np.nan, 3.0]]))
    np.testing.assert_array_equal(unknown[0], unknown[1])


def test_groups_hold_two_views_of_a_feature_and_importances_are_of_raw_columns():
    X, y = mixed_table(1000)
    clf = SparseInitMLPClassifier(n_members=2, max_epochs=20, device="cpu", random_state=0).fit(X, y)
    groups, one_hot = clf.scaler_.column_groups(), list(clf.scaler_.one_hot_columns())
    assert [len(group) for group in groups] == [2, 2, 2, 2]
    assert [stop - start for start, stop in one_hot] == [5, 3]
    assert [group[0] for group in groups[1:3]] == [start for start, _ in one_hot]
    assert clf.score(X, y) > 0.95
    assert clf.feature_importances_.shape == (4,)
    assert clf.feature_importances_.sum() == pytest.approx(1)
    assert clf.feature_importances_[[1, 2]].sum() > 0.7


# -- what neurons start as ---------------------------------------------------------------------------------------


@given(st.integers(0, 1000), st.integers(2, 20))
def test_neurons_start_with_a_proper_set_of_categories_and_one_weight_for_all_of_them(seed, n_categories):
    groups = [[0, n_categories], [n_categories + 1]]
    weight = s_hot_(torch.empty(200, n_categories + 2), 1, "normal", generator(seed), column_groups=groups)
    before = weight.clone()
    random_sets_(weight, [(0, n_categories)], generator(seed))
    categories = weight[:, :n_categories]
    asks = before[:, 0] != 0
    size = categories.count_nonzero(dim=1)
    assert ((size[asks] > 0) & (size[asks] < n_categories)).all()
    assert (size[~asks] == 0).all()
    torch.testing.assert_close(weight[:, n_categories:], before[:, n_categories:], rtol=0, atol=0)
    torch.testing.assert_close(categories.sum(dim=1), size * before[:, 0])


def test_splits_of_trees_ask_for_the_categories_that_matter():
    rng = np.random.default_rng(0)
    codes = rng.integers(8, size=2000)
    X = np.column_stack([rng.normal(size=2000), np.eye(8)[codes]]).astype(np.float32)
    y = np.isin(codes, [1, 2, 6])[:, None].astype(float)
    paths = TreePaths.grow(X, y, column_groups=[[0], [1]], one_hot=[(1, 9)], generator=generator())
    weight = torch.zeros(600, 9)
    thresholds = splits_(weight, paths, generator=generator())
    asks = weight[:, 1:].count_nonzero(dim=1) > 0
    assert asks.float().mean() > 0.4  # the other split of a path is one of what is left
    assert (thresholds[asks] == 0.5).all()
    sets = weight[asks][:, 1:] != 0
    matter = torch.tensor([False, True, True, False, False, False, True, False])
    assert ((sets == matter).all(dim=1) | (sets == ~matter).all(dim=1)).float().mean() > 0.5
    assert (weight[asks][:, 1:].abs().amax(dim=1, keepdim=True).eq(weight[asks][:, 1:].abs()) | ~sets).all()


def test_trees_know_the_categories_of_a_member_whose_rows_lack_some():
    X = np.eye(6, dtype=np.float32)[np.tile([0, 2, 3, 5], 100)]  # scikit-learn codes these 0 to 3
    y = np.tile([1.0, 0.0, 0.0, 1.0], 100)[:, None]
    paths = TreePaths.grow(X, y, column_groups=[[0]], one_hot=[(0, 6)], generator=generator())
    first = paths.sets[paths.category_set[0, paths.length[0] - 1]]
    assert first.tolist() in ([True, False, False, False, False, True], [False, False, True, True, False, False])


# -- fitting and what comes after --------------------------------------------------------------------------------


def test_categories_of_held_out_rows_alone_are_unknown_and_not_missing():
    codes = np.repeat([0.0, 1.0, np.nan], 40)
    columns = CategoryColumns().fit(codes, codes[:, np.newaxis] == 1, np.ones(120))
    unseen, unknown, missing = columns.transform(np.array([2.0, -1.0, np.nan]))
    np.testing.assert_array_equal(unseen, unknown)
    assert (unseen != missing).any()


def test_a_category_that_says_all_leaves_missing_ones_with_the_mean():
    codes = np.arange(120.0) % 5
    columns = CategoryColumns().fit(codes, (codes > 2).astype(float)[:, np.newaxis], np.ones(120))
    means = columns.transform(np.array([0.0, 4.0, np.nan, -1.0]))[:, -1]
    assert np.isfinite(means).all()
    assert means[0] < means[2] == means[3] == 0 < means[1]


def test_fitted_estimators_survive_pickle_and_clone_and_train_in_chunks():
    X, y = mixed_table()
    clf = small_classifier().fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), clf.predict_proba(X))
    np.testing.assert_array_equal(clone(clf).fit(X, y).predict_proba(X), clf.predict_proba(X))
    chunked = small_classifier().partial_fit(X[:200], y[:200], classes=[0, 1])
    chunked.partial_fit(X[200:].assign(town="Utopia"), y[200:])
    assert np.isfinite(chunked.predict_proba(X)).all()


@pytest.mark.parametrize("parameters", [{"early_stopping": True}, {"warm_start": True}, {"sparsity": None}])
@pytest.mark.parametrize("scaling", ["both", "squash", "standard", None])
def test_categories_go_with_every_scaling_and_way_of_training(scaling, parameters):
    X, y = mixed_table()
    clf = small_classifier(scaling=scaling, max_epochs=2, **parameters).fit(X, y)
    clf.fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()
    reg = small_regressor(scaling=scaling, max_epochs=2, **parameters).fit(X, y * 1.0, X_val=X, y_val=y)
    assert np.isfinite(reg.predict(X)).all()


def test_a_grid_search_over_a_column_transformer_that_makes_frames():
    X, y = mixed_table()
    numbers = make_column_transformer(
        (StandardScaler(), ["length", "age"]), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    search = GridSearchCV(
        make_pipeline(numbers, small_classifier(max_epochs=3)),
        {"sparseinitmlpclassifier__sparsity": [1, 2]},
        cv=2,
        error_score="raise",
    ).fit(X, y)
    fitted = search.best_estimator_[-1]
    assert fitted.feature_names_in_.tolist() == ["length", "age", "town", "shape"]
    assert fitted._categories.is_categorical.tolist() == [False, False, True, True]


def test_a_random_column_of_many_categories_costs_little():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(2400, 3)), columns=list("abc"))
    y = (X["a"] + X["b"] + 0.3 * rng.normal(size=2400) > 0).to_numpy().astype(int)
    id_ = pd.Categorical(rng.integers(400, size=2400).astype(str))
    options = {"n_members": 4, "device": "cpu", "random_state": 0, "max_epochs": 20}
    without, beside = (
        SparseInitMLPClassifier(**options).fit(table[:800], y[:800]).score(table[800:], y[800:])
        for table in (X, X.assign(id=id_))
    )
    assert beside > without - 0.015


@pytest.mark.parametrize("heavy", ["a category", "a row", "a fold"])
def test_mean_targets_are_finite_where_few_rows_have_weight(heavy):
    rng = np.random.default_rng(0)
    codes, target, weight = rng.integers(3, size=60).astype(float), rng.normal(size=(60, 2)), np.zeros(60)
    fold = np.arange(60) % N_FOLDS
    weight[{"a category": codes == 0, "a row": slice(1), "a fold": fold == 1}[heavy]] = 1.0
    columns = CategoryColumns().fit(codes, target, weight)
    unseen = np.append(codes, [np.nan, -1.0])
    for values in (columns.transform(unseen), columns.cross_fit(codes, target, weight, fold)):
        assert np.isfinite(values).all()


def test_exact_targets_of_categories_are_finite_for_categories_without_rows():
    codes = np.repeat([0.0, 1.0, 3.0], 20)  # 2 is missing, and nothing varies within the others
    columns = CategoryColumns().fit(codes, codes[:, None], np.ones(60))
    values = columns.transform(np.array([0.0, 1.0, 2.0, 3.0]))[:, -1]
    assert np.isfinite(values).all()
    assert values[0] < values[1] < values[3]


def test_huge_weights_and_numbers_beside_categories_are_used_without_a_warning():
    X, y = mixed_table(60)
    X["length"] = np.where(X["length"] > 0, 1.7e308, -1.7e308)
    weight = np.random.default_rng(0).random(60)
    predicted = [
        small_classifier().fit(X, y, sample_weight=factor * weight).predict_proba(X) for factor in (1.0, 2.0**1000)
    ]
    np.testing.assert_array_equal(*predicted)
