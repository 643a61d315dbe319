"""Sampling weights of the features that neurons start with: in part uniform, in part by their relevance."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import Tensor

FeatureSampling = Literal["relevance", "uniform"]
FEATURE_SAMPLINGS: tuple[str, ...] = get_args(FeatureSampling)
#: share of the probability that is the same for all features, for those that matter only together
EVEN_SHARE = 0.5
# Rows are taken in blocks of about so many values in float64.
BLOCK_VALUES = 2**16
#: a column's deviation below this share of its largest value is a rounding error
MIN_DEVIATION = 1e-7


def relevance_weights(
    columns: np.ndarray, target: np.ndarray, column_features: np.ndarray, weight: np.ndarray | None = None
) -> Tensor:
    """Return the probabilities with which first-layer neurons sample the features.

    Half of the probability is the same for all features. The other half is in proportion to 1 + n r^2, where r is
    the largest correlation of a column of the feature, or of its square, with the target: a feature without any
    has n r^2 of about 1, whatever the number of rows n. This is the ranking of sure independence screening (Fan
    and Lv 2008, *Sure Independence Screening for Ultrahigh Dimensional Feature Space*, arXiv:math/0612857,
    section 2), which here excludes nothing.

    Parameters
    ----------
    columns : ndarray of shape (n_samples, n_columns)
        Scaled training rows.
    target : ndarray of shape (n_samples, n_outputs)
        Targets of the outputs.
    column_features : ndarray of shape (n_columns,)
        The raw feature that each column stems from.
    weight : ndarray of shape (n_samples,), optional
        Non-negative weights of the rows; n is their effective number, (sum w)^2 / sum w^2. If all are 0, as those
        of a chunk in ``partial_fit`` may be, all features have the same probability.

    Returns
    -------
    Tensor of shape (n_features,), float64

    Examples
    --------
    >>> import numpy as np
    >>> from sparsemlp.relevance import relevance_weights
    >>> columns = np.random.default_rng(0).normal(size=(1000, 3))
    >>> relevance_weights(columns, columns[:, [1]] > 0, np.arange(3)).numpy().round(2)
    array([0.17, 0.66, 0.17])
    """
    n_features = column_features.max() + 1
    if weight is not None and not weight.any():
        return torch.full((n_features,), 1 / n_features, dtype=torch.float64)
    share = np.full(len(columns), 1 / len(columns)) if weight is None else weight / weight.sum()
    squared = np.square(_correlations(columns, np.asarray(target, dtype=np.float64), share)).max(axis=(0, 2))
    largest = np.zeros(n_features)
    np.maximum.at(largest, column_features, squared)
    relevance = 1 + largest / np.square(share).sum()
    probabilities = EVEN_SHARE / n_features + (1 - EVEN_SHARE) * relevance / relevance.sum()
    return torch.from_numpy(probabilities)


def _correlations(columns: np.ndarray, target: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Correlate columns, and their squares, with outputs: (2, n_columns, n_outputs); 0 where they are constant."""
    n_rows = max(1, BLOCK_VALUES // columns.shape[1])
    blocks = list(gen_batches(len(columns), n_rows))
    outputs = _standardised(target, share)
    means, largest = np.zeros((2, columns.shape[1])), np.zeros((2, columns.shape[1]))
    for block in blocks:
        for i, values in enumerate(_powers(columns[block])):
            means[i] += share[block] @ values
            np.maximum(largest[i], np.abs(values).max(axis=0), out=largest[i])
    variances, covariances = np.zeros_like(means), np.zeros((*means.shape, outputs.shape[1]))
    for block in blocks:  # a second time, as moments about 0 would lose the digits of a column with a large mean
        for i, values in enumerate(_powers(columns[block])):
            values -= means[i]
            covariances[i] += values.T @ (share[block, np.newaxis] * outputs[block])
            variances[i] += share[block] @ np.square(values, out=values)
    deviations = np.sqrt(variances)
    return covariances / np.where(deviations > MIN_DEVIATION * largest, deviations, np.inf)[..., np.newaxis]


def _powers(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = columns.astype(np.float64)
    return values, np.square(values)


def _standardised(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Shift and scale columns to mean 0 and variance 1; constant ones become 0."""
    centred = values - share @ values
    deviation = np.sqrt(share @ centred**2)
    return centred / np.where(deviation > MIN_DEVIATION * np.abs(values).max(axis=0), deviation, np.inf)
