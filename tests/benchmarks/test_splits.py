"""Splits, sizes, tasks and the statements about where data come from."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.data import openml as sources
from benchmarks.data import tasks
from benchmarks.data.splits import TEST_CAP, TRAIN_CAP, Size, make_split, stratified_order
from benchmarks.data.table import DataUnavailableError


def labels(n_rows, share=0.3):
    """Sorted by class, as the published tables are."""
    y = np.zeros(n_rows, dtype=np.int64)
    y[int(n_rows * (1 - share)) :] = 1
    return y


@pytest.mark.parametrize("n_rows", [20, 501, 40_000])
def test_pool_and_test_rows_are_disjoint_and_hold_every_row_once(n_rows):
    split = make_split("a task", labels(n_rows), seed=100)
    together = np.concatenate([split.pool, split.test])
    assert len(np.unique(together)) == len(together)
    assert len(split.pool) == int(0.7 * n_rows)
    assert len(split.test) == min(TEST_CAP, n_rows - len(split.pool))


def test_training_and_test_rows_have_the_classes_in_their_proportions():
    y = labels(5000)
    split = make_split("a task", y, seed=100)
    for rows in (split.pool, split.test, split.training_rows(Size.rows(100), y)):
        assert abs(y[rows].mean() - 0.3) <= 1.5 / len(rows)


def test_every_prefix_of_the_order_is_stratified():
    y = np.repeat([0, 1, 2], [700, 200, 100])
    order = stratified_order(y, np.random.default_rng(0))
    for n_rows in (10, 50, 333):
        found = np.bincount(y[order[:n_rows]], minlength=3)
        assert np.abs(found - n_rows * np.array([0.7, 0.2, 0.1])).max() <= 2


def test_rows_within_a_class_are_shuffled():
    y = labels(1000, 0.5)
    rows = stratified_order(y, np.random.default_rng(0))
    first_class = rows[y[rows] == 0]
    assert not np.array_equal(first_class, np.sort(first_class))


def test_smaller_training_sets_are_nested_in_larger_ones():
    y = labels(60_000)
    split = make_split("a task", y, seed=100)
    sizes = [Size.fraction(0.001), Size.fraction(0.01), Size.rows(1000), Size.fraction(1), Size.rows(20_000)]
    found = [set(split.training_rows(size, y).tolist()) for size in sizes]
    assert [len(rows) for rows in found] == [10, 100, 1000, TRAIN_CAP, 20_000]
    assert all(small < large for small, large in pairwise(found))


@pytest.mark.parametrize("cap", [TRAIN_CAP, 25_000, None])
@pytest.mark.parametrize("value", [1, 0.1, 0.001])
def test_a_fraction_is_of_the_capped_pool_and_its_key_says_the_cap(cap, value):
    y = labels(60_000)
    size = Size.fraction(value, cap)
    rows = make_split("a task", y, seed=100).training_rows(size, y)
    assert len(rows) == round(value * min(42_000, cap or 42_000))
    assert Size.parse(size.key) == size
    assert size.key == f"fraction:{value}" + {TRAIN_CAP: "", 25_000: "/25000", None: "/all"}[cap]


@given(st.one_of(st.integers(1, 10**9).map(Size.rows), st.floats(1e-9, 1).map(Size.fraction)))
def test_a_key_says_a_size_in_full(size):
    assert Size.parse(size.key) == size
    assert Size.parse(size.key).key == size.key


def test_sizes_read_as_words():
    sizes = [Size.fraction(1), Size.fraction(0.001), Size.fraction(0.1, None), Size.rows(1000), Size.rows(10**6)]
    assert [str(size) for size in sizes] == [
        "all training rows",
        "0.1% of the training rows",
        "10% of the training rows (uncapped)",
        "1000 training rows",
        "1000000 training rows",
    ]


def test_a_size_above_the_pool_takes_the_whole_pool():
    y = labels(100)
    split = make_split("a task", y, seed=100)
    assert len(split.training_rows(Size.rows(1000), y)) == 70


def test_the_smallest_fraction_still_holds_two_rows_of_every_class():
    y = labels(1000, share=0.02)
    split = make_split("a task", y, seed=100)
    rows = split.training_rows(Size.fraction(0.001), y)
    assert np.bincount(y[rows]).min() >= 2


def test_splits_depend_on_seed_and_task_and_on_nothing_else():
    y = labels(1000)
    first = make_split("a task", y, seed=100)
    again = make_split("a task", y, seed=100)
    assert np.array_equal(first.pool, again.pool)
    assert np.array_equal(first.test, again.test)
    for other in (make_split("a task", y, seed=101), make_split("another", y, seed=100)):
        assert set(other.test.tolist()) != set(first.test.tolist())


@pytest.mark.parametrize(
    ("n_rows", "words", "complete"),
    [
        (72998, "all 72998", True),
        (13140, "a subset: 13140 of the 72998", False),
        (80000, "not the published", False),
    ],
)
def test_the_statement_on_the_data_follows_from_the_row_count(n_rows, words, complete):
    statement, found = sources.describe_rows(n_rows, 72998)
    assert statement.startswith(words)
    assert found is complete


def fake_fetch(n_rows, rebuilt):
    return lambda source: (np.zeros((n_rows, 2)), np.arange(n_rows) % 2, rebuilt)


@pytest.mark.parametrize(
    ("n_rows", "rebuilt", "complete", "words"),
    [
        (3434, False, True, "all 3434 published rows"),
        (3434, True, False, "labels of 1374 rows"),
        (1000, False, False, "a subset"),
    ],
)
def test_only_a_rebuilt_copy_carries_its_note(monkeypatch, n_rows, rebuilt, complete, words):
    monkeypatch.setattr(sources, "_fetch", fake_fetch(n_rows, rebuilt))
    data = tasks.load("Bioresponse")
    assert data.complete is complete
    assert words in data.statement


@pytest.mark.parametrize("name", tasks.OTHER_NAMES)
def test_other_tables_are_the_same_every_time(name):
    data, again = tasks.load(name), tasks.load(name)
    np.testing.assert_array_equal(data.X, again.X)
    np.testing.assert_array_equal(data.y, again.y)
    assert np.isfinite(data.X).all()
    assert data.statement.startswith("all rows: " if data.n_published else "synthetic: ")
    assert name not in tasks.OPENML_NAMES


def test_a_data_set_that_cannot_be_had_is_named(monkeypatch, tmp_path):
    openml = pytest.importorskip("openml")

    def offline(*args, **kwargs):
        raise OSError("no route to\nhost")

    monkeypatch.setenv("OPENML_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(openml.tasks, "get_task", offline)
    with pytest.raises(DataUnavailableError, match=r"credit .*361055.* no route to host"):
        tasks.load("credit")


def test_the_cached_credit_table_loads():
    if not (sources.cache_directory() / "org/openml/www/datasets/44089/dataset_44089.pq").exists():
        pytest.skip("the OpenML table 'credit' is not in the cache")
    data = tasks.load("credit")
    assert data.X.shape == (16714, 10)
    assert np.bincount(data.y).tolist() == [8357, 8357]
    assert data.complete
