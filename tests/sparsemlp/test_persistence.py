"""A fitted estimator is plain values and arrays: it survives pickle, joblib, skops, copies and other machines."""

import copy
import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
import skops.io
import torch
from helpers.small import labelled_rows, numbered_rows, raw_table, small_classifier, small_regressor
from safetensors.torch import load_file
from sklearn.base import BaseEstimator, clone

from sparsemlp import SparseInitMLPClassifier
from sparsemlp._training.devices import resolve_device

# What skops may meet in a saved estimator: this project's and scikit-learn's estimators, and nothing else.
TRUSTED = [
    "sparsemlp.classifier.SparseInitMLPClassifier",
    "sparsemlp.regressor.SparseInitMLPRegressor",
    "sparsemlp._scalers.MidRankScaler",
    "sparsemlp._scalers.SquashingScaler",
    "sparsemlp.preprocessing.InputScaler",
    "sparsemlp.preprocessing._ColumnBlock",
]


def through_joblib(estimator):
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


def through_skops(estimator):
    data = skops.io.dumps(estimator)
    assert set(skops.io.get_untrusted_types(data=data)) <= set(TRUSTED)
    return skops.io.loads(data, trusted=TRUSTED)


WAYS = {
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
    "joblib": through_joblib,
    "skops": through_skops,
    "deepcopy": copy.deepcopy,
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())

X, Y = labelled_rows()
TABLE = raw_table(120)
FITTED = {
    "two classes": lambda: small_classifier(early_stopping=True).fit(X, Y),
    "three named classes": lambda: small_classifier().fit(TABLE, np.array(["a", "b", "c"])[np.arange(120) % 3]),
    "regressor": lambda: small_regressor(width=(16, 8)).fit(*numbered_rows()),
    "hinge, dense, one member": lambda: small_classifier(loss="hinge", sparsity=None, n_members=1).fit(X, Y),
    "tempered": lambda: small_classifier(early_stopping="out_of_fold", learning_rate=0.05).fit(X, Y[::-1]),
    "relu, tanh and sin": lambda: small_classifier(activation="mixed", width=(32, 8)).fit(X, Y),
    "halfway through partial_fit": lambda: small_classifier().partial_fit(X, Y, classes=[0, 1]),
}


@every_way
@pytest.mark.parametrize("make", FITTED.values(), ids=FITTED.keys())
def test_a_round_trip_changes_no_prediction_and_no_record(make, way):
    fitted = make()
    restored = way(fitted)
    table = TABLE[:, : fitted.n_features_in_]
    decide = "predict" if not hasattr(fitted, "decision_function") else "decision_function"
    np.testing.assert_array_equal(getattr(restored, decide)(table), getattr(fitted, decide)(table))
    np.testing.assert_array_equal(restored.predict(table), fitted.predict(table))
    assert restored.get_params() == fitted.get_params()
    assert restored.history_[:, ("epoch", "train_loss")] == fitted.history_[:, ("epoch", "train_loss")]
    assert restored.validation_scores_ == fitted.validation_scores_
    assert restored.best_epoch_ == fitted.best_epoch_
    assert (restored.sparsity_, restored.device_) == (fitted.sparsity_, fitted.device_)
    if hasattr(fitted, "predict_proba"):
        np.testing.assert_array_equal(restored.predict_proba(table), fitted.predict_proba(table))


@every_way
def test_a_restored_estimator_goes_on_learning_as_the_original_does(way):
    fitted = small_classifier().partial_fit(X, Y, classes=[0, 1])
    restored = way(fitted)
    for estimator in (fitted, restored):
        estimator.partial_fit(X, Y)
    np.testing.assert_array_equal(restored.decision_function(X), fitted.decision_function(X))


@every_way
def test_a_restored_estimator_warm_starts_as_the_original_does(way):
    fitted = small_classifier(warm_start=True).fit(X, Y)
    restored = way(fitted)
    for estimator in (fitted, restored):
        estimator.fit(X, Y)
    np.testing.assert_array_equal(restored.decision_function(X), fitted.decision_function(X))
    assert restored.n_iter_ == 10


