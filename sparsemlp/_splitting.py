"""Which rows a fit trains on, which it validates on, and which member leaves out which."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split

from sparsemlp._data import CheckedRows, check_rows, with_class_weights
from sparsemlp._equal_rows import equal_rows
from sparsemlp._parameters import EstimatorParameters
from sparsemlp._tables import retold
from sparsemlp._training.out_of_fold import assign_members


def split(
    estimator: EstimatorParameters, rows: CheckedRows, X_val: Any, y_val: Any, sample_weight_val: Any
) -> tuple[CheckedRows, CheckedRows | None]:
    """Return training rows, and validation rows or None."""
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val must be given together")
    if X_val is None and sample_weight_val is not None:
        raise ValueError("sample_weight_val weights the rows of X_val, which is not given")
    if X_val is not None:
        try:
            validation = check_rows(estimator, X_val, y_val, sample_weight_val, y_name="y_val")
        except (TypeError, ValueError) as error:
            raise retold(error, f"in X_val, y_val and sample_weight_val: {error}") from error
        estimator._check_y(validation.y, "y_val")
        validation = with_class_weights(estimator, validation, rows.y)
        if not validation.weight.any():
            raise ValueError("class_weight is zero for every class in y_val: nothing is left to validate on")
        return rows, validation
    if not estimator._holds_out:
        return rows, None
    return hold_out(
        rows,
        estimator.validation_fraction,
        estimator._seeds["split"],
        stratified=_is_stratified(estimator, rows.y),
    )


def hold_out(
    rows: CheckedRows, validation_fraction: float, seed: int, *, stratified: bool
) -> tuple[CheckedRows, CheckedRows]:
    """Split rows at random into those to train on and those to validate on, equal rows all into the same part."""
    equal = equal_rows(rows.X, largest=len(rows.y) * min(validation_fraction, 1 - validation_fraction) / 2)
    units = rows if equal is None else [np.arange(len(equal.first))]
    labels = rows.y if equal is None else rows.y[equal.first]
    try:
        parts = train_test_split(
            *units, test_size=validation_fraction, stratify=labels if stratified else None, random_state=seed
        )
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={validation_fraction} cannot split the {len(rows.y)} rows so that every "
            f"class is in both parts ({error}); give X_val and y_val, or pass early_stopping=False"
        ) from error
    if equal is not None:
        index = [np.flatnonzero(np.isin(equal.group, groups)) for groups in parts]
        parts = [values[part] for values in rows for part in index]
    return CheckedRows(*parts[::2]), CheckedRows(*parts[1::2])


def folds(estimator: EstimatorParameters, rows: CheckedRows) -> np.ndarray | None:
    """Return which of several members does not train on a row, -1 where all do; None if rows are too few."""
    n_members = estimator._resolved["n_members"]
    if n_members == 1:
        return None
    equal = equal_rows(rows.X, largest=len(rows.y) / (2 * n_members))
    seed, stratified = estimator._seeds["split"], _is_stratified(estimator, rows.y)
    fold = assign_members(rows.y, n_members, seed, stratified=stratified, equal=equal)
    return fold if (fold >= 0).any() else None


def _is_stratified(estimator: EstimatorParameters, y: np.ndarray) -> bool:
    """Say whether splits keep the shares of classes; several labels a row have none."""
    return is_classifier(estimator) and y.ndim == 1
