"""An exported graph predicts in onnxruntime what the estimator predicts, whatever its options."""

import io
import itertools
import pickle
import sys

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from helpers.small import labelled_rows, numbered_rows, raw_table, small_classifier, small_regressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sparsemlp._activations import ACTIVATIONS
from sparsemlp._training.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from sparsemlp.export import to_onnx
from sparsemlp.preprocessing import SCALINGS

N_ROWS = 90


def session_of(estimator):
    file = io.BytesIO()
    to_onnx(estimator, file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])


def outputs_of(estimator, rows):
    """Run the exported graph on an array, or on a dict of columns."""
    session = session_of(estimator)
    feeds = rows if isinstance(rows, dict) else {"X": np.asarray(rows, dtype=np.float32)}
    values = session.run(None, feeds)
    return dict(zip((output.name for output in session.get_outputs()), values, strict=True))


def assert_same_predictions(estimator, rows, feeds=None):
    """Compare an exported graph with its estimator, to 1e-5 of what is predicted."""
    outputs = outputs_of(estimator, rows if feeds is None else feeds)
    if "variable" in outputs:
        expected = estimator.predict(rows).reshape(len(rows), -1)
        assert np.abs((outputs["variable"] - expected) / estimator.y_scale_).max() < 1e-5
        return
    if "probabilities" in outputs:
        assert np.abs(outputs["probabilities"] - estimator.predict_proba(rows)).max() < 1e-5
    else:
        decision = estimator.decision_function(rows)
        expected = np.column_stack([-decision, decision]) if decision.ndim == 1 else decision
        assert np.abs(outputs["scores"] - expected).max() < 1e-5 * max(1, np.abs(expected).max())
    np.testing.assert_array_equal(outputs["label"], estimator.predict(rows))
    assert outputs["label"].dtype.kind == estimator.predict(rows).dtype.kind.replace("U", "O")


# Every option of the network


def random_options(rng, losses):
    return {
        "width": [(16,), (16, 8), (7, 5, 3)][rng.integers(3)],
        "richness": [None, None, 1.0][rng.integers(3)],
        "n_members": int(rng.integers(1, 4)),
        "loss": losses[rng.integers(len(losses))],
        "early_stopping": ["out_of_fold", False][rng.integers(2)],
        "feature_sampling": ["trees", "uniform"][rng.integers(2)],
        "sparsity": ["auto", None][rng.integers(2)],
        "bias_init": "uniform",
        "max_epochs": 3,
        "learning_rate": 0.02,
        "search_steps": 0,
    }


def table(rng, scaling):
    X = raw_table(N_ROWS, random_state=int(rng.integers(100)))
    X = X[:, [0, 2, 3, 5]] if scaling is None else np.column_stack([X, np.zeros(N_ROWS)])
    X = np.column_stack([X, X[:, 0].round(1)])
    X = X.astype(np.float32)  # as the graph sees it: steep networks amplify what rounding changes
    return np.nan_to_num(X) if rng.random() < 0.5 else X


@pytest.mark.parametrize(
    ("number", "activation", "scaling"),
    [(i, *pair) for i, pair in enumerate(itertools.product(ACTIVATIONS, SCALINGS))],
)
def test_the_graph_predicts_what_the_estimator_predicts(number, activation, scaling):
    rng = np.random.default_rng(number)
    X = table(rng, scaling)
    signal = X[:, [0, -1]] + 0.3 * rng.standard_normal((N_ROWS, 2))
    common = {"activation": activation, "scaling": scaling}
    targets = [signal[:, 0] > 0, np.digitize(signal[:, 0], [-0.5, 0.5]), (signal > 0).astype(int)]
    classifier = small_classifier(**common, **random_options(rng, CLASSIFICATION_LOSSES))
    assert_same_predictions(classifier.fit(X, targets[number % 3]), X)
    regressor = small_regressor(**common, **random_options(rng, REGRESSION_LOSSES))
    y = 10 + 50 * signal
    assert_same_predictions(regressor.fit(X, y if number % 2 else y[:, 0]), X)


def test_the_temperature_is_in_the_graph():
    X, y = labelled_rows()
    flipped = np.where(np.arange(len(y)) % 3, y, 1 - y)
    fitted = small_classifier(early_stopping="out_of_fold", learning_rate=0.05).fit(X, flipped)
    assert len(set(fitted.temperature_)) == 2
    assert fitted.temperature_.min() > 1.5
    assert_same_predictions(fitted, X)