@every_way
def test_an_estimator_that_is_not_fitted_stays_so(way):
    restored = way(small_classifier())
    assert not hasattr(restored, "classes_")
    restored.fit(X, Y)


def test_a_network_in_another_format_is_refused():
    state = small_classifier().fit(X, Y).__getstate__()
    state["net_"].pop("format")
    with pytest.raises(ValueError, match="saved in format 1 and this version of sparsemlp reads 6; load it with"):
        small_classifier().__setstate__(state)


def assert_plain(value, where):
    if isinstance(value, dict):
        for key, item in value.items():
            assert_plain(item, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            assert_plain(item, f"{where}[{i}]")
    elif isinstance(value, BaseEstimator):
        assert_plain(value.__getstate__(), f"{where}.__getstate__()")
    else:
        plain = bool | int | float | str | type(None) | np.ndarray | np.generic | np.random.RandomState
        assert isinstance(value, plain), f"{where} is a {type(value)}"


@pytest.mark.parametrize("make", FITTED.values(), ids=FITTED.keys())
def test_the_state_is_plain_values_and_arrays(make):
    assert_plain(make().__getstate__(), "state")


def test_a_copy_is_independent_of_the_original():
    fitted = small_classifier().fit(X, Y)
    before = fitted.decision_function(X)
    copied = copy.deepcopy(fitted)
    with torch.no_grad():
        copied.net_.module_.output_layer.weight.zero_()
    np.testing.assert_array_equal(fitted.decision_function(X), before)


def test_a_clone_has_the_parameters_and_nothing_else():
    fitted = small_classifier(width=(16, 8), sparsity=3, init="sign").fit(X, Y)
    cloned = clone(fitted)
    assert cloned.get_params() == fitted.get_params()
    assert not hasattr(cloned, "net_")
    np.testing.assert_array_equal(cloned.fit(X, Y).decision_function(X), fitted.decision_function(X))


def test_set_params_takes_effect_at_the_next_fit():
    clf = small_classifier().fit(X, Y).set_params(width=(8,), n_members=1)
    assert clf.fit(X, Y).net_.module_.input_layer.weight.shape[:2] == (1, 8)


@every_way
def test_parameters_set_after_the_fit_leave_the_fitted_loss_in_a_copy(way):
    fitted = small_classifier(early_stopping="out_of_fold").fit(X, Y)
    probabilities, decision = fitted.predict_proba(X), fitted.decision_function(X)
    restored = way(fitted.set_params(loss="hinge"))
    np.testing.assert_array_equal(restored.decision_function(X), decision)
    restored.set_params(loss="cross_entropy")
    np.testing.assert_array_equal(restored.predict_proba(X), probabilities)


def test_a_pickle_holds_no_training_data():
    wide = np.random.default_rng(0).standard_normal((20_000, 6))
    options = {"max_epochs": 1, "scaling": "squash", "batch_size": 4096}
    sizes = [len(pickle.dumps(small_classifier(**options).fit(wide[:n], np.arange(n) % 2))) for n in (200, 20_000)]
    assert sizes[1] < sizes[0] + 1000


@pytest.mark.parametrize(
    ("make", "n_features"),
    [(small_classifier, 20), (small_classifier, 1200), (small_regressor, 60)],
    ids=["all columns", "columns that members do not see", "columns that the second network does not see"],
)
def test_a_pickle_holds_weights_once_and_little_else(make, n_features):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, n_features))
    options = {"width": (400, 100), "feature_sampling": "trees", "early_stopping": "out_of_fold", "max_epochs": 3}
    fitted = make(**options, search_steps=0).fit(X, (X[:, 0] > 0).astype(int))
    data = pickle.dumps(fitted)
    parameters = [parameter.detach().numpy() for parameter in fitted.net_.module_.parameters()]
    seen = parameters[0].any(axis=1).sum() * parameters[0].shape[1]
    n_bytes = 4 * (seen + sum(values.size for values in parameters[1:]))
    quantiles = sum(scaler.quantiles_.nbytes for block in fitted.scaler_.blocks_ for scaler in block.scalers_[1:])
    assert len(data) < 1.1 * n_bytes + quantiles + 30_000
    np.testing.assert_array_equal(pickle.loads(data).predict(X), fitted.predict(X))
    if n_features > len(X):
        assert seen < parameters[0].size / 2


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "xpu", "mps"])
def test_an_estimator_fitted_on_a_missing_device_loads_and_predicts_on_the_cpu(device, monkeypatch):
    fitted = small_classifier().fit(X, Y)
    fitted.device = device  # as if it had been fitted there; its state holds arrays, wherever they were
    data = pickle.dumps(fitted)
    monkeypatch.setattr("sparsemlp._training.devices.is_available", lambda found: found.type == "cpu")
    restored = pickle.loads(data)
    assert restored.net_.module_.input_layer.weight.device.type == "cpu"
    assert (restored.sparsity_, restored.device_) == (2, "cpu")
    np.testing.assert_array_equal(restored.decision_function(X), fitted.decision_function(X))
    with pytest.raises(ValueError, match=f"device='{device}' is not available on this machine"):
        restored.fit(X, Y)


