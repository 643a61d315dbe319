"""Success frontiers: training against plain autograd, success and its table, errors."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.frontier_runs import CPU, QUICK, batches_of, make_setting, training_of

import sparsemlp.frontier._scheduling as batches_module
from sparsemlp import SparseInitMLP
from sparsemlp._training.losses import make_loss
from sparsemlp.frontier import Run, success_frontier
from sparsemlp.frontier._members import assembled, initial_networks, select_members
from sparsemlp.frontier._run_batch import RunBatch, train_to_success

# -- training is SGD -------------------------------------------------------------------------------------------


def untied(module):
    """Move the weights off +-1, where neurons sit on their kink and rounding decides which side they are."""
    generator = torch.Generator().manual_seed(9)
    for parameter in module.input_layer.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return module


@pytest.mark.parametrize("n_samples", [40, None])
@pytest.mark.parametrize("decay", ["coupled", "uncoupled"])
@pytest.mark.parametrize("loss_name", ["hinge", "cross_entropy", "squared"])
def test_the_first_steps_of_a_run_are_those_of_a_plain_autograd_loop(loss_name, decay, n_samples):
    setting = make_setting(loss=loss_name, n_samples=n_samples, decay=decay, learning_rate=0.03)
    runs = [Run(setting, number) for number in (4, 1, 5)]
    batches = batches_of(RunBatch(runs, CPU), 40)[1].double()
    start = untied(initial_networks(runs))
    reference = select_members(start, [1]).double()
    with torch.no_grad():
        training = RunBatch(runs, CPU, start)
        training.advance(40)

    shrinkage = 0.03 * 0.01 if decay == "coupled" else 0.01
    loss = make_loss(loss_name, n_classes=2)
    for batch in batches:
        gradients = torch.autograd.grad(
            loss.value(reference(batch[:, :-1])[0], batch[:, -1:]).mean(), list(reference.parameters())
        )
        with torch.no_grad():
            for parameter, gradient in zip(reference.parameters(), gradients, strict=True):
                parameter.mul_(1 - shrinkage).sub_(gradient, alpha=0.03)

    for ours, plain in zip(training.module.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours[1].double(), plain[0].detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("init", "init_scale"), [("ones", 0.5), ("normal", 1.0), ("sign", 2.0)])
def test_the_nonzero_weights_of_a_sparse_start_are_drawn_and_scaled_as_asked(init, init_scale):
    weight = initial_networks(
        [Run(make_setting(width=500, init=init, init_scale=init_scale), 0)]
    ).input_layer.weight
    values = weight[weight != 0]
    assert len(values) == 1000
    if init == "normal":
        assert values.std().item() == pytest.approx(1.0, abs=0.15)
    else:
        assert set(values.tolist()) == ({0.5} if init == "ones" else {2.0, -2.0})


def starting_layer(**changes):
    return initial_networks([Run(make_setting(n_features=30, width=2000, **changes), 0)]).input_layer


def test_a_dense_start_is_that_of_torchs_linear_layers_unless_its_biases_are_to_be_zero():
    start, zero_biases = (starting_layer(sparsity=None, bias_init=bias) for bias in ("auto", "zeros"))
    linear = torch.nn.Linear(30, 2000)
    for ours, torchs in ((start.weight, linear.weight), (start.bias, linear.bias)):
        assert ours.abs().max().item() == pytest.approx(30**-0.5, rel=1e-3)
        assert ours.std().item() == pytest.approx(torchs.std().item(), rel=0.05)
    assert not zero_biases.bias.any()
    assert torch.equal(zero_biases.weight, start.weight)


def test_a_sparse_start_has_zero_biases_unless_they_are_to_be_uniform():
    start, uniform = (starting_layer(bias_init=bias) for bias in ("auto", "uniform"))
    assert not start.bias.any()
    assert torch.equal(start.weight, uniform.weight)
    assert uniform.bias.abs().max().item() == pytest.approx(2**-0.5, rel=1e-2)


# -- success ---------------------------------------------------------------------------------------------------


def parity_network(support, n_features=12):
    """x_i x_j = |x_i + x_j| - 1 on signs."""
    w = torch.zeros(1, 2, n_features)
    w[0, 0, support], w[0, 1, support] = 1.0, -1.0
    return assembled([w, torch.zeros(1, 2), torch.ones(1, 1, 2), -torch.ones(1, 1)])


@torch.no_grad()
def test_errors_are_those_of_nets_that_know_the_answer():
    setting = make_setting(width=2, n_samples=1000)
    supports = [data.support for data in training_of(setting, 0, 1).data]
    right, wrong = parity_network(supports[0]), parity_network([i for i in range(12) if i not in supports[1]][:2])
    nets = assembled([torch.cat(pair) for pair in zip(right.parameters(), wrong.parameters(), strict=True)])
    training = training_of(setting, 0, 1, module=nets)
    for errors in (
        training.screen_errors(),
        [training.test_error(i) for i in (0, 1)],
        [training.train_error(i) for i in (0, 1)],
    ):
        assert errors[0] == pytest.approx(0, abs=1e-6)
        assert errors[1] == pytest.approx(0.5, abs=0.08)


def test_a_diverged_run_fails_at_the_first_look_and_leaves():
    setting = make_setting(n_samples=100, width=50, loss="squared", learning_rate=50.0)
    outcomes = train_to_success(training_of(setting, 0, 1))
    assert [(outcome.succeeded, outcome.n_steps, outcome.test_error) for outcome in outcomes] == [
        (False, 250, 1.0)
    ] * 2


def test_runs_leave_when_they_succeed_and_the_others_go_on():
    setting = make_setting(n_samples=300, width=60, max_steps=750)
    training = training_of(setting, 0, 1, 2)
    with torch.no_grad():
        training.keep([0, 2])
        assert [run.number for run in training.runs] == [0, 2]
        assert len(training.module.input_layer.weight) == 2
        training.advance(100)
        alone = training_of(setting, 2)
        alone.advance(100)
    for ours, theirs in zip(training.module.parameters(), alone.module.parameters(), strict=True):
        torch.testing.assert_close(ours[1], theirs[0], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_success_is_noted_at_the_first_look_that_shows_it():
    setting = make_setting(n_samples=300, width=60)
    ends = {}
    outcomes = train_to_success(training_of(setting, 5, 2), on_leave=ends.__setitem__)
    assert [outcome.run.number for outcome in outcomes] == [5, 2]
    for outcome in outcomes:
        assert outcome.succeeded
        replay = RunBatch([outcome.run], CPU)
        replay.advance(250)
        while replay.test_error(0) > 0.1:
            replay.advance(250)
        assert outcome.n_steps == replay.n_steps
        end = RunBatch([outcome.run], CPU, ends[outcome.run])
        assert end.test_error(0) == pytest.approx(outcome.test_error, abs=1e-6)
        assert end.train_error(0) == pytest.approx(outcome.train_error, abs=1e-6)


def test_a_run_without_success_ends_at_the_last_step():
    seen = []
    runs = success_frontier(
        15,
        5,
        n_samples=50,
        width=5,
        sparsity=2,
        n_runs=2,
        max_steps=310,
        device="cpu",
        n_threads=1,
        on_batch=seen.append,
    )
    assert not runs.succeeded.any()
    assert runs.steps_to_success.isna().all()
    assert runs.test_error.between(0.3, 0.7).all()
    assert (runs.train_error < runs.test_error).all()
    pd.testing.assert_frame_equal(seen[0], runs)


def test_curves_go_from_the_first_look_to_the_end_of_the_run():
    runs = success_frontier(n_samples=(100, 400), width=40, sparsity=2, n_runs=2, with_curves=True, **QUICK)
    for row in runs.itertuples():
        steps, train, test = row.curve.T
        end = row.steps_to_success if row.succeeded else 750
        assert steps.tolist() == [*range(250, int(end) + 1, 250)]
        assert test[-1] == row.test_error
        assert train[-1] == pytest.approx(row.train_error, abs=1e-6)
        assert (test[:-1] > 0.1).all()
    without = success_frontier(n_samples=(100, 400), width=40, sparsity=2, n_runs=2, **QUICK)
    pd.testing.assert_frame_equal(runs.drop(columns="curve"), without, check_exact=True)


def test_rows_are_in_the_order_of_the_grid():
    runs = success_frontier(n_samples=(50, 60), width=(5, 6), n_runs=2, **(QUICK | {"max_steps": 1}))
    assert runs.run.tolist() == [0, 1] * 8
    assert runs.n_samples.tolist() == [50] * 8 + [60] * 8
    assert runs.width.tolist() == [5, 5, 5, 5, 6, 6, 6, 6] * 2
    assert runs.sparsity.fillna(-1).tolist() == [2, 2, -1, -1] * 4


def test_weights_that_decay_do_not_become_denormal_numbers():
    smallest = []

    def look(run, module):
        values = torch.cat([parameter.reshape(-1) for parameter in module.parameters()])
        smallest.append(values[values != 0].abs().min().item())

    setting = make_setting(n_samples=20, n_informative=5, weight_decay=0.2, decay="uncoupled", loss="squared")
    runs = [Run(setting, 0), Run(setting, 1)]

    def work(batch, stopped):
        return train_to_success(RunBatch(batch, CPU), on_leave=look)

    batches_module.map_batches(work, runs, CPU, 1)
    assert min(smallest) >= torch.finfo(torch.float32).tiny


# -- networks of networks --------------------------------------------------------------------------------------


def test_chosen_members_compute_what_they_did():
    module = SparseInitMLP(6, 2, (8, 4), 2, n_members=3, generator=torch.Generator().manual_seed(0))
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(select_members(module, [2, 0])(x), module(x)[[2, 0]])


# -- errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_informative": 13}, "n_informative=13 is too large; it must be at most n_features=12"),
        ({"n_samples": 0}, "n_samples=0 is too small; it must be an integer of at least 1"),
        ({"width": (10, -1)}, "width=-1 is too small"),
        ({"width": 50.0}, r"width must be an integer of at least 1, got 50\.0"),
        ({"width": None}, "width must be an integer of at least 1, got None"),
        ({"width": True}, "width must be an integer of at least 1, got True"),
        ({"sparsity": 13}, "sparsity=13 is too large; it must be at most n_features=12"),
        ({"n_runs": 0}, "n_runs=0 is too small"),
        ({"max_steps": -5}, "max_steps=-5 is too small"),
        ({"batch_size": 0}, "batch_size=0 is too small"),
        ({"loss": "log"}, "loss='log' is unknown; choose 'hinge', 'cross_entropy' or 'squared'"),
        (
            {"target": "xor"},
            "target='xor' is unknown; choose 'parity', 'staircase', 'polynomial', 'interval_parity' or",
        ),
        ({"init": "zeros"}, "init='zeros' is unknown; choose 'sign', 'ones', 'normal' or 'uniform'"),
        ({"bias_init": "data"}, "bias_init='data' is unknown; choose 'auto', 'zeros' or 'uniform'"),
        ({"decay": "none"}, "decay='none' is unknown; choose 'coupled' or 'uncoupled'"),
        ({"learning_rate": 0.0}, r"learning_rate=0\.0 must be positive"),
        ({"init_scale": -1.0}, r"init_scale=-1\.0 must be positive"),
        ({"weight_decay": -0.1}, r"weight_decay=-0\.1 must not be negative"),
        ({"flip_y": 0.5}, r"flip_y=0\.5 must be at least 0 and below 0\.5"),
        ({"random_state": None}, "random_state must be an integer of at least 0, got None"),
        ({"n_samples": []}, r"n_samples=\[\] is empty; give at least one value"),
        ({"target": "polynomial", "online": True}, "target='polynomial' cannot be trained online"),
    ],
)
def test_bad_settings_are_named_before_any_training(changes, message, monkeypatch):
    monkeypatch.setattr(batches_module, "RunBatch", lambda *args: pytest.fail("trained"))
    with pytest.raises((TypeError, ValueError), match=message):
        success_frontier(**(QUICK | changes))


def test_grids_may_be_arrays():
    sizes = {"n_samples": (40, 50), "width": (5, 10), "sparsity": (1, 2)}
    short = QUICK | {"max_steps": 1}
    listed = success_frontier(n_runs=1, **sizes, **short)
    for kind in (np.array, pd.Series):
        arrays = success_frontier(n_runs=1, **{name: kind(values) for name, values in sizes.items()}, **short)
        pd.testing.assert_frame_equal(arrays, listed)


def test_threads_of_torch_are_as_before():
    before = torch.get_num_threads()
    success_frontier(n_samples=50, width=5, n_runs=1, n_threads=before + 1, **(QUICK | {"max_steps": 1}))
    assert torch.get_num_threads() == before
