"""`max_seconds`: a fit that ends in time with its best weights. The clock is the tests' own."""

import warnings

import numpy as np
import pytest
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EpochScoring

from sparsemlp import SparseInitMLPClassifier

OWN = {"early_stopping": "out_of_fold", "n_members": 4, "weight_averaging": True}


class Clock:
    """Goes on by one second whenever it is read."""

    now = 0.0

    def __call__(self):
        self.now += 1
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("sparsemlp._training.time_limit.monotonic", clock)
    return clock


class SetsClock(Callback):
    """Put the clock forward at the end of an epoch."""

    def __init__(self, clock, epoch):
        self.clock, self.epoch = clock, epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            self.clock.now += 1e6


class Weights(Callback):
    """Keep the weights of all epochs."""

    def on_train_begin(self, net, **kwargs):
        self.of_epochs = []

    def on_epoch_end(self, net, **kwargs):
        self.of_epochs.append(net.module_.input_layer.weight.detach().clone())


@pytest.mark.parametrize(("make", "rows"), [(small_classifier, labelled_rows), (small_regressor, numbered_rows)])
def test_a_fit_ends_with_the_epoch_in_which_its_time_is_over(make, rows, clock):
    X, y = rows()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = make(**OWN, max_epochs=50, max_seconds=1e5, callbacks=[SetsClock(clock, 2)]).fit(X, y)
    assert fitted.n_iter_ == 2
    assert fitted.predict(X).shape == y.shape


def test_a_fit_that_ends_before_is_the_same_as_without_a_limit(clock):
    X, y = labelled_rows()
    expected = small_classifier(**OWN, max_epochs=20).fit(X, y)
    limited = small_classifier(**OWN, max_epochs=20, max_seconds=1e9).fit(X, y)
    np.testing.assert_array_equal(limited.predict_proba(X), expected.predict_proba(X))
    assert (limited.n_iter_, limited.best_epoch_) == (expected.n_iter_, expected.best_epoch_)


OVERFITS = OWN | {
    "batch_size": 10,
    "learning_rate": 0.01,
    "lr_schedule": "constant",
    "width": 100,
    "search_steps": 0,
}


def test_the_weights_and_their_temperature_are_those_of_the_smallest_out_of_fold_loss(clock, monkeypatch):
    X, y = labelled_rows(300)
    noise = np.random.default_rng(0).permutation(y)
    with pytest.warns(ConvergenceWarning, match="nothing was found"):
        expected = small_classifier(**OVERFITS, max_epochs=1).fit(X, noise)
    monkeypatch.setattr(SparseInitMLPClassifier, "_min_epochs", 50)  # it would end by itself
    net = small_classifier(**OVERFITS, max_epochs=50, max_seconds=1e5, callbacks=[SetsClock(clock, 3)])
    net.fit(X, noise)
    losses = net.history_[:, "out_of_fold_loss"]
    assert len(losses) == 3
    assert net.best_epoch_ == 1 + int(np.argmin(losses)) == 1
    np.testing.assert_array_equal(net.temperature_, expected.temperature_)
    assert net.temperature_.max() > 1
    np.testing.assert_array_equal(net.predict_proba(X), expected.predict_proba(X))
    np.testing.assert_array_equal(net.predict_set(X), expected.predict_set(X))


@pytest.mark.parametrize("callbacks", [[], [EpochScoring("accuracy", on_train=True)]], ids=["fast", "autograd"])
def test_a_long_epoch_is_cut_off(clock, callbacks, monkeypatch):
    X, y = labelled_rows(400)
    monkeypatch.setattr("sparsemlp._training.batches.MAX_POOL_BATCHES", 1)
    net = small_classifier(**OWN, batch_size=10, max_seconds=7.5, max_epochs=50, callbacks=callbacks).fit(X, y)
    assert net.n_iter_ == 1
    assert net.history_[0]["train_batch_count"] == 7  # the clock is read once before, and after every batch
    assert np.isfinite([net.history_[0]["train_loss"], net.history_[0]["out_of_fold_loss"]]).all()
    assert net.history_[0]["train_loss"] < 1


def test_some_batches_are_trained_however_short_the_time(clock):
    X, y = labelled_rows()
    net = small_classifier(**OWN, max_seconds=1e-9).fit(X, y)
    assert net.n_iter_ == 1
    assert net.history_[0]["train_batch_count"] >= 1


