"""Fitted attributes of both estimators: read from the trained net, and never those of two fits at once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if

from sparsemlp.inspection import feature_importances

Estimator = TypeVar("Estimator")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Method = TypeVar("Method", bound=Callable[..., Any])


def all_or_nothing(
    fit: Callable[Concatenate[Estimator, Arguments], Result],
) -> Callable[Concatenate[Estimator, Arguments], Result]:
    """Let a method that fits, or prepares a fit, leave the attributes as they were if it fails.

    A first fit that fails then leaves an estimator that is not fitted. After a later one, the estimator predicts
    as before, with the attributes that belong to its net.
    """

    @functools.wraps(fit)
    def wrapped(self: Estimator, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        before = dict(vars(self))
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return wrapped


def only_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
    """Return scikit-learn's ``available_if``, with the type of the method for editors."""
    return available_if(check)


class FittedAttributes:
    """Attributes that exist once `fit` has made a net."""

    net_: Any
    sparsity_: int | None

    def __sklearn_is_fitted__(self) -> bool:
        """Say whether there is a net, for ``check_is_fitted``."""
        return "net_" in vars(self)

    @property
    def history_(self) -> Any:
        """Skorch's history of the fit, one entry an epoch."""
        return self._fitted("history_").history

    @property
    def loss_curve_(self) -> list[float]:
        """Training loss of every epoch."""
        return [float(epoch["train_loss"]) for epoch in self._fitted("loss_curve_").history]

    @property
    def validation_scores_(self) -> list[float] | None:
        """Accuracy or R^2 on the validation rows after every epoch; None where there were none."""
        net = self._fitted("validation_scores_")
        scores = [float(epoch[net.score_name]) for epoch in net.history if net.score_name in epoch]
        return scores or None

    @property
    def n_iter_(self) -> int:
        """Number of epochs run."""
        return len(self._fitted("n_iter_").history)

    @property
    def device_(self) -> str:
        """Name of the device that the network is on."""
        self._fitted("device_")
        return str(self._device)

    @property
    def _device(self) -> torch.device:
        """The device that the network is on."""
        device: torch.device = self.net_.module_.input_layer.weight.device
        return device

    @property
    def feature_importances_(self) -> np.ndarray:
        """Shares of the raw features in the first layer, see :func:`sparsemlp.inspection.feature_importances`."""
        self._fitted("feature_importances_")
        return feature_importances(self)

    def _fitted(self, attribute: str) -> Any:
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"{type(self).__name__} has no {attribute!r} before fit")
        return self.net_
