"""Success frontiers: what a run is made of, that runs do not depend on each other, and against plain autograd."""

import numpy as np
import pandas as pd
import pytest
import torch

import sparsemlp.frontier as frontier_module
from sparsemlp import SparseInitMLP
from sparsemlp.frontier import (
    Cell,
    ParityTraining,
    assembled,
    chosen_members,
    initial_networks,
    success_frontier,
    train_to_success,
)
from sparsemlp.losses import make_loss

CPU = torch.device("cpu")
QUICK = {"n_features": 12, "n_informative": 2, "max_steps": 750, "device": "cpu"}


def make_cell(**changes):
    setting = {
        "n_features": 12,
        "n_informative": 2,
        "n_samples": 40,
        "width": 10,
        "sparsity": 2,
        "loss": "hinge",
        "learning_rate": 0.1,
        "weight_decay": 0.01,
        "batch_size": 8,
        "online": False,
        "max_steps": 750,
        "random_state": 0,
    }
    return Cell(**(setting | changes))


def batches_of(training, n_steps):
    """The rows and signs of each run's next batches, filled in as many pieces as there are slots."""
    pieces = []
    for start in range(0, n_steps, len(training.slots)):
        count = min(len(training.slots), n_steps - start)
        training._fill(count)
        shape = (count, len(training.runs), training.cell.batch_size, -1)
        pieces.append(torch.cat([training.x[:count].view(shape), training.sign[:count].view(shape)], dim=-1))
    return {run: torch.cat(pieces)[:, i].clone() for i, run in enumerate(training.runs)}


# -- runs are their own ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("online", [False, True])
def test_a_run_has_the_same_start_data_and_batches_whatever_runs_it_shares_a_batch_with(online):
    cell = make_cell(online=online)
    alone, among = ParityTraining(cell, [3], CPU), ParityTraining(cell, [7, 3, 0, 1, 2], CPU)
    for ours, theirs in zip(alone.module.parameters(), among.module.parameters(), strict=True):
        assert torch.equal(ours[0], theirs[1])
    assert torch.equal(alone.data[0].x, among.data[1].x)
    assert np.array_equal(alone.data[0].support, among.data[1].support)
    assert torch.equal(batches_of(alone, 50)[3], batches_of(among, 50)[3])


def test_batches_do_not_depend_on_the_number_of_slots(monkeypatch):
    monkeypatch.setattr(frontier_module, "MAX_SLOTS", 7)
    few = batches_of(ParityTraining(make_cell(), [0, 1], CPU), 50)
    monkeypatch.undo()
    many = batches_of(ParityTraining(make_cell(), [0, 1], CPU), 50)
    assert all(torch.equal(few[run], many[run]) for run in (0, 1))


@pytest.mark.parametrize("width", [10, 30])
@pytest.mark.parametrize("sparsity", [2, None])
def test_all_widths_and_sparsities_meet_the_same_data(width, sparsity):
    one = ParityTraining(make_cell(), [0, 1], CPU)
    other = ParityTraining(make_cell(width=width, sparsity=sparsity), [0, 1], CPU)
    for ours, theirs in zip(one.data, other.data, strict=True):
        assert torch.equal(ours.x, theirs.x)
        assert torch.equal(ours.sign, theirs.sign)


def test_fewer_rows_are_the_first_of_more():
    few, many = (ParityTraining(make_cell(n_samples=m), [0], CPU).data[0].x for m in (20, 40))
    assert torch.equal(few, many[:20])


def test_runs_differ_in_everything():
    training = ParityTraining(make_cell(), list(range(20)), CPU)
    weights, rows = training.module.input_layer.weight, torch.stack([data.x for data in training.data])
    assert len({tuple(values.tolist()) for values in weights.flatten(1)}) == 20
    assert len({tuple(values.tolist()) for values in rows.flatten(1)}) == 20
    assert len({tuple(data.support.tolist()) for data in training.data}) > 10


def test_every_pass_visits_every_row_once():
    training = ParityTraining(make_cell(n_samples=40, batch_size=8), [0], CPU)
    order = training.data[0].next_rows(2 * 5).view(2, 40)
    assert (order.sort(dim=1).values == torch.arange(40)).all()
    assert not torch.equal(order[0], order[1])


