"""The losses against torch's functions, autograd and scikit-learn."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import hinge_loss

from sparsemlp._training.losses import Criterion, make_loss

GENERATOR = torch.Generator().manual_seed(0)
# Margins on both sides of the hinge, and outputs far out, but none within rounding of a kink.
OUTPUT = torch.cat([torch.randn(30, 3, generator=GENERATOR) * 3, torch.tensor([[40.0, -40.0, 0.1]])])
CLASS = torch.randint(3, (31,), generator=GENERATOR)
ONE_HOT = F.one_hot(CLASS, 3).float()
CASES = {
    "squared": (make_loss("squared"), OUTPUT, OUTPUT.roll(1, 0)),
    "absolute error": (make_loss("absolute_error"), OUTPUT, OUTPUT.roll(1, 0)),
    "huber": (make_loss("huber"), OUTPUT, OUTPUT.roll(1, 0)),
    "hinge, two classes": (make_loss("hinge", 2), OUTPUT[:, :1], 2 * ONE_HOT[:, :1] - 1),
    "hinge, three classes": (make_loss("hinge", 3), OUTPUT, 2 * ONE_HOT - 1),
    "cross-entropy, two classes": (make_loss("cross_entropy", 2), OUTPUT[:, :1], ONE_HOT[:, :1]),
    "cross-entropy, three classes": (make_loss("cross_entropy", 3), OUTPUT, ONE_HOT),
}
every_loss = pytest.mark.parametrize(("loss", "output", "target"), CASES.values(), ids=CASES.keys())


@pytest.mark.parametrize(
    ("case", "reference"),
    [
        ("squared", lambda o, t: F.mse_loss(o, t, reduction="none").sum(1)),
        ("absolute error", lambda o, t: F.l1_loss(o, t, reduction="none").sum(1)),
        ("huber", lambda o, t: F.huber_loss(o, t, reduction="none").sum(1)),
        ("hinge, two classes", lambda o, t: (1 - t * o).clamp(min=0).sum(1)),
        ("hinge, three classes", lambda o, t: (1 - t * o).clamp(min=0).sum(1)),
        (
            "cross-entropy, two classes",
            lambda o, t: F.binary_cross_entropy_with_logits(o, t, reduction="none").sum(1),
        ),
        ("cross-entropy, three classes", lambda o, t: F.cross_entropy(o, t.argmax(1), reduction="none")),
    ],
)
def test_the_value_is_that_of_torch_in_float64(case, reference):
    loss, output, target = CASES[case]
    expected = reference(output.double(), target.double())
    torch.testing.assert_close(loss.value(output, target).double(), expected, rtol=1e-6, atol=1e-6)


def test_the_binary_hinge_is_that_of_scikit_learn():
    loss, output, target = CASES["hinge, two classes"]
    expected = hinge_loss(target[:, 0].numpy(), output[:, 0].numpy())
    assert loss.value(output, target).mean().item() == pytest.approx(expected, rel=1e-6)


@every_loss
def test_the_gradient_is_that_of_autograd_in_float64(loss, output, target):
    exact = output.double().requires_grad_()
    loss.value(exact, target.double()).sum().backward()
    gradient = torch.full_like(output, torch.nan)
    loss.gradient_(output, target, out=gradient)
    torch.testing.assert_close(gradient.double(), exact.grad, rtol=1e-6, atol=1e-6)


@every_loss
def test_the_gradient_of_many_members_is_that_of_each(loss, output, target):
    outputs, targets = torch.stack([output, -output]), torch.stack([target, target])
    together, alone = torch.empty_like(outputs), torch.empty_like(outputs)
    loss.gradient_(outputs, targets, out=together)
    for member in range(2):
        loss.gradient_(outputs[member], targets[member], out=alone[member])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-7)


@every_loss
def test_the_criterion_is_the_weighted_mean_over_rows_and_members(loss, output, target):
    outputs, targets = torch.stack([output, -output]), torch.stack([target, target])
    weight = torch.arange(62.0).view(2, 31, 1)
    value = Criterion(loss)(outputs, targets, weight)
    rows = [
        weight[m, i, 0] * loss.value(outputs[m, i : i + 1], target[i : i + 1])[0]
        for m in range(2)
        for i in range(31)
    ]
    assert value.item() == pytest.approx(torch.stack(rows).double().mean().item(), rel=1e-6)


def test_combined_members_are_the_log_odds_of_the_mean_probability():
    loss = make_loss("cross_entropy", 2)
    members = torch.tensor([[[-3.0], [0.5]], [[1.0], [2.0]], [[0.0], [-1.0]]])
    mean = torch.sigmoid(members.double()).mean(dim=0)
    combined = loss.combine(members)
    assert combined.dtype == torch.float64
    torch.testing.assert_close(combined, torch.logit(mean))
    torch.testing.assert_close(loss.class_columns(combined), torch.cat([1 - mean, mean], dim=1))


def test_combined_members_are_the_log_of_the_mean_probabilities():
    loss = make_loss("cross_entropy", 3)
    members = torch.stack([OUTPUT, OUTPUT.flip(1), -OUTPUT])
    mean = torch.softmax(members.double(), dim=-1).mean(dim=0)
    combined = loss.combine(members)
    assert combined.dtype == torch.float64
    torch.testing.assert_close(combined.exp(), mean)
    torch.testing.assert_close(loss.class_columns(combined), mean)


@pytest.mark.parametrize("name", ["hinge", "squared", "absolute_error", "huber"])
def test_outputs_without_probabilities_are_averaged(name):
    members = torch.stack([OUTPUT, 3 * OUTPUT])
    torch.testing.assert_close(make_loss(name, 3).combine(members), 2 * OUTPUT.double())


@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_confident_members_keep_finite_log_odds(scale):
    decision = make_loss("cross_entropy", 2).combine(torch.tensor([[[scale]], [[scale]]]))
    assert decision.item() == pytest.approx(scale)
    decision = make_loss("cross_entropy", 3).combine(torch.tensor([[[scale, 0.0, -scale]]]))
    np.testing.assert_allclose(decision.numpy(), [[0, -scale, -2 * scale]], rtol=1e-12)
