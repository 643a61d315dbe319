"""The theory functions against brute force: all subsets, all inputs, all resources up to a limit."""

from fractions import Fraction
from itertools import combinations, product
from math import comb

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsemlp import SparseInitMLP
from sparsemlp.theory import (
    any_lucky_probability,
    approximate_lucky_probability,
    fourier_gap,
    lucky_probability,
    over_sparse_scaling,
    population_gradient,
    sq_lower_bound,
    under_sparse_scaling,
    width_for_luck,
)

COUNTS = st.integers(1, 10**4)
DELTAS = st.floats(0.001, 0.999)


@st.composite
def tasks(draw, largest=12):
    n = draw(st.integers(1, largest))
    return n, draw(st.integers(1, n)), draw(st.integers(1, n))


# -- Proposition 3 --------------------------------------------------------------------------------------------


RESOURCES = ("n_parameters", "n_steps", "n_samples")


def is_below_the_bound(n, k, delta, resources):
    """Proposition 3 as it is written, in fractions."""
    product_of_resources = Fraction(int(np.prod([int(value) for value in resources.values()], dtype=object)))
    return product_of_resources / Fraction(str(delta)) <= Fraction(comb(n, k), 2)


def test_the_threshold_is_half_the_number_of_parities():
    n_parities = len(list(combinations(range(7), 3)))
    assert sq_lower_bound(7, 3, delta=0.5) == n_parities // 4 + 1  # the first q with q / 0.5 > 35 / 2


def test_resources_are_the_product_over_delta():
    one_by_one = sq_lower_bound(60, 4, n_parameters=3, n_steps=5, n_samples=7, delta=0.1)
    assert one_by_one == sq_lower_bound(60, 4, n_samples=105, delta=0.1) == comb(60, 4) // (2 * 1050) + 1


def test_a_setting_exactly_on_the_bound_is_below_it():
    # C(50, 3) / 2 = 9800 = 98 * 10 * 1 / 0.1, and 0.1 is no binary fraction
    assert sq_lower_bound(50, 3, n_parameters=98, n_steps=10, n_samples=1, delta=0.1) > 1
    assert sq_lower_bound(50, 3, n_parameters=99, n_steps=10, n_samples=1, delta=0.1) == 1


@given(task=tasks(60), one=COUNTS, other=COUNTS, delta=DELTAS)
def test_the_smallest_resource_is_the_first_above_the_bound(task, one, other, delta):
    n, k, _ = task
    for name in RESOURCES:
        others = dict(zip([other for other in RESOURCES if other != name], (one, other), strict=True))
        value = sq_lower_bound(n, k, **others, delta=delta)
        assert not is_below_the_bound(n, k, delta, others | {name: value})
        assert value == 1 or is_below_the_bound(n, k, delta, others | {name: value - 1})


@given(n_parameters=COUNTS, n_steps=COUNTS, n_samples=COUNTS, delta=DELTAS, task=tasks(40))
def test_below_the_bound_means_that_resources_do_not_exceed_the_threshold(
    n_parameters, n_steps, n_samples, delta, task
):
    n, k, _ = task
    resources = {"n_parameters": n_parameters, "n_steps": n_steps, "n_samples": n_samples}
    below = sq_lower_bound(n, k, **resources, delta=delta) > 1
    assert below == is_below_the_bound(n, k, delta, resources)


@given(n_parameters=COUNTS, n_steps=COUNTS, delta=DELTAS, more=st.integers(1, 100))
def test_more_of_one_resource_never_needs_more_of_another(n_parameters, n_steps, delta, more):
    samples = sq_lower_bound(100, 4, n_parameters=n_parameters, n_steps=n_steps, delta=delta)
    assert sq_lower_bound(100, 4, n_parameters=n_parameters + more, n_steps=n_steps, delta=delta) <= samples
    assert sq_lower_bound(100, 4, n_parameters=n_parameters, n_steps=n_steps + more, delta=delta) <= samples
    assert sq_lower_bound(100, 4, n_parameters=n_parameters, n_steps=n_steps, delta=delta / 2) <= samples
    assert sq_lower_bound(101, 4, n_parameters=n_parameters, n_steps=n_steps, delta=delta) >= samples


def test_the_first_gradient_of_one_neuron_tells_more_parities_apart_than_a_bound_by_width_allows():
    n = 10
    module = SparseInitMLP(n, 1, 1, 2)
    torch.nn.init.constant_(module.input_layer.bias, 3.0)  # active on all inputs
    x = torch.from_numpy(all_inputs(n)).float()
    largest = []
    for parity in range(n):  # of one input
        module.zero_grad()
        (x[:, parity] * module(x)[0, :, 0]).mean().backward()
        largest.append(module.input_layer.weight.grad.abs().argmax().item())
    assert largest == list(range(n)), "one step on all inputs, tau = 1, tells all n parities apart"
    n_parameters = sum(parameter.numel() for parameter in module.parameters())
    assert n_parameters == n + 2 + 1
    assert sq_lower_bound(n, 1, n_parameters=n_parameters) == 1
    assert sq_lower_bound(n, 1, n_parameters=1) > 1, "the width in place of the parameters would rule this out"