@pytest.mark.parametrize("online", [False, True])
def test_the_outcome_of_a_run_does_not_depend_on_other_runs_and_cells(online):
    grid = success_frontier(n_samples=(60, 200), width=(20, 40), n_runs=3, online=online, **QUICK)
    one = success_frontier(n_samples=200, width=40, sparsity=2, n_runs=2, online=online, **QUICK)
    same = grid.query("n_samples == 200 and width == 40 and sparsity == 2 and run < 2").reset_index(drop=True)
    pd.testing.assert_frame_equal(
        one.drop(columns="test_error"), same.drop(columns="test_error"), check_exact=True
    )
    np.testing.assert_allclose(one.test_error, same.test_error, atol=5e-3)


def test_the_same_call_gives_the_same_rows_and_another_seed_others():
    first, again = (success_frontier(n_samples=100, width=20, n_runs=3, **QUICK) for _ in range(2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    other = success_frontier(n_samples=100, width=20, n_runs=3, random_state=1, **QUICK)
    assert not first.test_error.equals(other.test_error)


def test_groups_that_share_no_memory_change_nothing(monkeypatch):
    together = success_frontier(n_samples=200, width=30, n_runs=5, **QUICK)
    monkeypatch.setattr(frontier_module, "BATCH_BYTES", 60_000)
    cell = make_cell(n_samples=200, width=30, batch_size=32)
    assert len(list(frontier_module.run_groups(cell, 5))) > 1
    apart = success_frontier(n_samples=200, width=30, n_runs=5, **QUICK)
    pd.testing.assert_frame_equal(together, apart, atol=5e-3)


# -- training is SGD ------------------------------------------------------------------------------------------


def untied(module):
    """Move the weights off +-1, where neurons sit on their kink and rounding decides which side they are."""
    generator = torch.Generator().manual_seed(9)
    for parameter in module.input_layer.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return module


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("sparsity", [2, None])
@pytest.mark.parametrize("loss_name", ["hinge", "cross_entropy", "squared"])
def test_the_first_steps_of_a_run_are_those_of_a_plain_autograd_loop(loss_name, sparsity, online):
    cell = make_cell(loss=loss_name, sparsity=sparsity, online=online, learning_rate=0.03)
    runs = [4, 1, 5]
    batches = batches_of(ParityTraining(cell, runs, CPU), 40)[1]
    start = untied(initial_networks(cell, runs))
    reference = chosen_members(start, [1]).double()
    with torch.no_grad():
        training = ParityTraining(cell, runs, CPU, start)
        training.advance(40)

    optimizer = torch.optim.SGD(reference.parameters(), lr=cell.learning_rate, weight_decay=cell.weight_decay)
    loss = make_loss(loss_name, n_classes=2)
    for batch in batches.double():
        sign = batch[:, -1:]
        target = (sign + 1) / 2 if loss_name == "cross_entropy" else sign
        optimizer.zero_grad()
        loss.value(reference(batch[:, :-1])[0], target).mean().backward()
        optimizer.step()

    for ours, plain in zip(training.module.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours[1].double(), plain[0].detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("online", [False, True])
def test_labels_are_the_product_of_the_support(online):
    training = ParityTraining(make_cell(n_informative=3, online=online), [0, 1], CPU)
    for run, data in zip(training.runs, training.data, strict=True):
        batch = batches_of(training, 5)[run]
        assert torch.equal(batch[..., data.support].prod(dim=-1), batch[..., -1])


def test_online_rows_are_fresh_and_offline_ones_come_again():
    fresh = batches_of(ParityTraining(make_cell(online=True), [0], CPU), 50)[0].flatten(0, 1)
    stored = batches_of(ParityTraining(make_cell(), [0], CPU), 50)[0].flatten(0, 1)
    assert len(fresh.unique(dim=0)) > 350
    assert len(stored.unique(dim=0)) <= 40


# -- success --------------------------------------------------------------------------------------------------


def parity_network(support, n_features=12):
    """x_i x_j = |x_i + x_j| - 1 on signs."""
    w = torch.zeros(1, 2, n_features)
    w[0, 0, support], w[0, 1, support] = 1.0, -1.0
    return assembled([w, torch.zeros(1, 2), torch.ones(1, 1, 2), -torch.ones(1, 1)])


def test_test_errors_are_those_of_nets_that_know_the_answer():
    cell = make_cell()
    supports = [data.support for data in ParityTraining(cell, [0, 1], CPU).data]
    right, wrong = parity_network(supports[0]), parity_network([i for i in range(12) if i not in supports[1]][:2])
    nets = assembled([torch.cat(pair) for pair in zip(right.parameters(), wrong.parameters(), strict=True)])
    right_error, wrong_error = ParityTraining(cell, [0, 1], CPU, nets).test_errors(full=True)
    assert right_error == 0
    assert wrong_error == pytest.approx(0.5, abs=0.025)


def test_a_diverged_run_has_failed():
    runs = success_frontier(
        n_samples=100, width=50, sparsity=2, n_runs=2, loss="squared", learning_rate=50.0, **QUICK
    )
    assert not runs.succeeded.any()
    assert (runs.test_error == 1).all()


def test_runs_leave_when_they_succeed_and_the_others_go_on():
    cell = make_cell(n_samples=300, width=60, max_steps=750)
    training = ParityTraining(cell, [0, 1, 2], CPU)
    training.module = assembled(list(training.module.parameters()))
    with torch.no_grad():
        training.keep([True, False, True])
        assert training.runs == [0, 2]
        assert len(training.module.input_layer.weight) == 2
        training.advance(100)
        alone = ParityTraining(cell, [2], CPU)
        alone.advance(100)
    for ours, theirs in zip(training.module.parameters(), alone.module.parameters(), strict=True):
        torch.testing.assert_close(ours[1], theirs[0], rtol=1e-4, atol=1e-5)


def test_success_is_noted_at_the_first_look_that_shows_it():
    cell = make_cell(n_samples=300, width=60)
    ends = {}
    outcomes = train_to_success(ParityTraining(cell, [5, 2], CPU), on_leave=ends.__setitem__)
    assert outcomes.run.tolist() == [5, 2]
    assert outcomes.succeeded.all()
    for outcome in outcomes.itertuples():
        with torch.no_grad():
            replay = ParityTraining(cell, [outcome.run], CPU)
            while replay.test_errors(full=True)[0] > 0.1:
                replay.advance(250)
        assert outcome.steps_to_success == replay.n_steps
        end = ParityTraining(cell, [outcome.run], CPU, ends[outcome.run]).test_errors(full=True)[0]
        assert end == pytest.approx(outcome.test_error, abs=1e-6)


def test_a_run_without_success_ends_at_the_last_step():
    seen = []
    runs = success_frontier(
        15, 5, n_samples=50, width=5, sparsity=2, n_runs=2, max_steps=310, device="cpu", on_cell=seen.append
    )
    assert not runs.succeeded.any()
    assert runs.steps_to_success.isna().all()
    assert runs.test_error.between(0.3, 0.7).all()
    pd.testing.assert_frame_equal(seen[0], runs)


def test_rows_are_in_the_order_of_the_grid():
    runs = success_frontier(n_samples=(50, 60), width=(5, 6), n_runs=2, **(QUICK | {"max_steps": 1}))
    assert runs.run.tolist() == [0, 1] * 8
    assert runs.n_samples.tolist() == [50] * 8 + [60] * 8
    assert runs.width.tolist() == [5, 5, 5, 5, 6, 6, 6, 6] * 2
    assert runs.sparsity.fillna(-1).tolist() == [2, 2, -1, -1] * 4


# -- networks of networks -------------------------------------------------------------------------------------


def test_chosen_members_compute_what_they_did():
    module = SparseInitMLP(6, 2, (8, 4), 2, n_members=3, generator=torch.Generator().manual_seed(0))
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(chosen_members(module, [2, 0])(x), module(x)[[2, 0]])


# -- errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_informative": 13}, "n_informative=13 is more than n_features=12"),
        ({"n_samples": 0}, "n_samples=0 must be at least 1"),
        ({"width": (10, -1)}, "width=-1 must be at least 1"),
        ({"sparsity": 13}, "sparsity=13 must be between 1 and n_features=12"),
        ({"n_runs": 0}, "n_runs=0 must be at least 1"),
        ({"max_steps": -5}, "max_steps=-5 must be at least 1"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"loss": "log"}, "loss='log' is unknown; choose 'hinge', 'cross_entropy' or 'squared'"),
        ({"learning_rate": 0.0}, r"learning_rate=0\.0 must be positive"),
        ({"weight_decay": -0.1}, r"weight_decay=-0\.1 must not be negative"),
    ],
)
def test_bad_settings_are_named_before_any_training(changes, message, monkeypatch):
    monkeypatch.setattr(frontier_module, "_train_runs", lambda *args: pytest.fail("trained"))
    with pytest.raises(ValueError, match=message):
        success_frontier(**(QUICK | changes))


def test_threads_of_torch_are_as_before():
    before = torch.get_num_threads()
    success_frontier(n_samples=50, width=5, n_runs=1, n_threads=before + 1, **(QUICK | {"max_steps": 1}))
    assert torch.get_num_threads() == before
