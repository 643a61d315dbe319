"""Callbacks from one training to the next: schedules go on, checkpoints are of their own fit."""

import io

import joblib
import numpy as np
import pytest
import skops.io
import torch
from helpers.small import labelled_rows, small_classifier
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    LRScheduler,
)


def rates_of(clf):
    return clf.history_[:, "event_lr"]


def scheduled(**parameters):
    scheduler = LRScheduler("LambdaLR", lr_lambda=rate_of_epoch)
    options = {"lr_schedule": "constant", "max_epochs": 3} | parameters
    return small_classifier(callbacks=[scheduler], **options)


def rate_of_epoch(epoch):
    return 1 / (1 + epoch)


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("richness", [None, 1.0])
def test_a_scheduler_goes_on_in_a_warm_start(saved, richness):
    X, y = labelled_rows()
    clf = scheduled(warm_start=True, richness=richness).fit(X, y)
    if saved:
        clf = joblib_copy(clf)
    clf.fit(X, y)
    whole = scheduled(richness=richness, max_epochs=6).fit(X, y)
    assert rates_of(clf) == pytest.approx(rates_of(whole))


def joblib_copy(clf):
    buffer = io.BytesIO()
    joblib.dump(clf, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


@pytest.mark.parametrize("saved", [False, True])
def test_a_scheduler_goes_on_from_chunk_to_chunk(saved):
    X, y = labelled_rows()
    clf = scheduled()
    for _ in range(4):
        clf.partial_fit(X, y, classes=[0, 1])
        clf = joblib_copy(clf) if saved else clf
    assert rates_of(clf) == pytest.approx([0.01 * rate_of_epoch(epoch) for epoch in range(4)])


SCHEDULERS = {
    "ExponentialLR": {"gamma": 0.5},
    "ReduceLROnPlateau": {"patience": 0, "threshold": 1.0},
    "OneCycleLR": {"max_lr": 0.02, "total_steps": 40},
    "CyclicLR": {"base_lr": 0.001, "max_lr": 0.02, "cycle_momentum": False},
    "WarmRestartLR": {},
}


@pytest.mark.parametrize("policy", SCHEDULERS)
def test_schedulers_of_all_kinds_go_on(policy):
    X, y = labelled_rows()
    scheduler = LRScheduler(getattr(torch.optim.lr_scheduler, policy, policy), **SCHEDULERS[policy])
    clf = small_classifier(callbacks=[scheduler], lr_schedule="constant", warm_start=True)
    rates = rates_of(clf.fit(X, y).fit(X, y))
    assert len(rates) == 10
    if policy in ("ExponentialLR", "ReduceLROnPlateau"):
        assert rates[5] <= rates[4] < rates[0]
        assert rates[9] < rates[5]


def test_another_learning_rate_starts_a_schedule_from_there():
    X, y = labelled_rows()
    clf = scheduled(warm_start=True).fit(X, y)
    clf.set_params(learning_rate=0.1).fit(X, y)
    assert rates_of(clf)[3:] == pytest.approx([0.1 * rate_of_epoch(epoch) for epoch in (3, 4, 5)])


def test_a_scheduler_can_be_added_to_a_fitted_net():
    X, y = labelled_rows()
    clf = small_classifier(warm_start=True, lr_schedule="constant").fit(X, y)
    clf.set_params(callbacks=[LRScheduler("LambdaLR", lr_lambda=rate_of_epoch)]).fit(X, y)
    assert clf.n_iter_ == 10


def test_what_is_saved_of_callbacks_holds_no_tensors():
    X, y = labelled_rows()
    stopping = EarlyStopping(monitor="train_loss", load_best=True)
    clf = small_classifier(callbacks=[LRScheduler(), ("stop", stopping)], lr_schedule="constant").fit(X, y)
    schedule, (_, stop) = clf.__getstate__()["callbacks"]
    assert schedule.lr_scheduler_ is None
    assert stop.best_model_weights_ is None
    assert stopping.best_model_weights_ is not None  # the user's own are as they were
    saved = skops.io.dumps(clf)
    loaded = skops.io.loads(saved, trusted=skops.io.get_untrusted_types(data=saved))
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert loaded.fit(X, y).n_iter_ == 5


def test_a_checkpoint_that_another_fit_has_overwritten_is_not_loaded(tmp_path):
    X, y = labelled_rows()

    class FitsAnother(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                checkpoint = Checkpoint(monitor="train_loss_best", dirname=tmp_path)
                small_classifier(callbacks=[checkpoint], random_state=1, max_epochs=1).fit(X, y)

    checkpoint = Checkpoint(monitor=lambda net: len(net.history) == 2, dirname=tmp_path, load_best=True)
    clf = small_classifier(callbacks=[checkpoint, FitsAnother()])
    with pytest.raises(ValueError, match=r"another fit has written to .* a dirname of its own"):
        clf.fit(X, y)


def test_fits_may_use_the_same_folder_one_after_the_other(tmp_path):
    X, y = labelled_rows()
    for seed in range(2):
        checkpoint = Checkpoint(monitor="train_loss_best", dirname=tmp_path, load_best=True)
        assert small_classifier(callbacks=[checkpoint], random_state=seed).fit(X, y).score(X, y) > 0.5
