"""SparseInitMLPRegressor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.utils._param_validation import StrOptions

from sparsemlp.base import BaseSparseInitMLP
from sparsemlp.losses import Loss, make_loss
from sparsemlp.net import RegressorNet


class SparseInitMLPRegressor(RegressorMixin, BaseSparseInitMLP):
    """TODO."""

    _parameter_constraints: ClassVar[dict[str, list]] = {
        **BaseSparseInitMLP._parameter_constraints,
        "loss": [StrOptions({"squared"})],
    }
    _monitors: ClassVar[list[tuple[str, int]]] = [("valid_r2", 1)]

    def __init__(
        self,
        width: int | Sequence[int] = (512, 128),
        sparsity: int | str | None = "auto",
        init: str = "normal",
        *,
        bias_init: str = "data",
        activation: str = "relu",
        scaling: str | None = "both",
        n_members: int = 8,
        loss: str = "squared",
        optimizer: str = "adamw",
        learning_rate: float = 1e-3,
        lr_schedule: str = "cosine",
        weight_decay: float = 0.01,
        batch_size: int = 256,
        max_epochs: int = 48,
        early_stopping: bool = False,
        validation_fraction: float = 0.15,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        device: str | torch.device = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callbacks: list | None = None,
    ) -> None:
        self.width = width
        self.sparsity = sparsity
        self.init = init
        self.bias_init = bias_init
        self.activation = activation
        self.scaling = scaling
        self.n_members = n_members
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> SparseInitMLPRegressor:
        """Train for one pass over a chunk of rows, for data that do not fit in memory.

        The scales of X and y and the first-layer biases come from the first chunk and stay; the learning rate
        is constant.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            A chunk of rows.
        y : array-like of shape (n_samples,)
            Their targets.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.

        Returns
        -------
        self : SparseInitMLPRegressor
            The estimator.

        Raises
        ------
        ValueError
            If ``early_stopping=True``, which needs all rows at once.
        """
        self._validate_params()
        self._partial_fit(X, y, sample_weight, first=not hasattr(self, "net_"))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the members' mean prediction.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._decision(X)[:, 0] * self.y_scale_ + self.y_mean_

    # -- what the base class asks for -------------------------------------------------------------------------

    def _check_y(self, y: np.ndarray) -> None:
        """Nothing is learned from `y` before the split."""

    def _fit_y_scale(self, y: np.ndarray, weight: np.ndarray) -> None:
        y = np.asarray(y, dtype=np.float64)
        self.y_mean_ = float(np.average(y, weights=weight))
        deviation = float(np.sqrt(np.average((y - self.y_mean_) ** 2, weights=weight)))
        self.y_scale_ = deviation or 1.0

    def _class_weights(self, y: np.ndarray, sample_weight: np.ndarray) -> np.ndarray:
        return sample_weight

    def _encode_y(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        standardised = ((np.asarray(y, dtype=np.float64) - self.y_mean_) / self.y_scale_).astype(np.float32)
        return standardised, standardised[:, None]

    def _make_loss(self) -> Loss:
        return make_loss(self.loss)

    def _net_class(self) -> tuple[type, dict[str, Any]]:
        loss = self._make_loss()
        return RegressorNet, {"predict_nonlinearity": lambda output: loss.combine(output)[:, 0]}
