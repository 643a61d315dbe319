"""Starts from trees: the paths, what neurons take from them, and which rows they have seen."""

import numpy as np
import pytest
import torch
from helpers.small import labelled_rows, numbered_rows, small_classifier
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingRegressor

from sparsemlp import SparseInitMLP, SparseInitMLPClassifier
from sparsemlp._boosting import BinnedTrees, binned
from sparsemlp._data import SampledRows
from sparsemlp._training.out_of_fold import assign_members
from sparsemlp.lottery import KeepInitialisation
from sparsemlp.preprocessing import InputScaler
from sparsemlp.trees import TreePaths, splits_


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rows_of_a_box(n_rows=500, n_columns=8, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_rows, n_columns)).astype(np.float32)
    return X, ((X[:, [2]] > -0.5) & (X[:, [5]] < 0.3)).astype(np.float64)


def grow(X, Y, weight=None, seed=0, **options):
    return TreePaths.grow(X, Y, weight, generator=generator(seed), **options)


def paths_by_recursion(nodes, i=0, above=()):
    node = nodes[i]
    if node["is_leaf"]:
        return [above]
    here = (*above, (int(node["feature_idx"]), float(node["num_threshold"]), float(node["gain"])))
    return [path for side in ("left", "right") for path in paths_by_recursion(nodes, int(node[side]), here)]


def test_paths_are_those_of_the_trees_from_leaf_to_root(monkeypatch):
    X, Y = rows_of_a_box(250)  # each value has a bin of its own; quantiles differ between versions of scikit-learn
    grown = []
    monkeypatch.setattr("sparsemlp._boosting.MAX_PAIRS", 0)

    class Recorded(BinnedTrees):
        def fit(self, bins, goal, sample_weight):
            grown.append(HistGradientBoostingRegressor(**self.get_params()).fit(X, goal, sample_weight))
            return super().fit(bins, goal, sample_weight)

    monkeypatch.setattr("sparsemlp._boosting.BinnedTrees", Recorded)
    paths = grow(X, Y)
    expected = [path for (tree,) in grown[0]._predictors for path in paths_by_recursion(tree.nodes) if path]
    total = sum(gain for path in expected for _, _, gain in path)
    expected = sorted(
        ([(column, threshold) for column, threshold, _ in path], sum(gain for _, _, gain in path) / total)
        for path in expected
    )
    splits = [
        list(zip(columns[:n].tolist(), thresholds[:n].tolist(), strict=True))[::-1]
        for columns, thresholds, n in zip(paths.column, paths.threshold, paths.length, strict=True)
    ]
    found = sorted(zip(splits, paths.probability.tolist(), strict=True))
    assert [path for path, _ in found] == [path for path, _ in expected]
    np.testing.assert_allclose([p for _, p in found], [p for _, p in expected], rtol=1e-5)


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "n_trees", "rate"),
    [(10, 8, 10, 0.3), (100, 8, 20, 0.3), (200, 8, 40, 0.15), (300, 8, 60, 0.1), (500, 2000, 30, 0.1)],
)
def test_few_rows_grow_fewer_trees_of_a_larger_rate(n_rows, n_columns, n_trees, rate, monkeypatch):
    grown = []

    class Recorded(BinnedTrees):
        def fit(self, *args, **kwargs):
            grown.append((self.max_iter, self.learning_rate))
            return super().fit(*args, **kwargs)

    monkeypatch.setattr("sparsemlp._boosting.BinnedTrees", Recorded)
    grow(*rows_of_a_box(n_rows, n_columns))
    assert grown == [(n_trees, pytest.approx(rate))]


def signed_product(n_rows=300, n_columns=20, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_rows, n_columns)).astype(np.float32)
    return X, (X[:, [7]] * X[:, [12]] > 0).astype(np.float64)


