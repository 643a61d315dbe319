"""skorch's callbacks, given by the user: they fire as skorch documents, on the fast path too."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor
from sklearn.metrics import f1_score, log_loss
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LRScheduler,
    TrainEndCheckpoint,
)

from sparsemlp._training.averaging import WeightAverage


def weights_of(net):
    return torch.cat([parameter.detach().flatten() for parameter in net.module_.parameters()])


def fit_with(callback, X, y, **parameters):
    return small_classifier(callbacks=[callback], **parameters).fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])


class Notes(Callback):
    """Write down every event."""

    def __init__(self):
        self.events = []

    def on_train_begin(self, net, **kwargs):
        self.events.append("train begin")

    def on_train_end(self, net, **kwargs):
        self.events.append("train end")

    def on_epoch_begin(self, net, **kwargs):
        self.events.append("epoch begin")

    def on_epoch_end(self, net, **kwargs):
        self.events.append("epoch end")


class NotesBatches(Notes):
    def on_batch_begin(self, net, batch, training, **kwargs):
        self.events.append("batch begin" if training else "validation")

    def on_batch_end(self, net, batch, training, **kwargs):
        if training:
            self.events.append("batch end")
            self.last = batch

    def on_grad_computed(self, net, named_parameters, **kwargs):
        assert all(parameter.grad is not None for _, parameter in named_parameters)
        self.events.append("gradient")


def test_epoch_hooks_fire_in_skorchs_order():
    notes = Notes()
    small_classifier(callbacks=[notes]).fit(*labelled_rows())
    assert notes.events == ["train begin", *["epoch begin", "epoch end"] * 5, "train end"]


def test_batch_and_gradient_hooks_fire_for_every_batch():
    notes = NotesBatches()
    small_classifier(callbacks=[notes], max_epochs=1).fit(*labelled_rows(64))
    batch = ["batch begin", "gradient", "batch end"]
    assert notes.events == ["train begin", "epoch begin", *batch * 2, "epoch end", "train end"]
    X, y = notes.last
    assert X.shape == (2, 32, 12)  # members, rows, columns
    assert y.shape == (64,)  # one member's after the other's


@pytest.mark.parametrize("on_train", [False, True])
def test_epoch_scoring_is_scikit_learns_score_after_every_epoch(on_train):
    X, y = labelled_rows(120)
    probabilities = []

    class Predicts(Callback):
        def on_epoch_end(self, net, dataset_valid, **kwargs):
            probabilities.append(net.predict_proba(dataset_valid))

    scoring = EpochScoring("f1", lower_is_better=False, name="f1", on_train=on_train, use_caching=not on_train)
    clf = small_classifier(callbacks=[scoring, Predicts()], max_epochs=3)
    clf.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    scores = clf.history_[:, "f1"]
    rows = slice(0, 80) if on_train else slice(80, None)
    assert scores[-1] == pytest.approx(f1_score(y[rows], clf.predict(X[rows])))
    if not on_train:
        assert scores == pytest.approx([f1_score(y[80:], p.argmax(axis=1)) for p in probabilities])
    np.testing.assert_allclose(probabilities[-1], clf.predict_proba(X[80:]), atol=1e-6)


@pytest.mark.parametrize("n_members", [1, 3])
def test_epoch_scoring_on_cached_training_predictions_scores_all_members_rows(n_members):
    X, y = labelled_rows()
    scoring = EpochScoring("accuracy", lower_is_better=False, name="train_acc", on_train=True)
    options = {"optimizer": "sgd", "learning_rate": 1e-12, "max_epochs": 1}  # the weights stay where they start
    clf = small_classifier(n_members=n_members, callbacks=[scoring], **options).fit(X, y)
    with torch.no_grad():
        output = clf.net_.module_(torch.from_numpy(clf.scaler_.transform(X)))[..., 0].numpy()
    assert clf.history_[:, "train_acc"] == pytest.approx([((output > 0) == y).mean()])


@pytest.mark.parametrize("scoring", ["neg_log_loss", "roc_auc"])
def test_epoch_scoring_takes_probability_metrics(scoring):
    X, y = labelled_rows()
    clf = fit_with(EpochScoring(scoring, lower_is_better=False, name="score"), X, y)
    if scoring == "neg_log_loss":
        assert clf.history_[-1, "score"] == pytest.approx(-log_loss(y[80:], clf.predict_proba(X[80:])), abs=1e-6)
    assert np.isfinite(clf.history_[:, "score"]).all()


def test_epoch_scoring_of_a_regressor():
    X, y = numbered_rows()
    scoring = EpochScoring("neg_mean_absolute_error", lower_is_better=False, name="mae")
    reg = small_regressor(callbacks=[scoring]).fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    error = np.abs(reg.predict(X[80:]) - y[80:]).mean() / reg.y_scale_  # the net sees standardised targets
    assert reg.history_[-1, "mae"] == pytest.approx(-error, rel=1e-4)


def test_epoch_scores_are_there_for_the_epoch_that_early_stopping_ends_with():
    X, y = labelled_rows()
    scoring = EpochScoring("f1", lower_is_better=False, name="f1")
    clf = fit_with(scoring, X, y, early_stopping=True, n_iter_no_change=2, max_epochs=100)
    assert clf.n_iter_ < 100
    assert len(clf.history_[:, "f1"]) == clf.n_iter_


@pytest.mark.parametrize("own", [False, True], ids=["early_stopping", "callback"])
def test_early_stopping_stops(own):
    X, y = labelled_rows()
    callbacks = [EarlyStopping(patience=3, monitor="valid_loss")] if own else None
    clf = small_classifier(callbacks=callbacks, early_stopping=not own, n_iter_no_change=3, max_epochs=300)
    clf.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    assert 3 < clf.n_iter_ < 300
    if own:
        losses = clf.history_[:, "valid_loss"]
        best = min(losses[:-2])
        assert all(loss > best * (1 - 1e-4) for loss in losses[-3:])


def test_early_stopping_on_the_training_loss_needs_no_validation_rows():
    stopping = EarlyStopping(monitor="train_loss", patience=2, threshold=0.2)
    clf = small_classifier(callbacks=[stopping], max_epochs=300).fit(*labelled_rows())
    assert clf.n_iter_ < 300


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("lr_schedule", ["constant", "cosine"])
def test_a_learning_rate_scheduler_acts_on_the_fast_path(optimizer, lr_schedule):
    X, y = labelled_rows()

    def rate(epoch):
        return 1.0 if epoch < 2 else 0.0  # from the third epoch on, nothing may move

    noted = []

    class NotesWeights(Callback):
        def on_epoch_end(self, net, **kwargs):
            noted.append(weights_of(net).clone())

    scheduler = LRScheduler("LambdaLR", lr_lambda=rate)
    small_classifier(
        callbacks=[scheduler, NotesWeights()], optimizer=optimizer, lr_schedule=lr_schedule, weight_decay=0.0
    ).fit(X, y)
    assert not torch.equal(noted[0], noted[1])
    assert all(torch.equal(noted[1], later) for later in noted[2:])


def test_a_scheduler_on_the_fast_path_gives_the_trajectory_of_the_autograd_path():
    X, y = labelled_rows()
    fast, slow = (
        small_classifier(
            callbacks=[LRScheduler("ExponentialLR", gamma=0.5), *more],
            lr_schedule="constant",
            bias_init="uniform",
        ).fit(X, y)
        for more in ([], [NotesBatches()])
    )
    torch.testing.assert_close(weights_of(fast.net_), weights_of(slow.net_), rtol=0, atol=2e-5)
    plain = small_classifier(lr_schedule="constant", bias_init="uniform").fit(X, y)
    assert (weights_of(fast.net_) - weights_of(plain.net_)).abs().max() > 1e-3


def test_a_scheduler_that_steps_by_batch_is_heard():
    X, y = labelled_rows(64)
    scheduler = LRScheduler("StepLR", step_size=1, gamma=0.5, step_every="batch")
    rates = []

    class NotesRate(Callback):
        def on_batch_begin(self, net, batch, training, **kwargs):
            rates.append(float(net.optimizer_.param_groups[0]["lr"]))

    small_classifier(callbacks=[scheduler, NotesRate()], lr_schedule="constant", max_epochs=2).fit(X, y)
    assert rates == pytest.approx([0.01, 0.005, 0.0025, 0.00125])


def test_a_checkpoint_saves_the_best_epoch_and_loads_it(tmp_path):
    X, y = labelled_rows()
    checkpoint = Checkpoint(monitor="valid_loss_best", dirname=tmp_path, load_best=True)
    clf = fit_with(checkpoint, X, y, learning_rate=0.1, max_epochs=30)
    best = int(np.argmin(clf.history_[:, "valid_loss"]))
    assert clf.history_[best, "event_cp"]
    assert (tmp_path / "params.pt").exists()
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    loaded = torch.cat([values.flatten() for values in saved.values()])
    assert torch.equal(weights_of(clf.net_), loaded)
    assert log_loss(y[80:], clf.predict_proba(X[80:])) == pytest.approx(
        clf.history_[best, "valid_loss"], rel=0.2
    )  # the loss is the members' mean, the probability that of their average


def test_gradient_clipping_acts():
    X, y = labelled_rows()
    options = {"optimizer": "sgd", "learning_rate": 1.0, "lr_schedule": "constant", "weight_decay": 0.0}
    starts = []

    class NotesStart(Callback):
        def on_train_begin(self, net, **kwargs):
            starts.append(weights_of(net).clone())

    clipping = GradientNormClipping(1e-6)
    clf = small_classifier(callbacks=[clipping, NotesStart()], **options).fit(X, y)
    assert (weights_of(clf.net_) - starts[0]).norm() < 1e-4  # twenty steps of at most 1e-6


def test_callbacks_may_have_names():
    notes = Notes()
    clf = small_classifier(callbacks=[("mine", notes)]).fit(*labelled_rows())
    assert dict(clf.net_.callbacks_)["mine"] is notes
    assert "train end" in notes.events


def test_the_history_has_a_row_an_epoch_with_loss_size_and_time():
    clf = small_classifier(early_stopping=True).fit(*labelled_rows(100))
    for number, epoch in enumerate(clf.net_.history, start=1):
        assert epoch["epoch"] == number
        assert epoch["train_batch_count"] == 3  # 85 rows
        assert epoch["dur"] > 0
        assert {"train_loss", "train_loss_best", "valid_loss", "valid_loss_best", "valid_acc"} <= epoch.keys()


def test_the_recorded_loss_is_the_mean_over_rows_and_members():
    X, y = labelled_rows(100)
    options = {"optimizer": "sgd", "learning_rate": 1e-12, "max_epochs": 1}  # the weights stay where they start
    clf = small_classifier(n_members=3, **options).fit(X, y, X_val=X, y_val=y)
    with torch.no_grad():
        output = clf.net_.module_(torch.from_numpy(clf.scaler_.transform(X))).double()[..., 0]
    expected = torch.nn.functional.softplus(torch.from_numpy(1 - 2 * y) * output).mean().item()
    assert clf.loss_curve_ == pytest.approx([expected], rel=1e-5)
    assert clf.history_[:, "valid_loss"] == pytest.approx([expected], rel=1e-5)


# What is said


def test_nothing_is_said_by_default(capfd):
    small_classifier(callbacks=[NotesBatches()], early_stopping=True).fit(*labelled_rows())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("callbacks", [None, [NotesBatches()]], ids=["fast", "slow"])
def test_verbose_shows_a_progress_bar_and_says_once_if_the_path_is_slow(callbacks, capfd):
    small_classifier(verbose=1, callbacks=callbacks).fit(*labelled_rows())
    out, err = capfd.readouterr()
    assert "5.0/5" in err
    assert "train_loss" in err
    assert out.count("autograd") == (0 if callbacks is None else 1)
    if callbacks:
        assert "NotesBatches" in out


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_members_beside_a_frozen_layer_all_train_whatever_the_number_of_threads(two_threads):
    X, y = labelled_rows()
    options = {"n_members": 4, "lr_schedule": "constant", "weight_averaging": True}

    def fitted():
        return small_classifier(callbacks=[Freezer("output_layer.*")], **options).fit(X, y).net_.module_

    shared = fitted()
    torch.set_num_threads(1)
    for ours, alone in zip(shared.parameters(), fitted().parameters(), strict=True):
        torch.testing.assert_close(ours, alone, rtol=1e-4, atol=1e-5)


class StopsWithin(Callback):
    """Press Ctrl-C at a batch of an epoch."""

    def __init__(self, epoch, error=KeyboardInterrupt):
        self.epoch, self.error = epoch, error

    def on_batch_end(self, net, batch, training, **kwargs):
        if training and len(net.history) == self.epoch and len(net.history[-1, "batches"]) == 2:
            raise self.error


@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize("early_stopping", [False, True, "out_of_fold"])
def test_an_epoch_that_was_cut_off_leaves_the_averaged_weights_and_no_trace_in_the_history(
    epoch, early_stopping, monkeypatch
):
    made = []

    class Spied(WeightAverage):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr("sparsemlp._training.session.WeightAverage", Spied)
    X, y = labelled_rows()
    clf = small_classifier(
        callbacks=[StopsWithin(epoch)],
        lr_schedule="constant",
        weight_averaging=True,
        early_stopping=early_stopping,
    ).fit(X, y)
    assert clf.n_iter_ == len(clf.loss_curve_) == epoch - 1
    if early_stopping is not True:
        (average,) = made
        assert average.n_steps == [sum(row["train_batch_count"] for row in clf.history_) + 2]
        for parameter, expected in zip(clf.net_.module_.parameters(), average.averages, strict=True):
            assert torch.equal(parameter.detach(), expected)
    assert np.isfinite(clf.predict_proba(X)).all()
    assert clf.best_epoch_ <= epoch - 1


def test_a_chunk_that_was_cut_off_leaves_no_trace_in_the_history():
    X, y = labelled_rows()
    for epoch in (1, 2):
        clf = small_classifier(callbacks=[StopsWithin(epoch)])
        for _ in range(epoch):
            clf.partial_fit(X, y, classes=[0, 1])
        assert clf.n_iter_ == len(clf.loss_curve_) == epoch - 1
        assert clf.predict(X).shape == y.shape
    assert clf.partial_fit(X, y, classes=[0, 1]).n_iter_ == 1  # the same batch again


@pytest.mark.parametrize(("make", "rows"), [(small_classifier, labelled_rows), (small_regressor, numbered_rows)])
@pytest.mark.parametrize("early_stopping", [False, "out_of_fold"])
def test_a_callback_may_ask_the_estimator_after_every_epoch_of_its_first_fit(make, rows, early_stopping):
    X, y = rows()
    scores = []

    class Asks(Callback):
        def on_epoch_end(self, net, **kwargs):
            assert np.isfinite(estimator.predict(X)).all()
            scores.append(estimator.score(X, y))

    estimator = make(
        callbacks=[Asks()], early_stopping=early_stopping, lr_schedule="constant", weight_averaging=True
    )
    estimator.fit(X, y)
    assert len(scores) == estimator.n_iter_
    assert scores[-1] == estimator.score(X, y)


def test_after_a_callback_that_raised_in_the_first_epoch_there_are_predictions():
    X, y = labelled_rows()
    clf = small_classifier(callbacks=[StopsWithin(1, OSError("disk full"))], early_stopping="out_of_fold")
    with pytest.raises(OSError, match="disk full"):
        clf.fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()
    assert clf.loss_curve_ == []


@pytest.mark.parametrize("early_stopping", [False, True, "out_of_fold"])
@pytest.mark.parametrize("kind", [TrainEndCheckpoint, Checkpoint])
def test_a_checkpoint_may_pickle_the_whole_net(kind, early_stopping, tmp_path):
    X, y = labelled_rows()
    monitor = {"monitor": "train_loss_best"} if kind is Checkpoint else {}
    checkpoint = kind(f_pickle="net.pkl", dirname=tmp_path, **monitor)
    options = {"early_stopping": early_stopping, "lr_schedule": "constant", "weight_averaging": True}
    clf = small_classifier(callbacks=[checkpoint], **options).fit(X, y)
    name = "train_end_net.pkl" if kind is TrainEndCheckpoint else "net.pkl"
    net = pickle.loads((tmp_path / name).read_bytes())
    assert torch.isfinite(weights_of(net)).all()
    if kind is TrainEndCheckpoint and early_stopping is not True:
        assert torch.equal(weights_of(net), weights_of(clf.net_))


@pytest.mark.parametrize("early_stopping", [False, "out_of_fold"])
def test_a_session_ends_with_its_fit_and_leaves_no_attribute_behind(early_stopping):
    class Notes(Callback):
        def on_train_begin(self, net, **kwargs):
            self.before = {*vars(net), "classes_inferred_"}  # of skorch

        def on_epoch_end(self, net, **kwargs):
            assert net.session.n_epochs == 5
            assert {*vars(net), "classes_inferred_"} == self.before

    X, y = labelled_rows()
    notes = Notes()
    net = small_classifier(callbacks=[notes], early_stopping=early_stopping, weight_averaging=True).fit(X, y).net_
    assert {*vars(net), "classes_inferred_"} == notes.before
    with pytest.raises(AttributeError, match="not training"):
        _ = net.session


@pytest.mark.parametrize("make", [small_classifier, small_regressor])
def test_the_net_can_be_copied_and_pickled_and_predicts_the_same(make):
    X, y = labelled_rows()
    estimator = make().fit(X, y)
    rows = torch.from_numpy(estimator.scaler_.transform(X))
    expected = estimator.net_.predict(rows)
    for net in (copy.deepcopy(estimator.net_), pickle.loads(pickle.dumps(estimator.net_))):
        assert torch.equal(weights_of(net), weights_of(estimator.net_))
        np.testing.assert_array_equal(net.predict(rows), expected)


def test_without_a_console_training_goes_on_and_no_bar_is_shown(monkeypatch):
    X, y = labelled_rows()
    expected = small_classifier().fit(X, y).decision_function(X)
    monkeypatch.setattr("sys.stderr", None)
    np.testing.assert_array_equal(small_classifier(verbose=1).fit(X, y).decision_function(X), expected)


def test_the_progress_bar_shows_the_loss_that_decides_when_training_ends(capfd):
    small_classifier(verbose=1, early_stopping="out_of_fold").fit(*labelled_rows())
    assert "out_of_fold_loss=" in capfd.readouterr().err


def test_verbose_says_why_training_ended_early(capfd):
    X, y = labelled_rows()
    cases = {
        "2 times as long as to the smallest out-of-fold loss, of epoch": {"early_stopping": "out_of_fold"},
        "the validation rows saw nothing better than epoch": {"early_stopping": True, "n_iter_no_change": 2},
        "a callback ended it": {"callbacks": [EarlyStopping("train_loss", patience=2, threshold=0.5)]},
    }
    for reason, options in cases.items():
        clf = small_classifier(max_epochs=300, verbose=1, **options).fit(X, y)
        out = capfd.readouterr().out
        assert f"sparsemlp: training ended after {clf.n_iter_} of 300 epochs" in out
        assert reason in out
    small_classifier(verbose=1).fit(X, y)
    assert "training ended" not in capfd.readouterr().out


def test_verbose_says_once_that_validation_rows_decide_nothing(capfd):
    X, y = labelled_rows()
    for options, n_notes in (
        ({}, 1),
        ({"early_stopping": "out_of_fold"}, 1),
        ({"early_stopping": True}, 0),
        ({"callbacks": [EarlyStopping()]}, 0),
        ({"verbose": 0}, 0),
    ):
        small_classifier(**({"verbose": 1} | options)).fit(X, y, X_val=X, y_val=y)
        assert capfd.readouterr().out.count("X_val is scored only") == n_notes


def test_a_callback_that_ends_training_warns_of_nothing():
    X, y = labelled_rows()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert small_classifier(callbacks=[StopsWithin(3)]).fit(X, y).n_iter_ == 2
