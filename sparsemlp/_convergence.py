"""What a fit says of a training that ended too early."""

from __future__ import annotations

import math
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from sparsemlp._parameters import EstimatorParameters
from sparsemlp._training.batches import TabularDataset
from sparsemlp._training.interrupts import SECONDS
from sparsemlp._training.out_of_fold import constant_loss
from sparsemlp._warning import warn_user

# Training was cut off if the out-of-fold loss has fallen in its last quarter by this share of itself, and by this
# share of the loss of a constant prediction: then more epochs are worth their time. On most tables the loss falls
# a little to the end.
STILL_FALLS, WORTH_IT = 0.05, 0.005


def warn_if_cut_off(estimator: EstimatorParameters, dataset: TabularDataset) -> None:
    """Say so where `max_epochs` ended a training whose out-of-fold loss was still falling."""
    net, max_epochs = estimator.net_, estimator._resolved["max_epochs"]
    if dataset.fold is None or estimator.warm_start or len(net.history) != max_epochs:
        return
    losses = net.history[:, "out_of_fold_loss"]
    before = min(losses[: -(-3 * len(losses) // 4)])
    fall = before - min(losses)
    if fall > STILL_FALLS * before and fall > WORTH_IT * (constant_loss(dataset, net.criterion_.loss) or math.inf):
        warn_user(
            f"max_epochs={max_epochs} ended training while the out-of-fold loss was falling: by "
            f"{fall / before:.0%} in the last quarter of the epochs, to {min(losses):.3g}. Raise max_epochs: "
            "training ends by itself once more epochs do not help.",
            ConvergenceWarning,
        )


def warn_of_interrupt(net: Any, n_epochs: int) -> None:
    """Say that Ctrl-C ended training; pass on a second one, which is meant for the program."""
    if net.interrupts.twice:
        raise KeyboardInterrupt
    warn_user(
        f"Training was interrupted by Ctrl-C; the net has the weights of epoch {len(net.history)} of {n_epochs}. "
        f"A second Ctrl-C within {SECONDS:g} seconds is raised, and ends a search as well.",
        ConvergenceWarning,
    )