def test_two_columns_that_matter_together_have_trees_of_their_own_before(monkeypatch):
    X, Y = signed_product()
    grown = []

    class Recorded(BinnedTrees):
        def fit(self, bins, goal, sample_weight):
            grown.append((bins.shape[1], self.max_iter, goal))
            return super().fit(bins, goal, sample_weight)

    monkeypatch.setattr("sparsemlp._boosting.BinnedTrees", Recorded)
    grow(X, Y)
    (n_first, n_trees, _), (n_columns, n_rest, left) = grown
    assert (n_first, n_trees, n_columns, n_rest) == (2, 20, 20, 60)
    assert left.var() < 0.3 * Y.var()
    grown.clear()
    monkeypatch.setattr("sparsemlp._boosting.MANY_COLUMNS", 19)
    grow(X, Y)
    assert len(grown) == 1


@pytest.mark.parametrize("seed", range(5))
def test_trees_find_a_product_of_two_columns(seed):
    X, Y = signed_product(seed=seed)
    gain = grow(X, Y).column_gain
    assert set(gain.argsort()[-2:]) == {7, 12}
    assert gain[[7, 12]].sum() > 0.5


@pytest.mark.parametrize("seed", range(2))
def test_the_default_learns_a_product_of_two_columns(seed):
    X, Y = signed_product(1300, seed=seed)
    y = Y[:, 0].astype(int)
    assert SparseInitMLPClassifier(random_state=0).fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.94


def test_pairs_are_of_columns_that_have_no_categories():
    X, Y = signed_product()
    one_hot = np.eye(3, dtype=np.float32)[np.random.default_rng(0).integers(3, size=len(X))]
    paths = grow(
        np.hstack([one_hot, X]), Y, column_groups=[[0, 1, 2], *([i] for i in range(3, 23))], one_hot=[(0, 3)]
    )
    assert set(paths.column_gain.argsort()[-2:]) == {10, 15}
    assert (paths.category_set[np.isin(paths.column, [10, 15])] == -1).all()


def test_the_gain_of_columns_is_that_of_the_splits_and_adds_up_to_one():
    paths = grow(*rows_of_a_box())
    assert paths.column_gain.sum() == pytest.approx(1)
    assert set(paths.column_gain.argsort()[-2:]) == {2, 5}
    weights = paths.feature_weights()
    np.testing.assert_allclose(weights, 0.3 / 8 + 0.7 * paths.column_gain)
    grouped = paths.feature_weights([[0, 2], [1, 3, 4, 5], [6, 7]])
    np.testing.assert_allclose(grouped[0], 0.1 + 0.7 * paths.column_gain[[0, 2]].sum())


def test_pairs_are_two_different_splits_of_one_path():
    paths = grow(*rows_of_a_box())
    (columns, thresholds, _), pairs = paths.sample_pairs(3000, generator()), set()
    for column, threshold, n in zip(paths.column, paths.threshold, paths.length, strict=True):
        splits = list(zip(column[:n].tolist(), threshold[:n].tolist(), strict=True))
        pairs |= {(a, b) for i, a in enumerate(splits) for j, b in enumerate(splits) if i != j}
    alone = {
        (int(column[0]), float(threshold[0]))
        for column, threshold, n in zip(paths.column, paths.threshold, paths.length, strict=True)
        if n == 1
    }
    for column, threshold in zip(columns.T.tolist(), thresholds.T.tolist(), strict=True):
        pair = tuple(zip(column, threshold, strict=True))
        assert pair in pairs or pair[0] in alone


def test_a_path_of_one_split_is_paired_with_a_split_of_any():
    paths = TreePaths(
        np.array([[0, 0], [1, 2]]),
        np.array([[7.0, 0.0], [8.0, 9.0]]),
        np.full((2, 2), -1),
        np.array([1, 2]),
        np.array([0.5, 0.5]),
        None,
        None,
    )
    columns, _, _ = paths.sample_pairs(2000, generator())
    alone = columns[:, columns[0] == 0]
    assert alone.shape[1] == pytest.approx(1000, abs=120)
    assert torch.bincount(alone[1]).tolist() == pytest.approx([500, 250, 250], abs=120)


