"""Success frontiers: what a run is made of, that runs do not depend on each other, and against plain autograd."""

import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch

import sparsemlp.frontier.batches as batches_module
import sparsemlp.frontier.training as training_module
from sparsemlp import SparseInitMLP
from sparsemlp.frontier import Cell, Run, make_batches, success_frontier, train_runs
from sparsemlp.frontier.data import MAKERS, N_TEST, RunData
from sparsemlp.frontier.networks import assembled, chosen_members, initial_networks
from sparsemlp.frontier.training import ParityTraining, train_to_success
from sparsemlp.losses import make_loss
from sparsemlp.lottery import ticket_experiment

CPU = torch.device("cpu")
QUICK = {"n_features": 12, "n_informative": 2, "max_steps": 750, "device": "cpu"}


def make_cell(**changes):
    setting = {
        "n_features": 12,
        "n_informative": 2,
        "n_samples": 40,
        "width": 10,
        "batch_size": 8,
        "max_steps": 750,
    }
    return Cell(**(setting | changes))


def training_of(cell, *numbers, module=None):
    return ParityTraining([Run(cell, number) for number in numbers], CPU, module)


def batches_of(training, n_steps):
    """The rows and targets of each run's next batches, as training meets them; nothing is trained."""
    met, step = [], training.step
    training.step = lambda slot: met.append(torch.cat([slot.x, slot.target], dim=-1))
    training.advance(n_steps)
    training.step = step
    stacked = torch.stack(met).view(n_steps, len(training.runs), training.cell.batch_size, -1)
    return {run.number: stacked[:, i] for i, run in enumerate(training.runs)}


# -- runs are their own ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [40, None])
def test_a_run_has_the_same_start_data_and_batches_whatever_runs_it_shares_a_batch_with(n_samples):
    run = Run(make_cell(n_samples=n_samples), 3)
    others = [
        Run(make_cell(n_samples=n_samples, sparsity=s, n_informative=3), i) for s in (None, 4) for i in (0, 3)
    ]
    alone, among = ParityTraining([run], CPU), ParityTraining([others[0], run, *others[1:]], CPU)
    for ours, theirs in zip(alone.module.parameters(), among.module.parameters(), strict=True):
        assert torch.equal(ours[0], theirs[1])
    assert torch.equal(alone.data[0].test_x, among.data[1].test_x)
    assert np.array_equal(alone.data[0].support, among.data[1].support)
    met = torch.stack(list(batches_of(alone, 60).values()))[0]
    assert torch.equal(met, batches_of_position(among, 1, 60))


def batches_of_position(training, i, n_steps):
    training.runs[i] = Run(training.runs[i].cell, -1)
    return batches_of(training, n_steps)[-1]


@pytest.mark.parametrize("n_samples", [40, None])
def test_batches_do_not_depend_on_slots_or_on_how_many_steps_are_taken_at_a_time(monkeypatch, n_samples):
    cell = make_cell(n_samples=n_samples)
    many = batches_of(training_of(cell, 0, 1), 60)
    monkeypatch.setattr(training_module, "MAX_SLOTS", 7)
    few = training_of(cell, 0, 1)
    pieces = [batches_of(few, n) for n in (5, 40, 15)]
    for run in (0, 1):
        assert torch.equal(torch.cat([piece[run] for piece in pieces]), many[run])


@pytest.mark.parametrize("width", [10, 30])
@pytest.mark.parametrize("sparsity", [2, None])
def test_all_widths_and_sparsities_meet_the_same_data(width, sparsity):
    one, other = (RunData(Run(cell, 1)) for cell in (make_cell(), make_cell(width=width, sparsity=sparsity)))
    assert torch.equal(one.x, other.x)
    assert torch.equal(one.target, other.target)


def test_fewer_rows_are_the_first_of_more_and_test_rows_the_same():
    few, many = (RunData(Run(make_cell(n_samples=m), 0)) for m in (20, 40))
    assert torch.equal(few.x, many.x[:20])
    assert torch.equal(few.test_x, many.test_x)
    assert len(few.test_x) == N_TEST


def test_runs_differ_in_everything():
    training = training_of(make_cell(), *range(20))
    weights = training.module.input_layer.weight
    assert len({tuple(values.tolist()) for values in weights.flatten(1)}) == 20
    assert len({tuple(data.x.view(-1).tolist()) for data in training.data}) == 20
    assert len({tuple(data.support.tolist()) for data in training.data}) > 10


