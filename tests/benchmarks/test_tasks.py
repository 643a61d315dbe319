"""Sparse targets as tasks: rows by seed, nested sizes, and what is told of them."""

from itertools import combinations

import numpy as np
import pytest
from helpers.benchmark_toys import words
from scipy import stats

from benchmarks.__main__ import main
from benchmarks.cli import UsageError
from benchmarks.data.splits import TEST_CAP
from benchmarks.data.synthetic import N_TEST
from benchmarks.data.tasks import chosen_tasks, family, task_of
from benchmarks.results.store import Store


def supports(X, y, k):
    """The k inputs whose product is the label, found by trying pairs; rows must be many."""
    signs = 2 * y - 1
    pairs = [(i, j) for i in range(X.shape[1]) for j in range(i)]
    return [pair for pair in pairs if (X[:, pair].prod(axis=1) == signs).all()]


def test_the_rows_are_a_parity_of_k_inputs_which_are_others_for_every_seed():
    found = []
    for seed in range(100, 120):
        X, y = task_of("parity-8-2").sample(200, seed)
        assert X.shape == (200 + TEST_CAP, 8)
        assert set(np.unique(X)) == {-1.0, 1.0}
        found += supports(X, y, 2)
    assert len(found) == 20
    assert len(set(found)) > 10, "uniform over 28 pairs: ten or fewer have a probability below 1e-4"


def test_fewer_training_rows_are_a_prefix_of_more_and_the_test_rows_are_the_same():
    task = task_of("parity-50-3")
    (few, y_few), (many, y_many) = task.sample(100, 100), task.sample(3000, 100)
    np.testing.assert_array_equal(few[:100], many[:100])
    np.testing.assert_array_equal(few[100:], many[3000:])
    np.testing.assert_array_equal(y_few[100:], y_many[3000:])
    assert not (few[:50, None] == few[None, 100:2000]).all(-1).any(), "no training row is among the test rows"


@pytest.mark.parametrize(("name", "words"), [("parity-3-50", "k=50 .* from 1 to n=3"), ("parity-5-0", "k=0")])
def test_a_parity_of_more_inputs_than_there_are_is_refused(name, words):
    with pytest.raises(UsageError, match=words):
        chosen_tasks([name])


def test_a_parity_is_a_task_like_any_other(tmp_path, workers_in_threads):
    command = words("tabular --tasks parity-10-2 wine --rows 100 400 --models hgb paper_net --seeds 1 --results")
    assert main([*command, str(tmp_path)]) == 0
    store = Store.open(tmp_path, create=False)
    rows, datasets = store.frame("evaluations"), store.frame("datasets").set_index("task")
    store.close()
    assert rows["failure"].isna().all(), rows["failure"].tolist()
    parity = rows[rows["task"] == "parity-10-2"].set_index(["model", "n_train"])
    assert set(parity["n_test"]) == {TEST_CAP}
    assert parity.loc[("paper_net", 400), "test_accuracy"] > 0.99
    assert parity.loc[("hgb", 100), "test_log_loss"] > 0
    assert np.isnan(parity.loc[("paper_net", 400), "test_log_loss"]), "the hinge loss gives no probabilities"
    assert datasets.loc["parity-10-2", ["n_rows", "n_features"]].tolist() == [0, 10]


# Gaussian targets ------------------------------------------------------------------------------------


RULES = {
    "product": lambda relevant: np.sign(relevant).prod(axis=1) > 0,
    "sum": lambda relevant: relevant.mean(axis=1) > 0,
    "box": lambda relevant: ((relevant > -0.8) & (relevant < 0.8)).all(axis=1),
}


def relevant_inputs(X, y, k, rule):
    """The sets of k inputs of which the class is this function in every row."""
    return [chosen for chosen in combinations(range(X.shape[1]), k) if (rule(X[:, chosen]) == y).all()]


@pytest.mark.parametrize(("name", "k"), [("product-6-2", 2), ("sum-6-1", 1), ("sum-6-3", 3), ("box-6-2", 2)])
def test_a_gaussian_target_is_its_function_of_k_inputs_which_are_others_for_every_seed(name, k):
    found = []
    for seed in range(100, 120):
        X, y = task_of(name).sample(100, seed)
        assert X.shape == (100 + N_TEST, 6)
        found += relevant_inputs(X, y, k, RULES[name.split("-")[0]])
    assert len(found) == 20, "one set of inputs explains all rows of a seed"
    assert len(set(found)) > 3, "uniform over at least 6 sets: three or fewer have a probability below 1e-4"


def test_inputs_of_a_gaussian_target_are_standard_normal():
    X, y = task_of("box-5-2").sample(20_000, 100)
    inside = 1 - 2 * stats.norm.sf(0.8)
    assert y.mean() == pytest.approx(inside**2, abs=4 * np.sqrt(inside**2 * (1 - inside**2) / len(y)))
    assert min(stats.kstest(column, "norm").pvalue for column in X.T) > 1e-4


@pytest.mark.parametrize("name", ["product-20-2", "sum-20-1", "box-20-2"])
def test_the_same_seed_gives_the_same_rows_and_fewer_are_a_prefix_of_more(name):
    task = task_of(name)
    (few, y_few), (many, y_many), (other, _) = task.sample(50, 100), task.sample(300, 100), task.sample(50, 101)
    np.testing.assert_array_equal(few, task.sample(50, 100)[0])
    np.testing.assert_array_equal(few[:50], many[:50])
    np.testing.assert_array_equal(few[50:], many[300:])
    np.testing.assert_array_equal(y_few[50:], y_many[300:])
    assert not np.isin(few, other).any()


def test_two_targets_of_a_seed_share_no_rows():
    product, box = (task_of(name).sample(50, 100)[0] for name in ("product-20-2", "box-20-2"))
    assert not np.isin(product, box).any()


@pytest.mark.parametrize(("name", "words"), [("sum-3-50", "k=50 .* from 1 to n=3"), ("box-5-0", "k=0")])
def test_a_gaussian_target_of_more_inputs_than_there_are_is_refused(name, words):
    with pytest.raises(UsageError, match=words):
        chosen_tasks([name])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("parity-50-3", "parity"), ("sum-1000-1", "sum"), ("sum-1000", ""), ("credit", ""), ("friedman1-100", "")],
)
def test_the_family_of_a_sparse_target_is_in_its_name(name, expected):
    assert family(name) == expected
