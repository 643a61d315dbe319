"""The synthetic tasks against brute-force references, and what their docstrings promise."""

from itertools import combinations
from math import prod, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsemlp.datasets import (
    make_interval_parity,
    make_sparse_parity,
    make_sparse_polynomial,
    make_staircase,
)

CLASSIFICATION_TASKS = [make_sparse_parity, make_staircase, make_sparse_polynomial, make_interval_parity]
REGRESSION_TASKS = [make_staircase, make_sparse_polynomial]

every_task = pytest.mark.parametrize("make", CLASSIFICATION_TASKS)
every_regression = pytest.mark.parametrize("make", REGRESSION_TASKS)


@st.composite
def shapes(draw, max_informative=5):
    n_features = draw(st.integers(1, 20))
    n_informative = draw(st.integers(1, min(max_informative, n_features)))
    return draw(st.integers(1, 60)), n_features, n_informative


seeds = st.integers(0, 2**32)


# The labels are what the definitions say


@given(shapes(), seeds)
def test_parity_is_the_product_of_the_support(shape, seed):
    X, y, support = make_sparse_parity(*shape, random_state=seed, return_support=True)
    assert [prod(row[j] for j in support) == 1 for row in X.tolist()] == y.tolist()


@given(shapes(), seeds, st.data())
def test_staircase_is_the_sum_of_its_steps(shape, seed, data):
    n_informative = shape[2]
    leap = data.draw(st.integers(1, n_informative))
    arguments = {"leap": leap, "random_state": seed, "return_support": True}
    X, f, support = make_staircase(*shape, regression=True, **arguments)
    X_labelled, y, _ = make_staircase(*shape, **arguments)

    ends = [end for end in range(1, n_informative + 1) if end % leap == 0 or end == n_informative]
    steps = [[prod(row[j] for j in support[:end]) for end in ends] for row in X.tolist()]
    assert f.tolist() == [sum(products) for products in steps]
    assert y.tolist() == [sum(products) > 0 or (sum(products) == 0 and products[-1] > 0) for products in steps]
    np.testing.assert_array_equal(X, X_labelled)


@given(shapes(), seeds)
def test_staircase_of_one_leap_is_the_parity(shape, seed):
    leap = shape[2]
    np.testing.assert_array_equal(
        make_staircase(*shape, leap=leap, random_state=seed)[1],
        make_sparse_parity(*shape, random_state=seed)[1],
    )


@given(shapes(), seeds, st.integers(1, 5))
def test_interval_parity_counts_the_thresholds_passed(shape, seed, n_thresholds):
    X, y, support = make_interval_parity(*shape, n_thresholds=n_thresholds, random_state=seed, return_support=True)
    assert X.min() >= -1
    assert X.max() < 1
    thresholds = [np.float32(-1 + (2 * j - 1) / n_thresholds) for j in range(1, n_thresholds + 1)]
    counts = [sum(row[j] >= t for j in support for t in thresholds) for row in X]
    assert [count % 2 for count in counts] == y.tolist()


@given(shapes(max_informative=3), seeds, st.integers(1, 4))
def test_polynomial_has_no_other_terms_than_those_of_its_degree_and_support(shape, seed, degree):
    _, n_features, n_informative = shape
    X, f, support = make_sparse_polynomial(
        200, n_features, n_informative, degree=degree, regression=True, random_state=seed, return_support=True
    )
    exponents = [a for a in np.ndindex(*[degree + 1] * n_informative) if sum(a) <= degree]
    monomials = np.column_stack([np.prod(X[:, support].astype(float) ** a, axis=1) for a in exponents])

    def residual(columns):
        return np.abs(f - columns @ np.linalg.lstsq(columns, f, rcond=None)[0]).max() / np.abs(f).max()

    assert residual(monomials) < 1e-8
    of_lower_degree = monomials[:, [sum(a) < degree for a in exponents]]
    assert residual(of_lower_degree) > 1e-6


