"""Awkward tables fit, and a diverging loss ends in finite weights and a warning that helps."""

import contextlib
import itertools
import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import polars as pl
import psutil
import pytest
import sklearn
import torch
from helpers.small import labelled_rows, numbered_rows, raw_table, small_classifier, small_regressor
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from sparsemlp._training.losses import make_loss

X, Y = labelled_rows()


def outputs(estimator, rows):
    decide = getattr(estimator, "decision_function", estimator.predict)
    return decide(rows)


def duplicated():
    return np.hstack([X, X, X[:, :1]])


AWKWARD = {
    "constant columns": np.column_stack([X, np.zeros(120), np.full(120, 1e30)]),
    "only constant columns": np.ones((120, 3)),
    "one feature": X[:, :1],
    "columns of 95 % zeros": X * (np.random.default_rng(0).random(X.shape) > 0.95),
    "NaN": np.where(np.random.default_rng(0).random(X.shape) > 0.8, np.nan, X),
    "a column of NaN alone": np.column_stack([X, np.full(120, np.nan)]),
    "duplicated columns": duplicated(),
    "integers": (10 * X).astype(int),
    "small integers": (10 * X).astype(np.int8),
    "unsigned integers": np.abs(10 * X).astype(np.uint16),
    "booleans": X > 0,
    "float16": X.astype(np.float16),
    "Fortran order": np.asfortranarray(X),
    "every second row and column": np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2],
    "reversed rows": X[::-1][::-1],
    "very large values": 1e300 * X,
    "the largest values": np.where(X > 0, 1.7e308, -1.7e308),
    "a column of the largest values": np.column_stack([X, np.where(X[:, 0] > 0, 1.7e308, -1.7e308)]),
    "very small values": 1e-300 * X,
    "a mixed table": raw_table(120),
    "a list of lists": X.tolist(),
    "CSR": sparse.csr_matrix(X),
    "CSC": sparse.csc_matrix(X),
    "CSR array of integers": sparse.csr_array((X > 1).astype(int)),
}


@pytest.mark.parametrize("make", [small_classifier, small_regressor])
@pytest.mark.parametrize("table", AWKWARD.values(), ids=AWKWARD.keys())
def test_an_awkward_table_fits_without_a_word(make, table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = make().fit(table, Y)
        values = outputs(estimator, table)
    assert values.shape == (120,)
    assert np.isfinite(values).all()
    assert np.isfinite(estimator.loss_curve_).all()


SAME = {
    "Fortran order": np.asfortranarray(X),
    "a list of lists": X.tolist(),
    "CSR": sparse.csr_matrix(X),
    "CSC": sparse.csc_matrix(X),
    "a strided view": np.repeat(X, 2, axis=1)[:, ::2],
    "big-endian": X.astype(">f8"),
}


@pytest.mark.parametrize("table", SAME.values(), ids=SAME.keys())
def test_the_form_of_a_table_does_not_matter(table):
    expected = small_classifier().fit(X, Y).decision_function(X)
    clf = small_classifier().fit(table, Y)
    np.testing.assert_array_equal(clf.decision_function(table), expected)
    np.testing.assert_array_equal(clf.decision_function(X), expected)


@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint8, np.float16, np.float32])
def test_the_type_of_a_column_does_not_matter(dtype):
    table = (np.abs(10 * X) % 5).astype(dtype)
    expected = small_classifier().fit(table.astype(float), Y).decision_function(table.astype(float))
    np.testing.assert_array_equal(small_classifier().fit(table, Y).decision_function(table), expected)


def test_read_only_and_memory_mapped_arrays_fit(tmp_path):
    expected = small_classifier().fit(X, Y).decision_function(X)
    read_only, labels, weight = X.copy(), Y.copy(), np.ones(120)
    for array in (read_only, labels, weight):
        array.flags.writeable = False
    np.testing.assert_array_equal(
        small_classifier().fit(read_only, labels, sample_weight=weight).decision_function(read_only), expected
    )
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(small_classifier().fit(mapped, Y).decision_function(mapped), expected)


def test_fit_and_predict_leave_the_users_arrays_as_they_were():
    table, labels, weight = raw_table(120), Y.copy(), np.arange(120.0)
    before = table.copy()
    small_classifier().fit(table, labels, sample_weight=weight).predict(table)
    np.testing.assert_array_equal(table, before)
    np.testing.assert_array_equal(labels, Y)
    np.testing.assert_array_equal(weight, np.arange(120.0))


