"""From the user's table to training data: rows are checked and weighted, scaled once and encoded once."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from sklearn.base import is_regressor
from sklearn.utils import _safe_indexing, check_consistent_length, column_or_1d
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_sample_weight,
    _get_feature_names,
    check_array,
    check_X_y,
    validate_data,
)

from sparsemlp._frames import CategoryEncoder, find_categorical
from sparsemlp._parameters import EstimatorParameters
from sparsemlp._tables import read_targets, reading
from sparsemlp._training.batches import DeviceRows, Rows, SparseRows, TabularDataset
from sparsemlp._training.devices import has_room, torch_as_it_comes
from sparsemlp._training.threads import compute_threads
from sparsemlp.preprocessing import InputScaler
from sparsemlp.trees import TreePaths

# The first layer is made for at most this many rows, and values of them: thresholds are placed there, trees grow
# on them. Rows are dense here, so a wide sparse table must not be taken as a whole.
MAX_INIT_ROWS = 100_000
MAX_INIT_VALUES = 2**27
# With fewer columns, times the root of the number of rows, one thread grows all members' trees: most of the time
# it holds Python's lock, and two threads that hand it to and fro take up to 1.6 times as long. Measured, see
# docs/speed.md.
THREADS_PAY = 2000
# Weights of up to 2 to this power are used as they are.
MAX_EXPONENT = 64
X_OPTIONS: dict[str, Any] = {
    "accept_sparse": "csr",
    "dtype": [np.float64, np.float32],
    "ensure_all_finite": "allow-nan",
}


class CheckedRows(NamedTuple):
    """A table as the user gave it, checked."""

    X: Any  # ndarray or CSR matrix of shape (n_rows, n_features)
    y: np.ndarray  # of shape (n_rows,), or (n_rows, n_targets) for several
    weight: np.ndarray


class SampledRows(NamedTuple):
    """Rows that a first layer starts from."""

    inputs: torch.Tensor  # scaled, of shape (n_rows, n_columns)
    target: np.ndarray
    weight: np.ndarray
    rows: np.ndarray  # which of the training rows they are
    columns: torch.Tensor | None = None  # which columns each member sees, (n_members, n_columns); None: all

    def grow_trees(
        self,
        fold: np.ndarray | None,
        n_members: int,
        scaler: InputScaler,
        generator: torch.Generator,
    ) -> list[TreePaths | None]:
        """Grow the trees of every member, on the rows that it trains on."""
        inputs, weight = self.inputs.numpy(), None if (self.weight == self.weight[0]).all() else self.weight
        seeds = torch.randint(2**31 - 1, (n_members,), generator=generator).tolist()
        groups = scaler.column_groups()
        n_views, one_hot = scaler.n_views(), list(scaler.one_hot_columns())

        def grow(member: int) -> TreePaths | None:
            own = slice(None) if fold is None else fold[self.rows] != member
            seen = inputs if self.columns is None else inputs * self.columns[member].numpy()
            return TreePaths.grow(
                seen[own],
                self.target[own],
                None if weight is None else weight[own],
                column_groups=groups,
                n_views=n_views,
                one_hot=one_hot,
                generator=torch.Generator().manual_seed(seeds[member]),
            )

        n_columns = inputs.shape[1] if groups is None else len(groups)
        threads_pay = n_columns * math.sqrt(len(inputs)) >= THREADS_PAY
        n_threads = min(n_members, torch.get_num_threads()) if threads_pay else 1
        with compute_threads(n_threads, 1) as compute:
            return compute.map([partial(grow, member) for member in range(n_members)])


def check_table(estimator: EstimatorParameters, X: Any, *y: Any, reset: bool = False) -> Any:
    """Validate a table, and y where it is given; `reset` learns its features and their categories.

    Categories become codes, see :class:`sparsemlp._frames.CategoryEncoder`.
    """
    options: dict[str, Any] = {"multi_output": True, "y_numeric": is_regressor(estimator)} if y else {}
    if reset:
        is_categorical = find_categorical(X, estimator.categorical_features, _get_feature_names(X))
        estimator._categories = None if is_categorical is None else CategoryEncoder(is_categorical)
    if estimator._categories is None:
        with reading(X):
            return validate_data(estimator, X, *y, reset=reset, **X_OPTIONS, **options)
    if len(np.shape(X)) != 2:
        check_array(X, dtype=None, ensure_all_finite=False)  # says what is wrong
    _check_feature_names(estimator, X, reset=reset)
    _check_n_features(estimator, X, reset=reset)
    if reset:
        estimator._categories.fit(X)
    X = estimator._categories.transform(X)
    with reading(X):
        return check_X_y(X, *y, **X_OPTIONS, **options) if y else check_array(X, **X_OPTIONS)


def check_rows(
    estimator: EstimatorParameters,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    reset: bool = False,
    y_name: str = "y",
) -> CheckedRows:
    """Validate a table, without its rows of zero weight; `reset` learns the number and names of the features."""
    X, y, sample_weight = _without_zero_weights(X, y, sample_weight)
    y = read_targets(y, numeric=is_regressor(estimator), name=y_name)
    X, y = check_table(estimator, X, y, reset=reset)
    if sparse.issparse(y):
        y = y.toarray()
    if y.shape[1:] == (1,):
        y = column_or_1d(y, warn=True)
    if sample_weight is None:
        weight = np.broadcast_to(1.0, len(y))  # takes no memory
    else:
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    return CheckedRows(X, y, weight)


def _without_zero_weights(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Drop rows of zero weight before anything looks at them, even at whether they are finite."""
    weight = np.asarray(sample_weight)
    if sample_weight is not None and weight.dtype.kind in "US":
        raise ValueError(f"sample_weight holds text, such as {weight.ravel()[0].item()!r}; pass numbers")
    if sample_weight is None or y is None or weight.ndim != 1 or weight.dtype.kind not in "biuf" or weight.all():
        return X, y, sample_weight
    check_consistent_length(X, y, weight)
    if sparse.issparse(X):
        X = X.tocsr()  # not every format can be indexed
    used = np.flatnonzero(weight)
    if not len(used):
        raise ValueError("sample_weight is zero in every row: nothing is left to train on")
    return _safe_indexing(X, used), _safe_indexing(y, used), weight[used]


