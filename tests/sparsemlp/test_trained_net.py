"""The skorch net of a fit: its history, its copies, and that nothing of a training stays in it."""

import copy
import pickle

import numpy as np
import pytest
import torch
from helpers.small import labelled_rows, small_classifier, small_regressor
from skorch.callbacks import Callback


def weights_of(net):
    return torch.cat([parameter.detach().flatten() for parameter in net.module_.parameters()])


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
