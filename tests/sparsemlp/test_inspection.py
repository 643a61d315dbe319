"""What a net looks at: masses against a plain loop, parities whose truth is known, selection of features."""

import pickle
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.small import labelled_rows, numbered_rows, raw_table, small_classifier, small_regressor
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectFromModel

from sparsemlp import SparseInitMLPClassifier, paper_net
from sparsemlp._data import check_table
from sparsemlp.datasets import make_sparse_parity
from sparsemlp.inspection import feature_importances, first_layer_mass, neuron_starts, plot_neurons
from sparsemlp.lottery import KeepInitialisation

X, Y = labelled_rows()
FITTED = small_classifier().fit(X, Y)


def plain_mass(estimator, member):
    """The definition in loops, in float64."""
    weights = [layer.weight[member].detach().double().numpy() for layer in estimator.net_.module_.layers]
    readout = weights[-1]
    for weight in weights[-2:0:-1]:
        readout = readout @ weight
    features = estimator.scaler_.column_features_
    mass = np.zeros((len(weights[0]), estimator.n_features_in_))
    for j, row in enumerate(np.abs(weights[0])):
        for value, feature in zip(row, features, strict=True):
            mass[j, feature] += value / row.sum() * np.sqrt((readout[:, j] ** 2).sum())
    return mass


@pytest.mark.parametrize("width", [(8,), (8, 5), (8, 5, 4)])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_mass_is_a_neurons_readout_shared_among_the_raw_features(width, n_classes):
    rows, labels = labelled_rows(n_classes=n_classes)
    rows[::7, 2] = np.nan  # a third column for this feature
    clf = small_classifier(width=width, scaling="both", n_members=3).fit(rows, labels)
    assert len(clf.scaler_.column_features_) == 13
    mass = first_layer_mass(clf)
    assert mass.shape == (3, 8, 6)
    for member in range(3):
        np.testing.assert_allclose(mass[member], plain_mass(clf, member), rtol=1e-12)
    np.testing.assert_allclose(feature_importances(clf), mass.sum(axis=(0, 1)) / mass.sum(), rtol=1e-12)


@pytest.mark.parametrize("fitted", [FITTED, small_regressor().fit(*numbered_rows())])
def test_importances_are_shares_and_survive_pickling(fitted):
    shares = fitted.feature_importances_
    assert shares.shape == (6,)
    assert (shares > 0).all()
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).feature_importances_, shares)


@pytest.mark.parametrize("scaling", ["squash", "both"])
def test_a_column_without_any_value_has_no_importance(scaling):
    rows = X.copy()
    rows[:, 2] = np.nan
    shares = small_classifier(scaling=scaling).fit(rows, Y).feature_importances_
    assert shares[2] == 0
    assert (np.delete(shares, 2) > 0).all()


@given(factor=st.floats(1e-3, 1e3), neuron=st.integers(0, 31))
def test_the_steepness_of_a_neuron_does_not_count_and_its_readout_does(factor, neuron):
    clf = pickle.loads(pickle.dumps(FITTED))
    before = first_layer_mass(clf)
    with torch.no_grad():
        clf.net_.module_.input_layer.weight[0, neuron] *= factor
        np.testing.assert_allclose(first_layer_mass(clf), before, rtol=1e-5)
        clf.net_.module_.output_layer.weight[0, :, neuron] *= factor
    before[0, neuron] *= factor
    np.testing.assert_allclose(first_layer_mass(clf), before, rtol=1e-5)


@pytest.mark.parametrize("sparsity", [2, None])
@pytest.mark.parametrize("random_state", [0, 1])
def test_the_paper_net_has_its_mass_on_the_support_of_a_parity(sparsity, random_state):
    rows, labels, support = make_sparse_parity(
        1000, n_features=20, n_informative=3, random_state=random_state, return_support=True
    )
    net = paper_net(300, sparsity, max_epochs=200, random_state=random_state).fit(rows, labels)
    assert net.score(rows, labels) == 1
    assert net.feature_importances_[support].sum() > 0.9


def test_the_default_net_ranks_the_support_of_a_parity_first():
    rows, labels, support = make_sparse_parity(
        1000, n_features=10, n_informative=2, random_state=0, return_support=True
    )
    clf = SparseInitMLPClassifier(width=(128, 32), n_members=4, random_state=0).fit(rows, labels)
    assert set(np.argsort(clf.feature_importances_)[-2:]) == set(support)


