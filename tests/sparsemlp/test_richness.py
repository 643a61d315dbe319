"""The centred mean-field parametrisation: zero at the start, moved by order richness, alike at all widths."""

import copy
import pickle

import numpy as np
import pytest
import torch
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor
from sklearn.model_selection import GridSearchCV

from sparsemlp import SparseInitMLP
from sparsemlp._training.losses import make_loss
from sparsemlp._training.step import BatchBuffers, TrainingStep
from sparsemlp.lottery import subnetwork
from sparsemlp.parametrization import parameter_groups

SQUARED = make_loss("squared")
BATCH = 64
RATES = {"sgd": 0.05, "adamw": 3e-4}
LOW_RATES = {"sgd": 0.002}  # without richness wide nets diverge at those


def make_optimizer(name, module, weight_decay=0.0, **options):
    rates = LOW_RATES if module.richness is None else RATES
    groups = parameter_groups(module, rates[name], weight_decay, name)
    return {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[name](groups, **options)


def make_module(width, richness, n_members=1, activation="relu", seed=0, n_outputs=1):
    generator = torch.Generator().manual_seed(seed)
    options = {"bias_init": "uniform", "init": "normal", "activation": activation, "generator": generator}
    return SparseInitMLP(6, n_outputs, width, 2, richness=richness, n_members=n_members, **options).double()


def draw_slot(n_members, generator, n_rows=BATCH):
    x = torch.randn(n_rows, 6, dtype=torch.float64, generator=generator)
    target = (x[:, :1] * x[:, 1:2] + torch.sin(2 * x[:, 2:3])).clone()
    if n_members > 1:
        x, target = x.expand(n_members, -1, -1).clone(), target.expand(n_members, -1, -1).clone()
    return BatchBuffers(x, target, None, torch.empty_like(target))


def train(module, optimizer, n_steps, seed=1):
    """Train on fresh rows; return for each step and member which share of the targets' squares is left."""
    step = TrainingStep(module, SQUARED, make_optimizer(optimizer, module), BATCH)
    generator = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(n_steps):
        batch = draw_slot(module.n_members, generator)
        step(batch)
        losses.append(
            (SQUARED.value(batch.output, batch.target).mean(dim=-1) / batch.target.square().mean()).numpy()
        )
    return np.array(losses)


@pytest.mark.parametrize("activation", ["relu", "mixed", "tanh", "sin"])
@pytest.mark.parametrize("width", [1, 2, 15, (16,), (16, 7), (8, 6, 4)], ids=str)
@pytest.mark.parametrize("richness", [0.01, 1, 30.0])
def test_the_output_starts_at_zero_and_the_first_layer_sparse(richness, width, activation):
    module = make_module(width, richness, 2, activation, n_outputs=3)
    x = torch.randn(20, 6, dtype=torch.float64)
    assert module(x).abs().max() < 1e-12 / richness
    assert (module.input_layer.weight.count_nonzero(dim=-1) == 2).all()


def test_half_of_the_neurons_are_drawn_as_without_richness():
    usual, module = make_module(16, None), make_module(16, 1.0)
    assert torch.equal(module.input_layer.weight[:, :8], usual.input_layer.weight[:, :8])
    assert torch.equal(module.input_layer.bias[:, :8], usual.input_layer.bias[:, :8])
    readout = module.output_layer.weight
    assert torch.equal(readout[..., 8:], -readout[..., :8])


def test_readout_weights_have_variance_one_at_every_width():
    for width in (100, 10_000):
        readout = make_module(width, 1.0, n_members=40_000 // width).output_layer.weight
        # of 20 000 draws (twins are one) of a difference of uniforms, whose fourth moment is 12/5
        assert abs(readout.square().mean() - 1) < 5 * np.sqrt(1.4 / 20_000)


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("width", [(12,), (12, 7), (12, 7, 4)], ids=str)
@pytest.mark.parametrize(
    ("optimizer", "options"),
    [("sgd", {}), ("sgd", {"momentum": 0.9}), ("adamw", {"fused": True}), ("adamw", {"fused": False})],
)
@pytest.mark.parametrize("richness", [0.1, 3.0])
def test_the_fast_step_is_that_of_autograd(richness, optimizer, options, width, n_members):
    module = make_module(width, richness, n_members)
    reference = copy.deepcopy(module)
    step = TrainingStep(module, SQUARED, make_optimizer(optimizer, module, 0.1, **options), BATCH)
    theirs = make_optimizer(
        optimizer, reference, 0.1, **options | ({"fused": False} if "fused" in options else {})
    )
    generator = torch.Generator().manual_seed(1)
    for _ in range(6):
        batch = draw_slot(n_members, generator)
        expected = reference(batch.x)
        step(batch)
        torch.testing.assert_close(
            batch.output, expected.detach().reshape(batch.output.shape), rtol=1e-9, atol=1e-9
        )
        theirs.zero_grad()
        SQUARED.value(expected, batch.target.reshape(expected.shape)).mean(dim=1).sum().backward()
        theirs.step()
    for ours, other in zip(module.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-9, atol=1e-9)


def test_sgd_is_the_mean_field_formula():
    """f = 1/(gamma N) sum a_i relu(w_i x + b_i), gradient descent of rate N gamma^2 eta, on twins."""
    richness, width, rate = 0.3, 10, 0.05
    module = make_module(width, richness)
    w, b, a, c = (parameter.detach()[0].clone() for parameter in module.parameters())
    batch = draw_slot(1, torch.Generator().manual_seed(1))
    TrainingStep(module, SQUARED, torch.optim.SGD(parameter_groups(module, rate)), BATCH)(batch)
    x, error = batch.x, -batch.target  # f is 0
    active = (x @ w.T + b).relu()
    slope = (active > 0) * a * (2 * error / BATCH)
    eta = width * richness**2 * rate / (richness * width)
    expected = [w - eta * slope.T @ x, b - eta * slope.sum(0), a - eta * (2 * error / BATCH).T @ active, c]
    expected[3] = c - eta * (2 * error / BATCH).sum()
    for ours, value in zip(module.parameters(), expected, strict=True):
        torch.testing.assert_close(ours[0].detach(), value.reshape(ours[0].shape), rtol=1e-9, atol=1e-12)


def movement(richness, optimizer, width):
    module = make_module(width, richness)
    before = module.input_layer.weight.detach().clone()
    losses = train(module, optimizer, 60)
    return float((module.input_layer.weight.detach() - before).norm() / before.norm()), losses


@pytest.mark.parametrize("optimizer", RATES)
@pytest.mark.parametrize("width", [(256,), (256, 64)], ids=str)
def test_first_layer_weights_move_by_the_order_of_richness(width, optimizer):
    moves, losses = zip(*(movement(richness, optimizer, width) for richness in (1e-3, 1e-2, 1.0)), strict=True)
    assert moves[1] / moves[0] == pytest.approx(10, rel=0.1)
    assert 1e-4 < moves[0] < 1e-2
    assert 0.1 < moves[2] < 10
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.05)  # lazy nets all learn at the same speed


def learned_early(width, richness, optimizer):
    """Return the shares learned by half of a width, it and its double: means over members, and standard errors."""
    means, errors = [], []
    for factor in (0.5, 1, 2):
        module = make_module(tuple(int(factor * n) for n in width), richness, n_members=8)
        learned = 1 - train(module, optimizer, 40)[-10:].mean(axis=0)
        means.append(learned.mean())
        errors.append(learned.std(ddof=1) / np.sqrt(len(learned)))
    return np.array(means), np.array(errors)


@pytest.mark.parametrize("richness", [0.03, 1.0])
@pytest.mark.parametrize("optimizer", RATES)
@pytest.mark.parametrize("width", [(256,), (128, 64)], ids=str)
def test_half_or_double_the_width_leaves_early_loss_curves_alike(width, optimizer, richness):
    means, errors = learned_early(width, richness, optimizer)
    assert (means > 0.05).all()
    assert (np.abs(means - means[1]) <= 5 * np.hypot(errors, errors[1])).all()
    assert means.max() / means.min() < 1.3  # and so that does not just mean that errors are large


def test_without_richness_another_width_is_another_speed():
    means, errors = learned_early((256,), None, "sgd")
    assert means[2] - means[0] > 5 * np.hypot(errors[2], errors[0])
    assert means.max() / means.min() > 3


@pytest.mark.parametrize("richness", [0, -1.0, float("nan"), float("inf"), "rich", True])
def test_what_is_no_richness_is_an_error(richness):
    with pytest.raises(ValueError, match=r"richness=.* must be a positive number .* or None"):
        make_module(8, richness)


@pytest.mark.parametrize("make", [small_classifier, small_regressor])
@pytest.mark.parametrize("richness", [0, -0.5, float("nan"), float("inf"), "rich", True])
def test_an_estimator_says_what_is_wrong_with_richness(make, richness):
    with pytest.raises(ValueError, match=r"richness=.* must be a positive number .* or None"):
        make(richness=richness).fit(*labelled_rows())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("make", [small_classifier, small_regressor])
def test_a_rich_net_learns_and_a_lazy_one_keeps_its_features(make, optimizer):
    X, y = labelled_rows(300) if make is small_classifier else numbered_rows(300)
    rate = {"sgd": 0.2, "adamw": 0.001}[optimizer]
    options = {
        "optimizer": optimizer,
        "learning_rate": rate,
        "weight_decay": 0.0,
        "max_epochs": 30,
        "width": (64, 32),
    }
    moved = []
    for richness in (0.01, 1):
        net = make(richness=richness, **options).fit(X, y)
        start = make(richness=richness, **options | {"max_epochs": 1, "learning_rate": 1e-12}).fit(X, y)
        weight, before = (one.net_.module_.input_layer.weight.detach() for one in (net, start))
        moved.append(float((weight - before).norm() / before.norm()))
    assert net.score(X, y) > 0.95
    assert 0 < moved[0] < 0.1
    assert moved[1] > 10 * moved[0]


def test_grid_search_takes_richness():
    X, y = labelled_rows()
    search = GridSearchCV(small_classifier(), {"richness": [None, 0.1, 1, 3.0]}, cv=2, error_score="raise")
    search.fit(X, y)
    modules = search.best_estimator_.net_.module_
    assert modules.richness == search.best_params_["richness"]
    assert len(set(search.cv_results_["mean_test_score"])) > 1


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_pickled_net_goes_on_as_if_it_had_not_been(optimizer):
    X, y = labelled_rows(100)
    options = {"richness": 0.5, "width": (16, 8, 4), "optimizer": optimizer}
    straight, stored = (small_classifier(**options).partial_fit(X, y, classes=[0, 1]) for _ in range(2))
    stored = pickle.loads(pickle.dumps(stored))
    np.testing.assert_array_equal(stored.decision_function(X), straight.decision_function(X))
    for _ in range(2):
        straight.partial_fit(X, y)
        stored.partial_fit(X, y)
    np.testing.assert_array_equal(stored.decision_function(X), straight.decision_function(X))


def test_warm_start_goes_on_with_its_richness_and_refuses_another():
    X, y = labelled_rows()
    net = small_classifier(warm_start=True, richness=0.5, lr_schedule="constant").fit(X, y)
    first = net.loss_curve_[-1]
    net.fit(X, y)
    assert net.loss_curve_[-1] < first
    with pytest.raises(ValueError, match=r"richness=0.5, but the parameters say 1.0.*warm_start=False"):
        net.set_params(richness=1.0).fit(X, y)


def test_products_in_bfloat16_train_the_same_net_within_their_rounding():
    losses = []
    for dtype in (torch.float32, torch.bfloat16):
        module = make_module((64, 32), 0.5).float()
        step = TrainingStep(module, SQUARED, make_optimizer("adamw", module, fused=True), BATCH, dtype=dtype)
        generator = torch.Generator().manual_seed(1)
        curve = []
        for _ in range(60):
            double = draw_slot(1, generator)
            batch = BatchBuffers(double.x.float(), double.target.float(), None, double.output.float())
            step(batch)
            curve.append(float(SQUARED.value(batch.output, batch.target).mean()))
        losses.append(curve)
    assert losses[0][-1] < 0.8 * losses[0][0]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.05)


def test_a_part_of_a_network_gives_its_part_of_the_output():
    module = make_module(16, 0.5)
    x = torch.randn(20, 6, dtype=torch.float64)
    train(module, "sgd", 5)
    halves = [subnetwork(module, range(8)), subnetwork(module, range(8, 16))]
    bias = module.output_layer.bias * module.output_scale
    torch.testing.assert_close(halves[0](x) + halves[1](x) - bias, module(x))
