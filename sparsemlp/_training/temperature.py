"""Temperature scaling: one number that softens probabilities until they are as sure as they are right."""

from __future__ import annotations

import math

from scipy.optimize import minimize_scalar

from sparsemlp._training.batches import OutOfFold
from sparsemlp._training.losses import Loss

MAX_TEMPERATURE = 20.0


def fit_temperature(loss: Loss, out_of_fold: OutOfFold) -> float:
    """Return the temperature, from 1 to MAX_TEMPERATURE, at which the loss of left-out rows is smallest.

    Never below 1: few rows that are all told apart would ask for certainty. (Guo, Pleiss, Sun and Weinberger 2017,
    *On Calibration of Modern Neural Networks*, arXiv:1706.04599, section 4.2.)

    Parameters
    ----------
    loss : Loss
        A loss whose outputs are logits.
    out_of_fold : OutOfFold
        Logits of rows that were not trained on, with their targets and weights.

    Returns
    -------
    float
    """

    def mean_loss(log_temperature: float) -> float:
        return out_of_fold.mean_loss(loss, math.exp(log_temperature))

    found = minimize_scalar(mean_loss, bounds=(0.0, math.log(MAX_TEMPERATURE)), method="bounded")
    # the search never tries the bounds themselves
    return math.exp(found.x) if found.fun < mean_loss(0.0) else 1.0
