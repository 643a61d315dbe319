"""sample_weight and class_weight: what a weight means, and what it must not touch."""

import numpy as np
import pytest
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor
from scipy import sparse
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, r2_score, recall_score

both_estimators = pytest.mark.parametrize(
    ("make", "rows"), [(small_classifier, labelled_rows), (small_regressor, numbered_rows)]
)


def outputs(estimator, X):
    decide = getattr(estimator, "decision_function", estimator.predict)
    return decide(X)


@both_estimators
@pytest.mark.parametrize("value", [1.0, 0.25, 4])
def test_equal_weights_are_no_weights(make, rows, value):
    X, y = rows()
    plain = make().fit(X, y)
    weighted = make().fit(X, y, sample_weight=np.full(120, value))
    np.testing.assert_array_equal(outputs(weighted, X), outputs(plain, X))


@both_estimators
def test_only_the_ratios_of_weights_matter(make, rows):
    X, y = rows()
    weight = np.arange(120) % 5 + 1.0
    first, second = (make().fit(X, y, sample_weight=scale * weight) for scale in (1, 1024))
    np.testing.assert_array_equal(outputs(first, X), outputs(second, X))
    np.testing.assert_array_equal(first.loss_curve_, second.loss_curve_)


@both_estimators
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("weights", ["equal", "unequal"])
def test_rows_of_zero_weight_might_as_well_not_be_there(make, rows, early_stopping, weights):
    X, y = rows(150)
    weight = np.ones(150) if weights == "equal" else np.arange(150) % 3 + 1.0
    out = np.arange(150) % 5 == 2
    weight[out] = 0
    without = make(early_stopping=early_stopping).fit(X[~out], y[~out], weight[~out])
    changed_X, changed_y = X.copy(), y.copy()
    changed_X[out] = 1e9
    changed_X[np.flatnonzero(out)[0], 0] = np.nan
    changed_y[out] = 77  # a class of its own
    for rows_X, rows_y in ((X, y), (changed_X, changed_y)):
        estimator = make(early_stopping=early_stopping).fit(rows_X, rows_y, sample_weight=weight)
        np.testing.assert_array_equal(outputs(estimator, X), outputs(without, X))
    if make is small_classifier:
        assert estimator.classes_.tolist() == [0, 1]


@both_estimators
@pytest.mark.parametrize("scaling", [None, "standard"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_an_integer_weight_is_repetition(make, rows, scaling, optimizer):
    X, y = rows()
    weight = np.random.default_rng(0).integers(0, 4, 120)
    options = {"scaling": scaling, "optimizer": optimizer, "bias_init": "zeros", "batch_size": 1000}
    weighted = make(**options).fit(X, y, sample_weight=weight)
    repeated = make(**options).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    tolerance = 1e-4 * np.abs(outputs(weighted, X)).max()
    np.testing.assert_allclose(outputs(weighted, X), outputs(repeated, X), rtol=0, atol=tolerance)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-5)


def test_a_heavy_row_is_fitted_before_others():
    X, y = labelled_rows()
    wrong = np.arange(120) == 7
    y[wrong] = 1 - y[wrong]
    weight = np.where(wrong, 1000, 1)
    assert small_classifier(max_epochs=20).fit(X, y, sample_weight=weight).predict(X[7:8]) == y[7]


@pytest.mark.parametrize("labels", [[0, 1, 2], ["a", "b", "c"]])
def test_class_weights_multiply_sample_weights(labels):
    X, y = labelled_rows(n_classes=3)
    labels = np.array(labels)
    weight = np.random.default_rng(0).random(120) + 0.1
    by_class = dict(zip(labels.tolist(), [1, 5, 0.5], strict=True))
    first = small_classifier(class_weight=by_class).fit(X, labels[y], sample_weight=weight)
    second = small_classifier().fit(X, labels[y], sample_weight=weight * np.array([1, 5, 0.5])[y])
    np.testing.assert_array_equal(first.decision_function(X), second.decision_function(X))


def test_balanced_weights_are_inverse_frequencies():
    X, y = labelled_rows(n_classes=3)
    y[:20] = 2
    first = small_classifier(class_weight="balanced").fit(X, y)
    second = small_classifier().fit(X, y, sample_weight=(1 / np.bincount(y))[y])
    np.testing.assert_allclose(first.decision_function(X), second.decision_function(X), atol=1e-4)


def test_balanced_lifts_the_recall_of_a_class_of_five_percent():
    rng = np.random.default_rng(0)
    y = (np.arange(2000) % 20 == 0).astype(int)
    X = rng.standard_normal((2000, 4)) + 0.8 * y[:, None]
    plain, balanced = (
        small_classifier(class_weight=weight, max_epochs=10).fit(X[:1000], y[:1000]).predict(X[1000:])
        for weight in (None, "balanced")
    )
    assert recall_score(y[1000:], plain) < 0.5
    assert recall_score(y[1000:], balanced) > 0.7


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_rows_of_zero_weight_may_even_be_infinite(bad):
    X, y = labelled_rows()
    weight = np.ones(len(y))
    weight[::4] = 0
    X_bad = X.copy()
    X_bad[::4] = bad
    expected = small_classifier().fit(X, y, sample_weight=weight)
    actual = small_classifier().fit(X_bad, y, sample_weight=weight)
    np.testing.assert_array_equal(actual.decision_function(X), expected.decision_function(X))


@both_estimators
@pytest.mark.parametrize("layout", [sparse.coo_matrix, sparse.coo_array, sparse.bsr_matrix, sparse.csc_array])
def test_rows_of_zero_weight_are_dropped_from_sparse_tables_of_every_layout(make, rows, layout):
    X, y = rows()
    X = np.where(np.abs(X) < 0.5, 0.0, X)
    weight = np.arange(120) % 3
    expected, actual = (make().fit(kind(X), y, sample_weight=weight) for kind in (sparse.csr_matrix, layout))
    np.testing.assert_array_equal(outputs(actual, X), outputs(expected, X))


@both_estimators
def test_scores_of_validation_rows_are_weighted(make, rows):
    X, y = rows()
    weight = np.random.default_rng(0).random(60) + 0.1
    net = make(max_epochs=1).fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:], sample_weight_val=weight)
    score = accuracy_score if make is small_classifier else r2_score
    expected = score(y[60:], net.predict(X[60:]), sample_weight=weight)
    assert net.validation_scores_ == pytest.approx([expected], rel=1e-5)


