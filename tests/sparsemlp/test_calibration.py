"""Temperature scaling of probabilities by the out-of-fold rows."""

import numpy as np
import pytest
import torch
from helpers.small import labelled_rows, small_classifier
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import log_loss
from skorch.callbacks import Callback

from sparsemlp._training.losses import make_loss
from sparsemlp._training.out_of_fold import MAX_TEMPERATURE, OutOfFold, fit_temperatures

OWN = {"n_members": 4, "early_stopping": "out_of_fold", "lr_schedule": "constant", "weight_averaging": True}


def out_of_fold(too_sure: float, n_rows: int = 4000, weight=None) -> OutOfFold:
    """Rows whose labels are drawn from logits, of which the network reports `too_sure` times as much."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, n_rows)
    target = rng.random(n_rows) < expit(logits)
    columns = (torch.tensor(values, dtype=torch.float32)[:, None] for values in (too_sure * logits, target))
    return OutOfFold(*columns, weight)


@pytest.mark.parametrize("too_sure", [1.5, 3.0, 8.0])
def test_the_temperature_takes_back_what_is_too_sure(too_sure):
    (found,) = fit_temperatures(make_loss("cross_entropy", 2), out_of_fold(too_sure), 1)
    output, target = (values.double().numpy().ravel() for values in out_of_fold(too_sure)[:2])
    reference = minimize(lambda t: log_loss(target, expit(output / t[0])), x0=[2.0], method="Nelder-Mead")
    assert found == pytest.approx(reference.x[0], rel=1e-3)
    assert found == pytest.approx(too_sure, rel=0.1)  # 4000 labels are random


@pytest.mark.parametrize("too_sure", [0.1, 0.5])
def test_probabilities_are_never_made_surer(too_sure):
    assert fit_temperatures(make_loss("cross_entropy", 2), out_of_fold(too_sure), 1) == 1.0


def test_the_rows_of_all_members_count_like_ten_of_its_own():
    parts = [out_of_fold(too_sure, 60) for too_sure in (1.5, 6.0)]
    both = OutOfFold(*(torch.cat([part[i] for part in parts]) for i in (0, 1)), None)
    found = fit_temperatures(make_loss("cross_entropy", 2), both, 2)
    logits, labels = (values.double().numpy().ravel() for values in both[:2])
    for member in range(2):
        own = slice(60 * member, 60 * member + 60)

        def loss(t, own=own):
            prior = log_loss(labels, expit(logits / t[0]))
            return 60 * log_loss(labels[own], expit(logits[own] / t[0])) + 10 * prior

        assert found[member] == pytest.approx(minimize(loss, x0=[2.0], method="Nelder-Mead").x[0], rel=1e-3)


def test_weights_count():
    rows = out_of_fold(3.0)
    half = torch.zeros(len(rows.output))
    half[:2000] = 1
    weighted = fit_temperatures(make_loss("cross_entropy", 2), rows._replace(weight=half), 1)
    some = OutOfFold(rows.output[:2000], rows.target[:2000], None)
    alone = fit_temperatures(make_loss("cross_entropy", 2), some, 1)
    assert weighted == pytest.approx(alone, rel=1e-3)


@given(st.integers(2, 5), st.integers(0, 10_000))
def test_the_loss_never_grows(n_classes, seed):
    rng = np.random.default_rng(seed)
    output = torch.tensor(rng.normal(0, 3, (30, n_classes)), dtype=torch.float32)
    target = torch.eye(n_classes)[rng.integers(n_classes, size=30)]
    loss, rows = make_loss("cross_entropy", n_classes), OutOfFold(output, target, None)
    if n_classes == 2:
        rows = OutOfFold(output[:, :1], target[:, :1], None)
    (temperature,) = fit_temperatures(loss, rows, 1)
    assert 1 <= temperature <= MAX_TEMPERATURE
    assert rows.mean_loss(loss, temperature) <= rows.mean_loss(loss)


def test_one_temperature_is_as_good_as_another_for_equal_logits():
    rows = OutOfFold(torch.zeros(40, 1), torch.ones(40, 1), None)
    np.testing.assert_array_equal(fit_temperatures(make_loss("cross_entropy", 2), rows, 4), np.ones(4))


def test_noise_is_tempered_and_predictions_agree():
    X, y = labelled_rows(200)
    noise = np.random.default_rng(0).permutation(y)  # nothing to learn, so all confidence is too much
    estimator = small_classifier(**OWN, learning_rate=0.05, max_epochs=10).fit(X, noise)
    assert (estimator.temperature_ > 1.5).all()
    tempered = estimator.predict_proba(X)
    decision = estimator.decision_function(X)
    np.testing.assert_allclose(tempered[:, 1], expit(decision), atol=1e-12)
    np.testing.assert_array_equal(estimator.predict(X), estimator.classes_[(decision > 0).astype(int)])
    fresh = np.random.default_rng(1).permutation(y)
    estimator._temperature = np.ones(OWN["n_members"])
    assert log_loss(fresh, tempered) < log_loss(fresh, estimator.predict_proba(X))


def test_a_member_that_has_found_nothing_counts_for_little():
    X, y = labelled_rows(400)
    estimator = small_classifier(**OWN, learning_rate=0.05, max_epochs=10)
    noise = torch.randn(32, generator=torch.Generator().manual_seed(0))

    class Spoil(Callback):
        """Let a member answer at random, and surely."""

        def on_epoch_end(self, net, **kwargs):
            with torch.no_grad():
                net.module_.output_layer.weight[1, 0] = 10 * noise
            net.out_of_fold_ = net.session.predict_out_of_fold()

    estimator.set_params(callbacks=[Spoil()]).fit(X, y)
    assert estimator.temperature_[1] == pytest.approx(MAX_TEMPERATURE, rel=0.01)
    assert estimator.temperature_[[0, 2, 3]].max() < MAX_TEMPERATURE / 4


@pytest.mark.parametrize(
    "options", [{"early_stopping": False}, {"n_members": 1}, {"loss": "hinge"}, {"early_stopping": True}]
)
def test_where_no_member_leaves_rows_out_nothing_is_tempered(options):
    X, y = labelled_rows(200)
    assert small_classifier(**(OWN | options), max_epochs=3).fit(X, y).temperature_.max() == 1.0


def test_warm_start_finds_the_temperature_again():
    X, y = labelled_rows(200)
    noise = np.random.default_rng(0).permutation(y)
    estimator = small_classifier(**OWN, learning_rate=0.05, max_epochs=3, warm_start=True).fit(X, noise)
    first = estimator.temperature_
    assert estimator.fit(X, noise).temperature_.mean() > first.mean()  # the longer, the surer of noise


def test_a_chunk_after_fit_leaves_the_temperature_as_it_is():
    X, y = labelled_rows(200)
    noise = np.random.default_rng(0).permutation(y)
    estimator = small_classifier(**OWN, learning_rate=0.05, max_epochs=10).fit(X, noise)
    temperature, before = estimator.temperature_, estimator.predict_proba(X)
    estimator.set_params(learning_rate=1e-9).partial_fit(X[:10], noise[:10])
    np.testing.assert_array_equal(estimator.temperature_, temperature)
    assert temperature.min() > 1.5
    np.testing.assert_allclose(estimator.predict_proba(X), before, atol=1e-4)
    assert small_classifier(**OWN).partial_fit(X, y, classes=[0, 1]).temperature_.max() == 1.0
