"""SparseInitMLPRegressor: standardised targets, averaged members, and what it shares with the classifier."""

import warnings

import numpy as np
import pytest
import torch
from helpers.small import LooksAtBatches, numbered_rows, small_regressor
from sklearn.datasets import make_friedman1

from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor


def test_it_learns():
    X, y = numbered_rows(400)
    reg = small_regressor(max_epochs=40).fit(X[:300], y[:300])
    assert reg.score(X[300:], y[300:]) > 0.9


def test_the_prediction_is_the_mean_of_the_members_in_units_of_y():
    X, y = numbered_rows()
    reg = small_regressor(n_members=3).fit(X, y)
    with torch.no_grad():
        outputs = reg.net_.module_(torch.from_numpy(reg.scaler_.transform(X))).double().numpy()
    expected = outputs[..., 0].mean(axis=0) * y.std() + y.mean()
    np.testing.assert_allclose(reg.predict(X), expected, rtol=1e-6, atol=1e-4)
    assert reg.predict(X).dtype == np.float64


@pytest.mark.parametrize(("factor", "shift"), [(1e9, 0), (1e-9, 0), (-4, 1e3), (1, -1e6)])
def test_the_scale_of_y_does_not_matter(factor, shift):
    X, y = numbered_rows()
    plain = small_regressor().fit(X, y).predict(X)
    scaled = small_regressor().fit(X, np.abs(factor) * y + shift).predict(X)
    np.testing.assert_allclose((scaled - shift) / np.abs(factor), plain, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("factor", [1e155, 1e-170])
def test_y_may_be_so_large_or_small_that_its_squares_are_not_to_be_had(factor):
    X, y = numbered_rows()
    plain = small_regressor().fit(X, y).predict(X)
    scaled = small_regressor().fit(X, factor * y).predict(X)
    np.testing.assert_allclose(scaled / factor, plain, rtol=1e-5)


def test_the_mean_and_scale_of_y_are_weighted():
    X, y = numbered_rows()
    weight = np.random.default_rng(0).random(120)
    reg = small_regressor().fit(X, y, sample_weight=weight)
    mean = np.average(y, weights=weight)
    assert reg.y_mean_ == pytest.approx(mean)
    assert reg.y_scale_ == pytest.approx(np.average((y - mean) ** 2, weights=weight) ** 0.5)


@pytest.mark.parametrize("value", [7.0, 2.0**-40, -(2.0**60), 0.0])
def test_a_constant_y_is_predicted(value):
    X, _ = numbered_rows()
    np.testing.assert_array_equal(small_regressor(max_epochs=3).fit(X, np.full(120, value)).predict(X), value)


@pytest.mark.parametrize("unit", [1.0, 2.0**-40])
def test_a_constant_chunk_may_be_followed_by_others(unit):
    X, y = numbered_rows()
    reg = small_regressor().partial_fit(X, np.full(120, 7 * unit))
    assert reg.y_scale_ == 7 * unit
    for _ in range(60):
        reg.partial_fit(X, (7 + y) * unit)
    assert reg.score(X, (7 + y) * unit) > 0.5


def test_the_training_loss_is_the_mean_square_of_standardised_residuals():
    X, y = numbered_rows()
    rate = 1e-12  # so that the weights stay where they start
    reg = small_regressor(n_members=1, optimizer="sgd", learning_rate=rate, max_epochs=1).fit(X, y)
    assert reg.loss_curve_ == pytest.approx([np.mean((reg.predict(X) - y) ** 2) / y.var()], rel=1e-5)


def test_early_stopping_restores_the_smallest_validation_loss():
    X, y = numbered_rows(150)
    y += np.random.default_rng(0).normal(0, 100, 150)
    reg = small_regressor(early_stopping=True, n_iter_no_change=5, max_epochs=200, learning_rate=0.03)
    reg.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    assert reg.n_iter_ == reg.best_epoch_ + 5 < 200
    losses = reg.history_[:, "valid_loss"]
    assert losses[reg.best_epoch_ - 1] == min(losses)
    best_score = reg.validation_scores_[reg.best_epoch_ - 1]
    assert reg.score(X[100:], y[100:]) == pytest.approx(best_score, abs=1e-5)


def test_early_stopping_goes_by_a_single_validation_row(recwarn):
    X, y = numbered_rows()
    reg = SparseInitMLPRegressor(
        early_stopping=True, width=(32,), n_iter_no_change=5, max_epochs=60, device="cpu", random_state=0
    )
    reg.fit(X[1:], y[1:], X_val=X[:1], y_val=y[:1])
    losses = reg.history_[:, "valid_loss"]
    assert 0 < reg.best_epoch_ == 1 + losses.index(min(losses))
    assert reg.n_iter_ == min(60, reg.best_epoch_ + 5)
    assert np.isnan(reg.validation_scores_).all()  # R^2 of one row is not defined
    assert [str(warning.message) for warning in recwarn] == []


def test_warm_start_keeps_the_scale_of_y():
    X, y = numbered_rows()
    reg = small_regressor(warm_start=True, max_epochs=20).fit(X, y)
    scale = reg.y_mean_, reg.y_scale_
    reg.fit(X, 1.1 * y + 5)
    assert (reg.y_mean_, reg.y_scale_) == scale
    assert reg.n_iter_ == 40


def test_integers_as_targets_are_numbers():
    X, y = numbered_rows()
    whole = np.round(y).astype(int)
    np.testing.assert_array_equal(
        small_regressor().fit(X, whole).predict(X), small_regressor().fit(X, whole.astype(float)).predict(X)
    )


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_the_scale_of_a_robust_loss_is_that_of_the_quartiles(loss):
    X, y = numbered_rows()
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    reg = small_regressor(loss=loss, max_epochs=1).fit(X, y, sample_weight=weight)
    low, middle, high = np.quantile(np.repeat(y, weight), [0.25, 0.5, 0.75], method="inverted_cdf")
    assert reg.y_mean_ == middle
    assert reg.y_scale_ == pytest.approx((high - low) / 1.349)


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_fast_step_and_autograd_train_alike_with_robust_losses(loss, optimizer):
    X, y = numbered_rows()
    options = {"loss": loss, "optimizer": optimizer, "max_epochs": 2}
    fast = small_regressor(**options).fit(X, y)
    slow = small_regressor(**options, callbacks=[LooksAtBatches()]).fit(X, y)
    np.testing.assert_allclose(fast.predict(X), slow.predict(X), atol=1e-3 * y.std())


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_one_gross_error_among_the_targets_changes_little_with_a_robust_loss(loss):
    X, y = make_friedman1(1000, noise=1.0, random_state=0)
    X, y, X_test, y_test = X[:500], y[:500].copy(), X[500:], y[500:]
    options = {"width": (128, 32), "loss": loss, "device": "cpu", "random_state": 0}
    clean = SparseInitMLPRegressor(**options).fit(X, y)
    y[7] = 1e6
    spoilt = SparseInitMLPRegressor(**options).fit(X, y)
    errors = [np.median(np.abs(reg.predict(X_test) - y_test)) for reg in (clean, spoilt)]
    assert errors[1] < 1.5 * errors[0]
    squared = SparseInitMLPRegressor(**options | {"loss": "squared"}).fit(X, y)
    assert np.median(np.abs(squared.predict(X_test) - y_test)) > 10 * errors[1]


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_a_target_of_which_most_are_equal_has_a_scale(loss):
    X, y = numbered_rows()
    y = np.where(np.arange(120) % 10 == 0, y, 5.0)
    reg = small_regressor(loss=loss).fit(X, y)
    assert reg.y_mean_ == 5
    assert reg.y_scale_ > 0
    assert np.isfinite(reg.predict(X)).all()


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_a_loss_of_the_regressor_is_an_error_for_the_classifier(loss):
    with pytest.raises(ValueError, match=f"'loss' .*'squared'.* Got '{loss}'"):
        SparseInitMLPClassifier(loss=loss).fit([[0.0], [1.0]], [0, 1])


def test_a_few_targets_that_dominate_are_worth_a_warning():
    X, y = numbered_rows(120)
    y[7] = 1e6
    with pytest.warns(
        UserWarning, match=r"A few targets dominate the spread of y: the standard deviation is 9\.\d+e\+04"
    ):
        small_regressor(max_epochs=1).fit(X, y)


@pytest.mark.parametrize("targets", ["normal", "three standard deviations off", "mostly zero", "huber"])
def test_ordinary_targets_give_no_warning(targets):
    X, y = numbered_rows(120)
    if targets == "three standard deviations off":
        y[7] += 3 * y.std()
    elif targets == "mostly zero":
        y[:100] = 0
    elif targets == "huber":
        y[7] = 1e6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small_regressor(max_epochs=1, loss="huber" if targets == "huber" else "squared").fit(X, y)
