"""The scaling laws against references: both layers trained by a stiff solver, loops, scipy, exact power laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import minimize_scalar
from scipy.special import zeta
from scipy.stats import linregress

from sparsemlp.scaling_laws import (
    SolvableModel,
    compute_exponents,
    difficulty,
    draw_sample_limited_losses,
    fit_power_law,
    gradient_flow,
    lazy_loss,
    local_exponents,
    noise_exponent,
    online_sgd,
    sample_exponent,
    sample_limited_loss,
    solvable_model,
    straightest_range,
    time_exponent,
    width_exponent,
    width_limited_loss,
)
from sparsemlp.scaling_laws._spectrum import Bins, binned_modes

ALPHAS, BETAS = st.floats(1.05, 4), st.floats(0.05, 3)
HARD, EASY, SUPER_EASY = (1.5, 0.5), (1.5, 1.2), (1.5, 1.8)


# -- Exponents --------------------------------------------------------------------------------------------------


@given(beta=BETAS)
def test_rich_is_faster_for_hard_tasks_only_and_never_twice_as_fast(beta):
    lazy, rich = time_exponent(beta), time_exponent(beta, rich=True)
    if beta < 1:
        assert lazy < rich < 2 * lazy
        assert rich == pytest.approx(2 * beta / (1 + beta))
    else:
        assert rich == lazy


@given(alpha=ALPHAS, beta=BETAS, rich=st.booleans())
def test_the_best_split_of_compute_is_where_both_bottlenecks_are_equal(alpha, beta, rich):
    found = compute_exponents(alpha, beta, rich=rich)
    assert found.width + found.time == pytest.approx(1)
    assert found.loss == pytest.approx(found.time * time_exponent(beta, rich=rich))
    floor = found.width * width_exponent(alpha, beta)
    approach = found.width + (1 - 1 / alpha) * found.time  # of N^-1 t^-(1 - 1/alpha)
    if beta < 1:
        assert found.loss == pytest.approx(floor)
    else:
        assert found.loss == pytest.approx(approach)
        assert floor >= found.loss * (1 - 1e-9), "the floor is not what stops an easy task"


def best_width(alpha, beta, compute):
    """The logarithms of the best width for a compute, and of its loss, from the deterministic equivalent."""

    def log_loss(log_width):
        width = round(np.exp(log_width))
        return np.log(lazy_loss(alpha, beta, width, [compute / width])[0])

    bounds = np.log(compute) * np.array([0.1, 0.8])
    best = minimize_scalar(log_loss, bounds=bounds, method="bounded", options={"xatol": 1e-3})
    return best.x, best.fun


@pytest.mark.parametrize("task", [HARD, (2.0, 0.75), EASY, (2.5, 1.3), SUPER_EASY, (1.5, 3.0)], ids=str)
def test_compute_exponents_are_those_of_the_deterministic_equivalent_at_large_compute(task):
    low, high = (best_width(*task, compute) for compute in (1e11, 1e13))
    width, loss = (np.subtract(high, low) / np.log(100)).tolist()
    expected = compute_exponents(*task)
    assert -loss == pytest.approx(expected.loss, rel=0.01)
    assert width == pytest.approx(expected.width, rel=0.02)


@given(alpha=ALPHAS)
def test_difficulty_changes_at_one_and_at_two_minus_one_over_alpha(alpha):
    edge = 2 - 1 / alpha
    names = [difficulty(alpha, beta) for beta in (0.999, 1.0, edge - 1e-9, edge + 1e-9)]
    assert names == ["hard", "easy", "easy", "super-easy"]


# -- Model ------------------------------------------------------------------------------------------------------


def test_the_loss_starts_at_the_variance_of_the_target():
    for model in (solvable_model(*HARD), solvable_model(*HARD, width=40, n_instances=3, random_state=0)):
        assert gradient_flow(model, [0.0]) == pytest.approx(1.0)


def test_bins_of_modes_hold_all_of_the_spectrum():
    alpha, beta = 1.7, 0.6
    model = solvable_model(alpha, beta, n_modes=5000)
    k = np.arange(1.0, 5001)
    share = k ** -(alpha * beta + 1) / zeta(alpha * beta + 1)
    times = np.geomspace(1e-1, 1e5, 13)
    mode_by_mode = [(share * np.exp(-2 * k**-alpha * t)).sum() + model.floor[0] for t in times]
    assert gradient_flow(model, times)[0] == pytest.approx(np.array(mode_by_mode), rel=1e-3)
    assert model.floor[0] == pytest.approx(1 - share.sum())
    assert model.rates.shape[1] < 400


def test_a_finite_network_is_the_least_squares_problem_on_its_features():
    # Modes one by one, and none beyond, so that the floor can be had from normal equations.
    alpha, beta, width, n_modes = 2.0, 0.5, 5, 4000
    model = solvable_model(alpha, beta, width=width, n_modes=n_modes, random_state=3)
    rng = np.random.default_rng(3)
    k = np.arange(1.0, n_modes + 1)
    features = rng.standard_normal((width, n_modes))
    target = np.sqrt(k ** (alpha - alpha * beta - 1) / zeta(alpha * beta + 1))
    root = k ** (-alpha / 2)
    solution = np.linalg.lstsq((features * root).T, root * target, rcond=None)[0]
    floor = ((root * (target - features.T @ solution)) ** 2).sum()
    # What lies beyond is 0.02 % of the target's variance, and as much of the features'.
    assert model.floor[0] == pytest.approx(floor, abs=2e-3)
    assert model.rates.sum() == pytest.approx((features**2 * k**-alpha).sum() / width, rel=1e-3)


@pytest.mark.parametrize("task", [HARD, EASY])
def test_draws_scatter_about_the_deterministic_equivalents(task):
    floors = solvable_model(*task, width=64, n_instances=48, random_state=0).floor
    losses = draw_sample_limited_losses(*task, 64, n_instances=48, random_state=0)
    for drawn, expected in ((floors, width_limited_loss(*task, 64)), (losses, sample_limited_loss(*task, 64))):
        error = drawn.std(ddof=1) / np.sqrt(len(drawn))
        assert abs(drawn.mean() - expected) < 5 * error + 0.01 * expected  # equivalents are for large sizes


@pytest.mark.parametrize("alpha", [1.5, 2.5])
@pytest.mark.parametrize("beta", [0.3, 0.7, 1.5, 2.5])
def test_equivalents_end_in_the_exponents(alpha, beta):
    sizes = [10**6, 10**7]
    for loss, exponent in ((width_limited_loss, width_exponent), (sample_limited_loss, sample_exponent)):
        losses = [loss(alpha, beta, n) for n in sizes]
        assert np.log10(losses[0] / losses[1]) == pytest.approx(exponent(alpha, beta), rel=0.02)


@pytest.mark.parametrize("task", [HARD, EASY, SUPER_EASY])
def test_instances_scatter_about_the_lazy_loss_at_every_time(task):
    times = np.geomspace(0.1, 1e5, 7)
    losses = gradient_flow(solvable_model(*task, width=64, n_instances=48, random_state=0), times)
    error = losses.std(axis=0, ddof=1) / np.sqrt(len(losses))
    expected = lazy_loss(*task, 64, times)
    assert (abs(losses.mean(axis=0) - expected) < 5 * error + 0.01 * expected).all()


@pytest.mark.parametrize("task", [HARD, EASY, SUPER_EASY])
def test_the_lazy_loss_tends_to_that_of_infinite_width_and_to_that_of_infinite_time(task):
    times = np.geomspace(0.1, 1e4, 6)
    assert lazy_loss(*task, 10**12, times) == pytest.approx(
        gradient_flow(solvable_model(*task), times)[0], rel=1e-4
    )
    assert lazy_loss(*task, 64, [1e12]) == pytest.approx(width_limited_loss(*task, 64), rel=1e-9)


# -- Gradient flow and SGD --------------------------------------------------------------------------------------


def both_layers(model, instance, richness, times):
    """Train w and the hidden layer by an adaptive stiff solver, and return the losses of one instance."""
    rates, targets = model.rates[instance], model.targets[instance]
    n = len(rates)

    def velocity(_, state):
        w, hidden = state[:n], state[n:].reshape(n, n)
        h = rates * (targets - hidden.T @ w)
        return np.concatenate([hidden @ h, richness * np.outer(w, h).ravel()])

    start = np.concatenate([np.zeros(n), np.eye(n).ravel()])
    states = solve_ivp(velocity, (0, times[-1]), start, "LSODA", times, rtol=1e-9, atol=1e-12).y.T
    b = np.array([state[n:].reshape(n, n).T @ state[:n] for state in states])
    return model.floor[instance] + (rates * (targets - b) ** 2).sum(axis=1)


@pytest.mark.parametrize("richness", [0.0, 0.1, 1.0, 100.0])
def test_gradient_flow_is_that_of_both_layers(richness):
    model = solvable_model(*HARD, width=6, n_instances=2, random_state=0)
    times = np.geomspace(1e-2, 1e3, 12)
    losses = gradient_flow(model, times, richness=richness, rtol=1e-5)
    for i in range(2):
        assert losses[i] == pytest.approx(both_layers(model, i, richness, times), rel=1e-4)


def test_steps_are_of_third_order():
    model = solvable_model(*HARD, width=10, random_state=0)
    times = np.geomspace(1e-1, 1e2, 5)
    exact = gradient_flow(model, times, richness=1.0, rtol=1e-7)
    errors = [abs(gradient_flow(model, times, richness=1.0, rtol=rtol) / exact - 1).max() for rtol in (1e-3, 1e-5)]
    assert errors[0] < 1e-2
    assert errors[1] < errors[0] / 10


def test_losses_of_easy_tasks_keep_their_digits_to_the_end():
    model = solvable_model(2.0, 1.5)
    exact = gradient_flow(model, [1e10])[0, 0]
    assert gradient_flow(model, [1e10], richness=1e-12)[0, 0] == pytest.approx(exact, rel=1e-3)


def test_instances_do_not_depend_on_each_other():
    both = solvable_model(*HARD, width=10, n_instances=2, random_state=0)
    one = SolvableModel(*HARD, 10, both.rates[1:], both.targets[1:], both.floor[1:])
    times = np.geomspace(0.1, 1e3, 5)
    # Steps are chosen for all instances together, so that they differ within the tolerance.
    assert gradient_flow(both, times, richness=1.0)[1] == pytest.approx(
        gradient_flow(one, times, richness=1.0)[0], rel=1e-3
    )


@pytest.mark.parametrize("beta", [0.25, 0.5, 0.75])
def test_hard_tasks_are_learned_faster_when_rich(beta):
    model = solvable_model(1.5, beta)
    times = np.geomspace(1e9, 1e11, 9)
    lazy, rich = (fit_power_law(times, gradient_flow(model, times, richness=r)).decay.value for r in (0.0, 10.0))
    assert lazy == pytest.approx(time_exponent(beta), rel=0.005)
    assert rich == pytest.approx(time_exponent(beta, rich=True), rel=0.005)


@pytest.mark.parametrize("richness", [1.0, 10.0])
def test_rich_training_on_finitely_many_samples_ends_at_the_lazy_interpolation(richness):
    rng = np.random.default_rng(0)
    n_samples, n_modes = 8, 30
    eigenvalues = np.arange(1.0, n_modes + 1) ** -1.5
    target = rng.standard_normal(n_modes)
    samples = rng.standard_normal((n_samples, n_modes)) * np.sqrt(eigenvalues)
    labels = samples @ target
    w, hidden = np.zeros(n_modes), np.eye(n_modes)
    for _ in range(20_000):
        gradient = samples.T @ (labels - samples @ (hidden.T @ w)) / n_samples
        w, hidden = w + 0.02 * hidden @ gradient, hidden + 0.02 * richness * np.outer(w, gradient)
    found = hidden.T @ w
    assert np.linalg.norm(hidden - np.eye(n_modes)) > 0.5  # features did move
    assert found == pytest.approx(np.linalg.pinv(samples) @ labels, abs=1e-6)


@pytest.mark.parametrize("richness", [0.0, 1.0])
def test_sgd_follows_both_layers_by_hand(richness):
    model = solvable_model(*HARD, width=4, random_state=0)
    found = online_sgd(model, [0, 1, 3], learning_rate=0.1, batch_size=5, richness=richness, random_state=7)
    rng = np.random.default_rng(7)
    rates, targets, floor = model.rates[0], model.targets[0], model.floor[0]
    w, hidden, expected = np.zeros(4), np.eye(4), []
    for step in range(4):
        if step in (0, 1, 3):
            expected.append(floor + (rates * (targets - hidden.T @ w) ** 2).sum())
        phi = rng.standard_normal((5, 4)) * np.sqrt(rates)
        y = phi @ targets + np.sqrt(floor) * rng.standard_normal(5)
        residual = y - phi @ (hidden.T @ w)
        w_gradient = np.mean([r * hidden @ x for r, x in zip(residual, phi, strict=True)], axis=0)
        hidden_gradient = np.mean([r * np.outer(w, x) for r, x in zip(residual, phi, strict=True)], axis=0)
        w, hidden = w + 0.1 * w_gradient, hidden + 0.1 * richness * hidden_gradient
    assert found.losses[0] == pytest.approx(np.array(expected), rel=1e-10)
    assert found.times == pytest.approx([0, 0.1, 0.3])


def test_sgd_with_small_steps_is_gradient_flow():
    model = solvable_model(*HARD, width=8, n_instances=4, random_state=1)
    sgd = online_sgd(model, [500, 5000], learning_rate=0.002, batch_size=64, richness=2.0, random_state=0)
    assert sgd.losses == pytest.approx(gradient_flow(model, sgd.times, richness=2.0), rel=0.05)


def mean_sgd(modes, learning_rate, batch_size, steps):
    """The mean loss of lazy online SGD, from the recursion of the second moments of its errors."""
    shares, losses, done = modes.shares, [], 0
    kept = 1 - 2 * learning_rate * modes.eigenvalues
    kept += (1 + 1 / batch_size) * (learning_rate * modes.eigenvalues) ** 2
    noise = modes.sizes * (learning_rate * modes.eigenvalues) ** 2 / batch_size
    for end in steps:
        for _ in range(done, end):
            shares = kept * shares + noise * (shares.sum() + modes.unlearned)
        losses.append(shares.sum() + modes.unlearned)
        done = end
    return np.array(losses)


def test_the_mean_of_sgd_is_that_of_its_second_moments():
    one = solvable_model(*HARD, width=20, random_state=0)
    repeated = (np.repeat(values, 400, axis=0) for values in (one.rates, one.targets, one.floor))
    losses = online_sgd(
        SolvableModel(*HARD, 20, *repeated), [10, 100], learning_rate=0.1, batch_size=2, random_state=0
    ).losses
    modes = Bins(np.ones(20), one.rates[0], one.rates[0] * one.targets[0] ** 2, one.floor[0])
    error = losses.std(axis=0) / np.sqrt(400)
    assert (abs(losses.mean(axis=0) - mean_sgd(modes, 0.1, 2, [10, 100])) < 5 * error).all()


def test_noise_decides_how_fast_sgd_learns_super_easy_tasks():
    alpha, beta = 1.5, 2.5
    steps = np.unique(np.geomspace(3e3, 3e4, 9).astype(int))
    losses = mean_sgd(binned_modes(alpha, beta, 10**7), 0.2, 1, steps)
    exponent = fit_power_law(steps, losses).decay.value
    assert exponent == pytest.approx(noise_exponent(alpha), rel=0.01)
    assert exponent < 0.6 * time_exponent(beta)


def test_sgd_that_diverges_has_an_infinite_loss():
    model = solvable_model(*HARD, width=4, random_state=0)
    found = online_sgd(model, [3000], learning_rate=20.0, batch_size=2, richness=1.0, random_state=0)
    assert np.isinf(found.losses).all()


# -- Fits -------------------------------------------------------------------------------------------------------


@given(exponent=st.floats(-3, 3), prefactor=st.floats(1e-3, 1e3), n=st.integers(4, 30))
def test_a_power_law_is_fitted_exactly(exponent, prefactor, n):
    x = np.geomspace(0.5, 100, n)
    law = fit_power_law(x, prefactor * x**exponent)
    assert law.exponent == pytest.approx(exponent, abs=1e-9)
    assert law.prefactor == pytest.approx(prefactor)
    assert law.low == pytest.approx(law.high, abs=1e-6)
    assert law.predict(7.0) == pytest.approx(prefactor * 7**exponent)


def test_one_curve_is_fitted_as_scipy_does_within_the_range():
    rng = np.random.default_rng(0)
    x = np.geomspace(1, 1e4, 41)
    y = x**-0.5 * np.exp(0.1 * rng.standard_normal(41))
    law = fit_power_law(x, y, x_min=10, x_max=1000)
    inside = (x >= 9.99) & (x <= 1001)
    expected = linregress(np.log(x[inside]), np.log(y[inside]))
    assert law.exponent == pytest.approx(expected.slope)
    assert law.n_points == inside.sum()
    assert law.decay.low < 0.5 < law.decay.high


def test_intervals_cover_the_exponent_as_often_as_they_say():
    rng = np.random.default_rng(0)
    x = np.geomspace(1, 1e3, 16)
    exponents = 0.5 + 0.05 * rng.standard_normal((400, 6, 1))  # each instance has its own
    laws = [fit_power_law(x, x**-group, confidence=0.9) for group in exponents]
    covered = sum(law.decay.low < 0.5 < law.decay.high for law in laws)
    assert abs(covered - 360) < 5 * np.sqrt(400 * 0.9 * 0.1)


def test_drift_within_the_range_widens_the_interval():
    x = np.geomspace(1, 1e4, 41)
    bent = np.exp(-0.5 * np.log(x) - 0.02 * np.log(x) ** 2)
    law = fit_power_law(x, np.stack([bent, 1.1 * bent]))
    slopes = local_exponents(x, bent)
    assert law.high - law.low > 0.1 * (slopes.max() - slopes.min())


@settings(max_examples=30)
@given(onset=st.floats(0.3, 3), exponent=st.floats(0.3, 1.5), floor=st.floats(1e-8, 1e-6))
def test_the_straightest_range_lies_between_transient_and_floor(onset, exponent, floor):
    x = np.geomspace(1e-2, 1e8, 161)
    y = (1 + x / onset) ** -exponent + floor
    low, high = straightest_range(x, y, floor=floor)
    assert low > onset
    assert np.interp(high, x, y) >= 10 * floor * (1 - 1e-9)
    assert fit_power_law(x, y, x_min=low, x_max=high).decay.value == pytest.approx(exponent, rel=0.05)


def test_the_straightest_range_is_found_in_noisy_curves_too():
    x = np.geomspace(1e-2, 1e6, 161)
    for seed in range(100):
        noise = np.random.default_rng(seed).normal(size=161)
        low, high = straightest_range(x, np.exp(0.05 * noise) / (1 + x))
        assert np.log10(high / low) == pytest.approx(2)


def test_local_exponents_of_a_law_are_its_exponent():
    x = np.geomspace(1, 100, 9)
    assert local_exponents(x, np.stack([x**-0.4, 2 * x**-0.7])) == pytest.approx(
        np.repeat([[0.4], [0.7]], 9, axis=1)
    )


# -- Bad input --------------------------------------------------------------------------------------------------

MODEL = solvable_model(*HARD, width=4, random_state=0)
X = np.geomspace(1, 10, 5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: solvable_model(1.0, 0.5), "alpha=1.0 must be a finite number above 1"),
        (lambda: width_exponent(0.9, 0.5), "alpha=0.9"),
        (lambda: difficulty(float("inf"), 0.5), "alpha=inf"),
        (lambda: time_exponent(0.0), "beta=0.0 must be a finite number above 0"),
        (lambda: compute_exponents(1.5, -1), "beta=-1"),
        (lambda: sample_exponent(1.5, float("nan")), "beta=nan"),
        (
            lambda: gradient_flow(MODEL, [1.0], richness=-0.1),
            "richness=-0.1 must be a finite number of at least 0",
        ),
        (lambda: online_sgd(MODEL, [1], learning_rate=0.1, richness=-1), "richness=-1"),
        (lambda: gradient_flow(MODEL, [2.0, 1.0]), "times must increase"),
        (lambda: gradient_flow(MODEL, [-1.0, 1.0]), "at least 0"),
        (lambda: gradient_flow(MODEL, [1.0], rtol=0), "rtol=0"),
        (lambda: solvable_model(*HARD, width=0), "width=0"),
        (
            lambda: solvable_model(*HARD, width=10, n_modes=5),
            "n_modes=5 is too small; it must be an integer of at least 10",
        ),
        (lambda: solvable_model(*HARD, n_instances=2), "n_instances=2 must be 1 at infinite width"),
        (lambda: online_sgd(solvable_model(*HARD), [1], learning_rate=0.1), "pass width to solvable_model"),
        (lambda: online_sgd(MODEL, [1.5], learning_rate=0.1), "steps must be whole numbers"),
        (lambda: online_sgd(MODEL, [1], learning_rate=0), "learning_rate=0"),
        (lambda: width_limited_loss(*HARD, 0), "width=0"),
        (lambda: width_limited_loss(*HARD, 10**15), "no kappa is found .* far fewer than"),
        (lambda: width_limited_loss(500, 0.5, 10), "alpha not so large"),
        (lambda: lazy_loss(*HARD, 10, [0.0, 1.0]), "times must be above 0, got 0; at time 0 the loss is 1"),
        (lambda: noise_exponent(1.0), "alpha=1.0 must be a finite number above 1"),
        (lambda: fit_power_law(X, X, x_min=5), "at least 4 points, but 2 of 5 lie between x_min=5 and x_max=10"),
        (lambda: fit_power_law(X[:3], X[:3]), "at least 4 numbers"),
        (lambda: fit_power_law(X, X - 1), "y must be finite and above 0"),
        (lambda: fit_power_law(X, X[:4]), r"y has shape \(4,\)"),
        (lambda: fit_power_law(X, X, confidence=1), "confidence=1"),
        (lambda: straightest_range(X, np.ones(5)), "measure over a longer range"),
    ],
)
def test_bad_input_is_one_clear_error(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("width", [2.5, "10", True, None])
def test_a_count_that_is_no_integer_is_a_type_error(width):
    with pytest.raises(TypeError, match=f"width must be an integer of at least 1, got {width!r}"):
        width_limited_loss(*HARD, width)
