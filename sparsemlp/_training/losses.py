"""The losses: value for a report, gradient in closed form, and how outputs become predictions.

A loss sees outputs of shape (..., n_rows, n_outputs) and targets of the same leading shape. Its value is one
number a row, summed over the outputs; the training objective is the weighted mean over rows.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ClassificationLoss = Literal["cross_entropy", "hinge", "squared"]
RegressionLoss = Literal["squared", "absolute_error", "huber"]
LossName = ClassificationLoss | RegressionLoss
CLASSIFICATION_LOSSES: tuple[str, ...] = get_args(ClassificationLoss)
REGRESSION_LOSSES: tuple[str, ...] = get_args(RegressionLoss)
LOSSES: tuple[str, ...] = (*CLASSIFICATION_LOSSES, *REGRESSION_LOSSES[1:])
#: residuals beyond it count linearly, as in ``torch.nn.functional.huber_loss``
HUBER_DELTA = 1.0
#: log-odds below it are those of a tie
ROUNDING = 2.0**-50


class Loss:
    """Interface of a loss; targets are float tensors of shape (..., n_rows, n_outputs)."""

    #: whether outputs are logits, so that `class_columns` are probabilities
    has_probabilities = False

    def value(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of every row, of shape (..., n_rows)."""
        raise NotImplementedError

    def gradient_(self, output: Tensor, target: Tensor, out: Tensor) -> None:
        """Write the derivative of ``value`` with respect to `output` into `out`, allocating nothing."""
        raise NotImplementedError

    def constant(self, mean: Tensor) -> Tensor:
        """Return the outputs of a net that knows of the targets their mean alone, both of shape (n_outputs,)."""
        return mean

    def combine(self, output: Tensor) -> Tensor:
        """Merge members: outputs (n_members, n_rows, n_outputs) to decision values (n_rows, n_outputs)."""
        return _on_host(output).mean(dim=0)

    def class_columns(self, decision: Tensor) -> Tensor:
        """Turn decision values into one column a class, of which the largest is predicted.

        They are probabilities where the loss has them.
        """
        return torch.cat([-decision, decision], dim=1) if decision.shape[1] == 1 else decision


class SquaredLoss(Loss):
    """(output - target)^2, as in ``torch.nn.functional.mse_loss``."""

    def value(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of every row."""
        return (output - target).square().sum(dim=-1)

    def gradient_(self, output: Tensor, target: Tensor, out: Tensor) -> None:
        """Write 2 (output - target)."""
        torch.sub(output, target, out=out).mul_(2)


class AbsoluteLoss(Loss):
    """|output - target|, as in ``torch.nn.functional.l1_loss``."""

    def value(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of every row."""
        return (output - target).abs().sum(dim=-1)

    def gradient_(self, output: Tensor, target: Tensor, out: Tensor) -> None:
        """Write the sign of output - target."""
        torch.sub(output, target, out=out).sign_()


class HuberLoss(Loss):
    """(output - target)^2 / 2 up to a distance of HUBER_DELTA and linear beyond (Huber 1964)."""

    def value(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of every row."""
        return F.huber_loss(output, target.expand_as(output), reduction="none", delta=HUBER_DELTA).sum(dim=-1)

    def gradient_(self, output: Tensor, target: Tensor, out: Tensor) -> None:
        """Write output - target, clipped to HUBER_DELTA."""
        torch.sub(output, target, out=out).clamp_(-HUBER_DELTA, HUBER_DELTA)


class HingeLoss(Loss):
    """max(0, 1 - target * output) for targets of -1 and +1."""

    def constant(self, mean: Tensor) -> Tensor:
        """Return the more frequent sign."""
        return mean.sign()

    def value(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of every row."""
        return F.relu(1 - target * output).sum(dim=-1)

    def gradient_(self, output: Tensor, target: Tensor, out: Tensor) -> None:
        """Write -target where the margin is below one."""
        margin = torch.mul(target, output, out=out)
        # torch's name for the target where the margin is below one and 0 elsewhere
        torch.ops.aten.hardtanh_backward.grad_input(target, margin, -math.inf, 1.0, grad_input=out)
        out.neg_()


class BinaryCrossEntropy(Loss):
    """Logistic loss of every output, for targets of 0 and 1: two classes, or several labels a row."""

    has_probabilities = True

    def constant(self, mean: Tensor) -> Tensor:
        """Return the log-odds of the class."""
        return torch.logit(mean)

    def value(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of every row."""
        return F.softplus((1 - 2 * target) * output).sum(dim=-1)

    def gradient_(self, output: Tensor, target: Tensor, out: Tensor) -> None:
        """Write sigmoid(output) - target."""
        torch.sigmoid(output, out=out).sub_(target)

    def combine(self, output: Tensor) -> Tensor:
        """Return the log-odds of the members' mean probability."""
        output = _on_host(output)
        positive = torch.logsumexp(F.logsigmoid(output), dim=0)
        negative = torch.logsumexp(F.logsigmoid(-output), dim=0)
        # The means' common 1 / n_members cancels. What rounding alone leaves of a tie is one: the probabilities
        # of both classes are equal then.
        return F.hardshrink(positive - negative, ROUNDING)

    def class_columns(self, decision: Tensor) -> Tensor:
        """Return the probabilities of both classes, or of each of several labels."""
        return torch.sigmoid(super().class_columns(decision))


class CrossEntropy(Loss):
    """Softmax cross-entropy; targets are one-hot rows."""

    has_probabilities = True

    def constant(self, mean: Tensor) -> Tensor:
        """Return the logarithms of the class shares; one of 0 counts as the smallest number."""
        return mean.clamp_min(torch.finfo(mean.dtype).tiny).log()

    def value(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of every row."""
        return -(target * F.log_softmax(output, dim=-1)).sum(dim=-1)

    def gradient_(self, output: Tensor, target: Tensor, out: Tensor) -> None:
        """Write softmax(output) - target."""
        torch.softmax(output, dim=-1, out=out).sub_(target)

    def combine(self, output: Tensor) -> Tensor:
        """Return the log of the members' mean probabilities."""
        return torch.logsumexp(F.log_softmax(_on_host(output), dim=-1), dim=0).log_softmax(dim=-1)

    def class_columns(self, decision: Tensor) -> Tensor:
        """Return the probabilities of all classes."""
        return decision.exp()


def _on_host(output: Tensor) -> Tensor:
    """Return float64 on the CPU: not every device has it, and outputs are few."""
    return output.cpu().double()


class Criterion(nn.Module):
    """A loss as skorch and autograd want it: the weighted mean over rows and members.

    Parameters
    ----------
    loss : Loss
        The loss of a row.
    """

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return a scalar for outputs (n_members, n_rows, n_outputs)."""
        losses = self.loss.value(output, target)
        return losses.mean() if weight is None else (losses * weight.squeeze(-1)).mean()


def make_loss(name: str, n_classes: int | None = None) -> Loss:
    """Return the loss called `name` for `n_classes` classes (None: regression)."""
    if name == "squared":
        return SquaredLoss()
    if name == "absolute_error":
        return AbsoluteLoss()
    if name == "huber":
        return HuberLoss()
    if name == "hinge":
        return HingeLoss()
    return BinaryCrossEntropy() if n_classes == 2 else CrossEntropy()
