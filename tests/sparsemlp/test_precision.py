"""Products in bfloat16: gradients within its rounding, weights that keep full precision, nets as good."""

import copy

import pytest
import torch
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor

from sparsemlp import SparseInitMLP
from sparsemlp._activations import ACTIVATIONS, blocks
from sparsemlp._training.losses import make_loss
from sparsemlp._training.step import BatchBuffers, TrainingStep

ROUNDING = 2.0**-8  # of one number in bfloat16, relative
BATCH = 32


def draw(n_members=1, width=(48, 24), n_outputs=1, activation="relu", seed=0):
    generator = torch.Generator().manual_seed(seed)
    options = {"n_members": n_members, "bias_init": "uniform", "activation": activation}
    module = SparseInitMLP(9, n_outputs, width, 2, **options, generator=generator)
    shape = (BATCH,) if n_members == 1 else (n_members, BATCH)
    x = torch.randn(*shape, 9, generator=generator)
    target = torch.rand(*shape, n_outputs, generator=generator).round()
    return module, BatchBuffers(x, target, None, torch.empty_like(target))


def sgd(module, rate=0.1):
    return torch.optim.SGD(module.parameters(), lr=rate)


def rounded(values):
    return values.bfloat16().double()


def reference_gradients(module, batch):
    """Backpropagate in float64 what is rounded to bfloat16 wherever the step keeps it so."""
    *hidden, last = module.layers
    weights = [layer.weight.detach() for layer in module.layers]
    inputs, slopes, boxes = [rounded(batch.x if batch.x.ndim == 3 else batch.x[None])], [], []
    for layer, weight in zip(hidden, weights, strict=False):
        linear = rounded(inputs[-1] @ rounded(weight).mT + rounded(layer.bias.detach()).unsqueeze(1))
        values, slope = linear.relu(), (linear > 0).double()
        for kind, neurons in blocks(module.activation, weight.shape[1]) if layer is hidden[0] else ():
            if kind == "tanh":
                values[..., neurons] = rounded(linear[..., neurons].tanh())
                slope[..., neurons] = 1 - values[..., neurons] ** 2
            elif kind == "sin":
                values[..., neurons] = rounded(linear[..., neurons].sin())
                slope[..., neurons] = rounded(linear[..., neurons].cos())
            elif kind == "box":
                a, b = rounded(linear[..., neurons].sigmoid()).chunk(2, dim=-1)
                values[..., neurons] = torch.cat([rounded(a - rounded(a * b)), rounded(a * b)], dim=-1)
                boxes.append((neurons, a, b))
        inputs.append(values)
        slopes.append(slope)
    output = inputs[-1] @ weights[-1].double().mT + last.bias.detach().double().unsqueeze(1)
    delta = 2 * (output - batch.target.reshape(output.shape)) / BATCH
    gradients = []
    for x, weight, slope in zip(inputs[::-1], weights[::-1], [*slopes[::-1], 0], strict=True):
        gradients[:0] = [delta.mT @ x, delta.sum(dim=1)]
        delta = rounded(rounded(delta) @ rounded(weight))
        through_boxes = []
        for neurons, a, b in boxes if weight is weights[1] else ():
            rest, both = delta[..., neurons].chunk(2, dim=-1)
            by_b = rounded(both - rest) * b * rounded(a - rounded(a * b))
            by_a = (1 - a) * (rounded(a * b) * both + rounded(a - rounded(a * b)) * rest)
            through_boxes.append((neurons, torch.cat([by_a, by_b], dim=-1)))
        delta = rounded(delta * slope)
        for neurons, values in through_boxes:
            delta[..., neurons] = rounded(values)
    return output, gradients


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("width", [(48,), (48, 24)], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_rounded_factors(activation, width, n_members, n_outputs):
    module, batch = draw(n_members, width, n_outputs, activation)
    output, expected = reference_gradients(module, batch)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.0, fused=True)  # which leaves gradients to look at
    TrainingStep(module, make_loss("squared"), optimizer, BATCH, dtype=torch.bfloat16)(batch)
    torch.testing.assert_close(batch.output.double().reshape(output.shape), output, rtol=1e-5, atol=1e-5)
    for parameter, gradient in zip(module.parameters(), expected, strict=True):
        error = torch.linalg.norm(parameter.grad.double() - gradient)
        assert error <= 2 * ROUNDING * torch.linalg.norm(gradient)


def test_updates_too_small_for_bfloat16_are_not_lost():
    module, batch = draw()
    exact = copy.deepcopy(module)
    start = module.input_layer.weight.detach().clone()
    for net, dtype in ((module, torch.bfloat16), (exact, None)):
        step = TrainingStep(net, make_loss("squared"), sgd(net, 1e-5), BATCH, dtype=dtype)
        for _ in range(50):
            step(batch)
    moved, expected = (net.input_layer.weight.detach() - start for net in (module, exact))
    held = start != 0
    assert (expected.abs()[held] < ROUNDING / 2 * start.abs()[held]).all()
    assert torch.linalg.norm(moved - expected) <= 0.1 * torch.linalg.norm(expected)  # if lost, it would be 1


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_classifier_learns_as_well(optimizer):
    X, y = labelled_rows(400)
    options = {"optimizer": optimizer, "max_epochs": 30, "learning_rate": 0.1 if optimizer == "sgd" else 0.01}
    full, mixed = (small_classifier(precision=name, **options).fit(X, y) for name in ("float32", "bf16"))
    assert full.score(X, y) > 0.9
    assert mixed.score(X, y) == pytest.approx(full.score(X, y), abs=0.02)
    weights = [net.net_.module_.input_layer.weight for net in (full, mixed)]
    assert weights[1].dtype == torch.float32
    assert not torch.equal(*weights)


def test_a_regressor_learns_as_well():
    X, y = numbered_rows(400)
    full, mixed = (
        small_regressor(precision=name, max_epochs=30, n_members=2).fit(X, y) for name in ("float32", "bf16")
    )
    assert mixed.score(X, y) == pytest.approx(full.score(X, y), abs=0.02)


def test_an_unknown_precision_is_named():
    X, y = labelled_rows(50)
    with pytest.raises(ValueError, match=r"'precision' parameter .* must be a str among"):
        small_classifier(precision="float16").fit(X, y)