def test_polynomial_is_centred_and_has_unit_variance():
    # Pooled over targets; a single one of degree 3 has tails too heavy for a tight bound.
    values = [
        make_sparse_polynomial(20_000, 5, 3, degree=3, regression=True, random_state=seed)[1] for seed in range(20)
    ]
    assert abs(np.mean(values)) < 0.02
    assert np.mean(np.square(values)) == pytest.approx(1, abs=0.05)


# The inputs are fair, and the label hides behind every incomplete set of them


@every_task
def test_classes_are_balanced(make):
    _, y = make(40_000, 10, 3, random_state=0)
    assert y.mean() == pytest.approx(0.5, abs=0.015)
    assert set(y.tolist()) == {0, 1}


@pytest.mark.parametrize("n_features", [1, 7, 8, 9, 50])
def test_signs_are_uniform_and_independent(n_features):
    X, _ = make_sparse_parity(40_000, n_features, 1, random_state=1)
    assert set(np.unique(X).tolist()) == {-1, 1}
    correlations = X.T @ X / len(X) - np.eye(n_features)
    assert np.abs(correlations).max() < 5.5 / sqrt(len(X))
    assert np.abs(X.mean(axis=0)).max() < 5 / sqrt(len(X))


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (make_sparse_parity, {}),
        (make_interval_parity, {"n_thresholds": 1}),
        (make_interval_parity, {"n_thresholds": 2}),
        (make_interval_parity, {"n_thresholds": 3}),
    ],
)
def test_no_incomplete_part_of_the_support_tells_the_label(make, arguments):
    X, y, support = make(60_000, 6, 3, random_state=2, return_support=True, **arguments)
    t = arguments.get("n_thresholds", 1)
    bits = np.floor((X[:, support] + 1) * t / 2 + 0.5) % 2
    for part in [*combinations(range(3), 1), *combinations(range(3), 2)]:
        agreement = (bits[:, part].sum(axis=1) % 2 == y).mean()
        assert agreement == pytest.approx(0.5, abs=0.012)


def test_staircase_labels_give_away_every_step():
    # Otherwise the label would be harder than the staircase it comes from.
    for n_informative in (3, 4, 5):
        X, y, support = make_staircase(60_000, 8, n_informative, random_state=3, return_support=True)
        for end in range(1, n_informative + 1):
            product = X[:, support[:end]].prod(axis=1)
            assert np.mean(product * (2 * y - 1)) > 0.2


def test_every_input_is_as_likely_in_the_support():
    counts = np.zeros(6)
    for seed in range(1500):
        counts[make_sparse_parity(1, 6, 2, random_state=seed, return_support=True)[2]] += 1
    # 500 expected each, standard deviation about 18
    assert np.abs(counts - 500).max() < 90


# Support, noise, random states


@every_task
@given(shape=shapes(), seed=seeds)
def test_support_has_distinct_indices_in_range(make, shape, seed):
    _, n_features, n_informative = shape
    support = make(*shape, random_state=seed, return_support=True)[2]
    assert len(set(support.tolist())) == n_informative
    assert support.min() >= 0
    assert support.max() < n_features
    if make is not make_staircase:
        assert support.tolist() == sorted(support.tolist())


@every_task
def test_support_given_back_makes_the_same_data(make):
    X, y, support = make(300, 30, 4, random_state=5, return_support=True)
    X_again, y_again, support_again = make(
        300, 30, 4, random_state=5, support=support.tolist(), return_support=True
    )
    np.testing.assert_array_equal(X, X_again)
    np.testing.assert_array_equal(y, y_again)
    np.testing.assert_array_equal(support, support_again)


@pytest.mark.parametrize("make", [make_sparse_parity, make_interval_parity, make_sparse_polynomial])
def test_own_support_is_returned_sorted(make):
    support = make(10, 8, 3, support=np.array([6, 0, 3]), random_state=0, return_support=True)[2]
    assert support.tolist() == [0, 3, 6]


