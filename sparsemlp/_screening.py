"""Where features are at least as many as rows: which of them a network sees.

AdamW moves the weight of every input by the same step, also where the input is noise: so many useless inputs cost
accuracy, time and memory. Each member therefore sees a bounded number of features: those that its own rows rank
first, and some random ones. Then a second network is trained on the few features whose splits gain most in the
members' trees, and out-of-fold rows choose between the two. (Fan and Lv 2008, *Sure independence screening for
ultrahigh dimensional feature space*, Journal of the Royal Statistical Society B 70.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sparsemlp._association import split_gains
from sparsemlp._data import CheckedRows, EncodedRows, fitted_scaler
from sparsemlp._parameters import EstimatorParameters
from sparsemlp.trees import TreePaths

# Up to so many features all are seen. Of more, each member sees those whose best single split gains most, and some
# that are chosen at random for all members.
MAX_FEATURES = 1000
N_BEST, N_RANDOM = 128, 64
# A feature is strong for a member if its splits gain this share of what those of the member's best feature gain.
STRONG = 0.1


def is_wide(estimator: EstimatorParameters, X: Any) -> bool:
    """Say whether features are to be chosen for a network that starts on the rows X."""
    by_trees = estimator.feature_sampling == "trees" and estimator.sparsity is not None
    return by_trees and X.shape[1] >= X.shape[0] and not estimator.warm_start


def screen(
    estimator: EstimatorParameters, rows: CheckedRows, encoded: EncodedRows, fold: np.ndarray
) -> EncodedRows:
    """Choose the features of every member; fit ``scaler_`` again for those that any of them sees.

    Parameters
    ----------
    estimator : estimator
        With a scaler that is fitted on all features.
    rows : CheckedRows
        The training rows.
    encoded : EncodedRows
        The same rows, scaled.
    fold : ndarray of shape (n_rows,)
        The member that does not train on a row.

    Returns
    -------
    EncodedRows
        The rows, with the columns that each member sees.
    """
    n_features = rows.X.shape[1]
    least = 0 if estimator.sparsity == "auto" else int(estimator.sparsity or 0)
    if n_features <= max(MAX_FEATURES, least):
        return encoded
    generator = torch.Generator().manual_seed(estimator._seeds["init"])
    sample, n_members = encoded.sample(generator), estimator._resolved["n_members"]
    weight = sample.weight * (fold[sample.rows] != np.arange(n_members)[:, np.newaxis])
    by_column = split_gains(sample.inputs.numpy(), sample.target, weight, generator)
    sees = np.zeros((n_members, n_features), dtype=bool)
    for member, gains in enumerate(by_column):
        gain = np.zeros(n_features)
        np.maximum.at(gain, estimator.scaler_.column_features_, gains)
        sees[member, np.argsort(-gain, kind="stable")[:N_BEST]] = True
    sees[:, torch.randperm(n_features, generator=generator)[: max(N_RANDOM, least)].numpy()] = True
    estimator.scaler_ = fitted_scaler(estimator, rows, np.flatnonzero(sees.any(axis=0)))
    columns = torch.from_numpy(sees[:, estimator.scaler_.column_features_].astype(np.float32))
    return EncodedRows(rows, estimator.scaler_, estimator._encode_y, columns=columns)


def strong_columns(paths: Sequence[TreePaths | None], column_features: np.ndarray) -> torch.Tensor | None:
    """Return which columns are of features that gain most in a member's trees; None where some have no trees.

    Parameters
    ----------
    paths : sequence of (TreePaths or None)
        The trees of every member.
    column_features : ndarray of shape (n_columns,)
        The feature of each column.

    Returns
    -------
    Tensor of shape (n_members, n_columns) or None
        1 for strong columns, 0 for others.
    """
    strong = []
    for trees in paths:
        if trees is None:
            return None
        gain = np.bincount(column_features, trees.column_gain)
        strong.append((gain >= STRONG * gain.max())[column_features])
    return torch.tensor(np.array(strong), dtype=torch.float32)