@pytest.mark.parametrize("make", [small_classifier, small_regressor])
@pytest.mark.parametrize("scaling", ["squash", "quantile", "both", "standard"])
def test_columns_scaled_by_powers_of_ten_give_the_same_predictions(make, scaling):
    factors = np.array([1e-30, 1e30, 1e-7, 1, 1e5, 1e-30])
    plain = make(scaling=scaling).fit(X, Y)
    scaled = make(scaling=scaling).fit(X * factors, Y)
    np.testing.assert_allclose(outputs(scaled, X * factors), outputs(plain, X), rtol=0, atol=1e-3)
    if make is small_classifier:
        np.testing.assert_array_equal(scaled.predict(X * factors), plain.predict(X))


@pytest.mark.parametrize("scaling", ["squash", "quantile", "both"])
def test_the_largest_numbers_scale_as_any_others(scaling):
    values = np.where(X > 0, 1.0, -1.0) * (1 + np.abs(X))
    large = values * 2.0**1020
    assert np.abs(large).max() > 1e307
    expected = small_classifier(scaling=scaling).fit(values, Y).decision_function(values)
    actual = small_classifier(scaling=scaling).fit(large, Y).decision_function(large)
    np.testing.assert_array_equal(actual, expected)


LABELS = {
    "nullable booleans": (pd.Series(Y == 1, dtype="boolean"), bool),
    "an array of nullable booleans": (pd.array(Y == 1, dtype="boolean"), bool),
    "categories of booleans": (pd.Series(Y == 1, dtype="category"), bool),
    "a column of Python booleans": (pd.Series(Y == 1).astype(object), bool),
    "Python booleans": ((Y == 1).astype(object), bool),
    "a list of booleans": ((Y == 1).tolist(), bool),
    "polars booleans": (pl.Series(Y == 1), bool),
    "nullable integers": (pd.Series(Y, dtype="Int64"), np.int64),
    "small nullable integers": (pd.Series(Y, dtype="UInt8"), np.uint8),
    "Python integers": (pd.Series(Y).astype(object), np.int64),
    "nullable floats": (pd.Series(Y, dtype="Float32"), np.float32),
}


@pytest.mark.parametrize(("labels", "expected"), LABELS.values(), ids=LABELS.keys())
def test_predicted_labels_are_of_the_type_that_they_were_given_in(labels, expected):
    clf = small_classifier().fit(X, labels)
    assert clf.classes_.dtype == clf.predict(X).dtype == expected
    np.testing.assert_array_equal(clf.predict(X), small_classifier().fit(X, Y).predict(X).astype(expected))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_predict_is_the_most_probable_class_also_where_probabilities_are_nearly_equal(n_classes):
    clf = small_classifier(n_members=3, scaling=None).fit(X, np.arange(120) % n_classes)
    rng = np.random.default_rng(0)
    bias = clf.net_.module_.output_layer.bias
    with torch.no_grad():  # members disagree, and their probabilities add up to nearly the same for all classes
        for parameter in clf.net_.module_.parameters():
            parameter.zero_()
        for size in 100 * [1e-8, 1e-12, 1e-16, 1.0]:
            logits = size * rng.standard_normal(bias.shape)
            logits[-1] = -logits[:-1].sum(axis=0)
            bias.copy_(torch.from_numpy(logits))
            probability, decision = clf.predict_proba(X[:1]), clf.decision_function(X[:1])
            assert clf.predict(X[:1]) == probability.argmax(axis=1)
            if n_classes == 2:
                assert (probability[0, 1] > probability[0, 0]) == (decision[0] > 0)


def test_rounding_leaves_a_tie_a_tie():
    loss = make_loss("cross_entropy", 2)
    logits = torch.tensor([0.3, -0.3, 1.7, -1.7, 5.1, -5.1], dtype=torch.float64)
    for order in itertools.permutations(range(6)):
        assert loss.combine(logits[list(order)].view(6, 1, 1)).item() == 0


@pytest.mark.parametrize("activation", ["relu", "tanh", "sin", "box", "mixed"])
def test_hooks_of_explainers_leave_the_network_as_it_is(activation):
    clf = small_classifier(activation=activation, width=(16, 8)).fit(X, Y)
    expected = clf.decision_function(X)
    module, noted = clf.net_.module_, []
    hooks = [
        hook
        for layer in module.layers
        for hook in (
            layer.register_forward_hook(lambda layer, inputs, output: noted.append(output)),
            layer.register_full_backward_hook(lambda layer, inputs, outputs: noted.append(outputs[0])),
        )
    ]
    rows = torch.from_numpy(clf.scaler_.transform(X)).requires_grad_()
    module(rows).sum().backward()
    gradient = rows.grad.clone()
    for hook in hooks:
        hook.remove()
    rows.grad = None
    module(rows).sum().backward()
    torch.testing.assert_close(rows.grad, gradient)
    assert len(noted) == 6
    np.testing.assert_array_equal(clf.decision_function(X), expected)