def test_a_large_task_does_not_overflow():
    assert sq_lower_bound(5000, 2000, delta=0.25) == comb(5000, 2000) // 8 + 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sq_lower_bound(5, 6), "n_informative=6 is too large; it must be at most n_features=5"),
        (lambda: sq_lower_bound(0, 1), "n_features=0 is too small"),
        (lambda: sq_lower_bound(9, 2, n_parameters=0), "n_parameters=0 is too small; it must be an integer of"),
        (lambda: sq_lower_bound(9, 2, n_samples=-3), "n_samples=-3 is too small"),
        (lambda: sq_lower_bound(9, 2, delta=1), "delta=1 must be a probability between"),
        (lambda: sq_lower_bound(9, 2, delta=0.0), "delta=0.0 must be a probability between"),
    ],
)
def test_resources_out_of_range_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_fractional_resource_is_a_type_error():
    with pytest.raises(TypeError, match=r"n_parameters must be an integer of at least 1, got 2\.5"):
        sq_lower_bound(9, 2, n_parameters=2.5)


# -- Theorems 4 and 5 -----------------------------------------------------------------------------------------


def test_over_sparse_resources_are_those_of_theorem_4():
    scaling = over_sparse_scaling(60, 4, 12, target_loss=0.05)
    assert scaling == pytest.approx((5**4, 3**3 * 60**2 * np.log(60), 400))


def test_small_integers_of_numpy_do_not_overflow():
    assert over_sparse_scaling(np.int32(100_000), np.int32(2), np.int32(30)) == over_sparse_scaling(100_000, 2, 30)
    assert under_sparse_scaling(np.int16(300), np.int8(4), np.int8(2)) == under_sparse_scaling(300, 4, 2)


def test_what_no_float_holds_is_infinite():
    assert over_sparse_scaling(100_000, 200, 300).width == np.inf


def test_under_sparse_resources_are_those_of_theorem_5():
    assert under_sparse_scaling(60, 6, 2) == pytest.approx((10**2, 10**3, 1))
    assert under_sparse_scaling(60, 6, 4) == pytest.approx((10**4, 10, 1))