def test_labels_that_are_times_are_refused():
    X, y = labelled_rows()
    clf = small_classifier(max_epochs=1).fit(X, np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[D]")[y])
    with pytest.raises(ValueError, match=r"labels of the dtype datetime64\[D\] have no type in ONNX"):
        to_onnx(clf, io.BytesIO())


@pytest.mark.parametrize(
    "labels", [[3, -7], ["no", "yes", "maybe"], [True, False], [2.0, -1.0]], ids=["int", "text", "bool", "float"]
)
def test_labels_are_those_of_the_training_rows(labels):
    X, _ = labelled_rows()
    y = np.array(labels)[np.arange(len(X)) % len(labels)]
    assert_same_predictions(small_classifier(max_epochs=1).fit(X, y), X)


def test_an_estimator_that_is_halfway_through_partial_fit_can_be_exported():
    X, y = labelled_rows()
    assert_same_predictions(small_classifier().partial_fit(X, y, classes=[0, 1]), X)


# Scaling


@pytest.mark.parametrize("scaling", [name for name in SCALINGS if name])
def test_more_rows_than_quantiles_and_several_blocks_of_columns_are_scaled_alike(scaling, monkeypatch):
    monkeypatch.setattr("sparsemlp.preprocessing.BLOCK_VALUES", 3000)  # two columns a block
    X = raw_table(1500)
    fitted = small_classifier(scaling=scaling, max_epochs=1).fit(X, X[:, 0] > 0)
    assert len(fitted.scaler_.blocks_) == 3
    assert_same_predictions(fitted, X)


def test_tied_decimals_keep_their_ranks_though_the_graph_sees_float32():
    X, y = labelled_rows()
    X = X.round(1)
    fitted = small_classifier(scaling="quantile").fit(X, y)
    outputs = outputs_of(fitted, X)
    assert np.abs(outputs["probabilities"] - fitted.predict_proba(X)).max() < 1e-5
    assert np.abs(outputs["probabilities"] - fitted.predict_proba(X.astype(np.float32))).max() < 1e-5


@pytest.mark.parametrize("scaling", SCALINGS)
def test_values_beyond_training_and_first_missing_values_are_scaled_alike(scaling):
    X, y = numbered_rows()
    fitted = small_regressor(scaling=scaling).fit(X, y)
    beyond = np.vstack([X[:10] * 9, X[10:20] / 9, np.full((1, X.shape[1]), np.nan), np.zeros((1, X.shape[1]))])
    assert_same_predictions(fitted, beyond.astype(np.float32))


def test_features_that_no_member_sees_are_inputs_without_influence():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 1100))
    fitted = small_classifier(early_stopping="out_of_fold", feature_sampling="trees").fit(X, X[:, 0] > 0)
    assert len(fitted.scaler_.numeric_) < 1100
    assert_same_predictions(fitted, X)


# Categories


def mixed_frame(n=200, random_state=0):
    rng = np.random.default_rng(random_state)
    return pd.DataFrame(
        {
            "colour": np.array(["red", "green", "blue", "rare"])[rng.choice(4, n, p=[0.4, 0.3, 0.27, 0.03])],
            "size": rng.standard_normal(n),
            "side": np.array(["left", "right"])[rng.integers(0, 2, n)],
            "grade": pd.Categorical(rng.integers(1, 6, n)),
            "note": np.array(["a", "b", "c", None], dtype=object)[rng.integers(0, 4, n)],
        }
    )


def columns_of(frame):
    """Return a frame as the inputs of a graph."""
    texts = {"colour", "side", "note"}
    return {
        name: frame[[name]].to_numpy(dtype=object if name in texts else np.float32, na_value=missing)
        for name in frame
        for missing in [None if name in texts else np.nan]
    }


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_text_categories_are_inputs_of_their_own(kind, scaling):
    frame = mixed_frame()
    target = frame["colour"].isin(["red", "rare"]).to_numpy() + frame["size"].to_numpy()
    if kind == "classifier":
        fitted = small_classifier(scaling=scaling).fit(frame, target > 0.5)
    else:
        fitted = small_regressor(scaling=scaling).fit(frame, target)
    new = frame.astype({"grade": float}).assign(size=frame["size"].where(frame["size"] > -1))
    new.loc[:3, ["colour", "side"]] = "unseen"
    new.loc[4:7, ["colour", "side", "note"]] = None
    new.loc[8:9, "grade"] = 77
    new.loc[10:11, "grade"] = np.nan
    assert_same_predictions(fitted, new, columns_of(new))
    assert [tuple(node.shape) for node in session_of(fitted).get_inputs()] == [(None, 1)] * 5


