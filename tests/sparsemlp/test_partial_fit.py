"""partial_fit: one pass a chunk, all but the weights frozen after the first, and state that survives pickling."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor
from skorch.callbacks import Callback


def outputs(estimator, X):
    decide = getattr(estimator, "decision_function", estimator.predict)
    return decide(X)


def feed(estimator, *chunks, **parameters):
    for X, y in chunks:
        estimator.partial_fit(X, y, **parameters)
    return estimator


both_estimators = pytest.mark.parametrize(
    ("make", "rows", "first"),
    [(small_classifier, labelled_rows, {"classes": [0, 1]}), (small_regressor, numbered_rows, {})],
)


@both_estimators
@pytest.mark.parametrize(("optimizer", "activation"), [("adamw", "relu"), ("sgd", "relu"), ("adamw", "mixed")])
def test_k_passes_over_one_chunk_are_a_fit_of_k_epochs(make, rows, first, optimizer, activation):
    X, y = rows()
    options = {"optimizer": optimizer, "activation": activation, "lr_schedule": "constant"}
    fitted = make(**options, max_epochs=3).fit(X, y)
    fed = feed(make(**options), *[(X, y)] * 3, **first)
    np.testing.assert_array_equal(outputs(fed, X), outputs(fitted, X))
    assert fed.n_iter_ == 3
    np.testing.assert_array_equal(fed.loss_curve_, fitted.loss_curve_)


@both_estimators
def test_a_call_sees_every_row_of_its_chunk_once(make, rows, first):
    X, y = rows()
    estimator = feed(make(), (X[:100], y[:100]), (X[:7], y[:7]), **first)
    assert [epoch["batches"][0]["train_batch_size"] for epoch in estimator.history_] == [100, 7]
    assert estimator.history_[:, "train_batch_count"] == [4, 1]


@both_estimators
def test_scaling_comes_from_the_first_chunk(make, rows, first):
    X, y = rows()
    estimator = feed(make(), (X[:60], y[:60]), **first)
    before = estimator.scaler_.transform(X)
    feed(estimator, (1e3 * X[60:] + 5, y[60:]))
    np.testing.assert_array_equal(estimator.scaler_.transform(X), before)
    if make is small_regressor:
        assert estimator.y_mean_ == pytest.approx(y[:60].mean())


def test_the_learning_rate_is_constant():
    rates = []

    class NotesRate(Callback):
        def on_batch_begin(self, net, batch, training, **kwargs):
            rates.append(float(net.optimizer_.param_groups[0]["lr"]))

    X, y = labelled_rows()
    feed(small_classifier(lr_schedule="cosine", callbacks=[NotesRate()]), *[(X, y)] * 3, classes=[0, 1])
    assert rates == pytest.approx([0.01] * 12)


@both_estimators
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_pickling_between_calls_changes_nothing(make, rows, first, optimizer):
    X, y = rows()
    chunks = [(X[i::4], y[i::4]) for i in range(4)]
    straight = feed(make(optimizer=optimizer), *chunks, **first)
    pickled = make(optimizer=optimizer)
    for chunk in chunks:
        pickled = pickle.loads(pickle.dumps(feed(pickled, chunk, **first)))
    np.testing.assert_array_equal(outputs(pickled, X), outputs(straight, X))
    assert pickled.n_iter_ == 4


@both_estimators
def test_it_goes_on_after_fit(make, rows, first):
    X, y = rows()
    estimator = make().fit(X, y)
    before = outputs(estimator, X)
    feed(estimator, (X, y))
    assert estimator.n_iter_ == 6
    assert np.abs(outputs(estimator, X) - before).max() > 0
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]


def test_a_chunk_may_lack_classes():
    X, y = labelled_rows(n_classes=3)
    order = np.argsort(y, kind="stable")
    clf = small_classifier(n_members=1)
    for _ in range(40):
        for start in range(0, 120, 20):
            part = order[start : start + 20]
            clf.partial_fit(X[part], y[part], classes=[0, 1, 2])
    assert clf.classes_.tolist() == [0, 1, 2]
    assert set(clf.predict(X)) == {0, 1, 2}
    only_last = small_classifier().partial_fit(X[y == 2], y[y == 2], classes=[0, 1, 2])
    assert only_last.predict_proba(X).shape == (120, 3)


def test_classes_may_be_any_labels():
    X, y = labelled_rows()
    names = np.array(["no", "yes"])
    clf = feed(small_classifier(), *[(X, names[y])] * 20, classes=["yes", "no"])
    assert clf.classes_.tolist() == ["no", "yes"]
    assert clf.score(X, names[y]) > 0.85


def test_the_weight_of_a_chunk_counts_against_those_before():
    X, y = labelled_rows()
    first = (X[:60], y[:60])
    clf = {
        factor: feed(small_classifier(optimizer="sgd"), first, classes=[0, 1]).partial_fit(
            X[60:], y[60:], sample_weight=np.full(60, factor)
        )
        for factor in (1.0, 1e-12, 3.0)
    }
    decision = {factor: each.decision_function(X) for factor, each in clf.items()}
    start = feed(small_classifier(optimizer="sgd", weight_decay=0.0), first, classes=[0, 1]).decision_function(X)
    moved = {factor: np.abs(values - start).mean() for factor, values in decision.items()}
    assert moved[1e-12] < 0.1 * moved[1.0] < 0.1 * moved[3.0]


def test_class_weights_hold_over_chunks_of_one_class():
    X, y = labelled_rows()
    chunks = [(X[y == 0], y[y == 0]), (X[y == 1], y[y == 1])]
    weighted = feed(small_classifier(class_weight={0: 1, 1: 3}, optimizer="sgd"), *chunks, classes=[0, 1])
    by_hand = small_classifier(optimizer="sgd").partial_fit(*chunks[0], classes=[0, 1])
    by_hand.partial_fit(*chunks[1], sample_weight=np.full(len(chunks[1][1]), 3.0))
    np.testing.assert_array_equal(weighted.decision_function(X), by_hand.decision_function(X))


def test_a_chunk_whose_class_weighs_nothing_leaves_the_net_to_decay():
    X, y = labelled_rows()
    clf = small_classifier(class_weight={0: 0, 1: 1}, optimizer="sgd", weight_decay=0.0)
    clf.partial_fit(X, y, classes=[0, 1])
    before = clf.decision_function(X)
    np.testing.assert_array_equal(clf.partial_fit(X[y == 0], y[y == 0]).decision_function(X), before)


@pytest.mark.parametrize(
    ("parameters", "classes", "message"),
    [
        (
            {"early_stopping": True},
            [0, 1],
            "early_stopping=True cannot work with partial_fit, which sees one chunk",
        ),
        ({"class_weight": "balanced"}, [0, 1], "class_weight='balanced' cannot work with partial_fit, which does"),
        ({}, None, "classes must be given at the first call of partial_fit"),
        ({}, [0], r"classes=\[0\] must name at least two classes"),
        ({}, [0, 2], r"y has labels \[1\] that are not in classes_=\[0, 2\]"),
    ],
)
def test_what_cannot_work_is_an_error_that_says_why(parameters, classes, message):
    X, y = labelled_rows()
    with pytest.raises(ValueError, match=message):
        small_classifier(**parameters).partial_fit(X, y, classes=classes)


def test_early_stopping_of_a_regressor_is_an_error_too():
    with pytest.raises(ValueError, match="early_stopping=True cannot work with partial_fit"):
        small_regressor(early_stopping=True).partial_fit(*numbered_rows())


def test_later_calls_with_other_classes_or_features_are_errors():
    X, y = labelled_rows()
    clf = small_classifier().partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes=\[0, 1, 2\] differs from the first call's, \[0, 1\]"):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"labels \[2\] that are not in classes_"):
        clf.partial_fit(X, np.where(y == 0, 2, y))
    with pytest.raises(ValueError, match=r"X has 5 features, but .* is expecting 6 features"):
        clf.partial_fit(X[:, :5], y)


def test_memory_is_flat_over_many_chunks():
    rng = np.random.default_rng(0)
    clf = small_classifier(n_members=1, batch_size=2000)

    def feed_and_measure():
        tracemalloc.reset_peak()
        X = rng.standard_normal((20_000, 20))  # 3.2 MB
        clf.partial_fit(X, X[:, 0] > 0, classes=[False, True])
        return tracemalloc.get_traced_memory()

    tracemalloc.start()  # sees all numpy arrays, and the tensors that share their memory
    try:
        kept, peak = feed_and_measure()
        for _ in range(20):
            kept_after_many, peak_after_many = feed_and_measure()
    finally:
        tracemalloc.stop()
    assert kept_after_many - kept < 3.2e6 / 2
    assert peak_after_many - peak < 3.2e6 / 2
    assert clf.n_iter_ == 21


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("changed", [{"learning_rate": 0.05}, {"weight_decay": 0.5}, {"batch_size": 7}])
def test_parameters_that_were_set_hold_from_the_next_chunk_on_as_after_pickling(optimizer, changed):
    X, y = labelled_rows()
    straight, as_before = (
        feed(small_classifier(optimizer=optimizer), *[(X, y)] * 2, classes=[0, 1]) for _ in range(2)
    )
    pickled = pickle.loads(pickle.dumps(straight))
    for clf in (straight, pickled):
        clf.set_params(**changed).partial_fit(X, y)
    as_before.partial_fit(X, y)
    np.testing.assert_array_equal(straight.decision_function(X), pickled.decision_function(X))
    assert np.abs(straight.decision_function(X) - as_before.decision_function(X)).max() > 1e-4
    if "learning_rate" in changed:
        assert float(straight.net_.optimizer_.param_groups[0]["lr"]) == pytest.approx(0.05)


def test_the_moments_of_adam_go_on_from_chunk_to_chunk():
    X, y = labelled_rows()
    clf = feed(small_classifier(), *[(X, y)] * 3, classes=[0, 1])
    clf.set_params(learning_rate=1e-9).partial_fit(X, y)
    state = clf.net_.optimizer_.state
    assert len(state) == len(list(clf.net_.module_.parameters()))
    assert {float(entry["step"]) for entry in state.values()} == {16.0}  # four batches a chunk
    before = [entry["exp_avg_sq"].clone() for entry in state.values()]
    feed(clf, (X[:1], y[:1]))
    for entry, moment in zip(clf.net_.optimizer_.state.values(), before, strict=True):
        assert (entry["exp_avg_sq"] >= 0.99 * moment).all()  # a new one would begin at zero


def test_another_optimizer_begins_anew():
    X, y = labelled_rows()
    clf = feed(small_classifier(), (X, y), classes=[0, 1])
    feed(clf.set_params(optimizer="sgd"), (X, y))
    assert np.isfinite(clf.decision_function(X)).all()


def test_a_first_chunk_that_teaches_no_scales_is_warned_of():
    X, y = labelled_rows()
    with pytest.warns(UserWarning, match="of 1 rows, has one value only in 6 of 6 columns, which are ignored"):
        small_classifier().partial_fit(X[:1], y[:1], classes=[0, 1])
    with pytest.warns(UserWarning, match="6 of 6 columns.* and in the target, whose scale is a guess"):
        small_regressor().partial_fit(X[:1], y[:1])
    sorted_by_first = X.copy()
    sorted_by_first[:60, 0] = 1.0
    with pytest.warns(UserWarning, match="1 of 6 columns"):
        small_classifier().partial_fit(sorted_by_first[:60], y[:60], classes=[0, 1])


@pytest.mark.parametrize("scaling", ["both", None])
def test_a_first_chunk_that_teaches_all_is_not_warned_of(scaling):
    X, y = labelled_rows()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = small_classifier(scaling=scaling).partial_fit(X, y, classes=[0, 1])
        net.partial_fit(X[:1], y[:1])


def test_weights_that_are_too_large_beside_those_of_the_first_chunk_are_refused():
    X, y = labelled_rows()
    clf = small_classifier(class_weight={0: 0.0, 1: 1.0}).partial_fit(X[y == 0], y[y == 0], classes=[0, 1])
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match=r"sample_weight, with class_weight, is up to 1e\+300 in this chunk"):
        clf.partial_fit(X, y, sample_weight=np.full(len(X), 1e300))
    np.testing.assert_array_equal(clf.predict_proba(X), before)