def test_no_second_training_follows_when_the_time_is_over(clock):
    X, y = np.random.default_rng(0).standard_normal((300, 3)), np.arange(300) % 2
    epochs = Weights()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # that nothing was found is not known
        net = small_classifier(**OWN, max_seconds=1e5, callbacks=[epochs, SetsClock(clock, 2)]).fit(X, y)
    assert net.n_iter_ == len(epochs.of_epochs) == 2


def test_the_second_training_has_what_is_left_of_the_time(clock):
    X, y = np.random.default_rng(0).standard_normal((300, 3)), np.arange(300) % 2

    class InTheSecond(Callback):
        n_trainings = n_epochs = 0

        def on_train_begin(self, net, **kwargs):
            self.n_trainings += 1

        def on_epoch_end(self, net, **kwargs):
            self.n_epochs += self.n_trainings == 2
            if self.n_epochs == 3:
                clock.now += 1e6

    seen = InTheSecond()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small_classifier(**OWN, max_epochs=3, max_seconds=1e5, callbacks=[seen]).fit(X, y)
    assert (seen.n_trainings, seen.n_epochs) == (2, 3)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (OWN, "because max_seconds=100000 were over; it has the weights of the best epoch, 2"),
        ({"early_stopping": True}, "because max_seconds=100000 were over; it has the weights of the best epoch, "),
        ({"early_stopping": False}, "because max_seconds=100000 were over\n"),
    ],
)
def test_verbose_says_it_in_one_line(options, expected, clock, capfd):
    small_classifier(**options, max_epochs=50, max_seconds=1e5, verbose=1, callbacks=[SetsClock(clock, 2)]).fit(
        *labelled_rows()
    )
    out = capfd.readouterr().out
    assert "sparsemlp: training ended after 2 of 50 epochs, " + expected in out
    assert out.count("\n") == 1


def test_without_out_of_fold_rows_the_latest_weights_are_kept(clock):
    X, y = labelled_rows()
    weights = Weights()
    net = small_classifier(max_seconds=1e5, callbacks=[weights, SetsClock(clock, 3)]).fit(X, y)
    assert net.best_epoch_ == net.n_iter_ == 3
    assert (net.net_.module_.input_layer.weight == weights.of_epochs[-1]).all()


def test_partial_fit_and_the_next_fit_have_time_of_their_own(clock):
    X, y = labelled_rows()
    net = small_classifier(**OWN, max_seconds=1e-9)
    net.partial_fit(X, y, classes=[0, 1]).partial_fit(X, y)
    assert net.n_iter_ == 2
    assert net.history_[-1]["train_batch_count"] == -(-len(X) // net.batch_size)
    net.set_params(warm_start=True, max_epochs=2, max_seconds=1e5, callbacks=[SetsClock(clock, 1)])
    again = SparseInitMLPClassifier(**net.get_params())
    assert again.fit(X, y).n_iter_ == 1
    assert again.fit(X, y).n_iter_ == 3


def test_a_search_limits_every_fit(clock):
    search = GridSearchCV(small_classifier(max_seconds=1e5), {"width": [4, 8]}, cv=2).fit(*labelled_rows())
    assert search.best_estimator_.n_iter_ == 5


@pytest.mark.parametrize("seconds", [0, -1.0, "10", np.nan])
def test_other_values_are_errors(seconds):
    with pytest.raises(ValueError, match="'max_seconds' parameter of SparseInitMLPClassifier must be a float in"):
        small_classifier(max_seconds=seconds).fit(*labelled_rows())


def test_the_bar_moves_within_an_epoch(monkeypatch):
    monkeypatch.setattr("sparsemlp._training.batches.MAX_POOL_BATCHES", 1)
    seen = []

    class Watches(Callback):
        def on_epoch_begin(self, net, **kwargs):
            show = net.session.tell_progress
            net.session.tell_progress = lambda n: (seen.append(n), show(n))

        def on_train_end(self, net, **kwargs):
            seen.append(net.stop_reason)

    X, y = labelled_rows(64)
    small_classifier(verbose=1, max_epochs=2, batch_size=16, callbacks=[Watches()]).fit(X, y)
    assert seen == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, None]