def test_more_gain_means_more_neurons():
    X, Y = rows_of_a_box()
    paths = grow(X, Y)
    columns, _, _ = paths.sample_pairs(4000, generator())
    assert np.isin(columns.numpy(), [2, 5]).mean() > 0.8


def test_of_two_scalings_trees_see_one_and_indicators_they_always_see():
    X, Y = rows_of_a_box()
    twice = np.column_stack([X, np.tanh(X), X[:, 2] > 0]).astype(np.float32)
    groups = [[i, i + 8] if i != 2 else [2, 10, 16] for i in range(8)]
    seen = set()
    for seed in range(12):
        used = set(np.flatnonzero(grow(twice, Y, seed=seed, column_groups=groups).column_gain))
        assert not {5, 13} <= used
        assert not {2, 10} <= used
        seen |= used
    assert {2, 5, 10, 13} <= seen


def test_of_a_single_scaling_trees_see_values_and_indicators_of_missing_ones():
    X, Y = rows_of_a_box(1000)
    missing = X.copy()
    missing[np.random.default_rng(1).random(X.shape) < 0.3] = np.nan
    scaler = InputScaler("squash").fit(missing)
    columns = scaler.transform(missing)
    options = {"column_groups": scaler.column_groups(), "n_views": scaler.n_views()}
    for seed in range(5):
        gain = grow(columns, Y, seed=seed, **options).column_gain
        assert min(gain[[2, 5]]) > 0.1
        assert min(gain[[10, 13]]) > 0  # a box is rarer where one of its columns is missing


def test_of_the_weights_of_rows_only_ratios_count():
    X, Y = rows_of_a_box()
    weight = np.random.default_rng(0).uniform(0.5, 1.5, 500)
    usual = grow(X, Y, weight)
    for factor in (2.0**-60, 2.0**40):
        np.testing.assert_array_equal(grow(X, Y, weight * factor).threshold, usual.threshold)


@pytest.mark.parametrize("n_rows", [3, 255, 256, 1020, 5000])
def test_bins_are_between_quantiles_or_between_all_values_where_these_are_few(n_rows):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    X[:, 1] = np.round(X[:, 1], 2)
    X[:, 2] = np.where(rng.random(n_rows) < 0.9, 0, X[:, 2])
    X[:, 3] = 1
    bins, edges = binned(X, np.array([0, 1, 2, 3]), 255)
    for j, values in enumerate(X.T.astype(np.float64)):
        known = np.unique(values)
        expected = (known[1:] + known[:-1]) / 2
        if len(known) > 255:  # as scikit-learn's boosted trees have it
            shares = np.linspace(0, 100, 256)[1:-1]
            expected = np.unique(np.percentile(values, shares, method="averaged_inverted_cdf"))
        np.testing.assert_array_equal(edges[j], expected)
        np.testing.assert_array_equal(bins[:, j], (values[:, np.newaxis] > expected).sum(axis=1))


@pytest.mark.parametrize("n_rows", [2, 40, 300, 2000])
@pytest.mark.parametrize("categories", [None, [2]])
def test_trees_of_binned_columns_are_those_that_scikit_learn_grows_of_them(n_rows, categories):
    rng = np.random.default_rng(n_rows)
    bins = rng.integers(0, 200, size=(n_rows, 5)).astype(np.float32)
    bins[:, 1] = 255 // 2 * (bins[:, 1] > 90)  # most bins are empty
    bins[:, 3] = 0
    goal, weight = rng.normal(size=n_rows) + (bins[:, 0] > 50), rng.random(n_rows)
    options = {"max_iter": 5, "min_samples_leaf": 1, "early_stopping": False, "categorical_features": categories}
    for weights in (None, weight):
        ours, theirs = (
            kind(**options).fit(bins, goal, sample_weight=weights)
            for kind in (BinnedTrees, HistGradientBoostingRegressor)
        )
        for (one,), (other,) in zip(ours._predictors, theirs._predictors, strict=True):
            assert one.nodes.tobytes() == other.nodes.tobytes()