@both_estimators
@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_integer_weight_of_a_validation_row_is_repetition(make, rows, early_stopping):
    X, y = rows(300)
    weight = np.random.default_rng(0).integers(0, 4, 150)
    training, options = slice(0, 150), {"early_stopping": early_stopping, "n_iter_no_change": 3, "max_epochs": 15}
    X_val, y_val = X[150:], y[150:]
    weighted = make(**options).fit(X[training], y[training], X_val=X_val, y_val=y_val, sample_weight_val=weight)
    repeated = make(**options).fit(
        X[training], y[training], X_val=np.repeat(X_val, weight, axis=0), y_val=np.repeat(y_val, weight)
    )
    np.testing.assert_allclose(weighted.validation_scores_, repeated.validation_scores_, rtol=1e-5)
    np.testing.assert_allclose(weighted.history_[:, "valid_loss"], repeated.history_[:, "valid_loss"], rtol=1e-5)
    assert weighted.best_epoch_ == repeated.best_epoch_


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1.0, 1: 3.0}])
def test_class_weights_of_the_training_rows_count_in_validation_rows(class_weight):
    X, y = labelled_rows(300)
    y[:100] = 0
    by_class = 200 / (2 * np.bincount(y[:200])) if class_weight == "balanced" else np.array([1.0, 3.0])
    net = small_classifier(class_weight=class_weight, max_epochs=1, n_members=1)
    net.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    weight = by_class[y[200:]]
    expected = log_loss(y[200:], net.predict_proba(X[200:]), sample_weight=weight)
    assert net.history_[-1, "valid_loss"] == pytest.approx(expected, rel=1e-4)
    accuracy = accuracy_score(y[200:], net.predict(X[200:]), sample_weight=weight)
    assert net.validation_scores_ == pytest.approx([accuracy], rel=1e-5)


def test_balanced_class_weights_choose_the_epoch_of_held_out_rows():
    rng = np.random.default_rng(0)
    y = (rng.random(3000) < 0.04).astype(int)
    X = rng.standard_normal((3000, 4)) + 0.8 * y[:, None]
    options = {"class_weight": "balanced", "early_stopping": True, "max_epochs": 30}
    net = small_classifier(**options).fit(X[:2000], y[:2000])
    assert net.best_epoch_ > 1
    assert balanced_accuracy_score(y[2000:], net.predict(X[2000:])) > 0.75


def test_weights_of_validation_rows_that_are_not_given_are_an_error():
    X, y = labelled_rows()
    with pytest.raises(ValueError, match="sample_weight_val weights the rows of X_val, which is not given"):
        small_classifier().fit(X, y, sample_weight_val=np.ones(120))


def test_training_goes_on_with_balanced_weights_on_rows_of_one_class():
    X, y = labelled_rows(n_classes=3)
    net = small_classifier(class_weight="balanced", warm_start=True).fit(X, y)
    one, plain = y == 1, small_classifier(warm_start=True, class_weight="balanced").fit(X, y)
    net.fit(X[one], y[one])
    plain.set_params(class_weight=None).fit(X[one], y[one])
    np.testing.assert_array_equal(net.decision_function(X), plain.decision_function(X))