def of_order_one(weight: np.ndarray) -> np.ndarray:
    """Return weights of which products neither overflow nor vanish: only their ratios count, which stay exact."""
    exponent = int(np.frexp(weight.max())[1])
    return weight if abs(exponent) < MAX_EXPONENT else np.ldexp(weight, -exponent)


def with_class_weights(
    estimator: EstimatorParameters, rows: CheckedRows, y_train: np.ndarray | None = None
) -> CheckedRows:
    """Multiply the weights of the rows by those of their classes, as these are frequent in `y_train`."""
    by_class = estimator._class_weights(rows.y, rows.y if y_train is None else y_train)
    with np.errstate(over="ignore", under="ignore"):
        weight = rows.weight if by_class is None else rows.weight * by_class
        if not np.isfinite(weight.sum()):
            raise ValueError(
                "sample_weight or class_weight is so large that its sum overflows; only ratios count, so "
                "divide by the largest"
            )
    return rows._replace(weight=weight)


def fitted_scaler(
    estimator: EstimatorParameters, rows: CheckedRows, features: np.ndarray | None = None
) -> InputScaler:
    """Learn the scales of some features, or of all."""
    encoder = estimator._categories
    categorical = [] if encoder is None else np.flatnonzero(encoder.is_categorical).tolist()
    target = estimator._encode_y(rows.y)[1] if categorical else None
    # the rows of a first chunk may all have the weight 0
    weight = of_order_one(rows.weight) if rows.weight.any() else None
    scaler = InputScaler(estimator.scaling, estimator._seeds["scaler"], categorical, features)
    return scaler.fit(rows.X, target, sample_weight=weight)


class EncodedRows:
    """Rows as a network takes them, on the host: X scaled, y encoded. Sparse rows are scaled where they are used.

    Parameters
    ----------
    rows : CheckedRows
        The rows.
    scaler : InputScaler
        Fitted.
    encode_y : callable
        Returns what skorch sees of y, shape (n_rows,), and what the loss sees, shape (n_rows, n_outputs).
    is_new : bool, default=False
        The scaler has not seen these rows.
    columns : Tensor of shape (n_members, n_columns) or None
        1 where a member sees a column, 0 where it does not; None: all members see all columns.
    """

    @np.errstate(under="ignore")  # what underflows is 0, also where a program asks numpy for errors
    def __init__(
        self,
        rows: CheckedRows,
        scaler: InputScaler,
        encode_y: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
        *,
        is_new: bool = False,
        columns: torch.Tensor | None = None,
    ) -> None:
        self.columns = columns
        self.labels, self.target = encode_y(rows.y)
        self.weight = rows.weight
        self.inputs: Rows
        if sparse.issparse(rows.X):
            self.inputs = SparseRows(rows.X, scaler.transform, len(scaler.column_features_))
        elif is_new:
            self.inputs = DeviceRows(torch.from_numpy(scaler.transform(rows.X)))
        else:
            scaled = scaler.transform_training_rows(rows.X, self.target, of_order_one(rows.weight))
            self.inputs = DeviceRows(torch.from_numpy(scaled))

    def sample(self, generator: torch.Generator) -> SampledRows:
        """Return random rows, as many as the first layer is made for."""
        n_columns = self.inputs.n_columns
        n_rows = min(MAX_INIT_ROWS, max(1, MAX_INIT_VALUES // n_columns))
        some = torch.randperm(len(self.inputs), generator=generator)[:n_rows]
        inputs = torch.empty(len(some), n_columns, dtype=torch.float32)
        self.inputs.take(some, out=inputs)
        index = some.numpy()
        weight = of_order_one(self.weight[index])
        return SampledRows(inputs, self.target[index], weight, index, self.columns)

    @torch_as_it_comes()
    @np.errstate(under="ignore")
    def to_dataset(
        self, device: torch.device, mean_weight: float, fold: np.ndarray | None = None
    ) -> TabularDataset:
        """Return the rows on `device`, where it has room for them, with weights divided by `mean_weight`.

        `fold` is the member that does not train on a row, -1 where all do.
        """
        inputs = self.inputs
        if isinstance(inputs, DeviceRows) and has_room(device, inputs.values.nbytes):
            inputs = DeviceRows(inputs.values.to(device))
        labels, target = (torch.from_numpy(values).to(device) for values in (self.labels, self.target))
        weight = (self.weight / mean_weight).astype(np.float32)
        has_weight = (weight != 1).any()
        by_row = torch.from_numpy(weight).unsqueeze(1).to(device) if has_weight else None
        left_out = None if fold is None else torch.from_numpy(fold).to(device)
        columns = None if self.columns is None else self.columns.to(device)
        return TabularDataset(inputs, labels, target, by_row, left_out, columns)
