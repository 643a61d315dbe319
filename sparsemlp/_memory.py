"""What a fit that runs out of memory says: what needs most of it, and which parameters lower that."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from sparsemlp._many_rows import resolve
from sparsemlp._parameters import EstimatorParameters
from sparsemlp._training.devices import is_out_of_memory

# Training has so many copies of the weights at a time: parameters, gradients, AdamW's two moments, the average,
# what it is the average of, and the best so far.
WEIGHT_COPIES = 7
# ... and of a batch's neurons: values, their gradients, what the backward pass needs of them.
BATCH_COPIES = 3


@contextlib.contextmanager
def explained_memory_errors(estimator: EstimatorParameters, X: Any) -> Iterator[None]:
    """Say what the first layer needs where memory runs out, and what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(
            f"{type(estimator).__name__} ran out of memory. {_what_needs_memory(estimator, X)}"
        ) from error


def _what_needs_memory(estimator: EstimatorParameters, X: Any) -> str:
    """Say what takes most of the memory of a fit, and which parameters lower it."""
    n_rows, n_features = np.shape(X)[:2]
    n_columns = n_features * (2 if estimator.scaling == "both" else 1)
    n_members = resolve(estimator, n_rows)["n_members"]
    n_neurons, n_batch = n_members * sum(estimator._widths()), min(estimator.batch_size, n_rows)
    of_weights = 4 * WEIGHT_COPIES * n_members * estimator._widths()[0] * n_columns
    of_batch = 4 * BATCH_COPIES * n_neurons * n_batch
    if of_batch > of_weights:
        return (
            f"A batch of batch_size={n_batch} rows has a value for each of {n_neurons} neurons of "
            f"n_members={n_members} networks; training holds {BATCH_COPIES} copies of them, "
            f"{of_batch / 2**30:.2g} GiB. Lower batch_size, width or n_members"
        )
    return (
        f"Its first layer has n_members={n_members} times width={estimator._widths()[0]} weights for each of "
        f"{n_columns} input columns; training holds {WEIGHT_COPIES} copies of them, "
        f"{of_weights / 2**30:.2g} GiB. Lower width or n_members, select columns before, or pass "
        "scaling='squash' if scaling is 'both', which has two inputs a column"
    )
