"""Prediction intervals and sets: the definitions of CV+, the coverage, and where there are none."""

import math
import pickle

import numpy as np
import pytest
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import make_multilabel_classification

from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor
from sparsemlp._conformal import cv_plus_intervals, cv_plus_sets

OPTIONS = {"n_members": 4, "max_epochs": 15, "width": (64,), "device": "cpu", "random_state": 0}


def noisy_targets(n_rows=1200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4))
    return X, 100 * (X[:, 0] + np.abs(X[:, 1]) + rng.normal(size=n_rows))


def noisy_classes(n_rows=1200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4))
    return X, np.array(["low", "middle", "high"])[np.digitize(X[:, 0] + rng.normal(size=n_rows), [-1, 1])]


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 30), st.sampled_from([0.5, 0.8, 0.9]))
def test_intervals_are_those_of_the_definition(seed, n_members, n_left_out, coverage):
    rng = np.random.default_rng(seed)
    prediction, error = rng.normal(size=(5, n_members)), np.abs(rng.normal(size=(n_members, n_left_out)))
    found = cv_plus_intervals(prediction, error, coverage)
    n = n_members * n_left_out
    for row, (low, high) in zip(prediction, found, strict=True):
        below = sorted(row[m] - e for m in range(n_members) for e in error[m])
        above = sorted(row[m] + e for m in range(n_members) for e in error[m])
        k = math.floor((1 - coverage) * (n + 1) + 1e-9)
        assert low == (below[k - 1] if k else -np.inf)
        assert high == (above[n - k] if k else np.inf)


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 30), st.sampled_from([0.5, 0.8, 0.9]))
def test_sets_are_those_of_the_definition(seed, n_members, n_left_out, coverage):
    rng = np.random.default_rng(seed)
    score, left_out = rng.random((5, n_members, 3)).round(1), rng.random((n_members, n_left_out)).round(1)
    found = cv_plus_sets(score, left_out, coverage)
    for i in range(5):
        for label in range(3):
            better = sum(e < score[i, m, label] for m in range(n_members) for e in left_out[m])
            assert found[i, label] == (better < coverage * (n_members * n_left_out + 1))


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_intervals_hold_their_coverage_and_follow_the_scale_of_y(coverage):
    X, y = noisy_targets()
    reg = SparseInitMLPRegressor(**OPTIONS).fit(X[:400], y[:400])
    low, high = reg.predict_interval(X[400:], coverage=coverage).T
    assert ((low <= y[400:]) & (y[400:] <= high)).mean() == pytest.approx(coverage, abs=0.06)
    prediction = reg.predict(X[400:])
    assert ((low < prediction) & (prediction < high)).mean() > 0.99
    larger = SparseInitMLPRegressor(**OPTIONS).fit(X[:400], 1000 * y[:400] + 7)
    np.testing.assert_allclose(
        larger.predict_interval(X[:9], coverage), 1000 * reg.predict_interval(X[:9], coverage) + 7, rtol=1e-3
    )


def test_several_targets_have_an_interval_each():
    X, y = noisy_targets(600)
    Y = np.column_stack([y, 1e-3 * X[:, 2]])
    intervals = SparseInitMLPRegressor(**OPTIONS).fit(X, Y).predict_interval(X)
    assert intervals.shape == (600, 2, 2)
    inside = (intervals[..., 0] <= Y) & (intervals[..., 1] >= Y)
    assert (inside.mean(axis=0) > 0.85).all()
    assert (np.diff(intervals, axis=2).mean(axis=0).ravel() / [1, 1e-3] > 0).all()


@pytest.mark.parametrize("coverage", [0.6, 0.9])
def test_sets_hold_their_coverage(coverage):
    X, y = noisy_classes()
    clf = SparseInitMLPClassifier(**OPTIONS).fit(X[:400], y[:400])
    sets = clf.predict_set(X[400:], coverage=coverage)
    assert sets.shape == (800, 3)
    assert sets.dtype == bool
    hit = sets[np.arange(800), np.searchsorted(clf.classes_, y[400:])]
    assert hit.mean() > coverage - 0.05  # three standard errors of 800 rows; the sets may be too large
    assert sets.sum(axis=1).mean() < 2.2


def test_two_classes_have_sets_too():
    X, y = noisy_classes()
    clf = SparseInitMLPClassifier(**OPTIONS).fit(X[:400], y[:400] == "low")
    sets = clf.predict_set(X[400:])
    assert sets[np.arange(800), (y[400:] == "low").astype(int)].mean() > 0.9 - 0.032  # three standard errors