@pytest.mark.parametrize("scaling", ["both", "standard"])
def test_a_constant_feature_has_no_mass_unless_it_is_missing_at_times(scaling):
    rows = X.copy()
    rows[:, 1] = 7.0
    rows[:, 3] = np.where(Y == 1, 7.0, np.nan)
    shares = small_classifier(scaling=scaling).fit(rows, Y).feature_importances_
    assert shares[1] == 0
    assert shares[3] > 0


def test_a_table_of_constants_has_no_importances():
    clf = small_classifier().fit(np.ones((20, 3)), np.arange(20) % 2)
    np.testing.assert_array_equal(clf.feature_importances_, 0)


def test_without_scaling_a_constant_of_the_first_chunk_may_vary_later():
    clf = small_classifier(scaling=None).partial_fit(np.c_[X[:50], np.ones(50)], Y[:50], classes=[0, 1])
    assert clf.feature_importances_[-1] > 0


@pytest.mark.parametrize("scaling", ["both", None])
def test_sparse_matrices_give_the_importances_of_the_dense_table(scaling):
    table = np.round(np.random.default_rng(0).poisson(0.5, size=(120, 6))).astype(float)
    dense, as_csr = (
        small_classifier(scaling=scaling).fit(rows, Y).feature_importances_ for rows in (table, csr_array(table))
    )
    np.testing.assert_allclose(as_csr, dense, rtol=1e-5)


def test_before_fit_there_are_no_importances():
    clf = small_classifier()
    assert not hasattr(clf, "feature_importances_")
    with pytest.raises(AttributeError, match="SparseInitMLPClassifier has no 'feature_importances_' before fit"):
        _ = clf.feature_importances_
    for inspect in (first_layer_mass, feature_importances, plot_neurons):
        with pytest.raises(NotFittedError):
            inspect(clf)


def test_select_from_model_keeps_the_informative_features():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.standard_normal((400, 10)), columns=list("abcdefghij"))
    labels = (rows["c"] + rows["h"] > 0).to_numpy()
    selector = SelectFromModel(small_classifier(max_epochs=30), max_features=2, threshold=-np.inf)
    selector.fit(rows, labels)
    assert selector.get_feature_names_out().tolist() == ["c", "h"]
    assert selector.transform(rows).shape == (400, 2)


# The plot


def test_rows_of_the_plot_are_the_neurons_of_most_mass_on_the_features_of_most():
    names = ["age", "height", "weight", "income", "debt", "score"]
    clf = small_classifier().fit(pd.DataFrame(X, columns=names), Y)
    ax = plot_neurons(clf, Figure().subplots(), n_neurons=5, n_features=4)
    neurons = first_layer_mass(clf).reshape(-1, 6)
    features = np.argsort(-clf.feature_importances_)[:4]
    assert [label.get_text() for label in ax.get_xticklabels()] == [names[i] for i in features]
    expected = neurons / neurons.sum(axis=1, keepdims=True)
    expected = expected[np.argsort(-neurons.sum(axis=1))[:5]][:, features]
    shown = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(sorted(shown.tolist()), sorted(expected.tolist()))
    assert (np.diff(shown.argmax(axis=1)) >= 0).all()
    assert ax.get_ylabel() == "5 of 64 neurons"


def test_all_features_are_drawn_of_a_table_without_names_and_with_a_constant():
    labels = np.arange(200) % 2
    ax = plot_neurons(small_classifier().fit(raw_table(), labels), Figure().subplots(), n_features=None)
    assert sorted(label.get_text() for label in ax.get_xticklabels()) == [f"x{i}" for i in range(6)]
    assert np.isfinite(ax.images[0].get_array()).all()


def test_without_axes_a_figure_is_made():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    ax = plot_neurons(FITTED)
    assert pyplot.fignum_exists(ax.figure.number)
    pyplot.close(ax.figure)


@pytest.mark.parametrize("argument", ["n_neurons", "n_features"])
def test_a_plot_of_nothing_is_refused(argument):
    with pytest.raises(ValueError, match=f"{argument}=0 must be at least 1"):
        plot_neurons(FITTED, **{argument: 0})


def test_a_missing_matplotlib_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="plot_neurons needs matplotlib: pip install matplotlib"):
        plot_neurons(FITTED)


