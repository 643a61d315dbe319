"""Input scaling against loops and scikit-learn, and what it does to awkward columns."""

import math
import statistics

import numpy as np
import pytest
from helpers.small import raw_table
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from scipy.stats import rankdata
from sklearn.preprocessing import QuantileTransformer, StandardScaler

import sparsemlp.preprocessing
from sparsemlp.preprocessing import InputScaler, MidRankScaler, SquashingScaler

SCALINGS = ["squash", "quantile", "both", "standard", None]
every_scaling = pytest.mark.parametrize("scaling", SCALINGS)
scale_free = pytest.mark.parametrize("scaling", ["squash", "quantile", "both", "standard"])


def random_table(n_samples=60, n_features=4, seed=0):
    return np.random.default_rng(seed).standard_t(2, (n_samples, n_features))


def by_feature(scaler, X):
    """Transform, with the columns that stem from one feature side by side."""
    return scaler.transform(X)[:, np.argsort(scaler.column_features_, kind="stable")]


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(2, 20), st.integers(1, 3)),
        elements=st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda v: round(v, 3)),
    )
)
def test_squash_is_its_formula(X):
    squashed = SquashingScaler().fit(X).transform(X)
    assert np.abs(squashed).max() <= 3
    for column, values in zip(X.T.tolist(), squashed.T, strict=True):
        low, median, high = statistics.quantiles(column, n=4, method="inclusive")
        iqr = high - low if high - low > 1e-9 else 0  # the two interpolate with different rounding
        scale = iqr or max(column) - min(column)
        z = [(value - median) / scale if scale else 0 for value in column]
        expected = [v / math.sqrt(1 + (v / 3) ** 2) for v in z]
        np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6)


@scale_free
@given(exponents=st.lists(st.integers(-30, 30), min_size=4, max_size=4))
def test_powers_of_ten_change_nothing(scaling, exponents):
    X, new = random_table(), random_table(seed=1)
    factors = np.array([10.0**exponent for exponent in exponents])
    plain = InputScaler(scaling, random_state=0).fit(X)
    scaled = InputScaler(scaling, random_state=0).fit(X * factors)
    np.testing.assert_allclose(scaled.transform(new * factors), plain.transform(new), rtol=0, atol=1e-6)


@every_scaling
def test_columns_come_out_as_finite_float32(scaling):
    X = raw_table()
    out = InputScaler(scaling, random_state=0).fit(X).transform(X)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


@scale_free
@pytest.mark.parametrize("value", [0.0, 7.0, 0.1, 1e30, -1e-30])
def test_a_constant_column_becomes_zero_whatever_comes_later(scaling, value):
    X = np.column_stack([random_table(30, 1), np.full(30, value)])
    scaler = InputScaler(scaling, random_state=0).fit(X)
    later = np.array([[0.0, value], [0.0, value + 5], [0.0, -1e20]])
    out = scaler.transform(later)[:, scaler.column_features_ == 1]
    assert (out == 0).all()


def test_the_range_stands_in_for_a_zero_interquartile_range():
    column = np.zeros(100)
    column[:4] = [2.0, 4.0, -6.0, 1.0]
    out = InputScaler("squash").fit_transform(column[:, None])[:, 0]
    z = column / 10
    np.testing.assert_allclose(out, z / np.sqrt(1 + (z / 3) ** 2), atol=1e-7)
    assert out[0] > 0.15


def test_quantile_is_scikit_learns_with_unit_variance():
    X, new = random_table(300), random_table(100, seed=1)
    reference = QuantileTransformer(n_quantiles=300).fit(X)
    out = InputScaler("quantile", random_state=0).fit(X).transform(new)
    np.testing.assert_allclose(out, (reference.transform(new) - 0.5) * math.sqrt(12), atol=1e-6)  # no value tied


@pytest.mark.parametrize("n_rows", [1001, 3000, 10_001])
def test_quantiles_are_scikit_learns_to_the_bit(n_rows):
    X = np.column_stack([random_table(n_rows), np.arange(n_rows) % 4, np.full(n_rows, 3.0)])
    reference = QuantileTransformer(n_quantiles=1000, subsample=10_000, random_state=5).fit(X)
    scaler = MidRankScaler(random_state=5).fit(X)
    np.testing.assert_array_equal(scaler.quantiles_, reference.quantiles_)
    np.testing.assert_array_equal(scaler.ranks_, reference.references_)


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=60))
def test_tied_values_take_the_middle_of_their_ranks(values):
    column = np.array(values, dtype=float)[:, np.newaxis]
    ranks = (rankdata(values) - 1) / (len(values) - 1)
    np.testing.assert_allclose(MidRankScaler().fit(column).transform(column).ravel(), ranks, atol=1e-12)