@pytest.mark.parametrize(
    ("parameters", "words"),
    [({"early_stopping": False}, "it is False"), ({"n_members": 1}, "n_members=1")],
)
def test_without_out_of_fold_rows_the_message_says_what_to_set(parameters, words):
    X, y = noisy_targets(100)
    options = {"early_stopping": "out_of_fold"} | parameters
    reg = small_regressor(**options).fit(X, y)
    message = f"They also need early_stopping='out_of_fold' .*{words}"
    with pytest.raises(ValueError, match=message):
        reg.predict_interval(X)
    clf = small_classifier(**options).fit(X, y > 0)
    with pytest.raises(ValueError, match=message):
        clf.predict_set(X)


def test_chunks_after_fit_leave_no_out_of_fold_rows():
    X, y = noisy_targets(200)
    reg = small_regressor(early_stopping="out_of_fold").fit(X, y)
    assert np.isfinite(reg.predict_interval(X)).all()
    with pytest.raises(ValueError, match="partial_fit"):
        reg.partial_fit(X, y).predict_interval(X)


@pytest.mark.parametrize("coverage", [0.0, 1.0, 90, "high", None, [0.9]])
def test_a_coverage_is_a_share(coverage):
    X, y = noisy_targets(100)
    reg = small_regressor(early_stopping="out_of_fold").fit(X, y)
    with pytest.raises(ValueError, match=r"coverage=.* must be a number between 0 and 1"):
        reg.predict_interval(X, coverage)


def test_a_coverage_that_so_few_rows_cannot_give_is_an_infinite_interval():
    X, y = noisy_targets(40)
    reg = small_regressor(early_stopping="out_of_fold").fit(X, y)
    assert np.isinf(reg.predict_interval(X, 0.99)).all()
    assert np.isfinite(reg.predict_interval(X, 0.9)).all()


def test_sets_need_probabilities_and_one_label_a_row():
    X, y = noisy_classes(100)
    clf = small_classifier(loss="hinge", early_stopping="out_of_fold").fit(X, y)
    assert not hasattr(clf, "predict_set")
    X, Y = make_multilabel_classification(100, n_classes=3, random_state=0)
    clf = small_classifier(early_stopping="out_of_fold").fit(X, Y)
    with pytest.raises(ValueError, match="predict_set is for one label a row"):
        clf.predict_set(X)


def test_intervals_and_sets_survive_pickle():
    X, y = noisy_targets(200)
    reg = small_regressor(early_stopping="out_of_fold").fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reg)).predict_interval(X), reg.predict_interval(X))


@pytest.mark.parametrize("way", ["other order", "more rows", "chunk between"])
def test_a_warm_start_on_other_rows_leaves_no_out_of_fold_rows(way):
    X, y = numbered_rows(120)
    reg = small_regressor(early_stopping="out_of_fold", n_members=4, max_epochs=2, warm_start=True).fit(
        X[:100], y[:100]
    )
    reg.predict_interval(X)
    reg.fit(X[:100], y[:100]).predict_interval(X)  # of the same rows, the same ones are out-of-fold
    if way == "chunk between":
        reg.partial_fit(X[:100], y[:100])
    rows = {"other order": np.arange(100)[::-1], "more rows": np.arange(120)}.get(way, np.arange(100))
    for _ in range(2):  # the second time on rows that all members have been trained on
        reg.fit(X[rows], y[rows])
        with pytest.raises(ValueError, match="a warm start on other rows"):
            reg.predict_interval(X)


def test_a_warm_start_on_other_rows_keeps_the_temperature():
    X, y = labelled_rows(200)
    flipped = y ^ (np.random.default_rng(0).random(200) < 0.4)
    clf = small_classifier(
        early_stopping="out_of_fold", n_members=4, learning_rate=0.05, max_epochs=20, warm_start=True
    ).fit(X, flipped)
    before = clf.temperature_
    assert (before > 1).all()
    np.testing.assert_array_equal(clf.fit(X[::-1], flipped[::-1]).temperature_, before)


def test_sets_of_many_rows_are_those_of_single_chunks():
    X, y = labelled_rows(3000)
    clf = small_classifier(early_stopping="out_of_fold", n_members=4, max_epochs=2).fit(X[:200], y[:200])
    parts = [clf.predict_set(X[start : start + 100]) for start in range(0, 3000, 100)]
    np.testing.assert_array_equal(clf.predict_set(X), np.concatenate(parts))