def test_categories_that_are_in_held_out_rows_alone_are_unknown():
    frame = mixed_frame()
    frame["colour"] = np.where(np.arange(200) < 190, "always", [f"once {i:03}" for i in range(200)])
    fitted = small_classifier(early_stopping=True, max_epochs=2, random_state=1).fit(frame, frame["size"] > 0)
    assert fitted.scaler_.categories_[0].n_codes < frame["colour"].nunique()
    assert_same_predictions(fitted, frame, columns_of(frame))


def test_a_missing_text_is_none_or_the_empty_text():
    frame = mixed_frame()
    fitted = small_classifier().fit(frame, frame["colour"] == "red")
    columns = columns_of(frame)
    without_none = columns | {"note": frame[["note"]].fillna("").to_numpy(dtype=object)}
    results = [outputs_of(fitted, given)["probabilities"] for given in (columns, without_none)]
    np.testing.assert_array_equal(*results)
    assert np.abs(results[0] - fitted.predict_proba(frame)).max() < 1e-5


def test_categories_that_are_numbers_are_columns_of_the_matrix():
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [rng.integers(0, 6, 200), rng.standard_normal(200), rng.integers(0, 2, 200), rng.integers(1, 5, 200) / 10]
    )
    X[::9, 0] = np.nan
    X[:, 3] *= -1
    fitted = small_classifier(categorical_features=[0, 2, 3]).fit(X, np.nan_to_num(X[:, 0]) + X[:, 1] > 2)
    assert_same_predictions(fitted, X)
    new = X[:4].copy()
    new[:, 0], new[:, 2], new[0, 3] = [7, -1, 2.5, np.nan], [5, np.nan, 0, 1], 0.15
    assert_same_predictions(fitted, new)


def test_a_table_of_one_categorical_column_can_be_exported():
    X = np.arange(120.0)[:, np.newaxis] % 5
    fitted = small_classifier(categorical_features=[0]).fit(X, X[:, 0] > 2)
    assert_same_predictions(fitted, X)


def test_a_categorical_column_without_any_value_can_be_exported():
    X, y = labelled_rows()
    seen = X.copy()
    seen[:, 0] = np.nan
    fitted = small_classifier(categorical_features=[0]).fit(seen, y)
    assert_same_predictions(fitted, X)


def test_categories_of_several_types_are_refused():
    frame = pd.DataFrame({"mix": np.array([1, "a", 2, "b"] * 30, dtype=object), "x": np.arange(120.0)})
    fitted = small_classifier().fit(frame, frame["x"] > 60)
    with pytest.raises(ValueError, match=r"column 'mix' has categories of type int and str, .* make them text"):
        to_onnx(fitted, io.BytesIO())


def test_categories_that_float32_cannot_tell_apart_are_refused():
    X = np.column_stack([2**24 + np.arange(120) % 3, np.arange(120.0)])
    fitted = small_classifier(categorical_features=[0]).fit(X, X[:, 1] > 60)
    with pytest.raises(ValueError, match=r"column 'x0' has categories that are the same number in float32"):
        to_onnx(fitted, io.BytesIO())


def test_a_column_with_the_name_of_an_output_is_refused():
    frame = mixed_frame().rename(columns={"colour": "label"})
    fitted = small_classifier(max_epochs=1).fit(frame, frame["size"] > 0)
    with pytest.raises(ValueError, match="X has a column 'label', which is the name of an output; rename it"):
        to_onnx(fitted, io.BytesIO())


# The file, and what is refused


def test_a_file_is_written_that_older_runtimes_read(tmp_path):
    X, y = labelled_rows()
    to_onnx(small_classifier(max_epochs=1).fit(X, y), tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    assert (model.ir_version, model.opset_import[0].version) == (8, 18)
    assert [value.name for value in model.graph.output] == ["label", "probabilities"]


def test_an_exported_estimator_is_left_as_it_was():
    X, y = labelled_rows()
    fitted = small_classifier(max_epochs=1).fit(X, y)
    before = pickle.dumps(fitted)
    to_onnx(fitted, io.BytesIO())
    assert pickle.dumps(fitted) == before


def test_a_pipeline_is_refused_with_the_way_out():
    X, y = labelled_rows()
    fitted = make_pipeline(StandardScaler(), small_classifier(max_epochs=1)).fit(X, y)
    with pytest.raises(TypeError, match=r"not Pipeline\..*skl2onnx.*onnx\.compose\.merge_models"):
        to_onnx(fitted, io.BytesIO())


def test_an_estimator_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        to_onnx(small_classifier(), io.BytesIO())


def test_a_missing_package_is_named(monkeypatch):
    X, y = labelled_rows()
    fitted = small_classifier(max_epochs=1).fit(X, y)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install onnx"):
        to_onnx(fitted, io.BytesIO())
