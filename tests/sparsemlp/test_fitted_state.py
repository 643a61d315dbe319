"""What an estimator is after a fit that failed, and after its parameters have changed."""

import copy

import numpy as np
import pytest
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback

X, Y = labelled_rows()
OTHER = labelled_rows(90, 3, n_features=9)
MAKERS = pytest.mark.parametrize("make", [small_classifier, small_regressor])


class Fails(Callback):
    """Fail after an epoch."""

    def on_epoch_end(self, net, **kwargs):
        raise RuntimeError("on the way")


#: (parameters, data and arguments of fit, message) of fits that fail, early and late
FAILURES = {
    "validation columns": ({}, (*OTHER, None, X, Y), "X has 6 features"),
    "validation labels": ({}, (*OTHER, None, OTHER[0], ["b"] * 90), "'b'"),
    "weights": ({}, (*OTHER, [-1.0] * 90), "Negative"),
    "infinite values": ({}, (np.full((9, 2), np.inf), np.arange(9) % 3), "infinity"),
    "a parameter": ({"width": ()}, OTHER, "width"),
    "a device": ({"device": "cuda:77"}, OTHER, "cuda:77"),
    "split": ({"early_stopping": True, "validation_fraction": 0.999}, OTHER, "validation_fraction"),
    "large values": ({"scaling": None}, (*OTHER, None, np.full((2, 9), 1e300), [0, 1]), "too large for float32"),
}
every_failure = pytest.mark.parametrize(("parameters", "data", "message"), FAILURES.values(), ids=FAILURES.keys())


def attributes(estimator):
    return {name: value for name, value in vars(estimator).items() if name not in estimator.get_params()}


@MAKERS
@every_failure
def test_a_first_fit_that_fails_leaves_an_estimator_that_is_not_fitted(make, parameters, data, message):
    estimator = make(**parameters)
    with pytest.raises(ValueError, match=message):
        estimator.fit(*data)
    assert attributes(estimator) == {}
    with pytest.raises(NotFittedError):
        check_is_fitted(estimator)
    with pytest.raises(NotFittedError):
        estimator.predict(X)


@MAKERS
@every_failure
def test_a_refit_that_fails_leaves_the_former_fit(make, parameters, data, message):
    estimator = make().fit(X, Y)
    before, predictions = attributes(estimator), estimator.predict(X)
    estimator.set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        estimator.fit(*data)
    assert attributes(estimator) == before
    np.testing.assert_array_equal(estimator.predict(X), predictions)


@MAKERS
def test_a_callback_that_fails_leaves_the_net_as_far_as_it_came(make):
    estimator = make(lr_schedule="constant").fit(X, Y)
    with pytest.raises(RuntimeError, match="on the way"):
        estimator.set_params(callbacks=[Fails()]).fit(*OTHER)
    assert estimator.n_features_in_ == 9
    assert estimator.n_iter_ == estimator.best_epoch_ == 1
    expected = make(lr_schedule="constant", max_epochs=1).fit(*OTHER).predict(OTHER[0])
    np.testing.assert_array_equal(estimator.predict(OTHER[0]), expected)


@MAKERS
def test_a_chunk_at_which_a_callback_fails_leaves_an_estimator_that_is_not_fitted(make):
    estimator = make(callbacks=[Fails()])
    with pytest.raises(RuntimeError, match="on the way"):
        estimator.partial_fit(X, Y, *([[0, 1]] if make is small_classifier else []))
    assert attributes(estimator) == {}


def test_a_first_chunk_that_fails_leaves_nothing_of_it():
    net = small_classifier()
    with pytest.raises(ValueError, match=r"labels \[7\]"):
        net.partial_fit(X, np.where(Y == 1, 7, 0), classes=[0, 1])
    assert attributes(net) == {}
    assert net.partial_fit(X, Y + 5, classes=[5, 6]).score(X, Y + 5) > 0.5


@pytest.mark.parametrize("before", ["hinge", "squared", "cross_entropy"])
@pytest.mark.parametrize("after", ["hinge", "squared", "cross_entropy"])
def test_the_loss_that_the_net_was_fitted_with_says_whether_it_has_probabilities(before, after):
    net = small_classifier(loss=before).fit(X, Y)
    same = copy.deepcopy(net)
    net.set_params(loss=after)
    assert hasattr(net, "predict_proba") == hasattr(net, "predict_log_proba") == (before == "cross_entropy")
    if before == "cross_entropy":
        np.testing.assert_array_equal(net.predict_proba(X), same.predict_proba(X))
    assert hasattr(net.fit(X, Y), "predict_proba") == (after == "cross_entropy")
    expected = small_classifier(loss=after).fit(X, Y).decision_function(X)
    np.testing.assert_array_equal(net.decision_function(X), expected)


def test_before_fit_the_parameter_says_whether_there_are_probabilities():
    assert hasattr(small_classifier(), "predict_proba")
    assert not hasattr(small_classifier(loss="hinge"), "predict_proba")


def test_a_regressor_keeps_its_scale_where_a_refit_fails():
    X, y = numbered_rows()
    net = small_regressor().fit(X, y)
    expected = net.predict(X)
    with pytest.raises(ValueError, match="X_val"):
        net.fit(X, 1000 * y, X_val=X)
    np.testing.assert_array_equal(net.predict(X), expected)
