"""Sparse initialisation: exactly s nonzeros, at uniformly random positions, drawn as named."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sparsemlp.init import data_bias_, fan_in_uniform_, s_hot_, torch_linear_

INITS = ["sign", "ones", "normal", "uniform"]
LEVEL = 1e-4  # of the statistical tests; their seeds are fixed, so they either always pass or never do


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(
    st.lists(st.integers(1, 4), max_size=2),
    st.integers(1, 12),
    st.integers(1, 40),
    st.sampled_from(INITS),
    st.integers(0, 2**32),
    st.data(),
)
def test_every_row_has_exactly_s_nonzeros(leading, width, n_features, init, seed, data):
    sparsity = data.draw(st.integers(1, n_features))
    weight = torch.full((*leading, width, n_features), torch.nan)
    assert s_hot_(weight, sparsity, init, generator(seed)) is weight
    assert weight.isfinite().all()
    assert (weight.count_nonzero(dim=-1) == sparsity).all()


@pytest.mark.parametrize("sparsity", [1, 2, 50])
def test_width_1e5_gets_exactly_s_signs_in_every_row(sparsity):
    weight = s_hot_(torch.empty(100_000, 50), sparsity, "sign", generator())
    assert (weight.abs().sum(dim=1) == sparsity).all()
    assert weight.unique().tolist() == ([-1, 1] if sparsity == 50 else [-1, 0, 1])


@pytest.mark.parametrize(("n_features", "sparsity"), [(5, 2), (6, 5), (20, 17)])
def test_every_subset_of_features_is_equally_likely(n_features, sparsity):
    n_subsets = math.comb(n_features, sparsity)
    counts = {}
    for seed in range(40):
        weight = s_hot_(torch.empty(5 * n_subsets, n_features), sparsity, "sign", generator(seed))
        for row in (weight != 0).numpy():
            counts[row.tobytes()] = counts.get(row.tobytes(), 0) + 1
    observed = np.zeros(n_subsets)
    observed[: len(counts)] = list(counts.values())
    assert stats.chisquare(observed).pvalue > LEVEL


@pytest.mark.parametrize("sparsity", [1, 3, 25])
def test_positions_are_uniform_over_many_seeds(sparsity):
    counts = sum(
        (s_hot_(torch.empty(3, 30), sparsity, "sign", generator(seed)) != 0).sum(0) for seed in range(500)
    )
    # sampling without replacement makes the counts less variable than a chi-square by this factor
    statistic = stats.chisquare(counts.numpy()).statistic / ((30 - sparsity) / 29)
    assert LEVEL < stats.chi2.sf(statistic, 29) < 1 - LEVEL


def test_positions_do_not_depend_on_the_neighbouring_row():
    weight = s_hot_(torch.empty(40_000, 5), 1, "ones", generator())
    position = weight.argmax(dim=1).numpy()
    table = np.zeros((5, 5))
    np.add.at(table, (position[:-1], position[1:]), 1)
    assert stats.chi2_contingency(table).pvalue > LEVEL


def test_members_draw_different_positions():
    first, second = s_hot_(torch.empty(2, 20, 30), 2, "sign", generator())
    assert ((first != 0) != (second != 0)).any()


def test_signs_are_fair():
    weight = s_hot_(torch.empty(20_000, 10), 2, "sign", generator())
    assert stats.binomtest(int((weight == 1).sum()), 40_000).pvalue > LEVEL


@pytest.mark.parametrize("sparsity", [1, 4])
@pytest.mark.parametrize(
    ("init", "distribution"),
    [("normal", stats.norm()), ("uniform", stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)))],
)
def test_random_values_have_kaiming_variance_with_s_as_fan_in(init, distribution, sparsity):
    weight = s_hot_(torch.empty(2000, 9), sparsity, init, generator())
    values = weight[weight != 0] / math.sqrt(2 / sparsity)
    assert stats.kstest(values.numpy(), distribution.cdf).pvalue > LEVEL


@pytest.mark.parametrize("init", ["normal", "uniform"])
def test_a_drawn_zero_is_replaced(init, monkeypatch):
    monkeypatch.setattr(torch, "randn", lambda shape, **kwargs: torch.zeros(shape))
    monkeypatch.setattr(torch, "rand", lambda shape, **kwargs: torch.full(shape, 0.5))
    weight = s_hot_(torch.empty(6, 8), 3, init)
    assert (weight.count_nonzero(dim=1) == 3).all()


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.integers(0, 2**32), st.data())
def test_a_row_takes_distinct_groups_and_one_column_of_each(sizes, seed, data):
    columns = data.draw(st.permutations(range(sum(sizes))))
    ends = np.cumsum(sizes)
    groups = [list(columns[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
    sparsity = data.draw(st.integers(1, len(groups)))
    weight = s_hot_(torch.empty(7, sum(sizes)), sparsity, "sign", generator(seed), column_groups=groups)
    taken = torch.stack([(weight[:, group] != 0).sum(dim=1) for group in groups])
    assert taken.max() <= 1
    assert (taken.sum(dim=0) == sparsity).all()


def test_columns_within_a_group_are_equally_likely():
    weight = s_hot_(torch.empty(30_000, 5), 1, "ones", generator(), column_groups=[[0, 3, 4], [2, 1]])
    expected = np.array([1 / 6, 1 / 4, 1 / 4, 1 / 6, 1 / 6]) * 30_000
    assert stats.chisquare(weight.sum(dim=0).numpy(), expected).pvalue > LEVEL


@pytest.mark.parametrize("init", INITS)
def test_the_same_seed_draws_the_same_weights_and_leaves_the_global_generator(init):
    state = torch.random.get_rng_state()
    first, second = (s_hot_(torch.empty(50, 20), 3, init, generator(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_other_dtypes_hold_the_same_weights():
    weights = [
        s_hot_(torch.empty(9, 9, dtype=t), 2, generator=generator()) for t in (torch.float32, torch.float64)
    ]
    assert torch.equal(weights[0].double(), weights[1])


@pytest.mark.parametrize("sparsity", [0, -1, 11])
def test_a_sparsity_out_of_range_is_an_error_with_both_numbers(sparsity):
    with pytest.raises(ValueError, match=rf"sparsity={sparsity} .*number of features, 10"):
        s_hot_(torch.empty(4, 10), sparsity)


def test_a_sparsity_above_the_number_of_groups_is_an_error():
    with pytest.raises(ValueError, match=r"sparsity=3 .* 2"):
        s_hot_(torch.empty(4, 4), 3, column_groups=[[0, 1], [2, 3]])


def test_a_group_without_columns_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"column_groups\[1\] is empty; every group needs a column"):
        s_hot_(torch.empty(4, 4), 2, column_groups=[[0, 1], [], [2, 3]])


def test_an_unknown_init_is_an_error_that_lists_the_choices():
    with pytest.raises(ValueError, match="'sgn' is unknown; choose one of 'sign', 'ones', 'normal', 'uniform'"):
        s_hot_(torch.empty(4, 10), 2, "sgn")


def test_the_dense_initialisation_is_that_of_torch_linear():
    torch_draws = torch.cat([torch.nn.Linear(7, 400).weight.detach().flatten() for _ in range(3)])
    ours = torch_linear_(torch.empty(3, 400, 7), generator())
    assert ours.abs().max() <= 1 / math.sqrt(7)
    assert stats.ks_2samp(ours.flatten().numpy(), torch_draws.numpy()).pvalue > LEVEL
    assert stats.kstest(ours.flatten().numpy(), stats.uniform(-(7**-0.5), 2 * 7**-0.5).cdf).pvalue > LEVEL


def test_biases_are_those_of_torch_linear():
    ours = fan_in_uniform_(torch.empty(3, 2000), 16, generator())
    assert stats.kstest(ours.flatten().numpy(), stats.uniform(-0.25, 0.5).cdf).pvalue > LEVEL


def test_every_data_bias_puts_the_threshold_at_a_training_row():
    rows = torch.randn(11, 6, generator=generator(1))
    weight = s_hot_(torch.empty(2, 40, 6), 2, "normal", generator(2))
    bias = data_bias_(torch.empty(2, 40), weight, rows, generator(3))
    at_rows = torch.einsum("mwf,rf->mwr", weight, rows) + bias.unsqueeze(-1)
    assert at_rows.abs().min(dim=-1).values.max() < 1e-6
    assert len(at_rows.abs().argmin(dim=-1).unique()) == 11  # of all rows


def test_data_biases_of_a_layer_in_chunks_are_those_of_the_whole(monkeypatch):
    n_features = 2**21  # two neurons a chunk
    rows = torch.randn(3, n_features, generator=generator(1))
    weight = torch.zeros(5, n_features)
    weight[:, :2] = torch.arange(10.0).view(5, 2)
    bias = data_bias_(torch.empty(5), weight, rows, generator(3))
    drawn = torch.randint(3, (5,), generator=generator(3))
    torch.testing.assert_close(bias, -(weight[:, :2] * rows[drawn, :2]).sum(dim=1))