def test_every_pass_visits_every_row_once():
    order = RunData(Run(make_cell(n_samples=40, batch_size=8), 0)).next_rows(2 * 5).reshape(2, 40)
    assert (np.sort(order, axis=1) == np.arange(40)).all()
    assert not np.array_equal(order[0], order[1])


@pytest.mark.parametrize("online", [False, True])
def test_the_outcome_of_a_run_does_not_depend_on_other_runs_and_cells(online):
    grid = success_frontier(n_samples=(60, 200), width=(20, 40), n_runs=3, online=online, **QUICK)
    one = success_frontier(n_samples=200, width=40, sparsity=2, n_runs=2, online=online, **QUICK)
    same = grid.query("width == 40 and sparsity == 2 and run < 2")
    same = same[same.n_samples.isin([200]) | same.n_samples.isna()].reset_index(drop=True)
    pd.testing.assert_frame_equal(one, same, atol=5e-3, check_dtype=False)


def test_the_same_call_gives_the_same_rows_and_another_seed_others():
    first, again = (success_frontier(n_samples=100, width=20, n_runs=3, **QUICK) for _ in range(2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    other = success_frontier(n_samples=100, width=20, n_runs=3, random_state=1, **QUICK)
    assert not first.test_error.equals(other.test_error)


def test_a_dense_start_is_one_cell_whatever_the_sparse_weights_would_be():
    cells = {
        make_cell(sparsity=None, init=init, init_scale=scale) for init in ("sign", "ones") for scale in (1, 4)
    }
    assert cells == {make_cell(sparsity=None)}
    with pytest.raises(ValueError, match="init='half' is unknown"):
        make_cell(sparsity=None, init="half")


# -- batches --------------------------------------------------------------------------------------------------


def test_runs_share_a_batch_where_one_network_and_one_optimizer_do_for_all():
    cells = [make_cell(n_samples=m, sparsity=s, flip_y=f) for m in (20, 60) for s in (2, None) for f in (0, 0.1)]
    assert [len(batch) for batch in make_batches([Run(cell, i) for cell in cells for i in (0, 1)], CPU)] == [16]
    apart = [make_cell(), make_cell(width=11), make_cell(loss="squared"), make_cell(weight_decay=0), make_cell()]
    apart += [make_cell(max_steps=10), make_cell(learning_rate=0.2), make_cell(n_samples=None)]
    apart += [make_cell(decay="uncoupled"), make_cell(batch_size=9), make_cell(n_features=13)]
    runs = [Run(cell, i) for i, cell in enumerate(apart)]
    batches = list(make_batches(runs, CPU))
    shared = [sorted(run.number for run in batch) for batch in batches]
    assert sorted(shared) == [[0, 4], [1], [2], [3], *([i] for i in range(5, 11))]


def test_batches_fit_in_memory_and_change_no_outcome(monkeypatch):
    together = success_frontier(n_samples=200, width=30, n_runs=5, **QUICK)
    monkeypatch.setattr(batches_module, "memory_bytes", lambda device: 16_000_000)
    sizes = [len(batch) for batch in make_batches([Run(make_cell(n_samples=200), i) for i in range(50)], CPU)]
    assert sum(sizes) == 50
    assert max(sizes) * N_TEST * 12 * 4 < 4_000_000
    apart = success_frontier(n_samples=200, width=30, n_runs=5, **QUICK)
    pd.testing.assert_frame_equal(together, apart, atol=5e-3)


def test_a_batch_holds_no_more_rows_than_its_share_of_the_memory(monkeypatch):
    memory = 64_000_000
    monkeypatch.setattr(batches_module, "memory_bytes", lambda device: memory)
    batch = next(make_batches([Run(make_cell(n_samples=100_000), i) for i in range(8)], CPU))
    training = ParityTraining(batch, CPU)
    held = training.rows.nbytes + sum(data.x.nbytes + data.test_x.nbytes for data in training.data)
    assert held <= memory * batches_module.MEMORY_SHARE


def test_one_run_trains_even_where_it_is_too_large(monkeypatch):
    monkeypatch.setattr(batches_module, "memory_bytes", lambda device: 1)
    assert [len(batch) for batch in make_batches([Run(make_cell(), i) for i in range(3)], CPU)] == [1, 1, 1]


def test_progress_accounts_for_all_steps_of_all_runs():
    runs = [Run(make_cell(n_samples=m, width=width), i) for m in (30, 400) for width in (5, 40) for i in range(3)]
    over, batches = {5: 0, 40: 0}, []

    def add(cell, n_steps):
        over[cell.width] += n_steps

    outcomes = train_runs(runs, CPU, 1, on_batch=batches.append, on_progress=add)
    assert over == {5: 6 * 750, 40: 6 * 750}
    assert any(outcome.n_steps < 750 for outcome in outcomes)
    assert [outcome.run for outcome in outcomes] == runs
    trained = [outcome.run for batch in batches for outcome in batch]
    assert len(trained) == len(runs)
    assert set(trained) == set(runs)


@pytest.fixture
def ctrl_c():
    """Ctrl-C as in a terminal; a shell's background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("study", [success_frontier, ticket_experiment])
def test_ctrl_c_ends_training_at_the_next_look(study, monkeypatch):
    looks = []

    def advance(training, n_steps):
        if not looks:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        looks.append(n_steps)
        time.sleep(0.01)
        training.n_steps += n_steps

    monkeypatch.setattr(ParityTraining, "advance", advance)
    with pytest.raises(KeyboardInterrupt):
        study(12, 5, width=5, n_runs=2, max_steps=100_000, device="cpu", n_threads=2)
    assert len(looks) < 100, "each batch has 400"


@pytest.mark.parametrize("study", [success_frontier, ticket_experiment])
def test_batches_are_told_of_by_one_thread_at_a_time(study):
    inside, n_told = threading.Lock(), []

    def on_batch(table):
        assert inside.acquire(blocking=False)
        time.sleep(0.2)  # all other batches end meanwhile
        inside.release()
        n_told.append(len(table))

    study(12, 5, width=5, n_runs=4, max_steps=1, device="cpu", n_threads=4, on_batch=on_batch)
    assert len(n_told) == 4


def test_progress_and_batches_are_told_of_by_one_thread_at_a_time():
    inside = threading.Lock()

    def told(*args):
        assert inside.acquire(blocking=False)
        time.sleep(0.02)
        inside.release()

    runs = [Run(make_cell(max_steps=2), i) for i in range(4)]
    assert len(train_runs(runs, CPU, 4, on_batch=told, on_progress=told)) == 4


@pytest.fixture
def double_by_default():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("double_by_default")
@pytest.mark.parametrize("n_samples", [200, None])
@pytest.mark.parametrize("init", ["sign", "normal"])
def test_training_is_in_single_precision_whatever_torchs_default(n_samples, init):
    cells = [make_cell(n_samples=n_samples, init=init, sparsity=s, width=50) for s in (2, None)]
    runs = [Run(cell, 0) for cell in cells]
    training = ParityTraining(runs, CPU)
    assert {value.dtype for value in training.module.parameters()} == {torch.float32}
    assert all(np.isfinite(outcome.test_error) for outcome in train_to_success(training, with_curves=True))


@pytest.mark.usefixtures("double_by_default")
def test_tickets_are_trained_whatever_torchs_default():
    assert len(ticket_experiment(12, 2, width=50, n_runs=1, max_steps=250, device="cpu")) == 3


# -- training is SGD ------------------------------------------------------------------------------------------


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
    cell = make_cell(loss=loss_name, n_samples=n_samples, decay=decay, learning_rate=0.03)
    runs = [Run(cell, number) for number in (4, 1, 5)]
    batches = batches_of(ParityTraining(runs, CPU), 40)[1].double()
    start = untied(initial_networks(runs))
    reference = chosen_members(start, [1]).double()
    with torch.no_grad():
        training = ParityTraining(runs, CPU, start)
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
    weight = initial_networks([Run(make_cell(width=500, init=init, init_scale=init_scale), 0)]).input_layer.weight
    values = weight[weight != 0]
    assert len(values) == 1000
    if init == "normal":
        assert values.std().item() == pytest.approx(1.0, abs=0.15)
    else:
        assert set(values.tolist()) == ({0.5} if init == "ones" else {2.0, -2.0})


# -- targets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["hinge", "cross_entropy"])
@pytest.mark.parametrize("n_samples", [50, None])
def test_labels_are_the_product_of_the_support(n_samples, loss):
    training = training_of(make_cell(n_informative=3, n_samples=n_samples, loss=loss), 0, 1)
    for data, met in zip(training.data, batches_of(training, 5).values(), strict=True):
        sign = met[..., -1] if loss == "hinge" else 2 * met[..., -1] - 1
        assert torch.equal(met[..., data.support].prod(dim=-1), sign)
        assert torch.equal(data.test_x[:, data.support].prod(dim=-1) > 0, data.test_labels)


@pytest.mark.parametrize("target", MAKERS)
def test_rows_and_labels_are_those_of_the_data_set_of_that_name(target):
    run = Run(make_cell(target=target, n_informative=3), 2)
    x, y = MAKERS[target](N_TEST + 40, 12, 3, random_state=np.random.default_rng(run.cell.seed(2, 0)))
    data = RunData(run)
    assert np.array_equal(torch.cat([data.test_x, data.x]).numpy(), x)
    assert np.array_equal(data.test_labels.numpy(), y[:N_TEST] == 1)
    assert np.array_equal(data.target[:, 0].numpy(), 2 * y[N_TEST:] - 1)


@pytest.mark.parametrize("target", ["parity", "staircase", "interval_parity"])
def test_fresh_rows_have_the_same_hidden_target_as_the_test_rows(target):
    data = RunData(Run(make_cell(target=target, n_informative=2, n_samples=None), 0))
    x, sign = (values.flatten(0, 1).numpy() for values in data.fresh_rows(100))

    def bits(rows):
        hidden = rows[:, data.support]
        return (hidden >= -0.5) & (hidden < 0.5) if target == "interval_parity" else hidden > 0

    labels = data.test_labels.tolist()
    label_of = dict(zip(map(tuple, bits(data.test_x.numpy())), labels, strict=True))
    assert len(label_of) == 4
    assert [label_of[tuple(key)] for key in bits(x)] == (sign[:, 0] > 0).tolist()


def test_wrong_labels_are_in_the_training_rows_alone():
    clean, noisy = (RunData(Run(make_cell(n_samples=5000, flip_y=flip), 0)) for flip in (0.0, 0.2))
    assert torch.equal(clean.x, noisy.x)
    assert torch.equal(clean.test_labels, noisy.test_labels)
    assert (clean.target != noisy.target).double().mean().item() == pytest.approx(0.2, abs=0.03)
    online = RunData(Run(make_cell(n_samples=None, flip_y=0.2), 0))
    x, target = online.fresh_rows(500)
    wrong = x[..., online.support].prod(dim=-1) != target[..., 0]
    assert wrong.double().mean().item() == pytest.approx(0.2, abs=0.04)


def test_online_rows_are_fresh_and_offline_ones_come_again():
    fresh = batches_of(training_of(make_cell(n_samples=None), 0), 50)[0].flatten(0, 1)
    stored = batches_of(training_of(make_cell(), 0), 50)[0].flatten(0, 1)
    assert len(fresh.unique(dim=0)) > 350
    assert len(stored.unique(dim=0)) <= 40


# -- success --------------------------------------------------------------------------------------------------


def parity_network(support, n_features=12):
    """x_i x_j = |x_i + x_j| - 1 on signs."""
    w = torch.zeros(1, 2, n_features)
    w[0, 0, support], w[0, 1, support] = 1.0, -1.0
    return assembled([w, torch.zeros(1, 2), torch.ones(1, 1, 2), -torch.ones(1, 1)])


@torch.no_grad()
def test_errors_are_those_of_nets_that_know_the_answer():
    cell = make_cell(width=2, n_samples=1000)
    supports = [data.support for data in training_of(cell, 0, 1).data]
    right, wrong = parity_network(supports[0]), parity_network([i for i in range(12) if i not in supports[1]][:2])
    nets = assembled([torch.cat(pair) for pair in zip(right.parameters(), wrong.parameters(), strict=True)])
    training = training_of(cell, 0, 1, module=nets)
    for errors in (
        training.screen_errors(),
        [training.test_error(i) for i in (0, 1)],
        [training.train_error(i) for i in (0, 1)],
    ):
        assert errors[0] == pytest.approx(0, abs=1e-6)
        assert errors[1] == pytest.approx(0.5, abs=0.08)


def test_a_diverged_run_fails_at_the_first_look_and_leaves():
    cell = make_cell(n_samples=100, width=50, loss="squared", learning_rate=50.0)
    outcomes = train_to_success(training_of(cell, 0, 1))
    assert [(outcome.succeeded, outcome.n_steps, outcome.test_error) for outcome in outcomes] == [
        (False, 250, 1.0)
    ] * 2


def test_runs_leave_when_they_succeed_and_the_others_go_on():
    cell = make_cell(n_samples=300, width=60, max_steps=750)
    training = training_of(cell, 0, 1, 2)
    with torch.no_grad():
        training.keep([0, 2])
        assert [run.number for run in training.runs] == [0, 2]
        assert len(training.module.input_layer.weight) == 2
        training.advance(100)
        alone = training_of(cell, 2)
        alone.advance(100)
    for ours, theirs in zip(training.module.parameters(), alone.module.parameters(), strict=True):
        torch.testing.assert_close(ours[1], theirs[0], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_success_is_noted_at_the_first_look_that_shows_it():
    cell = make_cell(n_samples=300, width=60)
    ends = {}
    outcomes = train_to_success(training_of(cell, 5, 2), on_leave=ends.__setitem__)
    assert [outcome.run.number for outcome in outcomes] == [5, 2]
    for outcome in outcomes:
        assert outcome.succeeded
        replay = ParityTraining([outcome.run], CPU)
        replay.advance(250)
        while replay.test_error(0) > 0.1:
            replay.advance(250)
        assert outcome.n_steps == replay.n_steps
        end = ParityTraining([outcome.run], CPU, ends[outcome.run])
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

    cell = make_cell(n_samples=20, n_informative=5, weight_decay=0.2, decay="uncoupled", loss="squared")
    runs = [Run(cell, 0), Run(cell, 1)]

    def work(batch, stopped):
        return train_to_success(ParityTraining(batch, CPU), on_leave=look)

    batches_module.map_batches(work, runs, CPU, 1)
    assert min(smallest) >= torch.finfo(torch.float32).tiny


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
        ({"n_samples": 0}, "n_samples=0 must be a positive int"),
        ({"width": (10, -1)}, "width=-1 must be a positive int"),
        ({"width": 50.0}, r"width=50\.0 must be a positive int"),
        ({"width": None}, "width=None must be a positive int"),
        ({"width": True}, "width=True must be a positive int"),
        ({"sparsity": 13}, "sparsity=13 must be between 1 and n_features=12"),
        ({"n_runs": 0}, "n_runs=0 must be at least 1"),
        ({"max_steps": -5}, "max_steps=-5 must be a positive int"),
        ({"batch_size": 0}, "batch_size=0 must be a positive int"),
        ({"loss": "log"}, "loss='log' is unknown; choose 'hinge', 'cross_entropy' or 'squared'"),
        ({"target": "xor"}, "target='xor' is unknown; choose 'parity', 'staircase', 'polynomial' or"),
        ({"init": "zeros"}, "init='zeros' is unknown; choose 'sign', 'ones', 'normal' or 'uniform'"),
        ({"decay": "none"}, "decay='none' is unknown; choose 'coupled' or 'uncoupled'"),
        ({"learning_rate": 0.0}, r"learning_rate=0\.0 must be positive"),
        ({"init_scale": -1.0}, r"init_scale=-1\.0 must be positive"),
        ({"weight_decay": -0.1}, r"weight_decay=-0\.1 must not be negative"),
        ({"flip_y": 0.5}, r"flip_y=0\.5 must be at least 0 and below 0\.5"),
        ({"target": "polynomial", "online": True}, "target='polynomial' cannot be drawn online"),
    ],
)
def test_bad_settings_are_named_before_any_training(changes, message, monkeypatch):
    monkeypatch.setattr(batches_module, "ParityTraining", lambda *args: pytest.fail("trained"))
    with pytest.raises(ValueError, match=message):
        success_frontier(**(QUICK | changes))


def test_grids_may_be_arrays():
    sizes = {"n_samples": (40, 50), "width": (5, 10), "sparsity": (1, 2)}
    short = QUICK | {"max_steps": 1}
    listed = success_frontier(n_runs=1, **sizes, **short)
    arrays = success_frontier(n_runs=1, **{name: np.array(values) for name, values in sizes.items()}, **short)
    pd.testing.assert_frame_equal(arrays, listed)


def test_threads_of_torch_are_as_before():
    before = torch.get_num_threads()
    success_frontier(n_samples=50, width=5, n_runs=1, n_threads=before + 1, **(QUICK | {"max_steps": 1}))
    assert torch.get_num_threads() == before