def test_staircase_climbs_its_own_support_in_the_order_given():
    X, f, support = make_staircase(50, 8, 2, support=[6, 1], regression=True, random_state=0, return_support=True)
    assert support.tolist() == [6, 1]
    np.testing.assert_array_equal(f, X[:, 6] + X[:, 6] * X[:, 1])


@every_task
@given(shape=shapes(), seed=seeds, extra_rows=st.integers(1, 50))
def test_fewer_rows_are_the_first_of_more(make, shape, seed, extra_rows):
    n_samples, *rest = shape
    X, y = make(n_samples, *rest, random_state=seed)
    X_more, y_more = make(n_samples + extra_rows, *rest, random_state=seed)
    np.testing.assert_array_equal(X, X_more[:n_samples])
    np.testing.assert_array_equal(y, y_more[:n_samples])


@pytest.mark.parametrize("n_features", [3, 50])
def test_first_rows_do_not_change_where_rows_are_drawn_in_several_chunks(n_features):
    X, y = make_sparse_parity(200_000, n_features, 3, random_state=0)
    X_first, y_first = make_sparse_parity(65_537, n_features, 3, random_state=0)
    np.testing.assert_array_equal(X[:65_537], X_first)
    np.testing.assert_array_equal(y[:65_537], y_first)
    assert (X[65_536:131_072] != X[:65_536]).any()


@every_task
@pytest.mark.parametrize("flip_y", [0.1, 0.7])
def test_flip_y_flips_that_share_of_the_labels_and_nothing_else(make, flip_y):
    X, y = make(20_000, 5, 3, random_state=7)
    X_noisy, y_noisy = make(20_000, 5, 3, flip_y=flip_y, random_state=7)
    np.testing.assert_array_equal(X, X_noisy)
    assert np.mean(y != y_noisy) == pytest.approx(flip_y, abs=0.02)


@every_regression
def test_noise_has_the_standard_deviation_asked_for(make):
    X, f = make(20_000, 5, 3, regression=True, random_state=7)
    X_noisy, f_noisy = make(20_000, 5, 3, regression=True, noise=0.5, random_state=7)
    np.testing.assert_array_equal(X, X_noisy)
    assert np.std(f_noisy - f) == pytest.approx(0.5, rel=0.03)


@every_task
def test_dtypes(make):
    X, y, support = make(10, 5, 2, random_state=0, return_support=True)
    assert (X.dtype, y.dtype, support.dtype) == (np.float32, np.int64, np.int64)
    assert X.flags.c_contiguous


@every_regression
def test_regression_targets_are_float64(make):
    assert make(10, 5, 2, regression=True, random_state=0)[1].dtype == np.float64


@every_task
@pytest.mark.parametrize("generator", [np.random.default_rng, np.random.RandomState])
def test_generators_reproduce_and_advance(make, generator):
    rng = generator(3)
    first, second = make(50, 20, random_state=rng)[0], make(50, 20, random_state=rng)[0]
    np.testing.assert_array_equal(first, make(50, 20, random_state=generator(3))[0])
    assert (first != second).any()


@every_task
def test_without_random_state_every_call_differs(make):
    assert (make(50, 20)[0] != make(50, 20)[0]).any()


@every_task
@pytest.mark.parametrize("random_state", [None, 0])
def test_global_generator_is_left_alone(make, random_state):
    before = np.random.get_state(legacy=False)  # noqa: NPY002
    make(50, 20, flip_y=0.3, random_state=random_state)
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    assert before["state"]["pos"] == after["state"]["pos"]
    np.testing.assert_array_equal(before["state"]["key"], after["state"]["key"])


@every_task
def test_numpy_integers_are_integers(make):
    X, _ = make(np.int64(10), np.int32(5), np.int8(2), random_state=np.int64(0))
    np.testing.assert_array_equal(X, make(10, 5, 2, random_state=0)[0])
    X, y = make(np.int16(200), np.uint8(50), np.int8(3), random_state=0)
    np.testing.assert_array_equal(X, make(200, 50, 3, random_state=0)[0])
    np.testing.assert_array_equal(y, make(200, 50, 3, random_state=0)[1])