TENSORS = """
import numpy as np, sklearn, torch
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor
for make, rows in ((small_classifier, labelled_rows), (small_regressor, numbered_rows)):
    X, y = rows()
    expected = make().fit(X, y).predict(X)
    with sklearn.config_context(array_api_dispatch=True):
        for options in ({}, {"early_stopping": True}):
            net = make(**options).fit(torch.tensor(X), torch.tensor(y), sample_weight=torch.ones(120))
            prediction = net.predict(torch.tensor(X))
            assert isinstance(prediction, np.ndarray)
            assert options or (prediction == expected).all()
"""


def test_tensors_are_taken_where_scikit_learn_computes_with_those_of_other_libraries():
    environment = os.environ | {"SCIPY_ARRAY_API": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", TENSORS], env=environment, check=True)


@pytest.mark.parametrize("n_features", [1, 3])
def test_two_rows_fit(n_features):
    rows = np.arange(2.0 * n_features).reshape(2, n_features)
    clf = small_classifier(max_epochs=100).fit(rows, ["a", "b"])
    assert clf.predict(rows).tolist() == ["a", "b"]
    assert np.isfinite(small_regressor().fit(rows, [1.0, 2.0]).predict(rows)).all()


def test_a_feature_missing_only_at_prediction_is_taken_as_its_median():
    table = X.copy()
    clf = small_classifier().fit(table, Y)
    missing, median = X[:5].copy(), X[:5].copy()
    missing[:, 1], median[:, 1] = np.nan, np.median(X[:, 1])
    np.testing.assert_array_equal(clf.decision_function(missing), clf.decision_function(median))


def test_that_a_value_is_missing_can_be_learned():
    rng = np.random.default_rng(0)
    table = rng.standard_normal((400, 3))
    y = rng.integers(0, 2, 400)
    table[y == 1, 1] = np.nan
    clf = small_classifier(max_epochs=20).fit(table[:300], y[:300])
    assert clf.score(table[300:], y[300:]) == 1


# A loss that diverges

DIVERGES = {"optimizer": "sgd", "learning_rate": 1e30, "lr_schedule": "constant", "scaling": None}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    ("make", "rows", "loss"),
    [
        (small_classifier, labelled_rows, "cross_entropy"),
        (small_classifier, labelled_rows, "hinge"),
        (small_classifier, labelled_rows, "squared"),
        (small_regressor, numbered_rows, "squared"),
    ],
)
def test_a_diverging_loss_stops_training_with_finite_weights_and_advice(make, rows, loss, early_stopping):
    table, y = rows()
    estimator = make(loss=loss, early_stopping=early_stopping, max_epochs=50, **DIVERGES)
    with pytest.warns(ConvergenceWarning, match=r"Lower learning_rate=1e\+30"):
        estimator.fit(table, y)
    assert estimator.n_iter_ < 50
    assert all(parameter.isfinite().all() for parameter in estimator.net_.module_.parameters())
    assert np.isfinite(outputs(estimator, table)).all()