def test_values_beyond_the_training_rows_rank_first_and_last():
    scaler = MidRankScaler().fit(np.array([[0.0], [0.0], [1.0], [1.0]]))
    np.testing.assert_array_equal(scaler.transform(np.array([[-1.0], [0.5], [2.0]])).ravel(), [0, 0.5, 1])
    assert InputScaler("quantile").fit_transform(random_table(300)).var(axis=0) == pytest.approx(1, rel=0.02)


def test_standard_is_scikit_learns():
    X, new = random_table(), random_table(seed=1)
    out = InputScaler("standard").fit(X).transform(new)
    np.testing.assert_allclose(out, StandardScaler().fit(X).transform(new), atol=1e-5)


def test_standard_takes_an_integer_weight_as_repetition():
    X, weight = random_table(), np.arange(60) % 4 + 1
    weighted = InputScaler("standard").fit(X, sample_weight=weight).transform(X)
    repeated = InputScaler("standard").fit(np.repeat(X, weight, axis=0)).transform(X)
    np.testing.assert_allclose(weighted, repeated, atol=1e-6)


def test_none_leaves_values_as_they_are():
    X = random_table().astype(np.float32)
    np.testing.assert_array_equal(InputScaler(None).fit(X).transform(X), X)


def test_both_is_squash_beside_quantile():
    X = random_table()
    parts = [InputScaler(name, random_state=0).fit(X).transform(X) for name in ("squash", "quantile")]
    scaler = InputScaler("both", random_state=0).fit(X)
    np.testing.assert_array_equal(scaler.transform(X), np.hstack(parts))
    assert scaler.column_features_.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


