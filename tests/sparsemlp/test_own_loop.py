"""Training in a loop of one's own, against autograd and torch.optim."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsemlp import SparseInitMLP
from sparsemlp._training.losses import Criterion, make_loss
from sparsemlp.parametrization import parameter_groups
from sparsemlp.training import train

OPTIMIZERS = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}


def make_module(n_outputs=1, n_members=1, richness=None):
    generator = torch.Generator().manual_seed(0)
    options = {"bias_init": "uniform", "activation": "mixed", "richness": richness, "n_members": n_members}
    return SparseInitMLP(5, n_outputs, (12, 6), 2, generator=generator, **options).double()


def batches(n_outputs=1, *shape, seed=1):
    """Return a function that gives rows and targets of -1 and 1."""
    generator = torch.Generator().manual_seed(seed)

    def next_batch():
        x = torch.randn(*shape, 8, 5, dtype=torch.float64, generator=generator)
        return x, (x[..., :n_outputs] > 0) * 2.0 - 1

    return next_batch


def trained_by_autograd(module, next_batch, n_steps, loss, optimizer, learning_rate, weight_decay):
    module = copy.deepcopy(module)
    criterion = Criterion(make_loss(loss, 2))
    torch_optimizer = OPTIMIZERS[optimizer](parameter_groups(module, learning_rate, weight_decay, optimizer))
    for _ in range(n_steps):
        x, target = next_batch()
        torch_optimizer.zero_grad()
        (criterion(module(x), target) * module.n_members).backward()  # each member has its own objective
        torch_optimizer.step()
    return module


@pytest.mark.parametrize("richness", [None, 0.5])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("n_members", "shape"), [(1, ()), (1, (1,)), (3, (3,)), (3, ())])
def test_a_loop_of_ones_own_trains_as_autograd_does(n_members, shape, optimizer, richness):
    module = make_module(2, n_members, richness)
    expected = trained_by_autograd(module, batches(2, *shape), 10, "hinge", optimizer, 0.01, 0.1)
    train(
        module,
        batches(2, *shape),
        10,
        loss="hinge",
        learning_rate=0.01,
        weight_decay=0.1,
        optimizer=optimizer,
    )
    for ours, theirs in zip(module.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9)
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize("n_members", [1, 3])
def test_the_callback_sees_the_outputs_before_every_step_and_may_end_training(n_members):
    module = make_module(n_members=n_members)
    met, seen = [], []
    next_batch = batches()

    def noted():
        x, target = next_batch()
        met.append(module(x).squeeze(0).clone())
        return x, target

    def callback(n_done, output):
        seen.append((n_done, output.clone()))
        return n_done == 4

    train(module, noted, 100, loss="squared", learning_rate=0.01, callback=callback)
    assert [n_done for n_done, _ in seen] == [1, 2, 3, 4]
    for expected, (_, output) in zip(met, seen, strict=True):
        torch.testing.assert_close(output, expected)


@given(n_steps=st.integers(1, 30), first=st.integers(1, 29))
def test_plain_sgd_may_be_cut_into_parts(n_steps, first):
    whole, parts = make_module(), make_module()
    options = {"loss": "cross_entropy", "learning_rate": 0.1}
    train(whole, batches(), n_steps, **options)
    next_batch = batches()
    for part in (min(first, n_steps), n_steps - min(first, n_steps)):
        if part:
            train(parts, next_batch, part, **options)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(one, other)


def test_weights_decay_to_zero_and_never_into_denormals_in_a_loop_of_ones_own():
    module = make_module().float()
    module.input_layer.weight.data[..., 0] = 1.0

    def next_batch():
        x = torch.ones(8, 5)
        x[:, 0] = 0
        return x, torch.ones(8, 1)

    train(module, next_batch, 150, loss="squared", learning_rate=0.1, weight_decay=5.0)
    assert (module.input_layer.weight[..., 0] == 0).all()
    assert (torch.full((2,), 1e-39) * 0.5 != 0).all()  # the caller's mode is as it was


def test_what_a_batch_function_raises_is_raised():
    def fails():
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        train(make_module(), fails, 3, loss="squared", learning_rate=0.1)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"n_steps": 0}, ValueError, r"n_steps=0 is too small"),
        ({"n_steps": 2.5}, TypeError, r"n_steps must be an integer of at least 1, got 2.5"),
        ({"loss": "absolute"}, ValueError, r"loss='absolute' is unknown; choose one of 'cross_entropy', 'hinge'"),
        ({"optimizer": "adam"}, ValueError, r"optimizer='adam' is unknown; choose one of 'adamw', 'sgd'"),
        (
            {"next_batch": lambda: (torch.zeros(8, 4), torch.zeros(8, 1))},
            ValueError,
            r"inputs of shape \(8, 4\); the network needs \(batch, 5\) or \(3, batch, 5\)",
        ),
        (
            {"next_batch": lambda: (torch.zeros(8, 5), torch.zeros(8))},
            ValueError,
            r"targets of shape \(8,\); the network needs \(batch, 1\) or \(3, batch, 1\)",
        ),
        (
            {"next_batch": lambda: (torch.zeros(2, 8, 5), torch.zeros(8, 1))},
            ValueError,
            r"inputs of shape \(2, 8, 5\); the first batch asks for \(3, 8, 5\)",
        ),
    ],
)
def test_a_mistake_is_named(changes, error, message):
    arguments = {"next_batch": batches(), "n_steps": 3, "loss": "squared", "learning_rate": 0.1} | changes
    with pytest.raises(error, match=message):
        train(make_module(n_members=3), **arguments)


def test_a_batch_of_another_size_is_named():
    sizes = iter([8, 8, 7])

    def next_batch():
        n_rows = next(sizes)
        return torch.zeros(n_rows, 5), torch.zeros(n_rows, 1)

    with pytest.raises(ValueError, match=r"inputs of shape \(7, 5\); the first batch asks for \(8, 5\)"):
        train(make_module(), next_batch, 3, loss="squared", learning_rate=0.1)