@pytest.mark.parametrize("n_rows", [200, 2000])  # fewer and more different values than bins
def test_equal_weights_grow_the_trees_of_rows_without_weights(n_rows):
    X = np.random.default_rng(0).normal(size=(n_rows, 3)).astype(np.float32)
    X = np.column_stack([X, np.eye(4, dtype=np.float32)[np.arange(n_rows) % 4]])
    Y = (X[:, [0]] * X[:, [1]] > 0) ^ (np.arange(n_rows)[:, np.newaxis] % 4 == 1)
    options = {"column_groups": [[0], [1], [2], [3, 4, 5, 6]], "one_hot": [(3, 7)]}
    for a, b in zip(grow(X, Y, **options), grow(X, Y, np.full(n_rows, 1.0), **options), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rows_of_weight_zero_grow_nothing_and_a_weight_of_two_is_a_row_twice():
    X, Y = rows_of_a_box(300)
    weight = np.repeat([0.0, 1.0, 2.0], 100)
    weighted, repeated = (
        grow(X, Y, weight),
        grow(np.repeat(X, weight.astype(int), axis=0), np.repeat(Y, weight.astype(int), axis=0)),
    )
    kept = grow(X[100:], Y[100:], weight[100:])
    np.testing.assert_array_equal(weighted.threshold, kept.threshold)
    assert set(weighted.column_gain.argsort()[-2:]) == set(repeated.column_gain.argsort()[-2:])
    assert grow(X, Y, np.zeros(300)) is None


@pytest.mark.parametrize("n_rows", [0, 1, 50])
def test_nothing_to_split_grows_nothing(n_rows):
    X, _ = rows_of_a_box(n_rows)
    assert grow(X, np.ones((n_rows, 1))) is None
    assert grow(np.ones_like(X), np.arange(n_rows, dtype=float)[:, None]) is None


def test_a_member_without_trees_starts_at_random():
    paths = [grow(*rows_of_a_box()), None]
    module = SparseInitMLP(8, 1, 40, 2, activation="tanh", n_members=2, paths=paths, generator=generator())
    nonzeros = module.input_layer.weight.count_nonzero(dim=-1)
    assert (nonzeros[0] == 1).all()
    assert (nonzeros[1] == 2).all()


@pytest.mark.parametrize("activation", ["box", "tanh"])
def test_neurons_are_zero_at_the_thresholds_of_splits_in_pairs(activation):
    paths = grow(*rows_of_a_box())
    splits = {
        (int(column), np.float32(threshold))
        for columns, thresholds, n in zip(paths.column, paths.threshold, paths.length, strict=True)
        for column, threshold in zip(columns[:n], thresholds[:n], strict=True)
    }
    module = SparseInitMLP(
        8, 1, 41, 2, activation=activation, paths=[paths], bias_init="zeros", generator=generator()
    )
    weight, bias = module.input_layer.weight[0].detach(), module.input_layer.bias[0].detach()
    steep = slice(1, 41) if activation == "box" else slice(0, 40)
    for w, b in zip(weight[steep], bias[steep], strict=True):
        (column,) = w.nonzero().flatten().tolist()
        assert min(abs(-b.item() / w[column].item() - t) for c, t in splits if c == column) < 1e-5
    alone = 0 if activation == "box" else 40
    assert weight[alone].count_nonzero() == 2


def test_an_odd_neuron_stays_as_it_is():
    weight = torch.full((5, 8), 3.0)
    thresholds = splits_(weight, grow(*rows_of_a_box()), generator=generator())
    assert thresholds.shape == (4,)
    assert (weight[:4].count_nonzero(dim=1) == 1).all()
    assert (weight[4] == 3).all()


def start_of(make, X, y, **options):
    keep = KeepInitialisation()
    make(feature_sampling="trees", activation="mixed", callbacks=[keep], max_epochs=1, **options).fit(X, y)
    return keep.initial_.input_layer.weight.detach()


@pytest.mark.parametrize("rows", [labelled_rows, numbered_rows])
def test_the_trees_of_a_member_have_not_seen_its_out_of_fold_rows(rows):
    X, y = rows(200)
    fold = np.arange(200) % 4

    def trees(X):
        sample = SampledRows(torch.from_numpy(X), y[:, None].astype(float), np.ones(200), np.arange(200))
        return sample.grow_trees(fold, 4, InputScaler(None).fit(X), generator())

    moved = X.copy()
    moved[fold == 1] = moved[fold == 1][:, ::-1]  # other rows, of the same targets
    before, after = trees(X), trees(moved)
    np.testing.assert_array_equal(before[1].threshold, after[1].threshold)
    np.testing.assert_array_equal(before[1].probability, after[1].probability)
    assert not np.array_equal(before[0].probability, after[0].probability)


def test_a_fit_grows_trees_for_the_folds_that_it_stops_by(monkeypatch):
    folds, grow_trees = [], SampledRows.grow_trees
    monkeypatch.setattr(
        SampledRows, "grow_trees", lambda self, fold, *args: (folds.append(fold), grow_trees(self, fold, *args))[1]
    )
    X, y = labelled_rows(200)
    options = {"n_members": 4, "early_stopping": "out_of_fold", "random_state": 3, "feature_sampling": "trees"}
    small_classifier(**options, max_epochs=1).fit(X, y)
    seed = int(np.random.SeedSequence(3).generate_state(4)[2])
    np.testing.assert_array_equal(folds[0], assign_members(y, 4, seed, stratified=True))


def test_sparse_rows_start_as_dense_ones():
    X, y = labelled_rows(150)
    dense = start_of(small_classifier, X, y, n_members=2)
    assert torch.equal(dense, start_of(small_classifier, sparse.csr_matrix(X), y, n_members=2))


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("threads_pay", [0, np.inf])
def test_the_start_does_not_depend_on_threads_nor_on_global_generators(n_threads, threads_pay, monkeypatch):
    monkeypatch.setattr("sparsemlp._data.THREADS_PAY", threads_pay)
    X, y = labelled_rows(300)
    expected, before = start_of(small_classifier, X, y, n_members=5), torch.get_num_threads()
    numpys, torchs = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    torch.set_num_threads(n_threads)
    try:
        found = start_of(small_classifier, X, y, n_members=5)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found, expected)
    np.testing.assert_array_equal(np.random.get_state()[1], numpys)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torchs)


