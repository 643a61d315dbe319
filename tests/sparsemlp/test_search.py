"""The second training of a fit that has found nothing."""

import contextlib
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.small import small_classifier, small_regressor
from sklearn.exceptions import ConvergenceWarning

from sparsemlp import _search
from sparsemlp._training.batches import DeviceRows, TabularDataset
from sparsemlp._training.losses import LOSSES, make_loss
from sparsemlp._training.out_of_fold import OutOfFold, constant_loss
from sparsemlp._training.time_limit import TimeLimit
from sparsemlp.datasets import make_sparse_parity

#: of a table whose only column is not constant
SCALER = SimpleNamespace(ignored_columns=lambda: np.zeros(1, dtype=bool))
OWN = {"n_members": 4, "early_stopping": "out_of_fold", "feature_sampling": "trees", "activation": "mixed"}


def parity(n_rows=700):
    X, y = make_sparse_parity(n_rows + 1000, 25, n_informative=3, random_state=1)
    return X[:n_rows], y[:n_rows], X[n_rows:], y[n_rows:]


def noise(n_rows=300):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, 4)), rng.integers(2, size=n_rows)


def test_a_parity_is_found_by_the_second_training():
    X, y, X_new, y_new = parity()
    without = small_classifier(**OWN, width=128, search_steps=0).fit(X, y)
    found = small_classifier(**OWN, width=128).fit(X, y)
    assert without.score(X_new, y_new) < 0.6
    assert found.score(X_new, y_new) > 0.95
    module = found.net_.module_
    assert (module.activation, module.n_members) == ("relu", 2)
    assert found.n_iter_ == len(found.history_) == found.best_epoch_


def test_targets_of_a_parity_are_found_by_the_regressor_too():
    X, y, X_new, y_new = parity()
    found = small_regressor(**OWN, width=128).fit(X, 2.0 * y)
    assert found.score(X_new, 2.0 * y_new) > 0.9


def test_where_there_is_nothing_a_warning_says_so_and_the_first_net_is_kept():
    X, y = noise()
    with pytest.warns(ConvergenceWarning, match=r"search_steps=50: nothing was found\. More rows"):
        searched = small_classifier(**OWN, search_steps=50).fit(X, y)
    with pytest.warns(ConvergenceWarning, match=r"of a constant prediction: nothing was found\. More rows"):
        kept = small_classifier(**OWN, search_steps=0).fit(X, y)
    np.testing.assert_array_equal(searched.predict_proba(X), kept.predict_proba(X))
    assert searched.n_iter_ == kept.n_iter_


