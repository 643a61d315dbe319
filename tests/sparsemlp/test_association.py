"""Which two columns matter together: correlations of their product with the target."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from sparsemlp import _association
from sparsemlp._association import strongest_pair, without_linear_effects


def ranks(rng, n_rows, n_columns):
    return rng.random((n_rows, n_columns)).argsort(axis=0).astype(np.float64)


def pair_by_loops(columns, target, weight):
    """Return the strongest pair, its t-value and the largest of a single column, in float64."""
    z = columns - np.average(columns, axis=0, weights=weight)
    z /= np.sqrt(np.average(z**2, axis=0, weights=weight))
    deviation = weight * (target - np.average(target, weights=weight))

    def t_value(values):
        return abs((deviation * values).sum()) / np.sqrt((deviation**2 * values**2).sum())

    by_pair = {pair: t_value(z[:, pair[0]] * z[:, pair[1]]) for pair in combinations(range(z.shape[1]), 2)}
    pair = max(by_pair, key=by_pair.get)
    return pair, by_pair[pair], max(map(t_value, z.T))


@given(st.integers(0, 10_000), st.sampled_from([150, 600]), st.floats(0.0, 2.0), st.floats(0.0, 2.0))
def test_the_pair_is_that_of_a_loop(seed, n_rows, of_product, of_single):
    rng = np.random.default_rng(seed)
    columns, weight = ranks(rng, n_rows, 6), rng.uniform(0.5, 1.5, n_rows)
    z = 2 * columns / n_rows - 1
    target = of_product * z[:, 1] * z[:, 4] + of_single * z[:, 2] + 0.3 * rng.standard_normal(n_rows)
    pair, product, single = pair_by_loops(columns, target, weight)
    limits = math.sqrt(2 * math.log(16)) + 2.0, 0.3 * math.sqrt(n_rows), 2 / 3 * single
    found = strongest_pair(columns, target, weight)
    if product > 1.001 * max(limits):
        assert sorted(found) == list(pair)
    elif product < 0.999 * max(limits):
        assert found is None


def test_it_finds_products_and_nothing_in_noise():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        columns, weight = ranks(rng, 300, 20), np.ones(300)
        product = (columns[:, 3] - 149.5) * (columns[:, 11] - 149.5)
        assert sorted(strongest_pair(columns, product > 0, weight)) == [3, 11]
        assert strongest_pair(columns, rng.random(300) < 0.3, weight) is None
        assert strongest_pair(columns, (product > 0) + 10 * (columns[:, 5] > 150), weight) is None  # a tree sees 5


def test_of_many_rows_some_are_enough(monkeypatch):
    rng = np.random.default_rng(0)
    columns = ranks(rng, 4000, 10)
    product = (columns[:, 3] - 1999.5) * (columns[:, 8] - 1999.5)
    monkeypatch.setattr(_association, "PAIR_PRODUCTS", 400 * 10**2)
    assert sorted(strongest_pair(columns, product > 0, np.ones(4000))) == [3, 8]
    product[::10] *= -1  # the rows that count
    product[5::10] *= 0
    assert sorted(strongest_pair(columns, product, np.ones(4000))) == [3, 8]


def test_columns_of_rare_or_equal_values_are_in_no_pair():
    rng = np.random.default_rng(0)
    columns = ranks(rng, 500, 4)
    target = (columns[:, 0] > 250) ^ (columns[:, 1] > 250)
    columns[:, 2] = 7.0
    rare = columns.copy()
    rare[:, 0] = np.arange(500) < 20
    weight = np.ones(500)
    assert sorted(strongest_pair(columns, target, weight)) == [0, 1]
    assert strongest_pair(rare, (rare[:, 0] > 0) & target, weight) is None


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_scale_of_the_target_does_not_matter(scale):
    columns = ranks(np.random.default_rng(0), 300, 5)
    target = scale * np.sign((columns[:, 0] - 149.5) * (columns[:, 4] - 149.5))
    assert sorted(strongest_pair(columns, target, np.ones(300))) == [0, 4]


@pytest.mark.parametrize("n_columns", [0, 1, 3])
def test_nothing_to_find(n_columns):
    assert strongest_pair(ranks(np.random.default_rng(0), 50, n_columns), np.ones(50), np.ones(50)) is None


def test_what_a_linear_function_leaves():
    rng = np.random.default_rng(0)
    columns, target, weight = rng.normal(size=(40, 2)), rng.normal(size=40), rng.uniform(0.1, 3, 40)
    linear = LinearRegression().fit(columns, target, weight).predict(columns)
    np.testing.assert_allclose(without_linear_effects(columns, target, weight), target - linear, atol=1e-12)