def test_a_loss_that_diverges_late_goes_back_to_the_best_epoch():
    class Spoils(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 5:
                self.best = net.module_.output_layer.bias.detach().clone()
                net.optimizer_.param_groups[0]["lr"] = 1e30

    table, y = labelled_rows(600)  # enough steps an epoch that weights are kept after every one
    spoils = Spoils()
    clf = small_classifier(
        callbacks=[spoils], optimizer="sgd", learning_rate=0.1, lr_schedule="constant", max_epochs=20
    )
    with pytest.warns(ConvergenceWarning, match=r"the weights of epoch 4 were restored"):
        clf.fit(table, y)
    assert clf.best_epoch_ == 4
    assert torch.equal(clf.net_.module_.output_layer.bias, spoils.best)
    assert clf.score(table, y) > 0.8


def test_a_loss_that_diverges_in_partial_fit_keeps_the_weights_before_the_chunk():
    clf = small_classifier(optimizer="sgd", learning_rate=0.1, scaling=None)
    clf.partial_fit(X, Y, classes=[0, 1])
    before = clf.decision_function(X)
    with pytest.warns(ConvergenceWarning, match="learning_rate=0.1"):
        clf.partial_fit(1e30 * X, Y)
    np.testing.assert_array_equal(clf.decision_function(X), before)


def test_a_calm_training_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small_classifier(early_stopping=True).fit(X, Y).predict(X)


def test_a_hundred_fits_leave_no_rows_behind():
    rows, labels = labelled_rows(5000)
    rows = np.tile(rows, (1, 25)).astype(np.float32)
    estimator = small_classifier(width=4, max_epochs=1, batch_size=5000, n_members=1, scaling=None)
    for _ in range(5):
        estimator.fit(rows, labels)
    before = psutil.Process().memory_info().rss
    for _ in range(100):
        estimator.fit(rows, labels)
    assert psutil.Process().memory_info().rss - before < 10 * rows.nbytes


@pytest.mark.parametrize("scaling", [None, "standard"])
def test_values_beyond_float32_at_prediction_are_an_error_that_names_the_scaling(scaling):
    X, y = labelled_rows()
    clf = small_classifier(scaling=scaling).fit(X, y)
    with pytest.raises(ValueError, match=f"scaling={scaling!r}: X has values too large for float32"):
        clf.predict(np.full((1, 6), 1e39))


def trained_and_asked():
    """Fit, pickle, go on, predict; rows with missing values and weights."""
    X, y = raw_table(100), np.arange(100) % 2
    fitted = small_classifier(bias_init="data", activation="mixed", early_stopping="out_of_fold").fit(
        X, y, sample_weight=np.arange(100) + 1
    )
    chunks = pickle.loads(pickle.dumps(small_classifier().partial_fit(X, y, classes=[0, 1])))
    return np.stack([net.decision_function(X) for net in (fitted, chunks.partial_fit(X, y))])


@contextlib.contextmanager
def default_device(name):
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize(
    "surroundings",
    [
        torch.inference_mode,
        torch.no_grad,
        lambda: default_device("meta"),
        lambda: torch.device("meta"),
        lambda: sklearn.config_context(transform_output="pandas"),
        lambda: sklearn.config_context(transform_output="polars"),
        lambda: np.errstate(all="raise"),
    ],
    ids=["inference", "no_grad", "device", "device in a block", "pandas", "polars", "errors"],
)
def test_what_a_program_has_set_changes_nothing(surroundings):
    expected = trained_and_asked()
    with surroundings():
        assert np.array_equal(trained_and_asked(), expected)


def test_what_is_loaded_in_inference_mode_can_be_trained_outside():
    X, y = labelled_rows()
    saved = pickle.dumps(small_classifier().partial_fit(X, y, classes=[0, 1]))
    with torch.inference_mode():
        there = pickle.loads(saved)
    expected = pickle.loads(saved).partial_fit(X, y).decision_function(X)
    assert np.array_equal(there.partial_fit(X, y).decision_function(X), expected)


@pytest.mark.parametrize("scaling", ["both", "standard", None])
def test_next_to_nothing_is_no_error_where_numpy_raises_them(scaling):
    X, y = labelled_rows()
    X[:, 0] = np.finfo(float).smallest_subnormal * np.arange(len(X))
    with np.errstate(all="raise"):
        net = small_classifier(scaling=scaling, feature_sampling="trees", class_weight={0: 1e-300, 1: 1.0})
        assert net.fit(X, y).predict(X).all()


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_weights_whose_outputs_overflow_after_the_last_step_are_not_kept(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    options = {
        "width": (5, 3, 2),
        "richness": 0.1,
        "activation": "sin",
        "optimizer": "sgd",
        "early_stopping": False,
    }
    net = small_regressor(**options, sparsity=1, max_epochs=1, learning_rate=1e6, batch_size=20, random_state=seed)
    with pytest.warns(ConvergenceWarning, match="became infinite or NaN"):
        net.fit(X, y)
    assert np.isfinite(net.predict(X)).all()


def test_weights_that_leave_no_finite_output_for_other_rows_count_as_divergence():
    X, y = np.linspace(-1, 1, 21)[:, np.newaxis], np.arange(21) % 2
    clf = small_classifier(sparsity=None, bias_init="zeros", class_weight={0: 0.0, 1: 0.0}, weight_decay=0.01)
    clf.partial_fit(X, y, classes=[0, 1])
    before = clf.decision_function(X)
    # without a gradient weights are multiplied by minus learning_rate * weight_decay; rows of medians show nothing
    clf.set_params(learning_rate=1e30)
    with pytest.warns(ConvergenceWarning, match="infinite or NaN"):
        clf.partial_fit(np.zeros((4, 1)), [0, 1, 0, 1])
    np.testing.assert_array_equal(clf.decision_function(X), before)