@pytest.mark.parametrize("s", range(5, 20))
def test_theory_trades_width_for_samples_through_the_sparsity(s):
    ours, sparser = over_sparse_scaling(40, 4, s + 1), over_sparse_scaling(40, 4, s)
    assert ours.width < sparser.width
    assert ours.n_samples > sparser.n_samples


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: over_sparse_scaling(50, 3, 5), "n_informative=3 is odd; Theorem 4 is for even numbers"),
        (lambda: over_sparse_scaling(50, 4, 4), "sparsity=4 must be more than n_informative=4"),
        (lambda: over_sparse_scaling(50, 4, 51), "sparsity=51 is too large; it must be at most n_features=50"),
        (lambda: over_sparse_scaling(50, 4, 9, target_loss=0), "target_loss=0 must be a positive number"),
        (lambda: under_sparse_scaling(50, 5, 2), "n_informative=5 is odd; Theorem 5"),
        (lambda: under_sparse_scaling(50, 6, 3), "sparsity=3 is odd; Theorem 5"),
        (lambda: under_sparse_scaling(50, 4, 4), "sparsity=4 must be less than n_informative=4"),
    ],
)
def test_theorems_say_which_condition_fails(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# -- Luck -----------------------------------------------------------------------------------------------------


@given(tasks(9))
def test_luck_is_the_share_of_subsets_that_hold_the_support(task):
    n, k, s = task
    overlaps = [len(set(range(k)) & set(held)) for held in combinations(range(n), s)]
    for j in range(min(s, k) + 1):
        share = sum(overlap >= j for overlap in overlaps) / len(overlaps)
        assert lucky_probability(n, k, s, at_least=j) == pytest.approx(share, rel=1e-12)
    assert lucky_probability(n, k, s) == lucky_probability(n, k, s, at_least=min(s, k))


@given(tasks(200))
def test_the_approximation_is_symmetric_and_above_the_exact_probability(task):
    n, k, s = task
    exact = lucky_probability(n, k, s)
    assert exact <= approximate_lucky_probability(n, k, s) * (1 + 1e-12)
    assert approximate_lucky_probability(n, k, s) == approximate_lucky_probability(n, s, k)


def test_the_approximation_is_the_papers_and_tends_to_the_exact_one():
    assert approximate_lucky_probability(50, 3, 10) == pytest.approx(0.2**3)
    assert approximate_lucky_probability(50, 10, 3) == pytest.approx(0.2**3)
    assert lucky_probability(10**6, 3 * 10**5, 2) == pytest.approx(0.3**2, rel=1e-4)


def test_luck_is_that_of_the_networks_own_initialisation():
    module = SparseInitMLP(8, 1, 20_000, 3, generator=torch.Generator().manual_seed(0))
    n_held = module.input_layer.weight[0, :, :4].count_nonzero(dim=1)
    p = lucky_probability(8, 4, 3, at_least=2)
    assert (n_held >= 2).double().mean().item() == pytest.approx(p, abs=5 * np.sqrt(p * (1 - p) / 20_000))


@given(task=tasks(30), width=st.integers(1, 200))
def test_one_of_many_neurons_is_lucky_unless_all_fail(task, width):
    exact = lucky_probability(*task)
    assert any_lucky_probability(*task, width) == pytest.approx(1 - (1 - exact) ** width, abs=1e-12)


@given(task=tasks(15), probability=st.floats(0.01, 0.99))
def test_the_width_for_luck_is_the_first_that_reaches_the_probability(task, probability):
    width = width_for_luck(*task, probability=probability)
    assert any_lucky_probability(*task, width) >= probability - 1e-9
    assert width == 1 or any_lucky_probability(*task, width - 1) < probability


def test_a_probability_that_a_width_meets_exactly_needs_no_more():
    assert lucky_probability(2, 1, 1) == 0.5
    assert [width_for_luck(2, 1, 1, probability=p) for p in (0.5, 0.75, 0.875)] == [1, 2, 3]


def test_luck_that_is_all_but_certain_needs_one_neuron():
    assert any_lucky_probability(60, 30, 30, 1, at_least=1) == 1
    assert width_for_luck(60, 30, 30, at_least=1) == 1


def test_hopeless_luck_has_a_width_nevertheless():
    width = width_for_luck(2000, 1000, 1000, probability=0.5)
    assert float(Fraction(width, comb(2000, 1000))) == pytest.approx(np.log(2), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lucky_probability(10, 3, 11), "sparsity=11 is too large; it must be at most n_features=10"),
        (lambda: lucky_probability(10, 3, 2, at_least=3), "at_least=3 is too large; .* n_informative.=2"),
        (lambda: any_lucky_probability(10, 3, 2, 0), "width=0 is too small"),
        (lambda: width_for_luck(10, 3, 2, probability=1.0), r"probability=1\.0 must be a probability between"),
    ],
)
def test_luck_out_of_range_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# -- Fourier gaps ---------------------------------------------------------------------------------------------


def all_inputs(n):
    return np.array(list(product([-1.0, 1.0], repeat=n)))


def brute_force_gradient(weight, bias, support):
    """The mean over all inputs of autograd's gradient of parity * relu(w.x + b)."""
    x = torch.from_numpy(all_inputs(len(weight)))
    w = torch.tensor(weight, dtype=torch.float64, requires_grad=True)
    (x[:, support].prod(dim=1) * torch.relu(x @ w + bias)).mean().backward()
    return w.grad.numpy()


@st.composite
def neurons(draw, largest=7):
    n = draw(st.integers(1, largest))
    values = st.sampled_from([-1.0, 0.0, 0.0, 1.0, 0.25, -0.5, 2.0])
    weight = draw(st.lists(values, min_size=n, max_size=n))
    support = draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    return weight, draw(st.sampled_from([-1.0, -0.25, 0.0, 0.5, 1.0])), support


@given(neurons())
def test_the_gradient_is_autograds_over_all_inputs(neuron):
    gradient = population_gradient(*neuron)
    np.testing.assert_allclose(gradient.values, brute_force_gradient(*neuron), atol=1e-12)
    assert (gradient.standard_error == 0).all()


@given(neurons())
def test_the_gap_is_between_the_smallest_relevant_and_the_largest_irrelevant_coordinate(neuron):
    weight, _, support = neuron
    magnitude = np.abs(brute_force_gradient(*neuron))
    irrelevant = np.delete(magnitude, support).max(initial=0)
    gap = fourier_gap(*neuron)
    assert gap.smallest_relevant == pytest.approx(magnitude[support].min(), abs=1e-12)
    assert gap.largest_irrelevant == pytest.approx(irrelevant, abs=1e-12)
    assert gap.gap == pytest.approx(gap.smallest_relevant - gap.largest_irrelevant, abs=1e-12)
    assert gap.standard_error == 0
    if len(support) >= 2 and 0 in np.take(weight, support):
        assert gap.gap <= 0