@pytest.mark.parametrize(
    ("n_rows", "options"),
    [
        (255, {}),
        (300, {"n_members": 1}),
        (300, {"warm_start": True}),
        (300, {"early_stopping": False}),
    ],
)
def test_no_second_training_where_it_cannot_be_judged_or_makes_no_sense(n_rows, options):
    X, y = noise(n_rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        net = small_classifier(**(OWN | options), max_epochs=2).fit(X, y)
    assert net.n_iter_ <= 2


def test_with_a_richness_there_is_no_second_training_and_a_warning_that_nothing_was_found():
    X, y = noise(300)
    with pytest.warns(ConvergenceWarning, match=r"of a constant prediction: nothing was found\. More rows"):
        net = small_classifier(**OWN, richness=1.0, max_epochs=2).fit(X, y)
    assert net.n_iter_ <= 2


def test_a_table_with_a_signal_is_trained_once():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    net = small_classifier(**OWN, max_epochs=15).fit(X, X[:, 0] + rng.normal(size=300) > 0)
    assert net.net_.module_.activation == "mixed"


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_of_a_constant_is_no_larger_than_that_of_any_other(name):
    rng = np.random.default_rng(0)
    target = (
        rng.choice([0.0, 1.0], size=(400, 1), p=[0.3, 0.7])
        if name == "cross_entropy"
        else rng.choice([-1.0, 1.0], size=(400, 1), p=[0.3, 0.7])
    )
    if name in ("absolute_error", "huber"):
        target = rng.normal(size=(400, 1))
    target, weight = torch.from_numpy(target), torch.from_numpy(rng.uniform(0.5, 1.5, size=(400, 1)))
    loss = make_loss(name, n_classes=2)
    dataset = TabularDataset(DeviceRows(torch.zeros(400, 1)), target[:, 0], target, weight)
    found = constant_loss(dataset, loss)
    values = [
        float((loss.value(torch.full_like(target, c), target) * weight[:, 0]).sum() / weight.sum())
        for c in np.linspace(-2, 2, 2001)
    ]
    slack = 0.01 if name in ("absolute_error", "huber") else 1e-6  # whose constant is the mean, not the median
    assert found <= min(values) + slack
    assert found >= min(values) - 1e-6


def test_the_loss_of_class_shares_is_their_entropy():
    target = torch.eye(3, dtype=torch.float64).repeat_interleave(torch.tensor([10, 30, 60]), dim=0)
    dataset = TabularDataset(DeviceRows(torch.zeros(100, 1)), target[:, 0], target)
    shares = np.array([0.1, 0.3, 0.6])
    assert constant_loss(dataset, make_loss("cross_entropy", 3)) == pytest.approx(-(shares * np.log(shares)).sum())


@pytest.mark.parametrize(
    ("member_losses", "is_searched"),
    [
        ([0.02, 0.8, 0.8, 0.8], True),  # one member has found a parity
        ([0.3, 0.8, 0.8, 0.8], False),  # as single members of tables with noise may differ
        ([0.6, 0.6, 0.6, 0.6], False),
        ([0.02, 0.5, 0.5, 0.5], False),  # most have found something
        ([0.7, 0.7, 0.7, 0.7], True),
    ],
)
def test_a_second_training_follows_where_one_member_alone_has_found_something(
    member_losses, is_searched, monkeypatch
):
    searched = []
    monkeypatch.setattr(_search, "_search", lambda *args: searched.append(args[-1]))
    monkeypatch.setattr(_search, "keep_if_better", lambda *args: True)
    target = (torch.arange(400) % 2).float().unsqueeze(1)
    right = torch.tensor(member_losses).repeat_interleave(100).neg().exp().logit()  # logits that give these losses
    output = (right * (2 * target[:, 0] - 1)).unsqueeze(1)
    loss = make_loss("cross_entropy", 2)
    net = SimpleNamespace(
        criterion_=SimpleNamespace(loss=loss),
        history=[{"out_of_fold_loss": np.mean(member_losses)}],
        module_=SimpleNamespace(n_members=4),
        out_of_fold_=OutOfFold(output, target, None),
        interrupts=SimpleNamespace(happened=False),
        time_limit=TimeLimit(),
    )
    dataset = TabularDataset(DeviceRows(torch.zeros(400, 1)), target[:, 0], target, fold=torch.arange(400) % 4)
    estimator = SimpleNamespace(net_=net, scaler_=SCALER, richness=None, search_steps=1, warm_start=False)
    _search.search_if_little_was_found(estimator, dataset, None)
    assert bool(searched) == is_searched
    if searched:
        assert searched[0] <= min(np.mean(member_losses), 0.99 * np.log(2)) + 1e-6


@pytest.mark.parametrize(("share", "is_kept"), [(0.85, True), (0.95, False)])
def test_a_second_net_is_kept_only_if_it_has_surely_found_something(share, is_kept, monkeypatch):
    def net(loss_of_an_epoch, n_epochs):
        history = [{"out_of_fold_loss": loss_of_an_epoch}] * n_epochs
        return SimpleNamespace(
            criterion_=criterion,
            history=history,
            callbacks_=[("_keep_best", SimpleNamespace(best_epoch_=n_epochs))],
            interrupts=SimpleNamespace(happened=False),
            time_limit=TimeLimit(),
            release=lambda: None,
        )

    criterion = SimpleNamespace(loss=make_loss("cross_entropy", 2))
    target = (torch.arange(400) % 2).float().unsqueeze(1)
    dataset = TabularDataset(DeviceRows(torch.zeros(400, 1)), target[:, 0], target, fold=torch.arange(400) % 4)
    first, second = net(np.log(2), 2), net(share * np.log(2), 3)
    estimator = SimpleNamespace(
        net_=first, scaler_=SCALER, richness=None, search_steps=1, warm_start=False, best_epoch_=2
    )
    monkeypatch.setattr(_search, "_best_members_loss", lambda net: np.log(2))
    monkeypatch.setattr(_search, "_search", lambda *args: second)
    with contextlib.nullcontext() if is_kept else pytest.warns(ConvergenceWarning, match="nothing was found"):
        _search.search_if_little_was_found(estimator, dataset, None)
    assert (estimator.net_ is second) == is_kept
    assert estimator.best_epoch_ == (3 if is_kept else 2)


def test_a_target_of_one_value_is_not_searched_and_warns_of_nothing(monkeypatch):
    monkeypatch.setattr(_search, "_search", lambda *args: pytest.fail("searched"))
    X = np.random.default_rng(0).normal(size=(300, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small_regressor(early_stopping="out_of_fold", n_members=4, max_epochs=3).fit(X, np.ones(300))
        labels = np.zeros((300, 2), dtype=int)
        small_classifier(early_stopping="out_of_fold", n_members=4, max_epochs=3).fit(X, labels)


def test_constant_columns_are_not_searched_and_a_warning_says_that_nothing_was_found(monkeypatch):
    monkeypatch.setattr(_search, "_search", lambda *args: pytest.fail("searched"))
    net = small_classifier(early_stopping="out_of_fold", n_members=4, max_epochs=3)
    with pytest.warns(ConvergenceWarning, match="nothing was found"):
        net.fit(np.ones((300, 3)), np.arange(300) % 2)
