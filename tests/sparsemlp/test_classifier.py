"""SparseInitMLPClassifier: what its outputs mean, how it starts, stops and goes on."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from helpers.small import labelled_rows, raw_table, small_classifier, small_regressor
from sklearn.linear_model import LogisticRegression
from skorch.callbacks import Callback

from sparsemlp import SparseInitMLPClassifier


class Watches(Callback):
    """Keep copies of the weights, from the initialisation to the last epoch."""

    def on_train_begin(self, net, **kwargs):
        self.weights = [copy_of(net.module_)]

    def on_epoch_end(self, net, **kwargs):
        self.weights.append(copy_of(net.module_))


def copy_of(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def same_weights(first, second):
    return all(map(torch.equal, first, second))


def member_outputs(clf, X):
    """Outputs of every member in float64, of shape (n_members, n_rows, n_outputs)."""
    with torch.no_grad():
        return clf.net_.module_(torch.from_numpy(clf.scaler_.transform(X))).double().numpy()


# What the outputs mean


def test_the_decision_of_two_classes_is_the_log_odds_of_the_members_mean_probability():
    X, y = labelled_rows()
    clf = small_classifier(n_members=3).fit(X, y)
    mean = (1 / (1 + np.exp(-member_outputs(clf, X))))[..., 0].mean(axis=0)
    decision = clf.decision_function(X)
    assert decision.shape == (120,)
    assert decision.dtype == np.float64
    np.testing.assert_allclose(decision, np.log(mean / (1 - mean)), atol=1e-6)
    np.testing.assert_allclose(clf.predict_proba(X), np.column_stack([1 - mean, mean]), atol=1e-6)
    np.testing.assert_allclose(clf.predict_log_proba(X), np.log(clf.predict_proba(X)), atol=1e-12)
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[(decision > 0).astype(int)])


def test_the_decision_of_three_classes_is_the_log_of_the_members_mean_probabilities():
    X, y = labelled_rows(n_classes=3)
    clf = small_classifier(n_members=3).fit(X, y)
    exponentials = np.exp(member_outputs(clf, X))
    mean = (exponentials / exponentials.sum(axis=-1, keepdims=True)).mean(axis=0)
    decision = clf.decision_function(X)
    assert decision.dtype == np.float64
    np.testing.assert_allclose(decision, np.log(mean), atol=1e-6)
    np.testing.assert_allclose(clf.predict_proba(X), np.exp(decision), atol=1e-12)
    np.testing.assert_allclose(clf.predict_log_proba(X), decision, atol=1e-12)
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[decision.argmax(axis=1)])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_certain_members_give_finite_decisions_and_probabilities_that_sum_to_one(n_classes):
    X, y = labelled_rows(n_classes=n_classes)
    clf = small_classifier(learning_rate=1.0, optimizer="sgd", max_epochs=20).fit(X, y)
    with torch.no_grad():
        clf.net_.module_.output_layer.weight *= 1e4
    assert np.isfinite(clf.decision_function(X)).all()
    assert np.isfinite(clf.predict_log_proba(X)).all()
    np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1, rtol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("loss", ["hinge", "squared"])
def test_the_other_losses_average_outputs_and_have_no_probabilities(loss, n_classes):
    X, y = labelled_rows(n_classes=n_classes)
    clf = small_classifier(loss=loss, n_members=3, max_epochs=20).fit(X, y)
    mean = member_outputs(clf, X).mean(axis=0)
    expected = mean[:, 0] if n_classes == 2 else mean
    np.testing.assert_allclose(clf.decision_function(X), expected, atol=1e-6)
    assert clf.score(X, y) > 0.85
    for name in ("predict_proba", "predict_log_proba"):
        assert not hasattr(clf, name)
        with pytest.raises(AttributeError, match=name):
            getattr(clf, name)


@pytest.mark.parametrize(
    "labels",
    [["no", "yes"], [-5, 7], [0.0, 1.0], [False, True], ["c", "a", "b"], [3, 1, 2], np.array(["x", "y"], object)],
    ids=str,
)
def test_labels_come_back_as_they_were_given(labels):
    X, y = labelled_rows(n_classes=len(labels))
    labels = np.asarray(labels)
    clf = small_classifier(max_epochs=20).fit(X, labels[y])
    assert clf.classes_.dtype == labels.dtype
    assert clf.classes_.tolist() == sorted(labels.tolist())
    assert clf.score(X, labels[y]) > 0.85


# How it starts


@pytest.mark.parametrize("sparsity", [1, 2, 4])
def test_a_neuron_starts_with_s_raw_features_and_one_column_of_each(sparsity):
    X = raw_table()  # "both" makes two columns of a feature, and missing values a third
    y = (X[:, 0] > 0).astype(int)
    watches = Watches()
    clf = small_classifier(sparsity=sparsity, scaling="both", callbacks=[watches]).fit(X, y)
    weight = watches.weights[0][0]
    assert weight.shape == (2, 32, 13)
    feature = torch.from_numpy(clf.scaler_.column_features_)
    columns_taken = torch.stack([(weight[..., feature == j] != 0).sum(dim=-1) for j in range(6)])
    assert columns_taken.max() == 1
    assert (columns_taken.sum(dim=0) == sparsity).all()


@pytest.mark.parametrize(("n_features", "expected"), [(1, 1), (2, 2), (5, 2)])
def test_the_automatic_sparsity_is_two_features_or_all_there_are(n_features, expected):
    rng = np.random.default_rng(0)
    X, watches = rng.standard_normal((40, n_features)), Watches()
    small_classifier(scaling="squash", callbacks=[watches]).fit(X, X[:, 0] > 0)
    assert (watches.weights[0][0].count_nonzero(dim=-1) == expected).all()


def test_no_sparsity_starts_dense():
    X, y = labelled_rows()
    watches = Watches()
    small_classifier(sparsity=None, scaling="squash", callbacks=[watches]).fit(X, y)
    weight = watches.weights[0][0]
    assert (weight != 0).all()
    assert 0.38 < weight.abs().max() <= 6**-0.5


@pytest.mark.parametrize(("init", "values"), [("sign", [-1, 0, 1]), ("ones", [0, 1])])
def test_init_reaches_the_network(init, values):
    X, y = labelled_rows()
    watches = Watches()
    small_classifier(init=init, callbacks=[watches]).fit(X, y)
    assert watches.weights[0][0].unique().tolist() == values


def test_data_biases_cut_at_training_rows():
    X, y = labelled_rows(20)
    watches = Watches()
    clf = small_classifier(bias_init="data", callbacks=[watches]).fit(X, y)
    weight, bias = watches.weights[0][:2]
    rows = torch.from_numpy(clf.scaler_.transform(X))
    at_rows = torch.einsum("mwf,rf->mwr", weight, rows) + bias.unsqueeze(-1)
    assert at_rows.abs().min(dim=-1).values.max() < 1e-5


@pytest.mark.parametrize("width", [16, (16,), [16, 8], (16, 8, 4), np.int64(16)], ids=str)
def test_width_names_the_hidden_layers(width):
    X, y = labelled_rows()
    module = small_classifier(width=width).fit(X, y).net_.module_
    assert [layer.weight.shape[1] for layer in module.layers] == [*np.atleast_1d(width).tolist(), 1]


# How it learns


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_it_learns(n_classes, optimizer):
    X, y = labelled_rows(400, n_classes)
    rate = {"adamw": 0.01, "sgd": 0.1}[optimizer]
    clf = small_classifier(optimizer=optimizer, learning_rate=rate, max_epochs=30).fit(X[:300], y[:300])
    linear = LogisticRegression().fit(X[:300], y[:300])
    assert clf.score(X[300:], y[300:]) > linear.score(X[300:], y[300:])
    assert clf.loss_curve_[-1] < clf.loss_curve_[0] / 2


def test_each_member_learns_something_of_its_own():
    X, y = labelled_rows()
    clf = small_classifier(n_members=3, max_epochs=20).fit(X, y)
    members = (member_outputs(clf, X)[..., 0] > 0).astype(int)
    assert (members == y).mean(axis=1).min() > 0.85
    assert len({tuple(output) for output in member_outputs(clf, X)[..., 0].tolist()}) == 3


def test_the_defaults_work_on_a_raw_table():
    X = raw_table(400)
    y = (np.log(X[:, 1]) > 9.2) ^ (X[:, 0] > 0)
    clf = SparseInitMLPClassifier(device="cpu", random_state=0).fit(X[:300], y[:300])
    assert clf.score(X[300:], y[300:]) > 0.85


def test_fitted_attributes_tell_what_happened():
    X, y = labelled_rows(100)
    clf = small_classifier(early_stopping=True, validation_fraction=0.2, n_iter_no_change=99).fit(X, y)
    assert clf.n_features_in_ == 6
    assert clf.classes_.tolist() == [0, 1]
    assert clf.n_iter_ == len(clf.history_) == len(clf.loss_curve_) == len(clf.validation_scores_) == 5
    assert clf.history_ is clf.net_.history
    assert clf.loss_curve_ == clf.history_[:, "train_loss"]
    assert clf.validation_scores_ == clf.history_[:, "valid_acc"]
    assert clf.history_[-1, "batches", 0, "train_batch_size"] == 80


@pytest.mark.parametrize("make", [small_classifier, small_regressor])
@pytest.mark.parametrize(
    ("sparsity", "n_features", "found"), [("auto", 6, 2), ("auto", 1, 1), (3, 6, 3), (None, 6, None)]
)
def test_what_auto_came_to_is_told(make, sparsity, n_features, found):
    X, y = labelled_rows(60)
    estimator = make(sparsity=sparsity, device="auto", warm_start=True, max_epochs=1).fit(X[:, :n_features], y)
    device = str(next(estimator.net_.module_.parameters()).device)
    assert (estimator.sparsity_, estimator.device_) == (found, device)
    estimator.set_params(sparsity=1).fit(X[:, :n_features], y)
    assert estimator.sparsity_ == found, "a warm start goes on with the network as it is"


def test_without_validation_rows_there_are_no_validation_scores():
    X, y = labelled_rows()
    clf = small_classifier().fit(X, y)
    assert clf.validation_scores_ is None
    assert clf.best_epoch_ == clf.n_iter_ == 5


@pytest.mark.parametrize("name", ["history_", "loss_curve_", "validation_scores_", "n_iter_", "device_"])
def test_fitted_attributes_are_not_there_before_fit(name):
    assert not hasattr(small_classifier(), name)


# How it stops


def overfitting_rows():
    X, y = labelled_rows(100)
    rng = np.random.default_rng(1)
    return X, np.where(rng.random(100) < 0.3, 1 - y, y)


@pytest.mark.parametrize("own_rows", [False, True], ids=["validation_fraction", "X_val"])
def test_early_stopping_restores_the_best_epoch(own_rows):
    X, y = overfitting_rows()
    X_val, y_val = (X[70:], y[70:]) if own_rows else (None, None)
    watches = Watches()
    clf = small_classifier(
        early_stopping=True, n_iter_no_change=3, max_epochs=60, learning_rate=0.03, callbacks=[watches]
    ).fit(X[:70], y[:70], X_val=X_val, y_val=y_val)
    ranks = list(zip(clf.validation_scores_, (-loss for loss in clf.history_[:, "valid_loss"]), strict=True))
    assert clf.best_epoch_ == 1 + max(range(len(ranks)), key=ranks.__getitem__)
    assert clf.n_iter_ == clf.best_epoch_ + 3 < 60
    assert same_weights(clf.net_.module_.parameters(), watches.weights[clf.best_epoch_])
    if own_rows:
        assert clf.score(X_val, y_val) == pytest.approx(max(clf.validation_scores_))


def test_your_own_validation_rows_leave_all_rows_to_training():
    X, y = labelled_rows(100)
    clf = small_classifier(early_stopping=True).fit(X, y, X_val=X[:10], y_val=y[:10])
    assert clf.history_[-1, "batches", 0, "train_batch_size"] == 100


def test_your_own_validation_rows_are_scored_without_early_stopping_too():
    X, y = labelled_rows(100)
    scored = small_classifier().fit(X, y, X_val=X[:10], y_val=y[:10])
    assert len(scored.validation_scores_) == 5
    plain = small_classifier().fit(X, y)
    np.testing.assert_array_equal(scored.decision_function(X), plain.decision_function(X))


def test_the_validation_split_keeps_the_shares_of_the_classes():
    X, y = labelled_rows(200)
    y = np.where(np.arange(200) < 20, 2, np.arange(200) % 2)
    seen = []

    class Sees(Callback):
        def on_train_begin(self, net, **kwargs):
            seen.append(net.train_split(None)[1].y.bincount().tolist())

    options = {"early_stopping": True, "validation_fraction": 0.1, "max_epochs": 1, "callbacks": [Sees()]}
    for seed in range(5):
        small_classifier(random_state=seed, **options).fit(X, y)
    assert seen == [[9, 9, 2]] * 5


# How it goes on


def test_warm_start_goes_on_from_the_weights_for_max_epochs_more():
    X, y = labelled_rows()
    watches = Watches()
    clf = small_classifier(warm_start=True, callbacks=[watches]).fit(X, y)
    fitted = copy_of(clf.net_.module_)
    first_curve = clf.loss_curve_
    clf.set_params(max_epochs=3).fit(X, y)
    assert same_weights(watches.weights[0], fitted)
    assert not same_weights(clf.net_.module_.parameters(), fitted)
    assert clf.n_iter_ == 8
    assert clf.loss_curve_[:5] == first_curve


def test_parameters_of_the_start_may_change_later_and_play_no_part():
    X, y = labelled_rows()
    start = {"sparsity": 1, "init": "ones", "bias_init": "zeros", "feature_sampling": "trees"}
    as_before, changed = (
        small_classifier(warm_start=True).fit(X, y).set_params(**later).fit(X, y) for later in ({}, start)
    )
    np.testing.assert_array_equal(as_before.decision_function(X), changed.decision_function(X))
    for clf, later in ((as_before, {}), (changed, start)):
        clf.set_params(**later).partial_fit(X, y)
    np.testing.assert_array_equal(as_before.decision_function(X), changed.decision_function(X))


def test_without_warm_start_a_second_fit_starts_anew():
    X, y = labelled_rows()
    clf = small_classifier().fit(X, y)
    first = clf.decision_function(X)
    clf.fit(X[:, :3], y)
    np.testing.assert_array_equal(clf.fit(X, y).decision_function(X), first)
    assert clf.n_iter_ == 5


OTHER_NETWORKS = {
    "width": (16, "width=(32,), but the parameters say (16,)"),
    "n_members": (1, "n_members=2, but the parameters say 1"),
    "activation": ("mixed", "activation='relu', but the parameters say 'mixed'"),
    "richness": (1.0, "richness=None, but the parameters say 1.0"),
    "scaling": (None, "scaling='both', but the parameters say None"),
    "loss": ("hinge", "loss='cross_entropy', but the parameters say 'hinge'"),
}


@pytest.mark.parametrize(("name", "value", "words"), [(name, *rest) for name, rest in OTHER_NETWORKS.items()])
@pytest.mark.parametrize("way", ["warm_start", "partial_fit"])
def test_training_that_goes_on_with_another_network_is_an_error(way, name, value, words):
    X, y = labelled_rows()
    clf = small_classifier(warm_start=way == "warm_start")
    raise_if_cancelled = clf.fit if way == "warm_start" else partial(clf.partial_fit, classes=[0, 1])
    raise_if_cancelled(X, y)
    clf.set_params(**{name: value})
    with pytest.raises(
        ValueError, match=rf"{way}.* goes on with the fitted network of {re.escape(words)}; .* to start again"
    ):
        raise_if_cancelled(X, y)
    clf.set_params(warm_start=False).fit(X, y)


def test_warm_start_with_an_unknown_class_is_an_error():
    X, y = labelled_rows()
    clf = small_classifier(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"labels \[2\] that are not in classes_=\[0, 1\]"):
        clf.fit(X, np.where(y == 0, 2, y))
