"""The time that a fit may take."""

from __future__ import annotations

from time import monotonic
from typing import Any

from skorch.callbacks import Callback

from sparsemlp._training.callbacks import KeepBest


class TimeLimit:
    """Says when the time of a fit is over, which begins with this object.

    Parameters
    ----------
    seconds : float or None
        How long the fit may take; None: as long as it likes.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = seconds
        self.start = monotonic()

    def is_over(self) -> bool:
        """Say whether the time is over."""
        return self.seconds is not None and monotonic() - self.start >= self.seconds


class StopAtTimeLimit(Callback):
    """End training where the time of the fit is over, and let it keep the best weights.

    The epoch in which that happens has been cut off after the batches that fell into the time.

    Parameters
    ----------
    keep_best : KeepBest
        Has the weights of the best epoch.
    """

    def __init__(self, keep_best: KeepBest) -> None:
        self.keep_best = keep_best

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """End training if it is time to."""
        if not net.time_limit.is_over():
            return
        net.stop_reason = f"max_seconds={net.time_limit.seconds:g} were over"
        if net.out_of_fold_ is not None:
            self.keep_best.restores_ = True
        if self.keep_best.restores_:
            net.stop_reason += f"; it has the weights of the best epoch, {self.keep_best.best_epoch_}"
        raise KeyboardInterrupt  # skorch's way to end training
