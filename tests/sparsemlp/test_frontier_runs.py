"""What a run of a frontier is made of: its data, and that runs do not depend on each other."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.frontier_runs import CPU, QUICK, batches_of, make_setting, training_of

import sparsemlp.frontier._run_batch as training_module
from sparsemlp.frontier import Run, success_frontier
from sparsemlp.frontier._run_batch import RunBatch
from sparsemlp.frontier._run_data import N_TEST, RunData
from sparsemlp.frontier._runs import MAKERS

# -- runs are their own ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [40, None])
def test_a_run_has_the_same_start_data_and_batches_whatever_runs_it_shares_a_batch_with(n_samples):
    run = Run(make_setting(n_samples=n_samples), 3)
    others = [
        Run(make_setting(n_samples=n_samples, sparsity=s, n_informative=3), i) for s in (None, 4) for i in (0, 3)
    ]
    alone, among = RunBatch([run], CPU), RunBatch([others[0], run, *others[1:]], CPU)
    for ours, theirs in zip(alone.module.parameters(), among.module.parameters(), strict=True):
        assert torch.equal(ours[0], theirs[1])
    assert torch.equal(alone.data[0].test_x, among.data[1].test_x)
    assert np.array_equal(alone.data[0].support, among.data[1].support)
    met = torch.stack(list(batches_of(alone, 60).values()))[0]
    assert torch.equal(met, batches_of_position(among, 1, 60))


def batches_of_position(training, i, n_steps):
    training.runs[i] = Run(training.runs[i].setting, -1)
    return batches_of(training, n_steps)[-1]


@pytest.mark.parametrize("n_samples", [40, None])
def test_batches_do_not_depend_on_slots_or_on_how_many_steps_are_taken_at_a_time(monkeypatch, n_samples):
    setting = make_setting(n_samples=n_samples)
    many = batches_of(training_of(setting, 0, 1), 60)
    monkeypatch.setattr(training_module, "MAX_POOL_BATCHES", 7)
    few = training_of(setting, 0, 1)
    pieces = [batches_of(few, n) for n in (5, 40, 15)]
    for run in (0, 1):
        assert torch.equal(torch.cat([piece[run] for piece in pieces]), many[run])


@pytest.mark.parametrize("width", [10, 30])
@pytest.mark.parametrize("sparsity", [2, None])
def test_all_widths_and_sparsities_meet_the_same_data(width, sparsity):
    one, other = (
        RunData(Run(setting, 1)) for setting in (make_setting(), make_setting(width=width, sparsity=sparsity))
    )
    assert torch.equal(one.x, other.x)
    assert torch.equal(one.target, other.target)


def test_fewer_rows_are_the_first_of_more_and_test_rows_the_same():
    few, many = (RunData(Run(make_setting(n_samples=m), 0)) for m in (20, 40))
    assert torch.equal(few.x, many.x[:20])
    assert torch.equal(few.test_x, many.test_x)
    assert len(few.test_x) == N_TEST


def test_runs_differ_in_everything():
    training = training_of(make_setting(), *range(20))
    weights = training.module.input_layer.weight
    assert len({tuple(values.tolist()) for values in weights.flatten(1)}) == 20
    assert len({tuple(data.x.view(-1).tolist()) for data in training.data}) == 20
    assert len({tuple(data.support.tolist()) for data in training.data}) > 10


def test_every_pass_visits_every_row_once():
    order = RunData(Run(make_setting(n_samples=40, batch_size=8), 0)).next_rows(2 * 5).reshape(2, 40)
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
    settings = {
        make_setting(sparsity=None, init=init, init_scale=scale) for init in ("sign", "ones") for scale in (1, 4)
    }
    assert settings == {make_setting(sparsity=None)}
    assert make_setting(sparsity=None, bias_init="uniform") == make_setting(sparsity=None)
    assert make_setting(sparsity=None, bias_init="zeros") != make_setting(sparsity=None)
    assert make_setting(bias_init="zeros") == make_setting()
    with pytest.raises(ValueError, match="init='half' is unknown"):
        make_setting(sparsity=None, init="half")


# -- targets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["hinge", "cross_entropy"])
@pytest.mark.parametrize("n_samples", [50, None])
def test_labels_are_the_product_of_the_support(n_samples, loss):
    training = training_of(make_setting(n_informative=3, n_samples=n_samples, loss=loss), 0, 1)
    for data, met in zip(training.data, batches_of(training, 5).values(), strict=True):
        sign = met[..., -1] if loss == "hinge" else 2 * met[..., -1] - 1
        assert torch.equal(met[..., data.support].prod(dim=-1), sign)
        assert torch.equal(data.test_x[:, data.support].prod(dim=-1) > 0, data.test_labels)


@pytest.mark.parametrize("target", MAKERS)
def test_rows_and_labels_are_those_of_the_data_set_of_that_name(target):
    run = Run(make_setting(target=target, n_informative=3), 2)
    x, y = MAKERS[target](N_TEST + 40, 12, 3, random_state=np.random.default_rng(run.setting.seed(2, 0)))
    data = RunData(run)
    assert np.array_equal(torch.cat([data.test_x, data.x]).numpy(), x)
    assert np.array_equal(data.test_labels.numpy(), y[:N_TEST] == 1)
    assert np.array_equal(data.target[:, 0].numpy(), 2 * y[N_TEST:] - 1)


@pytest.mark.parametrize("target", ["parity", "staircase", "interval_parity", "relu_parity"])
def test_fresh_rows_have_the_same_hidden_target_as_the_test_rows(target):
    data = RunData(Run(make_setting(target=target, n_informative=2, n_samples=None), 0))
    x, sign = (values.flatten(0, 1).numpy() for values in data.fresh_rows(100))

    def bits(rows):
        hidden = rows[:, data.support]
        return (hidden >= -0.5) & (hidden < 0.5) if target == "interval_parity" else hidden > 0

    labels = data.test_labels.tolist()
    label_of = dict(zip(map(tuple, bits(data.test_x.numpy())), labels, strict=True))
    assert len(label_of) == 4
    assert [label_of[tuple(key)] for key in bits(x)] == (sign[:, 0] > 0).tolist()


def test_a_relu_parity_is_the_parity_of_the_active_hidden_relus():
    data = RunData(Run(make_setting(target="relu_parity", n_informative=3), 0))
    hidden = data.test_x.clamp(min=0)[:, data.support]
    assert ((hidden > 0).sum(dim=1) % 2 == 1).tolist() == data.test_labels.tolist()
    assert 0.45 < data.test_labels.double().mean() < 0.55


def test_wrong_labels_are_in_the_training_rows_alone():
    clean, noisy = (RunData(Run(make_setting(n_samples=5000, flip_y=flip), 0)) for flip in (0.0, 0.2))
    assert torch.equal(clean.x, noisy.x)
    assert torch.equal(clean.test_labels, noisy.test_labels)
    assert (clean.target != noisy.target).double().mean().item() == pytest.approx(0.2, abs=0.03)
    online = RunData(Run(make_setting(n_samples=None, flip_y=0.2), 0))
    x, target = online.fresh_rows(500)
    wrong = x[..., online.support].prod(dim=-1) != target[..., 0]
    assert wrong.double().mean().item() == pytest.approx(0.2, abs=0.04)


def test_online_rows_are_fresh_and_offline_ones_come_again():
    fresh = batches_of(training_of(make_setting(n_samples=None), 0), 50)[0].flatten(0, 1)
    stored = batches_of(training_of(make_setting(), 0), 50)[0].flatten(0, 1)
    assert len(fresh.unique(dim=0)) > 350
    assert len(stored.unique(dim=0)) <= 40
