"""Bad input: one clear error that names the argument and its value, before any training."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor
from skorch.callbacks import Checkpoint, EarlyStopping, EpochScoring

from sparsemlp import SparseInitMLPRegressor, paper_net
from sparsemlp._training.step import TrainingStep


@pytest.fixture(autouse=True)
def _no_training(monkeypatch):
    def fail(*args):
        raise AssertionError("training began")

    monkeypatch.setattr(TrainingStep, "__init__", fail)


def with_value(value, dtype=float):
    X = labelled_rows()[0].astype(dtype)
    X[7, 2] = value
    return X


X, Y = labelled_rows()
FRAME = pd.DataFrame(X, columns=list("abcdef"))

PARAMETERS = [
    ({"sparsity": 0}, "'sparsity' .* Got 0"),
    ({"sparsity": -1}, "'sparsity' .* Got -1"),
    ({"sparsity": 7}, "sparsity=7 is more than the 6 features of X"),
    ({"sparsity": 1.5}, "'sparsity' .* Got 1.5"),
    ({"sparsity": "some"}, "'sparsity' .*'auto'.* Got 'some'"),
    ({"width": 0}, "'width' .* Got 0"),
    ({"width": -3}, "'width' .* Got -3"),
    ({"width": ()}, r"width=\(\) must be a positive int or a non-empty tuple"),
    ({"width": (32, 0)}, r"width=\(32, 0\) must be"),
    ({"width": (32, 1.5)}, r"width=\(32, 1\.5\) must be"),
    ({"width": ("a",)}, r"width=\('a',\) must be"),
    ({"width": ((8, 4), 2)}, r"width=\(\(8, 4\), 2\) must be"),
    ({"width": ((8, 4),)}, r"width=\(\(8, 4\),\) must be"),
    ({"width": (True, 8)}, r"width=\(True, 8\) must be"),
    ({"width": 32.0}, "'width' .* Got 32.0"),
    ({"init": "xavier"}, "'init' .*(?=.*'sign')(?=.*'ones')(?=.*'normal')(?=.*'uniform').* Got 'xavier'"),
    ({"bias_init": "x"}, "'bias_init' .*(?=.*'zeros')(?=.*'uniform')(?=.*'data').* Got 'x'"),
    ({"activation": "x"}, "'activation' .*'relu'.* Got 'x'"),
    ({"scaling": "x"}, "'scaling' .*(?=.*'squash')(?=.*'quantile')(?=.*'both')(?=.*'standard').*None.* Got 'x'"),
    ({"n_members": 0}, "'n_members' .* Got 0"),
    ({"optimizer": "x"}, "'optimizer' .*(?=.*'adamw')(?=.*'sgd').* Got 'x'"),
    ({"learning_rate": 0}, "'learning_rate' .* Got 0"),
    ({"learning_rate": -0.1}, "'learning_rate' .* Got -0.1"),
    ({"learning_rate": float("nan")}, "'learning_rate' .* Got nan"),
    ({"learning_rate": float("inf")}, "'learning_rate' .* Got inf"),
    ({"lr_schedule": "x"}, "'lr_schedule' .*(?=.*'constant')(?=.*'cosine').* Got 'x'"),
    ({"weight_decay": -1}, "'weight_decay' .* Got -1"),
    ({"batch_size": 0}, "'batch_size' .* Got 0"),
    ({"max_epochs": 0}, "'max_epochs' .* Got 0"),
    ({"early_stopping": "yes"}, "'early_stopping' .* Got 'yes'"),
    ({"validation_fraction": 0}, "'validation_fraction' .* Got 0"),
    ({"validation_fraction": 1}, "'validation_fraction' .* Got 1"),
    ({"validation_fraction": 1.5}, "'validation_fraction' .* Got 1.5"),
    ({"n_iter_no_change": 0}, "'n_iter_no_change' .* Got 0"),
    ({"device": "tpu9"}, "device='tpu9' is unknown; choose one of 'auto', 'cpu', 'cuda'"),
    ({"device": "cuda:63"}, "device='cuda:63' is not available on this machine; pass device='auto' or 'cpu'"),
    ({"device": 3}, "'device' .* Got 3"),
    ({"random_state": "x"}, "'random_state' .* Got 'x'"),
    ({"callbacks": 5}, "'callbacks' .* Got 5"),
]


@pytest.mark.parametrize("make", [small_classifier, small_regressor])
@pytest.mark.parametrize(("parameters", "message"), PARAMETERS, ids=[str(each[0]) for each in PARAMETERS])
def test_a_bad_parameter_is_named_with_its_value_and_the_choices(make, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        make(**parameters).partial_fit(X, Y, **({"classes": [0, 1]} if make is small_classifier else {}))


CLASSIFIER_PARAMETERS = [
    ({"loss": "x"}, "'loss' .*(?=.*'cross_entropy')(?=.*'hinge')(?=.*'squared').* Got 'x'"),
    ({"class_weight": "x"}, "'class_weight' .*'balanced'.* Got 'x'"),
    ({"class_weight": {0: 1, 1: -2}}, r"class_weight=\{0: 1, 1: -2\} must hold finite numbers"),
    ({"class_weight": {0: 1, 1: np.nan}}, r"class_weight=\{0: 1, 1: nan\} must hold finite numbers"),
    ({"class_weight": {0: np.inf, 1: 1}}, r"class_weight=\{0: inf, 1: 1\} must hold finite numbers"),
    ({"class_weight": {0: 1, 1: "a"}}, r"class_weight=\{0: 1, 1: 'a'\} must hold finite numbers"),
    ({"class_weight": {0: 1e308, 1: 1}}, "sample_weight or class_weight is so large that its sum overflows"),
    ({"class_weight": {0: 0, 1: 0}}, "class_weight is zero for every class"),
]


@pytest.mark.parametrize(
    ("parameters", "message"), CLASSIFIER_PARAMETERS, ids=[str(each[0]) for each in CLASSIFIER_PARAMETERS]
)
def test_a_bad_parameter_of_the_classifier_is_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        small_classifier(**parameters).fit(X, Y)


def test_a_loss_of_the_classifier_is_an_error_for_the_regressor():
    with pytest.raises(ValueError, match=r"'loss' .*'squared'.* Got 'hinge'"):
        small_regressor(loss="hinge").fit(*numbered_rows())


ROWS = {
    "inf": (with_value(np.inf), Y, "Input X contains infinity"),
    "-inf in float32": (with_value(-np.inf, np.float32), Y, "Input X contains infinity"),
    "strings": (X.astype(str).astype(object) + "x", Y, "could not convert string to float"),
    "a column of strings": (
        FRAME.assign(city="Bern"),
        Y,
        "column 'city' of X is not numeric: 'Bern' in row 0.*could not convert string to float: 'Bern'",
    ),
    "text for a missing value": (
        FRAME.assign(price=["1.5"] * 119 + ["n/a"]),
        Y,
        "column 'price' of X is not numeric: 'n/a' in row 119",
    ),
    "numbers with commas": (FRAME.assign(price="1,257.30"), Y, "column 'price' of X is not numeric: '1,257.30'"),
    "text in an array": (with_value("n/a", object), Y, "column 2 of X is not numeric: 'n/a' in row 7"),
    "polars text": (
        pl.DataFrame({"a": X[:, 0], "b": ["x"] * 120}),
        Y,
        "column 'b' of X is not numeric: 'x' in row 0",
    ),
    "lists": (FRAME.assign(parts=[[1.0]] * 120), Y, r"column 'parts' of X is not numeric: \[1.0\] in row 0"),
    "durations": (
        FRAME.assign(waited=pd.to_timedelta(range(120), unit="s")),
        Y,
        r"column 'waited' of X has the dtype timedelta64\[.*pass numbers",
    ),
    "times": (
        FRAME.assign(when=pd.date_range("2020", periods=120, tz="UTC")),
        Y,
        r"column 'when' of X has the dtype datetime64\[.*pass numbers",
    ),
    "nothing but times": (X.astype("M8[s]"), Y, r"X has the dtype datetime64\[s\]; pass numbers"),
    "polars times": (
        pl.DataFrame({"when": pd.date_range("2020", periods=120).to_numpy()}),
        Y,
        "column 'when' of X has the dtype Datetime",
    ),
    "inf in a frame": (FRAME.assign(b=np.inf), Y, "Input X contains infinity.*column 'b' of X has it in row 0"),
    "one dimension": (X[:, 0], Y, "Expected 2D array, got 1D array"),
    "three dimensions": (X[None], Y[:1], "dim 3"),
    "no rows": (X[:0], Y[:0], r"0 sample\(s\)"),
    "no columns": (X[:, :0], Y, r"0 feature\(s\)"),
    "complex numbers": (X + 1j, Y, "Complex data not supported"),
    "more labels than rows": (X, Y[:100], r"inconsistent numbers of samples: \[120, 100\]"),
    "no y": (X, None, "requires y to be passed"),
    "y of NaN": (X, np.where(Y == 0, np.nan, Y), "Input y contains NaN"),
    "y of inf": (X, np.where(Y == 0, np.inf, Y), "Input y contains infinity"),
}


@pytest.mark.parametrize("make", [small_classifier, small_regressor])
@pytest.mark.parametrize(("rows", "y", "message"), ROWS.values(), ids=ROWS.keys())
def test_bad_rows_are_an_error_that_says_what_is_wrong(make, rows, y, message):
    with pytest.raises(ValueError, match=message):
        make(categorical_features=None).fit(rows, y)  # or text would be categories


LABELS = {
    "one class": (np.zeros(120, int), {}, "y has one class only, 0; a classifier needs at least two classes"),
    "one named class": (np.full(120, "a"), {}, "y has one class only, 'a'"),
    "numbers": (X[:, 0], {}, "Unknown label type: continuous"),
    "a class of one row": (
        np.where(np.arange(120) == 5, 2, Y),
        {"early_stopping": True},
        "validation_fraction=0.15 cannot split the 120 rows so that every class is in both parts.* give X_val",
    ),
    "a validation part smaller than the classes": (
        np.repeat(np.arange(12), 10),
        {"early_stopping": True, "validation_fraction": 0.05},
        "validation_fraction=0.05 cannot split the 120 rows so that every class is in both parts",
    ),
    "a training part smaller than the classes": (
        np.repeat(np.arange(12), 10),
        {"early_stopping": True, "validation_fraction": 0.95},
        "validation_fraction=0.95 cannot split the 120 rows so that every class is in both parts",
    ),
}


@pytest.mark.parametrize(("y", "parameters", "message"), LABELS.values(), ids=LABELS.keys())
def test_bad_labels_are_an_error_that_says_what_is_wrong(y, parameters, message):
    with pytest.raises(ValueError, match=message):
        small_classifier(**parameters).fit(X, y)


NAMES = np.where(Y == 1, "yes", "no")
MISSING = {
    "pandas strings": pd.Series(NAMES, dtype="string").where(np.arange(120) > 2),
    "pandas integers": pd.Series(Y, dtype="Int64").where(np.arange(120) > 2),
    "categories": pd.Series(NAMES, dtype="category").where(np.arange(120) > 2),
    "None": np.where(np.arange(120) > 2, NAMES, None),
    "a list": [None] * 3 + NAMES[3:].tolist(),
    "NaN among strings": np.where(np.arange(120) > 2, NAMES.astype(object), np.nan),
    "polars": pl.Series([None] * 3 + NAMES[3:].tolist()),
}


@pytest.mark.parametrize("y", MISSING.values(), ids=MISSING.keys())
def test_missing_labels_are_counted(y):
    message = "Input {} contains NaN or another missing value in 3 of 120 rows"
    with pytest.raises(ValueError, match=message.format("y")):
        small_classifier().fit(X, y)
    with pytest.raises(ValueError, match=message.format("y")):
        small_classifier().partial_fit(X, y, classes=np.unique(Y))
    with pytest.raises(ValueError, match=message.format("y_val")):
        small_classifier().fit(X, NAMES, X_val=X, y_val=y)


def test_missing_labels_of_rows_that_weigh_nothing_are_no_error():
    weight = (np.arange(120) > 2).astype(float)
    assert small_classifier(early_stopping=False).set_params(max_epochs=1)._check_rows(
        X, MISSING["pandas strings"], weight, reset=True
    ).y.shape == (117,)


def test_labels_of_several_types_are_an_error():
    with pytest.raises(ValueError, match="y has labels of several types, int and str; use one type for all"):
        small_classifier().fit(X, np.where(np.arange(120) > 2, Y.astype(object), "unknown"))


def test_a_missing_class_is_an_error():
    with pytest.raises(ValueError, match="Input classes contains NaN or another missing value in 1 of 3"):
        small_classifier().partial_fit(X, NAMES, classes=["yes", "no", None])


def test_targets_that_are_no_numbers_are_an_error_for_the_regressor():
    with pytest.raises(ValueError, match=r"y has the value 'yes' in row .*could not convert it to a number"):
        small_regressor().fit(X, NAMES)
    with pytest.raises(ValueError, match=r"y has the dtype timedelta64\[.*pass numbers"):
        small_regressor().fit(X, pd.Series(pd.to_timedelta(range(120), unit="s")))


def test_targets_whose_sums_overflow_are_an_error():
    with pytest.raises(ValueError, match=r"y has the value 1.7e\+308, and 1e\+300 is the most; divide y"):
        small_regressor().fit(X, np.where(Y == 1, 1.7e308, -1.7e308))


@pytest.mark.parametrize("callback", [EarlyStopping(), Checkpoint(), EarlyStopping(monitor="valid_acc")])
@pytest.mark.parametrize("early_stopping", [False, "out_of_fold"])
def test_a_callback_that_monitors_validation_rows_needs_some(callback, early_stopping):
    message = f"{type(callback).__name__} monitors '{callback.monitor}', and there are no validation rows; .*X_val"
    clf = small_classifier(callbacks=[("mine", callback)], early_stopping=early_stopping)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, Y)
    with pytest.raises(ValueError, match=message):
        clf.partial_fit(X, Y, classes=[0, 1])


def test_a_callback_may_not_monitor_a_score_that_is_computed_on_validation_rows_alone():
    callbacks = [EpochScoring("f1", lower_is_better=False, name="f1"), Checkpoint(monitor="f1_best")]
    with pytest.raises(ValueError, match="Checkpoint monitors 'f1_best', and there are no validation rows"):
        small_classifier(callbacks=callbacks).fit(X, Y)


def test_one_class_among_the_rows_that_weigh_is_an_error():
    with pytest.raises(ValueError, match="y has one class only, 1"):
        small_classifier().fit(X, Y, sample_weight=Y)


WEIGHTS = {
    "negative": (np.where(Y == 0, -1.0, 1.0), "Negative values in data passed to `sample_weight`"),
    "NaN": (np.where(Y == 0, np.nan, 1.0), "Input sample_weight contains NaN"),
    "inf": (np.where(Y == 0, np.inf, 1.0), "Input sample_weight contains infinity"),
    "a sum beyond float64": (np.full(120, 1e308), "sample_weight .*is so large that its sum overflows"),
    "text": (np.full(120, "a"), "sample_weight holds text, such as 'a'"),
    "wrong length": (np.ones(100), r"sample_weight\.shape == \(100,\), expected \(120,\)"),
    "all zero": (
        np.zeros(120),
        "sample_weight is zero in every row|Sample weights must contain at least one",
    ),
}


@pytest.mark.parametrize("make", [small_classifier, small_regressor])
@pytest.mark.parametrize(("weight", "message"), WEIGHTS.values(), ids=WEIGHTS.keys())
def test_bad_weights_are_an_error_that_says_what_is_wrong(make, weight, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X, Y, sample_weight=weight)


VALIDATION = {
    "X_val alone": ({"X_val": X}, "X_val and y_val must be given together"),
    "y_val alone": ({"y_val": Y}, "X_val and y_val must be given together"),
    "other features": ({"X_val": X[:, :4], "y_val": Y}, "in X_val.*: X has 4 features, but .* is expecting 6"),
    "inf": ({"X_val": with_value(np.inf), "y_val": Y}, "in X_val.*: Input X contains infinity"),
    "other lengths": ({"X_val": X, "y_val": Y[:50]}, "in X_val, y_val.*inconsistent numbers of samples"),
    "no rows": ({"X_val": X[:0], "y_val": Y[:0]}, r"in X_val.*0 sample\(s\)"),
    "no weight": (
        {"X_val": X, "y_val": Y, "sample_weight_val": np.zeros(120)},
        "in X_val, y_val and sample_weight_val: sample_weight is zero in every row",
    ),
}


@pytest.mark.parametrize("make", [small_classifier, small_regressor])
@pytest.mark.parametrize(("validation", "message"), VALIDATION.values(), ids=VALIDATION.keys())
def test_bad_validation_rows_are_an_error(make, validation, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X, Y, **validation)


def test_an_unknown_class_in_the_validation_rows_is_an_error():
    with pytest.raises(ValueError, match=r"y_val has labels \[9\] that are not in classes_=\[0, 1\]"):
        small_classifier().fit(X, Y, X_val=X, y_val=np.full(120, 9))


def test_of_many_unknown_classes_the_first_are_named():
    with pytest.raises(ValueError, match=r"labels \[100, 101, .*109, ... \(120 in all\)\] that are") as caught:
        small_classifier().fit(X, Y, X_val=X, y_val=np.arange(100, 220))
    assert len(str(caught.value)) < 200


def test_an_unscaled_table_beyond_float32_is_an_error():
    with pytest.raises(ValueError, match="scaling=None: X has values too large for float32"):
        small_classifier(scaling=None).fit(1e300 * X, Y)


def test_paper_net_takes_no_unknown_option():
    with pytest.raises(TypeError, match="momentum"):
        paper_net(momentum=0.9)


def test_a_bad_parameter_leaves_an_unfitted_estimator():
    clf = small_classifier(sparsity=7)
    with pytest.raises(ValueError, match=re.escape("sparsity=7")):
        clf.fit(X, Y)
    assert not hasattr(clf, "net_")


ALLOCATORS = {
    "torch": RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    "numpy": MemoryError("Unable to allocate 9 GiB"),
    "cuda": torch.OutOfMemoryError("CUDA out of memory"),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("error", ALLOCATORS.values(), ids=ALLOCATORS.keys())
def test_memory_that_runs_out_is_an_error_that_says_what_to_lower(error, method, monkeypatch):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("sparsemlp._trained_net.SparseInitMLP", fail)
    net = SparseInitMLPRegressor(width=(512, 8), n_members=4, device="cpu")
    expected = "n_members=4 times width=512 weights for each of 12 input columns.* Lower width or n_members"
    with pytest.raises(MemoryError, match=expected):
        getattr(net, method)(np.random.default_rng(0).normal(size=(9, 6)), np.arange(9.0))


def test_a_batch_that_needs_most_of_the_memory_is_named(monkeypatch):
    def fail(*args, **kwargs):
        raise ALLOCATORS["torch"]

    monkeypatch.setattr("sparsemlp._trained_net.SparseInitMLP", fail)
    net = SparseInitMLPRegressor(width=(8, 512), n_members=4, batch_size=10**6, device="cpu")
    expected = "batch_size=1000 rows has a value for each of 2080 neurons of n_members=4.* Lower batch_size"
    with pytest.raises(MemoryError, match=expected):
        net.fit(np.random.default_rng(0).normal(size=(1000, 2)), np.arange(1000.0))