def test_a_neuron_on_the_support_alone_has_the_gap_of_its_majority():
    # relu' of x1 + x2 + x3 is (1 + majority) / 2, whose coefficients of one input are 1/4; those of two are 0
    assert fourier_gap([1, 1, 1, 0, 0], 0, [0, 1]).gap == 0
    assert fourier_gap([1, 1, 0, 0, 0, 0], 0, [1, 0]).gap == 0.25


@pytest.mark.parametrize("seed", range(5))
def test_a_dense_neuron_without_bias_has_no_gradient_on_a_support_of_odd_size(seed):
    weight = np.random.default_rng(seed).uniform(-1, 1, 9)
    support = [0, 4, 7]
    without, with_bias = (population_gradient(weight, bias, support).values[support] for bias in (0.0, 1.0))
    assert without == pytest.approx(0, abs=1e-12)
    assert np.abs(with_bias).max() > 1e-3


def test_zero_weights_cost_nothing():
    weight = np.zeros(10_000)
    weight[[3, 70]] = 1
    values = population_gradient(weight, 0, [3, 70, 9000]).values
    assert np.flatnonzero(values).tolist() == [9000]
    assert values[9000] == 0.25


@pytest.mark.parametrize("missing", [False, True])
def test_sampling_agrees_with_enumeration_within_its_standard_error(missing):
    rng = np.random.default_rng(0)
    weight = rng.choice([-1.0, 1.0], 9)
    weight[7:] = 0
    support = [0, 1, 2, 8] if missing else [0, 1, 2, 3]
    exact = population_gradient(weight, 0.5, support)
    sampled = population_gradient(weight, 0.5, support, n_samples=20_000, random_state=1)
    reached = exact.values != 0
    assert reached.any()
    assert (sampled.standard_error[~reached & (weight == 0)] == 0).all()
    assert (np.abs(sampled.values - exact.values) <= 5 * sampled.standard_error + 1e-15).all()
    assert (sampled.standard_error[reached] < 0.01).all()
    gap = fourier_gap(weight, 0.5, support, n_samples=20_000, random_state=1)
    assert gap.gap == pytest.approx(fourier_gap(weight, 0.5, support).gap, abs=5 * gap.standard_error + 1e-15)


def test_standard_errors_are_the_spread_over_repetitions():
    weight, bias, support = [1.0, -2.0, 0.5, 1.5, -0.7, 1.0], 0.3, [1, 3]
    results = [
        population_gradient(weight, bias, support, n_samples=1000, random_state=seed) for seed in range(200)
    ]
    spread = np.std([result.values for result in results], axis=0)
    np.testing.assert_allclose(spread, results[0].standard_error, rtol=0.3)
    gaps = [fourier_gap(weight, bias, support, n_samples=1000, random_state=seed) for seed in range(200)]
    assert np.std([gap.gap for gap in gaps]) == pytest.approx(gaps[0].standard_error, rel=0.3)


def test_a_wide_neuron_is_sampled_and_the_seed_fixes_the_draws():
    weight = np.ones(41)
    one, same, other = (fourier_gap(weight, 0, [0, 1], random_state=seed) for seed in (0, 0, 1))
    assert one == same
    assert one.gap != other.gap
    # the coefficient of one input of a majority of 41 is C(40, 20) / 2^40, of which relu' has half
    assert one.smallest_relevant == pytest.approx(comb(40, 20) / 2**41, abs=0.01)
    assert 0 < one.standard_error < 0.01


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: population_gradient([[1, 2]], 0, [0]), r"weight has shape \(1, 2\)"),
        (lambda: population_gradient([1, np.nan], 0, [0]), "must be finite"),
        (lambda: population_gradient([1, 1], 0, [2]), "support has the index 2, but indices of 2 weights go"),
        (lambda: population_gradient([1, 1], 0, [1, 1]), "one or more distinct indices"),
        (lambda: population_gradient([1, 1], 0, []), "one or more distinct indices"),
        (lambda: fourier_gap([1, 1], 0, [0.5]), "one or more distinct indices"),
        (lambda: fourier_gap([1, 1], 0, [0], n_samples=1), "n_samples=1 is too small"),
    ],
)
def test_a_neuron_that_is_none_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("weight", "support"), [([1, 2, 3], [0]), ([1, 1, 1, 3], [0, 1]), ([2, -3, 1], [1])])
def test_sums_that_are_ties_but_for_rounding_are_ties(weight, support):
    exact = population_gradient(weight, 0, support).values
    for factor in (0.1, 0.3, 1e-7, 7e5):
        np.testing.assert_array_equal(population_gradient(factor * np.array(weight), 0, support).values, exact)
