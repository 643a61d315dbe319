"""Inside scikit-learn: pipelines, searches, calibration, frames, metadata routing, HTML."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor
from scipy import sparse
from sklearn.base import is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, cross_validate
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

X = labelled_rows()[0]
Y = (X[:, 0] + X[:, 1] > 0).astype(int)  # easy, since what is tested is not how well it learns
NAMES = ["age", "height", "weight", "income", "debt", "score"]


# Composition


def test_a_pipeline_fits_and_predicts():
    pipeline = make_pipeline(StandardScaler(), small_classifier(max_epochs=20)).fit(X, Y)
    assert pipeline.score(X, Y) > 0.85
    assert pipeline.predict_proba(X).shape == (120, 2)


def test_a_column_transformer_that_gives_csr_is_kept_sparse():
    rng = np.random.default_rng(0)
    city = rng.choice([f"city {i}" for i in range(40)], 300)
    table = pd.DataFrame({"city": city, "size": rng.standard_normal(300)})
    y = np.char.endswith(city.astype(str), "3") | (table["size"] > 1)
    transformer = ColumnTransformer([("city", OneHotEncoder(), ["city"])], remainder="passthrough")
    transformer.set_params(sparse_threshold=1.0)
    pipeline = make_pipeline(transformer, small_classifier(max_epochs=20)).fit(table, y)
    assert sparse.issparse(pipeline[:-1].transform(table))
    assert pipeline.score(table, y) > 0.9


@pytest.mark.parametrize("to_sparse", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_sparse_matrix_never_becomes_dense_as_a_whole(to_sparse, early_stopping, monkeypatch):
    table = to_sparse(sparse.random(2000, 50, density=0.05, random_state=0))
    y = np.asarray(table.sum(axis=1)).ravel() > 1.2
    largest = 0
    original = sparse.csr_matrix.toarray, sparse.csr_array.toarray

    def watched(index):
        def toarray(self, *args, **kwargs):
            nonlocal largest
            largest = max(largest, self.shape[0] * self.shape[1])
            return original[index](self, *args, **kwargs)

        return toarray

    monkeypatch.setattr("sparsemlp.preprocessing.BLOCK_VALUES", 5000)
    monkeypatch.setattr("sparsemlp._training.batches.POOL_BYTES", 20_000)
    monkeypatch.setattr("sparsemlp._prediction.CPU_CHUNK_BYTES", 1)
    monkeypatch.setattr(sparse.csr_matrix, "toarray", watched(0))
    monkeypatch.setattr(sparse.csr_array, "toarray", watched(1))
    clf = small_classifier(width=(32,), early_stopping=early_stopping, max_epochs=2).fit(table, y)
    clf.predict(table)
    assert 0 < largest <= 20_000


def test_other_meta_estimators_take_it():
    net = small_classifier(max_epochs=20)
    stack = StackingClassifier([("net", net)], LogisticRegression(), cv=2).fit(X, Y)
    vote = VotingClassifier([("net", net), ("line", LogisticRegression())], voting="soft").fit(X, Y)
    bag = BaggingClassifier(net, n_estimators=2, random_state=0).fit(X, Y)
    assert min(stack.score(X, Y), vote.score(X, Y), bag.score(X, Y)) > 0.8
    table, y = numbered_rows()
    both = MultiOutputRegressor(small_regressor()).fit(table, np.column_stack([y, -y]))
    assert both.predict(table).shape == (120, 2)
    log = TransformedTargetRegressor(small_regressor(), func=np.arcsinh, inverse_func=np.sinh).fit(table, y)
    assert np.isfinite(log.predict(table)).all()


# Model selection

GRID = {"width": [(16,), (32, 8)], "sparsity": [1, 2, 4, None]}


def test_a_grid_search_gives_equal_results_with_one_job_and_two():
    searches = [
        GridSearchCV(small_classifier(max_epochs=3), GRID, cv=2, n_jobs=n_jobs).fit(X, Y) for n_jobs in (1, 2)
    ]
    one, two = (search.cv_results_["mean_test_score"] for search in searches)
    assert len(one) == 8
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(
        searches[0].decision_function(X), searches[1].decision_function(X), rtol=0, atol=1e-5
    )


def test_cross_validation_is_fit_and_score_of_every_fold():
    net = small_classifier(max_epochs=20)
    scores = cross_val_score(net, X, Y, cv=3)
    assert scores.mean() > 0.8
    np.testing.assert_array_equal(cross_val_score(net, X, Y, cv=3, n_jobs=2), scores)
    probability = cross_val_predict(net, X, Y, cv=2, method="predict_proba")
    assert ((probability[:, 1] > 0.5) == Y).mean() > 0.8
    table, y = numbered_rows(300)
    assert cross_val_score(small_regressor(max_epochs=30), table, y, cv=3).mean() > 0.9


@pytest.mark.parametrize("loss", ["cross_entropy", "hinge"])
def test_calibration_gives_probabilities_to_every_loss(loss):
    calibrated = CalibratedClassifierCV(small_classifier(loss=loss, max_epochs=20), cv=2).fit(X, Y)
    probability = calibrated.predict_proba(X)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert calibrated.score(X, Y) > 0.8


def test_permutation_importance_finds_the_column_that_matters():
    rng = np.random.default_rng(0)
    table = rng.standard_normal((300, 4))
    clf = small_classifier(max_epochs=20).fit(table, table[:, 2] > 0)
    importance = permutation_importance(clf, table, table[:, 2] > 0, n_repeats=3, random_state=0).importances_mean
    assert importance.argmax() == 2
    assert importance[2] > 0.3


# Metadata routing


@pytest.fixture
def _routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("_routing")
def test_requested_weights_are_routed_through_a_search_and_a_pipeline():
    weight = np.where(Y == 1, 1.0, 0.0)
    weight[Y == 0] = 1e-6
    net = small_classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), net)
    weighted = make_scorer(accuracy_score).set_score_request(sample_weight=True)
    search = GridSearchCV(pipeline, {"sparseinitmlpclassifier__sparsity": [1, 2]}, scoring=weighted, cv=2)
    search.fit(X, Y, sample_weight=weight)
    assert search.best_score_ > 0.99
    assert (search.predict(X) == 1).all()
    scores = cross_validate(net, X, Y, params={"sample_weight": weight}, cv=2)["test_score"]
    assert scores.min() > 0.99


@pytest.mark.usefixtures("_routing")
def test_fit_works_with_routing_enabled_and_every_argument():
    clf = small_classifier(early_stopping=True)
    clf.fit(X, Y, sample_weight=np.arange(120.0), X_val=X, y_val=Y).predict(X)
    plain = small_classifier().partial_fit(X, Y, classes=[0, 1])
    assert plain.predict(X).shape == (120,)


@pytest.mark.usefixtures("_routing")
def test_validation_rows_can_be_requested():
    net = small_classifier(early_stopping=True).set_fit_request(X_val=True, y_val=True)
    pipeline = make_pipeline(StandardScaler(), net)
    pipeline.fit(X[:80], Y[:80], X_val=X[80:], y_val=Y[80:])
    assert len(pipeline[-1].validation_scores_) == pipeline[-1].n_iter_


# Frames


def frames():
    return {"pandas": pd.DataFrame(X, columns=NAMES), "polars": pl.DataFrame(X, schema=NAMES)}


@pytest.mark.parametrize("frame", frames().values(), ids=frames().keys())
@pytest.mark.parametrize("make", [small_classifier, small_regressor])
def test_a_frame_gives_names_and_the_predictions_of_its_values(make, frame):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = make().fit(frame, Y)
        prediction = estimator.predict(frame)
    assert estimator.feature_names_in_.tolist() == NAMES
    np.testing.assert_array_equal(prediction, make().fit(X, Y).predict(X))


def test_names_are_checked_as_everywhere_in_scikit_learn():
    frame = frames()["pandas"]
    clf = small_classifier().fit(frame, Y)
    with pytest.raises(ValueError, match="feature names should match those that were passed during fit"):
        clf.predict(frame[NAMES[::-1]])
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(frame.rename(columns={"age": "years"}))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        clf.predict(X)
    with pytest.warns(UserWarning, match="X has feature names, but SparseInitMLPClassifier was fitted without"):
        small_classifier().fit(X, Y).predict(frame)


def test_frames_of_mixed_types_fit():
    frame = frames()["pandas"].assign(
        age=lambda f: (10 * f["age"]).astype("int32"),
        height=lambda f: f["height"] > 0,
        weight=lambda f: f["weight"].astype("float32").where(f["weight"] > -1),
        income=lambda f: (10 * f["income"]).round().astype("Int64").where(f["income"] > -1),
    )
    clf = small_classifier(max_epochs=20).fit(frame, Y)
    assert clf.score(frame, Y) > 0.85
    np.testing.assert_array_equal(
        clf.predict_proba(frame),
        small_classifier(max_epochs=20)
        .fit(frame.to_numpy(float, na_value=np.nan), Y)
        .predict_proba(frame.to_numpy(float, na_value=np.nan)),
    )


@pytest.mark.parametrize(
    "labels",
    [
        pd.Series(Y, index=np.arange(120) + 1000),
        pd.Series(np.where(Y, "yes", "no"), dtype="category"),
        pd.Series(np.where(Y, "yes", "no"), dtype="string"),
        pl.Series(Y),
        Y.tolist(),
    ],
    ids=["pandas", "categorical", "string", "polars", "list"],
)
def test_labels_may_be_a_series_or_a_list(labels):
    clf = small_classifier(max_epochs=20).fit(X, labels)
    assert np.mean(clf.predict(X) == np.asarray(labels)) > 0.85


def test_a_column_of_y_is_taken_with_scikit_learns_warning():
    with pytest.warns(sklearn.exceptions.DataConversionWarning, match="column-vector y was passed"):
        clf = small_classifier().fit(X, Y[:, None])
    np.testing.assert_array_equal(clf.predict(X), small_classifier().fit(X, Y).predict(X))


# What scikit-learn shows


def test_the_html_shows_parameters_and_whether_it_is_fitted():
    clf = small_classifier(width=(48,))
    assert "SparseInitMLPClassifier" in clf._repr_html_()
    assert "Not fitted" in clf._repr_html_()
    assert "(48,)" in make_pipeline(StandardScaler(), clf)._repr_html_()
    fitted = clf.fit(X, Y)._repr_html_()
    assert "Not fitted" not in fitted


def test_the_repr_shows_what_differs_from_the_defaults():
    assert repr(type(small_classifier())(sparsity=3)) == "SparseInitMLPClassifier(sparsity=3)"


def test_each_estimator_says_what_it_is():
    assert is_classifier(small_classifier())
    assert is_regressor(small_regressor())


def test_set_output_of_a_pipeline_leaves_predictions_as_they_are():
    pipeline = make_pipeline(StandardScaler(), small_classifier()).set_output(transform="pandas")
    assert pipeline.fit(X, Y).predict(X).shape == (120,)
    assert pipeline[-1].feature_names_in_.tolist() == [f"x{i}" for i in range(6)]