def test_small_integers_of_numpy_count_many_thresholds():
    ours, plain = (make_interval_parity(100, 8, 2, n_thresholds=n, random_state=0) for n in (np.int8(100), 100))
    np.testing.assert_array_equal(ours[1], plain[1])


@pytest.mark.parametrize("degree", [20, 21, 30])
def test_polynomials_of_a_degree_whose_factorial_no_integer_of_numpy_holds(degree):
    X, f = make_sparse_polynomial(10, 3, 1, degree=degree, regression=True, random_state=0)
    assert X.shape == (10, 3)
    assert np.isfinite(f).all()


# Errors name the argument, the value, and what would be right


@every_task
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, r"n_samples=0 .* at least 1"),
        ({"n_samples": 1e6}, TypeError, r"n_samples must be an integer .* got 1000000\.0"),
        ({"n_features": -2}, ValueError, r"n_features=-2 .* at least 1"),
        ({"n_informative": 0}, ValueError, r"n_informative=0 .* at least 1"),
        ({"n_informative": 11}, ValueError, r"n_informative=11 is larger than n_features=10"),
        ({"n_informative": True}, TypeError, r"n_informative must be an integer"),
        ({"flip_y": 1.0}, ValueError, r"flip_y=1.0 is not in \[0, 1\)"),
        ({"flip_y": -0.1}, ValueError, r"flip_y=-0.1 is not in \[0, 1\)"),
        ({"flip_y": float("nan")}, ValueError, r"flip_y=nan is not in \[0, 1\)"),
        ({"flip_y": "0.1"}, TypeError, r"flip_y must be a number in \[0, 1\), got '0.1'"),
        ({"support": [1, 2]}, ValueError, r"support has 2 indices but n_informative=3"),
        ({"support": [1, 2, 10]}, ValueError, r"the index 10, .* n_features=10, .* between 0 and 9"),
        ({"support": [1, -1, 2]}, ValueError, r"the index -1, .* between 0 and 9"),
        ({"support": [4, 1, 4]}, ValueError, r"the index 4 twice"),
        ({"support": [0.0, 1.0, 2.0]}, TypeError, r"support must be a list of 3 feature indices"),
        ({"support": [True, False, True]}, TypeError, r"support must be a list of 3 feature indices"),
        ({"support": 3}, TypeError, r"support must be a list of 3 feature indices .* got 3"),
        ({"random_state": -1}, ValueError, r"random_state=-1 is negative"),
        ({"random_state": "seed"}, TypeError, r"random_state must be None, an integer.* got 'seed'"),
    ],
)
def test_wrong_arguments(make, arguments, error, message):
    with pytest.raises(error, match=message):
        make(**{"n_samples": 20, "n_features": 10, "n_informative": 3} | arguments)


@every_regression
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"regression": True, "flip_y": 0.1}, r"flip_y=0.1 .* use noise"),
        ({"noise": 0.1}, r"noise=0.1 is for regression=True; use flip_y"),
        ({"regression": True, "noise": -1.0}, r"noise=-1.0 .* at least 0"),
        ({"regression": True, "noise": float("inf")}, r"noise=inf .* finite"),
    ],
)
def test_noise_that_does_not_fit_the_target(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(20, **arguments)


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (make_staircase, {"leap": 0}, r"leap=0 .* at least 1"),
        (make_staircase, {"leap": 4}, r"leap=4 is larger than n_informative=3"),
        (make_sparse_polynomial, {"degree": 0}, r"degree=0 .* at least 1"),
        (make_interval_parity, {"n_thresholds": 0}, r"n_thresholds=0 .* at least 1"),
    ],
)
def test_wrong_arguments_of_single_tasks(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(20, 10, 3, **arguments)
