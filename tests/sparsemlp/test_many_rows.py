"""What "auto" stands for: training that changes with the number of rows, from 20,000 on."""

import pickle

import numpy as np
import pytest
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor

from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor
from sparsemlp._many_rows import resolve, when_to_end

SMALL_TABLES = {"n_members": 8, "learning_rate": 0.002}


@pytest.mark.parametrize("n_rows", [0, 1, 1000, 20_000])
def test_nothing_changes_up_to_20000_rows(n_rows):
    assert resolve(SparseInitMLPClassifier(), n_rows) == SMALL_TABLES | {"max_epochs": 40}
    assert resolve(SparseInitMLPRegressor(), n_rows) == SMALL_TABLES | {"max_epochs": 100}


def test_of_many_rows_training_ends_sooner():
    for n_rows in (0, 1, 20_000):
        assert when_to_end(10, n_rows) == {"min_epochs": 10, "patience": 2}
    assert when_to_end(10, 50_000) == {"min_epochs": 7, "patience": 2}
    assert when_to_end(10, 100_000) == {"min_epochs": 5, "patience": 1.5}
    assert when_to_end(1, 1_000_000) == {"min_epochs": 1, "patience": 1.5}


def test_training_changes_step_by_step_with_the_number_of_rows():
    n_rows = np.unique(np.geomspace(20_000, 1e9, 2000).astype(int))
    found = [resolve(SparseInitMLPRegressor(), int(n)) for n in n_rows]
    for name, direction, last in (("n_members", -1, 5), ("learning_rate", 1, 0.005), ("max_epochs", -1, 1)):
        values = np.array([each[name] for each in found])
        assert (direction * np.diff(values) >= 0).all()
        assert values[-1] == last
    rates = np.array([each["learning_rate"] for each in found])
    np.testing.assert_allclose(rates[n_rows < 125_000], 0.002 * np.sqrt(n_rows[n_rows < 125_000] / 20_000))
    seen = np.array([each["max_epochs"] for each in found]) * n_rows
    assert (seen[n_rows <= 8e6] <= 8e6).all()


def test_what_is_given_stays_as_it_is():
    given = {"n_members": 3, "learning_rate": 0.1, "max_epochs": 7}
    assert resolve(SparseInitMLPClassifier(**given), 1_000_000) == given


AUTO = {"n_members": "auto", "learning_rate": "auto", "max_epochs": "auto", "early_stopping": "out_of_fold"}


@pytest.fixture
def _few_are_many(monkeypatch):
    """Let 20 and 50 rows be as 20,000 and 50,000 are."""
    monkeypatch.setattr("sparsemlp._many_rows.FEW_ROWS", 20)
    monkeypatch.setattr("sparsemlp._many_rows.MANY_ROWS", 50)
    monkeypatch.setattr("sparsemlp._many_rows.MAX_SEEN", 2400)


@pytest.mark.usefixtures("_few_are_many")
@pytest.mark.parametrize(("make", "rows"), [(small_classifier, labelled_rows), (small_regressor, numbered_rows)])
def test_a_fit_on_many_rows_is_that_of_the_parameters_that_auto_stands_for(make, rows):
    X, y = rows(80)
    own = {"n_members": 5, "learning_rate": 0.004, "max_epochs": 30}
    expected = make(**AUTO | own).fit(X, y).predict(X)
    fitted = make(**AUTO).fit(X, y)
    assert fitted.net_.module_.n_members == 5
    np.testing.assert_array_equal(fitted.predict(X), expected)


@pytest.mark.usefixtures("_few_are_many")
@pytest.mark.parametrize(("n_rows", "least", "patience"), [(20, 10, 2), (50, 7, 2), (80, 5, 1.5)])
def test_a_fit_ends_when_the_smallest_out_of_fold_loss_is_long_ago(n_rows, least, patience):
    X, y = numbered_rows(n_rows)
    y = np.random.default_rng(0).permutation(y)  # nothing to learn
    losses = [epoch["out_of_fold_loss"] for epoch in small_regressor(**AUTO, batch_size=4).fit(X, y).net_.history]
    best = 1 + int(np.argmin(losses))
    assert len(losses) == max(least, int(np.ceil(patience * best)))


@pytest.mark.usefixtures("_few_are_many")
def test_a_fitted_network_keeps_its_number_of_members():
    X, y = labelled_rows(120)
    clf = small_classifier(**AUTO | {"max_epochs": 2}, warm_start=True).fit(X[:40], y[:40])
    assert clf.net_.module_.n_members == 8
    clf.fit(X, y)
    assert (clf.net_.module_.n_members, clf.n_iter_) == (8, 4)
    clf.partial_fit(X, y)
    assert clf.net_.module_.n_members == 8
    with pytest.raises(ValueError, match="fitted network of n_members=8, but the parameters say 5"):
        clf.set_params(n_members=5).fit(X, y)


@pytest.mark.usefixtures("_few_are_many")
def test_partial_fit_is_as_on_few_rows_since_more_may_come():
    X, y = labelled_rows(120)
    auto = small_classifier(**AUTO).partial_fit(X, y, classes=[0, 1])
    given = small_classifier(**AUTO | SMALL_TABLES).partial_fit(X, y, classes=[0, 1])
    np.testing.assert_array_equal(auto.decision_function(X), given.decision_function(X))


@pytest.mark.usefixtures("_few_are_many")
def test_a_loaded_estimator_goes_on_as_the_saved_one():
    X, y = labelled_rows(120)
    saved = small_classifier(**AUTO | {"max_epochs": 2}, warm_start=True).fit(X, y)
    loaded = pickle.loads(pickle.dumps(saved))
    np.testing.assert_array_equal(loaded.fit(X, y).decision_function(X), saved.fit(X, y).decision_function(X))


@pytest.mark.parametrize("name", ["n_members", "learning_rate", "max_epochs"])
def test_other_words_are_errors(name):
    with pytest.raises(ValueError, match=f"'{name}' parameter of SparseInitMLPClassifier must be"):
        small_classifier(**{name: "many"}).fit(*labelled_rows())
