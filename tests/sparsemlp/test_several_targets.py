"""Several targets, and several labels a row: one network, each output on its own scale."""

import pickle
import warnings

import numpy as np
import pytest
from helpers.small import numbered_rows, small_classifier, small_regressor
from scipy import sparse
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import accuracy_score, log_loss

from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor

OUT_OF_FOLD = {
    "n_members": 4,
    "early_stopping": "out_of_fold",
    "max_epochs": 20,
    "device": "cpu",
    "random_state": 0,
}


def several_targets(n_rows=300):
    X, y = numbered_rows(n_rows)
    return X, np.column_stack([y, -1e-3 * y + 5, 1e4 * np.sin(X[:, 0])])


def labels(n_rows=300):
    return make_multilabel_classification(n_rows, n_features=8, n_classes=3, random_state=0)


def test_every_target_is_standardised_on_its_own():
    X, Y = several_targets()
    reg = small_regressor(max_epochs=60).fit(X, Y)
    np.testing.assert_allclose(reg.y_mean_, Y.mean(axis=0))
    np.testing.assert_allclose(reg.y_scale_, Y.std(axis=0))
    error = np.abs(reg.predict(X) - Y).mean(axis=0)
    assert (error < 0.4 * Y.std(axis=0)).all()


def test_a_target_that_never_changes_is_predicted_and_does_not_disturb():
    X, Y = several_targets()
    Y[:, 1] = 7.0
    np.testing.assert_array_equal(small_regressor().fit(X, Y).predict(X)[:, 1], 7.0)


def test_one_column_is_one_target():
    X, y = numbered_rows()
    expected = small_regressor().fit(X, y)
    with pytest.warns(match="A column-vector y was passed"):
        column = small_regressor().fit(X, y[:, np.newaxis])
    np.testing.assert_array_equal(column.predict(X), expected.predict(X))
    assert isinstance(column.y_mean_, float)


def test_other_losses_scale_every_target_by_its_quartiles():
    X, Y = several_targets()
    reg = small_regressor(loss="huber").fit(X, Y)
    low, high = np.quantile(Y, [0.25, 0.75], axis=0)
    np.testing.assert_allclose((reg.y_mean_ - np.median(Y, axis=0)) / (high - low), 0, atol=0.02)
    np.testing.assert_allclose(reg.y_scale_ * 1.349 / (high - low), 1, atol=0.02)


@pytest.mark.parametrize("early_stopping", [True, False, "out_of_fold"])
def test_targets_train_with_weights_validation_rows_and_chunks(early_stopping):
    X, Y = several_targets()
    weight = np.random.default_rng(0).random(len(Y))
    reg = small_regressor(early_stopping=early_stopping).fit(X, Y, sample_weight=weight)
    assert reg.predict(X).shape == Y.shape
    reg = small_regressor().fit(X, Y, X_val=X[:50], y_val=Y[:50])
    assert reg.validation_scores_[-1] == pytest.approx(reg.score(X[:50], Y[:50]), abs=1e-5)
    again = pickle.loads(pickle.dumps(reg))
    np.testing.assert_array_equal(again.predict(X), reg.predict(X))
    chunked = small_regressor().partial_fit(X[:100], Y[:100]).partial_fit(X[100:], Y[100:])
    assert chunked.predict(X).shape == Y.shape
    with pytest.raises(ValueError, match="y has 1 targets a row, but the network has learned 3"):
        chunked.partial_fit(X, Y[:, 0])


def test_the_probabilities_of_labels_are_calibrated_and_decide():
    X, Y = labels(600)
    clf = SparseInitMLPClassifier(**OUT_OF_FOLD).fit(X[:300], Y[:300])
    probability = clf.predict_proba(X[300:])
    assert probability.shape == (300, 3)
    np.testing.assert_array_equal(clf.classes_, [0, 1, 2])
    np.testing.assert_array_equal(clf.predict(X[300:]), probability > 0.5)
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(X[300:])), probability, rtol=1e-9)
    np.testing.assert_allclose(1 / (1 + np.exp(-clf.decision_function(X[300:]))), probability, rtol=1e-9)
    share = Y[:300].mean(axis=0)
    for label in range(3):
        constant = log_loss(Y[300:, label], np.full(300, share[label]))
        assert log_loss(Y[300:, label], probability[:, label]) < constant
    assert clf.score(X[300:], Y[300:]) == accuracy_score(Y[300:], clf.predict(X[300:]))


@pytest.mark.parametrize("parameters", [{"loss": "hinge"}, {"loss": "squared"}, {"early_stopping": True}, {}])
def test_labels_train_with_every_loss_and_their_scores_are_those_of_score(parameters):
    X, Y = labels()
    clf = small_classifier(max_epochs=10, **parameters).fit(X, Y, X_val=X[:80], y_val=Y[:80])
    np.testing.assert_array_equal(clf.predict(X), clf.decision_function(X) > 0)
    epoch = clf.best_epoch_ - 1
    assert clf.validation_scores_[epoch] == pytest.approx(clf.score(X[:80], Y[:80]), abs=0.02)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_labels_may_be_a_sparse_matrix_and_come_in_chunks(kind, weighted):
    X, Y = labels()
    weight = np.arange(len(X)) % 3.0 if weighted else None  # rows of weight 0 are dropped
    expected = small_classifier().fit(X, Y, weight).predict_proba(X)
    np.testing.assert_array_equal(small_classifier().fit(X, kind(Y), weight).predict_proba(X), expected)
    dense, of_sparse = (small_classifier(), small_classifier())
    for chunk in (slice(100), slice(100, None)):
        options = {"classes": [0, 1, 2], "sample_weight": None if weight is None else weight[chunk]}
        dense.partial_fit(X[chunk], Y[chunk], **options)
        of_sparse.partial_fit(X[chunk], kind(Y[chunk]), **options)
        np.testing.assert_array_equal(of_sparse.predict_proba(X), dense.predict_proba(X))


def test_chunks_have_as_many_labels_a_row_as_the_first():
    X, Y = labels()
    chunked = small_classifier().partial_fit(X[:100], Y[:100], classes=[0, 1, 2])
    assert chunked.predict(X).shape == Y.shape
    with pytest.raises(ValueError, match="y has one label a row, but the network has learned 3"):
        chunked.partial_fit(X, Y[:, 0])
    with pytest.raises(ValueError, match="y has 2 labels a row, but the network has learned 3"):
        chunked.partial_fit(X, Y[:, :2])


def test_what_labels_cannot_be_is_said():
    X, Y = labels(60)
    with pytest.raises(ValueError, match=r"sklearn\.multioutput\.MultiOutputClassifier"):
        small_classifier().fit(X, Y * 2)
    with pytest.raises(ValueError, match="class_weight='balanced' is for one label a row, and y has 3 columns"):
        small_classifier(class_weight="balanced").fit(X, Y)


def test_one_network_of_two_targets_is_about_as_good_as_two_networks():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 5))
    Y = np.column_stack([X[:, 0] * X[:, 1], np.abs(X[:, 2])]) + 0.1 * rng.normal(size=(900, 2))
    options = OUT_OF_FOLD | {"max_epochs": 60}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both = SparseInitMLPRegressor(**options).fit(X[:600], Y[:600]).score(X[600:], Y[600:])
        single = [SparseInitMLPRegressor(**options).fit(X[:600], y[:600]).score(X[600:], y[600:]) for y in Y.T]
    assert both > np.mean(single) - 0.05