@every_scaling
def test_a_missing_value_becomes_the_median_and_is_indicated(scaling):
    X = random_table()
    holes = X.copy()
    holes[[3, 5, 8], 1] = np.nan
    filled = holes.copy()
    filled[[3, 5, 8], 1] = np.nanmedian(holes[:, 1])
    scaler = InputScaler(scaling, random_state=0).fit(holes)
    n_plain = 8 if scaling == "both" else 4
    assert scaler.column_features_.tolist() == [*list(range(4)) * (n_plain // 4), 1]
    out = scaler.transform(holes)
    np.testing.assert_array_equal(out[:, n_plain], np.isnan(holes[:, 1]))
    plain = InputScaler(scaling, random_state=0).fit(filled)
    np.testing.assert_array_equal(out[:, :n_plain], plain.transform(filled))


@every_scaling
def test_a_value_missing_only_later_becomes_the_median_without_an_indicator(scaling):
    X = random_table()
    scaler = InputScaler(scaling, random_state=0).fit(X)
    missing, median = X[:1].copy(), X[:1].copy()
    missing[0, 2], median[0, 2] = np.nan, np.median(X[:, 2])
    np.testing.assert_array_equal(scaler.transform(missing), scaler.transform(median))


@every_scaling
def test_a_column_without_any_value_is_zero_and_has_no_indicator(scaling):
    X = random_table()
    X[:, 0] = np.nan
    scaler = InputScaler(scaling, random_state=0).fit(X)
    n_copies = 2 if scaling == "both" else 1
    assert scaler.column_features_.tolist() == [0, 1, 2, 3] * n_copies
    out = by_feature(scaler, X)
    assert np.isfinite(out).all()
    assert (out[:, :n_copies] == 0).all()


@every_scaling
def test_blocks_give_what_the_whole_table_gives(scaling, monkeypatch):
    X = raw_table()
    whole = by_feature(InputScaler(scaling, random_state=0).fit(X), X)
    monkeypatch.setattr(sparsemlp.preprocessing, "BLOCK_VALUES", 2 * len(X))
    scaler = InputScaler(scaling, random_state=0).fit(X)
    assert len(scaler.blocks_) == 3
    monkeypatch.setattr(sparsemlp.preprocessing, "BLOCK_VALUES", 7 * X.shape[1])
    np.testing.assert_array_equal(by_feature(scaler, X), whole)


@every_scaling
@pytest.mark.parametrize("layout", [sparse.csr_matrix, sparse.csr_array])
def test_a_sparse_table_gives_what_the_dense_one_gives(scaling, layout):
    X = np.nan_to_num(raw_table(), nan=0.0)
    dense = InputScaler(scaling, random_state=0).fit(X).transform(X)
    matrix = layout(X)
    np.testing.assert_array_equal(InputScaler(scaling, random_state=0).fit(matrix).transform(matrix), dense)


@every_scaling
def test_float32_gives_what_the_same_values_in_float64_give(scaling):
    X = random_table().astype(np.float32)
    single, double = (InputScaler(scaling, random_state=0).fit(x).transform(x) for x in (X, X.astype(float)))
    np.testing.assert_array_equal(single, double)


@every_scaling
def test_scaling_changes_no_value_of_the_users_table(scaling):
    X = raw_table()
    before = X.copy()
    InputScaler(scaling, random_state=0).fit(X).transform(X)
    np.testing.assert_array_equal(X, before)


def test_values_beyond_float32_are_an_error_where_nothing_scales_them():
    X = np.array([[1e300], [1.0]])
    with pytest.raises(ValueError, match="scaling=None: X has values too large for float32"):
        InputScaler(None).fit(X).transform(X)


def test_values_beyond_float32_are_an_error_where_standard_scaling_leaves_them():
    scaler = InputScaler("standard").fit(random_table())
    with pytest.raises(ValueError, match="scaling='standard': X has values too large for float32"):
        scaler.transform(np.full((1, 4), 1e39))


@pytest.mark.parametrize("scaling", ["quantile", "both"])
@pytest.mark.parametrize("n_samples", [200, 3000])
def test_float32_rows_keep_the_ranks_of_tied_values_in_float64(n_samples, scaling):
    X = raw_table(n_samples).round(1)
    scaler = InputScaler(scaling).fit(X)
    np.testing.assert_allclose(scaler.transform(X.astype(np.float32)), scaler.transform(X), atol=1e-4)


@pytest.mark.parametrize("value", [1e200, np.finfo(float).max])
def test_the_largest_numbers_are_squashed_to_the_bound(value):
    scaler = SquashingScaler().fit(random_table())
    np.testing.assert_allclose(scaler.transform(np.full((1, 4), value)), 3)
    np.testing.assert_allclose(scaler.transform(np.full((1, 4), -value)), -3)


@every_scaling
@pytest.mark.parametrize("n_columns", [3, 5])
def test_another_number_of_columns_is_an_error_with_both_numbers(scaling, n_columns):
    with pytest.raises(ValueError, match=f"X has {n_columns} columns, but InputScaler was fitted on 4"):
        InputScaler(scaling).fit(random_table()).transform(np.zeros((2, n_columns)))


@pytest.mark.parametrize("kind", [SquashingScaler, MidRankScaler])
@pytest.mark.parametrize("n_columns", [1, 3, 5])
def test_a_scaler_by_itself_refuses_another_number_of_columns(kind, n_columns):
    with pytest.raises(ValueError, match=f"X has {n_columns} columns, but {kind.__name__} was fitted on 4"):
        kind().fit(random_table()).transform(np.zeros((2, n_columns)))


def test_an_unknown_scaling_is_an_error_that_lists_the_choices():
    with pytest.raises(ValueError, match=r"scaling='minmax' is unknown; choose one of .*'squash'.*None"):
        InputScaler("minmax").fit(random_table())


@pytest.mark.parametrize(("scaling", "n_scalings"), [("both", 2), ("squash", 1), (None, 1)])
def test_views_of_a_feature_are_its_scalings_or_its_set_and_its_mean_target(scaling, n_scalings):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=400), rng.integers(0, 4, 400), np.arange(400) // 4])
    X[::7, 0] = np.nan
    for n_targets in (1, 2):
        target = rng.normal(size=(400, n_targets))
        scaler = InputScaler(scaling, categorical_features=[1, 2]).fit(X, target)
        groups = scaler.column_groups()
        assert len(groups[0]) == n_scalings + 1  # and the indicator
        assert scaler.n_views() == [n_scalings, 2, 1]  # hundred categories are rare ones: they have no set
        assert [len(group) for group in groups[1:]] == [1 + n_targets, n_targets]


def test_an_unknown_one_of_two_integer_codes_is_the_median():
    scaler = InputScaler("squash", categorical_features=[0]).fit(np.array([[0], [1], [0], [1], [0]]))
    for unknown in (np.array([[-1]]), np.array([[-1.0]])):
        np.testing.assert_array_equal(scaler.transform(unknown), scaler.transform(np.array([[0.0]])))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_ranks_of_integers_are_those_of_floats(dtype):
    X = np.array([[0], [0], [3], [7]], dtype=dtype)
    np.testing.assert_array_equal(MidRankScaler().fit_transform(X), MidRankScaler().fit_transform(X.astype(float)))