def test_what_neurons_started_as_is_what_the_network_was_before_training():
    X = np.random.default_rng(0).normal(size=(300, 5))
    keep = KeepInitialisation()
    net = SparseInitMLPClassifier((64, 32), n_members=2, callbacks=[keep], search_steps=0, random_state=0)
    net.fit(X, X[:, 2] > 1.0)
    starts = neuron_starts(net)
    weight = keep.initial_.input_layer.weight.detach().numpy()
    bias = keep.initial_.input_layer.bias.detach().numpy()
    assert len(starts) == np.count_nonzero(weight)
    assert_array_equal(weight[starts.member, starts.neuron, starts.column], starts.start_weight)
    boxes = starts[starts.kind == "box"]
    assert len(boxes) == 2 * 32
    assert boxes.feature.value_counts().index[0] == "x2"
    at_threshold = boxes.start_weight * boxes.start_threshold + bias[boxes.member, boxes.neuron]
    np.testing.assert_allclose(at_threshold, 0, atol=1e-4)
    assert starts[starts.kind == "relu"].start_threshold.isna().all()
    assert starts.share.between(0, 1).all()
    assert (starts.groupby(["member", "neuron"]).share.sum() <= 1 + 1e-6).all()
    pd.testing.assert_frame_equal(neuron_starts(pickle.loads(pickle.dumps(net))), starts)


@pytest.mark.parametrize("scaling", ["both", "squash", None])
def test_starts_name_the_categories_that_their_columns_stand_for(scaling):
    rng, n_rows = np.random.default_rng(0), 400
    towns = np.array(["Bonn", "Lima", "Oslo", "Rome", "Suva"], dtype=object)
    X = pd.DataFrame(
        {
            "length": rng.normal(size=n_rows),
            "town": towns[rng.integers(5, size=n_rows)],
            "stars": pd.Categorical(rng.integers(3, size=n_rows)),
            "sex": np.array(["f", "m"])[rng.integers(2, size=n_rows)],
            "only": np.array(["x", None], dtype=object)[rng.integers(2, size=n_rows)],
        }
    )
    y = X["town"].isin(["Lima", "Rome"])
    X.loc[:3, "town"], X.loc[4:6, "town"] = None, "Zug"  # too few for columns of their own
    X.loc[:30, "length"] = np.nan
    X.loc[50:90, "stars"] = np.nan
    net = SparseInitMLPClassifier(200, n_members=8, max_epochs=1, scaling=scaling, search_steps=0, random_state=0)
    starts = neuron_starts(net.fit(X, y))
    named = starts.groupby("feature").category.unique().map(set)
    assert named["length"] == {None, "(missing)"}
    assert named["town"] == {*towns, "(rare or unknown)", "(mean target)"}
    assert named["stars"] == {0, 1, 2, "(missing)", "(mean target)"}
    assert named["sex"] == {"m"}
    assert named["only"] <= {None, "(missing)"}
    columns = net.scaler_.transform(check_table(net, X))
    is_rare = X["town"].isna() | (X["town"] == "Zug")
    for start in starts[~starts.category.isin([None, "(mean target)"])].itertuples():
        where = {"(missing)": X[start.feature].isna(), "(rare or unknown)": is_rare}
        has_it = where.get(start.category, X[start.feature] == start.category).to_numpy()
        column = columns[:, start.column]
        assert column[has_it].min() > column[~has_it].max()
    sets = starts[(starts.kind == "box") & (starts.feature == "town")].groupby(["member", "neuron"]).category
    assert sets.agg(set).map({"Lima", "Rome"}.issubset).any(), "trees split at the towns that matter"
    pd.testing.assert_frame_equal(neuron_starts(pickle.loads(pickle.dumps(net))), starts)


def test_the_start_is_that_of_the_network_that_was_kept():
    X, y = make_sparse_parity(700, 25, n_informative=3, random_state=1)
    net = SparseInitMLPClassifier(128, n_members=4, max_epochs=5, random_state=0).fit(X, y)
    starts = neuron_starts(net)
    if net.net_.module_.activation == "relu":  # the second training's
        assert set(starts.kind) == {"relu"}
        assert set(starts.start_weight) == {-1.0, 1.0}
    assert starts.member.max() + 1 == net.net_.module_.n_members


def test_a_dense_start_is_not_told():
    X = np.random.default_rng(0).normal(size=(60, 5))
    net = SparseInitMLPClassifier(8, None, max_epochs=1, random_state=0).fit(X, X[:, 0] > 0)
    with pytest.raises(ValueError, match="neuron_starts needs a first layer that started sparse"):
        neuron_starts(net)
