"""Where the targets of a regression are, and how far they spread."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from sparsemlp._warning import warn_user

#: interquartile range of the standard normal distribution
NORMAL_IQR = 1.349
#: the standard deviation is this many times what the interquartile range says
FEW_DOMINATE = 10


class TargetScale(NamedTuple):
    """Location and spread of one target, weighted by rows."""

    mean: float
    deviation: float
    low: float
    median: float
    high: float

    @classmethod
    def of(cls, y: np.ndarray, weight: np.ndarray) -> Self:
        """Measure targets of shape (n_rows,)."""
        mean = float(np.average(y, weights=weight))
        distance = np.abs(y - mean)
        largest = float(distance.max()) or 1.0  # divided out, as squares of extremes overflow
        deviation = largest * float(np.sqrt(np.average((distance / largest) ** 2, weights=weight)))
        order = np.argsort(y)
        below = np.cumsum(weight[order])
        low, median, high = y[order[np.searchsorted(below, below[-1] * np.array([0.25, 0.5, 0.75]))]].tolist()
        return cls(mean, deviation, low, median, high)

    def robust(self) -> tuple[float, float]:
        """Return the median, and the deviation of a normal distribution with these quartiles."""
        return self.median, (self.high - self.low) / NORMAL_IQR or self.deviation

    def warn_if_few_dominate(self) -> None:
        """Warn where the squared errors of a few rows would be nearly all of the loss."""
        if self.deviation > FEW_DOMINATE * (self.high - self.low) / NORMAL_IQR > 0:
            warn_user(
                f"A few targets dominate the spread of y: the standard deviation is {self.deviation:.3g}, and "
                f"half of the targets are between {self.low:.3g} and {self.high:.3g}. With loss='squared' they "
                "decide all predictions. If they are errors, remove them or pass loss='huber'; if y is positive "
                "over orders of magnitude, fit its logarithm, with sklearn.compose.TransformedTargetRegressor.",
            )