def test_a_few_classes_have_trees_of_their_own():
    X, _ = rows_of_a_box(600)
    labels = (X[:, 2] > 0) + 2 * (X[:, 5] > 0)
    paths = grow(X, np.eye(4)[labels.astype(int)])
    assert set(paths.column_gain.argsort()[-2:]) == {2, 5}
    assert paths.column_gain[[2, 5]].min() > 0.2


def test_a_product_of_two_signs_among_many_is_found_by_default():
    X = np.random.default_rng(0).choice([-1.0, 1.0], size=(1500, 20))
    y = X[:, 3] * X[:, 11] > 0
    net = small_classifier(activation="box", feature_sampling="trees", width=64, max_epochs=40, n_members=2)
    assert net.fit(X[:500], y[:500]).score(X[500:], y[500:]) > 0.98


def test_many_classes_are_divided_into_halves():
    X, _ = rows_of_a_box(2000)
    labels = np.digitize(X[:, 2], np.linspace(-1, 1, 9))
    paths = grow(X, np.eye(10)[labels])
    assert paths.column_gain.argmax() == 2
    assert paths.column_gain[2] > 0.8


@pytest.mark.parametrize("n_rows", [2, 3, 5])
def test_a_few_rows_of_several_classes_grow_what_they_can(n_rows):
    X, _ = rows_of_a_box(n_rows)
    paths = grow(X, np.eye(5)[:n_rows, :4])
    assert paths is None or paths.column_gain.sum() == pytest.approx(1)


def test_a_single_target_may_be_a_column_or_none():
    X, Y = rows_of_a_box()
    np.testing.assert_array_equal(grow(X, Y[:, 0]).threshold, grow(X, Y).threshold)
