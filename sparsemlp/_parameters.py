"""What all steps of a fit know of an estimator: its parameters, what they stand for, what a subclass adds."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from sparsemlp._activations import ACTIVATIONS
from sparsemlp._fitted import FittedAttributes
from sparsemlp._training.devices import resolve_device
from sparsemlp._training.net import LR_SCHEDULES, FastNet
from sparsemlp._training.optimizers import OPTIMIZERS
from sparsemlp._training.session import PRECISIONS
from sparsemlp._validation import check_richness
from sparsemlp.init import BIAS_INITS, WEIGHT_INITS
from sparsemlp.preprocessing import SCALINGS
from sparsemlp.trees import FEATURE_SAMPLINGS


class EstimatorParameters(FittedAttributes, BaseEstimator, metaclass=ABCMeta):
    """The parameters that both estimators have, see :class:`sparsemlp.SparseInitMLPClassifier`."""

    _parameter_constraints: ClassVar[dict[str, list | str]] = {
        "width": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "sparsity": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "init": [StrOptions(set(WEIGHT_INITS))],
        "bias_init": [StrOptions(set(BIAS_INITS))],
        "feature_sampling": [StrOptions(set(FEATURE_SAMPLINGS))],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "richness": "no_validation",  # by check_richness, which says more
        "scaling": [StrOptions({name for name in SCALINGS if name}), None],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "n_members": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "lr_schedule": [StrOptions(set(LR_SCHEDULES))],
        "weight_averaging": ["boolean"],
        "precision": [StrOptions(set(PRECISIONS))],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "max_seconds": [Interval(Real, 0, None, closed="neither"), None],
        "early_stopping": ["boolean", StrOptions({"out_of_fold"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "search_steps": [Interval(Integral, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "callbacks": [list, tuple, None],
    }

    #: with out-of-fold rows, training does not end before
    _min_epochs: ClassVar[int] = 1
    #: what max_epochs="auto" is for tables that are not very large
    _most_epochs: ClassVar[int]

    # -- what a subclass adds ---------------------------------------------------------------------------------

    @abstractmethod
    def _encode_y(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what skorch sees of `y`, shape (n,), and what the loss sees, shape (n, n_outputs)."""

    @abstractmethod
    def _skorch_net(self, **options: Any) -> FastNet:
        """Return a net with the loss for the learned targets; `options` are the other arguments of its class."""

    @abstractmethod
    def _check_y(self, y: np.ndarray, name: str = "y", *, learn: bool = False) -> None:
        """Check targets, the argument called `name`; `learn`: remember their classes."""

    @abstractmethod
    def _fit_y_scale(self, y: np.ndarray, weight: np.ndarray, *, may_change: bool) -> None:
        """Learn the scale of `y`, if it has one; `may_change`: chunks of another scale may follow."""

    @abstractmethod
    def _class_weights(self, y: np.ndarray, y_train: np.ndarray) -> np.ndarray | None:
        """Return the class weights of rows, which are as frequent as in `y_train`; None where all are 1."""

    @abstractmethod
    def _scores(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return how far outputs are from targets, both of shape (n_rows, n_outputs), for intervals or sets."""

    # -- what the parameters stand for ------------------------------------------------------------------------

    def _validate_params(self) -> None:
        if isinstance(self.width, str):
            raise ValueError(
                f"width={self.width!r} is a text, as Optuna stores a tuple; "
                "sparsemlp.search_space.best_params(study) returns the parameters of a study's best trial"
            )
        super()._validate_params()

    def _check_architecture(self, n_features: int) -> None:
        widths = self._widths()
        if not widths or any(not isinstance(w, Integral) or isinstance(w, bool) or w < 1 for w in widths):
            raise ValueError(f"width={self.width!r} must be a positive int or a non-empty tuple of them")
        if isinstance(self.sparsity, Integral) and int(self.sparsity) > n_features:
            raise ValueError(
                f"sparsity={self.sparsity} is more than the {n_features} features of X: a neuron "
                "cannot start with more inputs than there are"
            )
        check_richness(self.richness)
        resolve_device(self.device)

    def _network(self) -> dict[str, Any]:
        """Return the parameters that a fitted network cannot change."""
        names = ("activation", "richness", "scaling", "loss")
        own = {"width": self._widths(), "n_members": self._resolved["n_members"]}
        return own | {name: getattr(self, name) for name in names}

    def _check_same_network(self, caller: str, way_out: str) -> None:
        for name, asked in (self._network() | {"n_members": self.n_members}).items():
            if (its := self._fitted_network[name]) != asked != "auto":
                raise ValueError(
                    f"{caller} goes on with the fitted network of {name}={its!r}, "
                    f"but the parameters say {asked!r}; {way_out} to start again"
                )

    def _widths(self) -> tuple[int, ...]:
        return tuple(self.width) if isinstance(self.width, tuple | list) else (self.width,)

    def _seed(self) -> None:
        """Make independent seeds for initialisation, batches, split and quantiles; touch nothing global."""
        state = self.random_state
        if isinstance(state, np.random.RandomState):
            state = state.randint(2**31 - 1)
        seeds = np.random.SeedSequence(state).generate_state(4)
        self._seeds = dict(zip(("init", "batches", "split", "scaler"), map(int, seeds), strict=True))

    @property
    def _holds_out(self) -> bool:
        """Whether rows are held out from all members."""
        return bool(self.early_stopping) and self.early_stopping != "out_of_fold"