def test_partial_fit_goes_on_where_the_generator_of_another_device_cannot():
    fitted = small_classifier().partial_fit(X, Y, classes=[0, 1])
    fitted._batch_state = np.arange(16, dtype=np.uint8)  # what torch gives for a generator on CUDA
    restored = pickle.loads(pickle.dumps(fitted))
    assert restored.partial_fit(X, Y).n_iter_ == 2


@pytest.mark.parametrize("use_safetensors", [False, True], ids=["torch", "safetensors"])
def test_weights_go_through_skorchs_save_params(use_safetensors, tmp_path):
    fitted = small_classifier().fit(X, Y)
    file = tmp_path / "weights"
    fitted.net_.save_params(f_params=file, use_safetensors=use_safetensors)
    saved = load_file(file) if use_safetensors else torch.load(file, weights_only=True)
    assert saved["input_layer.weight"].shape == (2, 32, 12)
    other = small_classifier(random_state=1).fit(X, Y)
    assert not np.array_equal(other.decision_function(X), fitted.decision_function(X))
    other.net_.load_params(f_params=file, use_safetensors=use_safetensors)
    np.testing.assert_array_equal(other.decision_function(X), fitted.decision_function(X))


def test_a_user_callback_does_not_stop_a_fitted_estimator_from_being_pickled():
    from skorch.callbacks import EpochScoring, LRScheduler

    callbacks = [LRScheduler("ExponentialLR", gamma=0.9), EpochScoring("accuracy", on_train=True, name="a")]
    fitted = small_classifier(callbacks=callbacks).fit(X, Y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))


# Where to compute


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (("cuda", "xpu", "mps", "cpu"), "cuda"),
        (("xpu", "mps", "cpu"), "xpu"),
        (("mps", "cpu"), "mps"),
        (("cpu",), "cpu"),
    ],
    ids=str,
)
def test_auto_takes_cuda_then_xpu_then_mps_then_the_cpu(there, expected, monkeypatch):
    monkeypatch.setattr("sparsemlp._training.devices.is_available", lambda device: device.type in there)
    assert resolve_device("auto").type == expected


def test_auto_is_the_default():
    assert SparseInitMLPClassifier().device == "auto"


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_a_device_is_a_name_or_torchs_object(device):
    clf = small_classifier(device=device).fit(X, Y)
    assert clf.net_.module_.input_layer.weight.device.type == "cpu"
    assert pickle.loads(pickle.dumps(clf)).get_params()["device"] == device


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_training_goes_on_from_arrays_that_are_mapped_to_a_file(mode, tmp_path):
    X, y = labelled_rows()
    path = tmp_path / "estimator.joblib"
    original = small_classifier().partial_fit(X, y, classes=[0, 1])
    joblib.dump(original, path)
    written = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of arrays that cannot be written
        mapped = joblib.load(path, mmap_mode=mode).partial_fit(X, y)
    assert np.array_equal(mapped.decision_function(X), original.partial_fit(X, y).decision_function(X))
    assert path.read_bytes() == written
