"""When training ends by itself: out-of-fold rows, averaged weights, and the stop rule."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import make_friedman1, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from skorch.callbacks import Callback
from skorch.history import History
from torch import nn

from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor
from sparsemlp._training.averaging import WeightAverage
from sparsemlp._training.batches import BatchStream, DeviceRows, TabularDataset
from sparsemlp._training.losses import make_loss
from sparsemlp._training.out_of_fold import (
    MAX_OUT_OF_FOLD,
    OutOfFold,
    StopWhenLongEnough,
    assign_members,
    constant_loss,
    out_of_fold_rows,
    predict_out_of_fold,
)
from sparsemlp._training.threads import compute_threads
from sparsemlp.module import SparseInitMLP

OWN = {"early_stopping": "out_of_fold", "lr_schedule": "constant", "weight_averaging": True, "n_members": 4}


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    n_members=st.integers(2, 9),
    seed=st.integers(0, 99),
)
def test_every_class_is_left_out_in_its_proportion(sizes, n_members, seed):
    y = np.repeat(np.arange(len(sizes)), sizes)
    folds = assign_members(y, n_members, seed, stratified=True)
    too_few = sum(size for size in sizes if size > 1) < n_members  # for every member to leave one out
    for label, size in enumerate(sizes):
        counts = np.bincount(folds[y == label] + 1, minlength=n_members + 1)
        if size == 1 or too_few:
            assert counts[0] == size
        else:
            assert counts[0] == 0
            assert counts[1:].max() - counts[1:].min() <= 1
            assert counts[1:].max() < size  # every member sees some rows of the class
    of_members = np.bincount(folds[folds >= 0], minlength=n_members)
    assert of_members.max() - of_members.min() <= 1


@pytest.mark.parametrize("stratified", [True, False])
def test_of_many_rows_some_are_left_out_by_one_member_each_and_the_others_by_none(stratified):
    n_rows = 3 * MAX_OUT_OF_FOLD
    y = np.repeat([0, 1, 2], [n_rows - 302, 300, 2])
    folds = assign_members(y, 8, 0, stratified=stratified)
    out_of_fold = np.bincount(folds[folds >= 0], minlength=8)
    assert MAX_OUT_OF_FOLD <= out_of_fold.sum() <= MAX_OUT_OF_FOLD + 3  # shares of classes are rounded up
    assert out_of_fold.max() - out_of_fold.min() <= 1
    if stratified:
        assert [(folds[y == label] >= 0).sum() for label in (1, 2)] == [100, 1]


def test_all_rows_are_left_out_up_to_the_limit():
    assert (assign_members(np.arange(MAX_OUT_OF_FOLD), 8, 0, stratified=False) >= 0).all()


@pytest.mark.parametrize("n_rows", [10, 14, 24])
def test_probabilities_of_very_few_rows_are_not_certain(n_rows):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n_rows, 20)), np.arange(n_rows) % 2  # nothing to learn
    net = small_classifier(**OWN | {"n_members": 8}, max_epochs=40).fit(X, y)
    assert net.temperature_.max() > 1
    assert log_loss(np.arange(200) % 2, net.predict_proba(rng.normal(size=(200, 20)))) < 1


def dataset_with_folds(n_rows=50, n_members=3):
    x = torch.randn(n_rows, 4, generator=torch.Generator().manual_seed(0))
    target = (x[:, :1] > 0).float()
    folds = torch.from_numpy(assign_members(target[:, 0].numpy(), n_members, 0, stratified=True))
    return TabularDataset(DeviceRows(x), target[:, 0], target, fold=folds)


def test_a_member_never_sees_what_it_leaves_out_and_sees_all_else_in_turn():
    dataset = dataset_with_folds()
    stream = BatchStream(dataset, 8, 3, torch.Generator().manual_seed(0))
    seen = [set(), set(), set()]
    for _ in range(5):
        for pool, index in stream:
            rows = index.view(len(index), 3, pool.batch_size)
            for member in range(3):
                seen[member] |= set(rows[:, member].flatten().tolist())
    for member in range(3):
        assert seen[member] == set(torch.where(dataset.fold != member)[0].tolist())


@pytest.mark.parametrize("n_rows_at_once", [1, 5, 1000])
def test_left_out_rows_are_judged_by_the_member_that_left_them_out(n_rows_at_once):
    dataset = dataset_with_folds(48)
    module = SparseInitMLP(4, 1, 8, 2, n_members=3)
    loss = make_loss("cross_entropy", 2)
    rows = out_of_fold_rows(dataset.fold, 3)
    with compute_threads(2) as compute:
        found = predict_out_of_fold(module, dataset, rows, n_rows_at_once, compute).mean_loss(loss)
    output = module(dataset.X.values)
    own = output[dataset.fold, torch.arange(48)]
    np.testing.assert_allclose(found, loss.value(own, dataset.target).mean().item(), rtol=1e-5)


def test_the_average_is_the_weighted_mean_of_the_steps():
    module = nn.Linear(2, 1, bias=False)
    module.weight.data = torch.zeros(1, 2)
    average = WeightAverage(module, [slice(None)])
    values = [1.0, 5.0, 2.0, 8.0, 3.0]
    expected = 0.0
    for n, value in enumerate(values, start=1):
        average.begin_epoch()
        module.weight.data.fill_(value)
        average.update(0)
        average.end_epoch()
        rate = 9 / (8 + n)
        expected += rate * (value - expected)
        assert module.weight[0, 0].item() == pytest.approx(expected, rel=1e-6)
    average.begin_epoch()
    assert module.weight[0, 0].item() == values[-1]


@pytest.mark.parametrize(
    ("losses", "steps_an_epoch", "ends_after"),
    [
        ([3, 2, 1, 2, 3, 4, 5, 6], 10, 6),  # twice the third epoch
        ([1, 2, 3, 4, 5, 6, 7, 8], 10, 2),
        ([1, 2, 3, 4, 5, 6, 7, 8], 4, 3),  # not before 10 steps
        ([8, 7, 6, 5, 4, 3, 2, 1], 10, None),
    ],
)
def test_training_takes_twice_as_long_as_the_best_epoch(losses, steps_an_epoch, ends_after):
    stop, net = StopWhenLongEnough(), SimpleNamespace(history=History())
    stop.on_train_begin(net)
    ended = None
    for number, loss in enumerate(losses, start=1):
        net.history.new_epoch()
        net.history.record("out_of_fold_loss", loss)
        net.history.record("train_batch_count", steps_an_epoch)
        try:
            stop.on_epoch_end(net)
        except KeyboardInterrupt:
            ended = number
            break
    assert ended == ends_after


@pytest.mark.parametrize(("make", "rows"), [(small_classifier, labelled_rows), (small_regressor, numbered_rows)])
def test_a_noisy_table_ends_training_early(make, rows):
    X, y = rows(300)
    noise = np.random.default_rng(0).permutation(y)  # nothing to learn
    estimator = make(**OWN, max_epochs=100).fit(X, noise)
    assert estimator.n_iter_ < 50
    assert estimator.best_epoch_ == estimator.n_iter_
    assert len([epoch["out_of_fold_loss"] for epoch in estimator.history_]) == estimator.n_iter_


def test_callbacks_and_predictions_see_the_averaged_weights():
    class Keeps(Callback):
        def on_epoch_end(self, net, **kwargs):
            self.last = net.module_.input_layer.weight.detach().clone()

    X, y = labelled_rows()
    keeps = Keeps()
    averaged = small_classifier(**OWN, callbacks=[keeps]).fit(X, y)
    assert torch.equal(averaged.net_.module_.input_layer.weight, keeps.last)
    constant = small_classifier(**(OWN | {"weight_averaging": False})).fit(X, y)
    assert not torch.equal(averaged.net_.module_.input_layer.weight, constant.net_.module_.input_layer.weight)


def test_groups_of_members_on_several_threads_average_the_same(monkeypatch):
    X, y = labelled_rows(200)
    before = torch.get_num_threads()
    try:
        fitted = []
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            fitted.append(small_classifier(**OWN).fit(X, y).decision_function(X))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(*fitted, atol=1e-5)


def test_one_member_and_too_few_rows_leave_nothing_out():
    X, y = labelled_rows(200)
    alone = small_classifier(**(OWN | {"n_members": 1}), max_epochs=7).fit(X, y)
    assert alone.n_iter_ == 7
    assert "out_of_fold_loss" not in alone.history_[-1]
    few = small_classifier(**OWN, max_epochs=7).fit(X[:3], np.arange(3) % 2)
    assert "out_of_fold_loss" not in few.history_[-1]


def test_partial_fit_works_with_the_defaults():
    X, y = labelled_rows(200)
    estimator = SparseInitMLPClassifier(width=16, n_members=2, random_state=0, device="cpu")
    for rows in np.array_split(np.arange(200), 4):
        estimator.partial_fit(X[rows], y[rows], classes=[0, 1])
    assert estimator.n_iter_ == 4


def test_many_wide_members_can_leave_rows_out():
    X, y = labelled_rows(200)
    options = OWN | {"n_members": 50, "width": 2000, "max_epochs": 1, "batch_size": 200}
    estimator = small_classifier(**options).fit(X, y)
    assert np.isfinite(estimator.history_[-1]["out_of_fold_loss"])


def test_steps_are_counted_on_the_rows_that_members_train_on():
    X, y = labelled_rows(40)  # 30 of them a member's own: one step an epoch, where all rows would take two
    noise = np.random.default_rng(0).permutation(y)
    estimator = small_classifier(**OWN, batch_size=32, max_epochs=100).fit(X, noise)
    assert estimator.n_iter_ >= 10


# Training that max_epochs cuts off


def test_training_that_is_cut_off_while_the_loss_falls_is_said():
    X, y = make_friedman1(300, random_state=0)
    net = SparseInitMLPRegressor(width=(128, 32), n_members=4, max_epochs=8, random_state=0, device="cpu")
    expected = r"max_epochs=8 ended training while the out-of-fold loss was falling: by \d+% in the last quarter"
    with pytest.warns(ConvergenceWarning, match=expected):
        net.fit(X, y)
    before = min(net.history_[:6, "out_of_fold_loss"])
    assert min(net.history_[:, "out_of_fold_loss"]) < 0.95 * before


ORDINARY = {
    "noisy": lambda: make_friedman1(300, noise=1.0, random_state=0),
    "linear": lambda: make_regression(300, 20, noise=10, random_state=0),
    "nothing": lambda: (np.random.default_rng(0).standard_normal((200, 3)), np.arange(200) % 7),
}


@pytest.mark.parametrize("rows", ORDINARY.values(), ids=ORDINARY.keys())
def test_ordinary_tables_are_trained_without_a_word(rows):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = SparseInitMLPRegressor(random_state=0, device="cpu").fit(*rows())
    assert net.n_iter_ <= 100


@pytest.mark.parametrize("options", [{"warm_start": True}, {"early_stopping": False}])
def test_fits_that_go_on_or_have_no_out_of_fold_rows_are_not_called_cut_off(options):
    X, y = make_friedman1(300, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SparseInitMLPRegressor(width=32, n_members=2, max_epochs=8, random_state=0, **options).fit(X, y)


@pytest.mark.parametrize("name", ["cross_entropy", "squared", "huber"])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_are_the_same_in_chunks(name, weighted, monkeypatch):
    torch.manual_seed(0)
    target = torch.eye(5)[torch.arange(103) % 5] if name == "cross_entropy" else torch.randn(103, 1)
    weight = torch.rand(103, 1) if weighted else None
    dataset = TabularDataset(DeviceRows(torch.zeros(103, 2)), torch.zeros(103), target, weight)
    rows = OutOfFold(torch.randn(target.shape), target, None if weight is None else weight[:, 0])
    loss = make_loss(name, 5)
    whole = constant_loss(dataset, loss), rows.mean_loss(loss, 1.5)
    monkeypatch.setattr("sparsemlp._training.out_of_fold.CHUNK", 7)
    assert constant_loss(dataset, loss) == pytest.approx(whole[0], rel=1e-12)
    assert rows.mean_loss(loss, 1.5) == whole[1]
    scale = torch.ones(103) if weight is None else weight[:, 0] / weight.mean()
    mean = (scale[:, None] * target).mean(dim=0)
    expected = (scale * loss.value(loss.constant(mean).expand_as(target), target)).mean().item()
    assert whole[0] == pytest.approx(expected, rel=1e-5)


def test_batches_of_many_classes_are_gathered_a_few_at_a_time():
    def n_buffered(n_classes):
        target = torch.zeros(8192, n_classes)
        dataset = TabularDataset(DeviceRows(torch.zeros(8192, 2)), torch.zeros(8192), target)
        stream = BatchStream(dataset, 256, 8, torch.Generator())
        return max(pool.target.numel() for pool in stream.pools.values())

    assert n_buffered(500) <= max(500 * 8 * 256, n_buffered(2) * 64)
