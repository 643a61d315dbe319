"""What changes with the number of rows: the parameters of training that are "auto", and when training ends.

Single networks differ less the more rows they are trained on, so of many rows fewer do, and all together gain less
from training that is longer than one needs. The learning rate of small tables takes more passes over many rows
than are worth their time. A larger one takes fewer, and the average of the weights takes out its noise, all the
more since it is over more steps.
"""

from __future__ import annotations

import math
from typing import Any

from sparsemlp._parameters import EstimatorParameters

#: up to so many rows nothing changes; of more than MANY_ROWS members are fewer as well
FEW_ROWS, MANY_ROWS = 20_000, 50_000
MEMBERS, FEWER_MEMBERS = 8, 5
LEARNING_RATE, LARGEST_RATE = 2e-3, 5e-3
#: a member sees no more rows than these in all epochs: with 30 columns less than three minutes on two cores
MAX_SEEN = 8_000_000
#: training ends at so many times the epoch with the smallest out-of-fold loss; the second if rows are many
PATIENCE, LESS_PATIENCE = 2.0, 1.5


def resolve(estimator: EstimatorParameters, n_rows: int) -> dict[str, Any]:
    """Return the parameters of `estimator` that may be "auto", as they are for a fit on `n_rows` rows."""
    by_rows: dict[str, Any] = {
        "n_members": MEMBERS if n_rows <= MANY_ROWS else FEWER_MEMBERS,
        "learning_rate": min(LARGEST_RATE, LEARNING_RATE * _growth(n_rows)),
        "max_epochs": max(1, min(estimator._most_epochs, MAX_SEEN // max(1, n_rows))),
    }
    given = {name: getattr(estimator, name) for name in by_rows}
    return by_rows | {name: value for name, value in given.items() if value != "auto"}


def when_to_end(least_epochs: int, n_rows: int) -> dict[str, Any]:
    """Return how long training lasts at least, in epochs, and in times of the epoch with the smallest loss.

    The larger the learning rate, the fewer the epochs.
    """
    return {
        "min_epochs": math.ceil(least_epochs / _growth(n_rows)),
        "patience": PATIENCE if n_rows <= MANY_ROWS else LESS_PATIENCE,
    }


def _growth(n_rows: int) -> float:
    """Return how many times as large as that of few rows the learning rate would be without a limit."""
    return max(1.0, math.sqrt(n_rows / FEW_ROWS))
