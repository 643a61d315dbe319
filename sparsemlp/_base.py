"""What the classifier and the regressor share: validation, fitting, chunked prediction, persistence."""

from __future__ import annotations

import contextlib
import warnings
from abc import abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags, _safe_indexing, check_consistent_length
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from skorch.helper import predefined_split

from sparsemlp._fitted import FittedAttributes
from sparsemlp._persistence import net_state, restore_module, restore_optimizer
from sparsemlp._prediction import predict_in_chunks, rows_a_chunk
from sparsemlp._training.batches import DeviceRows, Rows, SparseRows, TabularDataset
from sparsemlp._training.callbacks import KeepBest, Progress, StopWhenExhausted
from sparsemlp._training.devices import has_room, resolve_device, torch_as_it_comes
from sparsemlp._training.losses import Criterion, Loss
from sparsemlp._training.net import LR_SCHEDULES, PRECISIONS, optimizer_options
from sparsemlp._training.out_of_fold import StopWhenLongEnough, assign_members
from sparsemlp._training.threads import settle_threads
from sparsemlp.activations import ACTIVATIONS
from sparsemlp.init import BIAS_INITS, WEIGHT_INITS
from sparsemlp.module import SparseInitMLP
from sparsemlp.preprocessing import SCALINGS, InputScaler
from sparsemlp.relevance import FEATURE_SAMPLINGS, relevance_weights

# Keep a copy of the weights for divergence at most once in this many steps.
STEPS_BETWEEN_COPIES = 16
# The first layer is made for at most this many rows, and values of them: thresholds are placed there, relevance is
# measured on them. Rows are dense here, so that a wide sparse table must not be taken whole.
MAX_INIT_ROWS = 100_000
MAX_INIT_VALUES = 2**27
X_OPTIONS: dict[str, Any] = {
    "accept_sparse": "csr",
    "dtype": [np.float64, np.float32],
    "ensure_all_finite": "allow-nan",
}


class BaseSparseInitMLP(FittedAttributes, BaseEstimator):
    """Base of both estimators; see :class:`SparseInitMLPClassifier` for the parameters."""

    _parameter_constraints: ClassVar[dict[str, list]] = {
        "width": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "sparsity": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "init": [StrOptions(set(WEIGHT_INITS))],
        "bias_init": [StrOptions(set(BIAS_INITS))],
        "feature_sampling": [StrOptions(set(FEATURE_SAMPLINGS))],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "richness": [Interval(Real, 0, None, closed="neither"), None],
        "scaling": [StrOptions({name for name in SCALINGS if name}), None],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions({"adamw", "sgd"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [StrOptions(set(LR_SCHEDULES))],
        "weight_averaging": ["boolean"],
        "precision": [StrOptions(set(PRECISIONS))],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean", StrOptions({"out_of_fold"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "callbacks": [list, tuple, None],
    }

    # -- what a subclass adds ---------------------------------------------------------------------------------

    @abstractmethod
    def _check_y(self, y: np.ndarray) -> None:
        """Validate `y`, and learn the classes."""

    @abstractmethod
    def _encode_y(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what skorch sees of `y`, shape (n,), and what the loss sees, shape (n, n_outputs)."""

    @abstractmethod
    def _class_weights(self, y: np.ndarray, sample_weight: np.ndarray) -> np.ndarray:
        """Return the weights of the rows with those of their classes multiplied in."""

    @abstractmethod
    def _make_loss(self) -> Loss:
        """Return the loss for the classes found."""

    @abstractmethod
    def _net_class(self) -> tuple[type, dict[str, Any]]:
        """Return the skorch class and its own parameters."""

    #: columns of the history that rank epochs for early stopping
    _monitors: ClassVar[list[tuple[str, int]]]
    _stratified = False

    # -- fitting ----------------------------------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> BaseSparseInitMLP:
        """Train the network.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Raw numeric columns; NaN is allowed.
        y : array-like of shape (n_samples,)
            Class labels, or numbers for regression.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights. Rows of zero weight are dropped before anything else. The objective is the
            weighted mean of the loss.
        X_val, y_val : optional
            Your own validation data. With ``early_stopping=True`` they stand in for the rows that would be held
            out. Otherwise, so by default, they decide nothing: scores on them are recorded after every epoch
            (`validation_scores_`).

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data are unusable; the message names which, and what would be right.
        """
        self._validate_params()
        again = self.warm_start and hasattr(self, "net_")
        X, y, weight = self._check_rows(X, y, sample_weight, reset=not again)
        if again:
            self._check_same_network("warm_start=True", "set warm_start=False")
        else:
            self._check_y(y)
            self._seed()
        weight = self._row_weights(y, weight)
        if not weight.any():
            raise ValueError("class_weight is zero for every class in y: nothing is left to train on")
        X, y, weight, validation = self._split(X, y, weight, X_val, y_val)
        if again:
            module = self.net_.module_.to(resolve_device(self.device))
        else:
            self._fit_y_scale(y, weight, may_change=self.warm_start)
            module = self._make_module(X, y, weight)
        self._weight_scale = float(weight.mean())
        history = self.net_.history if again else []
        self.net_ = self._make_net(module, history)
        try:
            folds = self._folds(y) if self.early_stopping == "out_of_fold" else None
            self._train(X, y, weight, validation, self.max_epochs, folds)
        finally:
            self.net_.release()
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, first: bool) -> BaseSparseInitMLP:
        if self._holds_out:
            raise ValueError(
                "early_stopping=True cannot work with partial_fit, which sees one chunk at a time and so has "
                "no validation rows; pass early_stopping=False"
            )
        X, y, weight = self._check_rows(X, y, sample_weight, reset=first)
        if not first:
            self._check_same_network("partial_fit", "call fit, or partial_fit on a clone,")
        weight = self._row_weights(y, weight)
        if first:
            self._seed()
            self._fit_y_scale(y, weight, may_change=True)
            # All chunks share the first one's scale, so that a heavier chunk counts for more.
            self._weight_scale = float(weight.mean()) or 1.0
            self.net_ = self._make_net(self._make_module(X, y, weight), [])
        else:
            self.net_ = self._net_to_go_on_with()
        # The number of chunks to come is not known.
        self.net_.lr_schedule, self.net_.weight_averaging = "constant", False
        self._train(X, y, weight, None, 1, None)
        self.net_.release(keep_optimizer=True)
        return self

    def _check_rows(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> tuple[Any, np.ndarray, np.ndarray]:
        settle_threads()
        X, y, sample_weight = _without_zero_weights(X, y, sample_weight)
        X, y = validate_data(self, X, y, reset=reset, y_numeric=not self._stratified, **X_OPTIONS)
        if sample_weight is None:
            weight = np.broadcast_to(1.0, len(y))  # takes no memory
        else:
            weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self._check_architecture(X.shape[1])
        return X, y, weight

    def _row_weights(self, y: np.ndarray, sample_weight: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", under="ignore"):
            weight = self._class_weights(y, sample_weight)
            if not np.isfinite(weight.sum()):
                raise ValueError(
                    "sample_weight or class_weight is so large that its sum overflows; only ratios count, so "
                    "divide by the largest"
                )
        return weight

    def _check_architecture(self, n_features: int) -> None:
        widths = self._widths()
        if not widths or any(not isinstance(w, Integral) or isinstance(w, bool) or w < 1 for w in widths):
            raise ValueError(f"width={self.width!r} must be a positive int or a non-empty tuple of them")
        if isinstance(self.sparsity, Integral) and int(self.sparsity) > n_features:
            raise ValueError(
                f"sparsity={self.sparsity} is more than the {n_features} features of X: a neuron "
                "cannot start with more inputs than there are"
            )
        resolve_device(self.device)

    def _network(self) -> dict[str, Any]:
        """Return the parameters that a fitted network cannot change."""
        names = ("n_members", "activation", "richness", "scaling", "loss")
        return {"width": self._widths()} | {name: getattr(self, name) for name in names}

    def _check_same_network(self, caller: str, way_out: str) -> None:
        for name, asked in self._network().items():
            if (its := self._fitted_network[name]) != asked:
                raise ValueError(
                    f"{caller} goes on with the fitted network of {name}={its!r}, "
                    f"but the parameters say {asked!r}; {way_out} to start anew"
                )

    def _widths(self) -> tuple[int, ...]:
        return tuple(self.width) if isinstance(self.width, tuple | list) else (self.width,)

    def _seed(self) -> None:
        """Draw independent seeds for initialisation, batches, split and quantiles; touch nothing global."""
        state = self.random_state
        if isinstance(state, np.random.RandomState):
            state = state.randint(2**31 - 1)
        seeds = np.random.SeedSequence(state).generate_state(4)
        self._seeds = dict(zip(("init", "batches", "split", "scaler"), map(int, seeds), strict=True))

    def _split(self, X: Any, y: np.ndarray, weight: np.ndarray, X_val: Any, y_val: Any) -> tuple:
        """Return training rows and validation rows, the latter None where there is nothing to validate."""
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together")
        if X_val is not None:
            X_val, y_val = validate_data(
                self, X_val, y_val, reset=False, y_numeric=not self._stratified, **X_OPTIONS
            )
            self._check_y_val(y_val)
            return X, y, weight, (X_val, y_val, np.ones(len(y_val)))
        if not self._holds_out:
            return X, y, weight, None
        try:
            X, X_val, y, y_val, weight, weight_val = train_test_split(
                X,
                y,
                weight,
                test_size=self.validation_fraction,
                stratify=y if self._stratified else None,
                random_state=self._seeds["split"],
            )
        except ValueError as error:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} cannot split the {len(y)} rows so that every "
                f"class is in both parts ({error}); give X_val and y_val, or pass early_stopping=False"
            ) from error
        return X, y, weight, (X_val, y_val, weight_val)

    def _check_y_val(self, y_val: np.ndarray) -> None:
        """Check what only some estimators must of the user's validation targets."""

    def _fit_y_scale(self, y: np.ndarray, weight: np.ndarray, *, may_change: bool) -> None:
        """Learn the scale of `y`, where it has one; other values may follow, or not."""

    # -- the network ------------------------------------------------------------------------------------------

    @torch_as_it_comes()
    @np.errstate(under="ignore")  # next to nothing is nothing, also where a program asks numpy for errors
    def _make_module(self, X: Any, y: np.ndarray, weight: np.ndarray) -> SparseInitMLP:
        """Fit the scaling, then draw the network."""
        self._fitted_network = self._network()
        self.scaler_ = InputScaler(self.scaling, random_state=self._seeds["scaler"])
        self.scaler_.fit(X, sample_weight=weight if weight.any() else None)  # a first chunk may count for nothing
        generator = torch.Generator().manual_seed(self._seeds["init"])
        self._batch_state = None
        self.sparsity_ = min(2, X.shape[1]) if self.sparsity == "auto" else self.sparsity
        rows, feature_weights = self._first_layer_data(X, y, weight, generator)
        module = SparseInitMLP(
            len(self.scaler_.column_features_),
            self._n_outputs(),
            self._widths(),
            self.sparsity_,
            init=self.init,
            bias_init=self.bias_init,
            activation=self.activation,
            richness=self.richness,
            n_members=self.n_members,
            data=rows,
            column_groups=self.scaler_.column_groups(),
            feature_weights=feature_weights,
            generator=generator,
        )
        return module.to(resolve_device(self.device), torch.float32)  # torch's default may be another

    def _first_layer_data(
        self, X: Any, y: np.ndarray, weight: np.ndarray, generator: torch.Generator
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Return scaled rows for thresholds, and how often features are drawn; None where it does not matter."""
        is_weighted = self.feature_sampling == "relevance" and self.sparsity_ is not None
        if not is_weighted and self.bias_init != "data":
            return None, None
        column_features = self.scaler_.column_features_
        n_rows = min(MAX_INIT_ROWS, max(1, MAX_INIT_VALUES // len(column_features)))
        some = torch.randperm(X.shape[0], generator=generator)[:n_rows].numpy()
        rows = self.scaler_.transform(X[some])
        if not is_weighted:
            return torch.from_numpy(rows), None
        target = self._encode_y(y[some])[1]
        return torch.from_numpy(rows), relevance_weights(rows, target, column_features, weight[some])

    def _n_outputs(self) -> int:
        return 1

    @torch_as_it_comes()
    def _make_net(self, module: SparseInitMLP, history: list) -> Any:
        """Wrap `module` in a skorch net that is ready to train, and goes on from `history`."""
        net_class, options = self._net_class()
        loss = self._make_loss()
        net = net_class(
            module,
            criterion=Criterion(loss),
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            lr_schedule=self.lr_schedule,
            weight_averaging=self.weight_averaging,
            precision=self.precision,
            **optimizer_options(self.optimizer, module, self.learning_rate, self.weight_decay),
            train_split=None,
            callbacks=self._callbacks(),
            device=str(module.input_layer.weight.device),  # safetensors takes no torch.device
            verbose=self.verbose,
            chunk_size=rows_a_chunk(module),
            **options,
        ).initialize()
        net.history.extend(history)
        return net

    def _net_to_go_on_with(self) -> Any:
        """Return a net of the fitted weights and what the parameters say now, with the optimizer's state."""
        old = self.net_
        net = self._make_net(old.module_, old.history)
        if old.can_train() and type(old.optimizer_) is type(net.optimizer_):  # fit lets go of the optimizer
            net.optimizer_.state.update(old.optimizer_.state)
        return net

    def _callbacks(self) -> list:
        bar = [("progress", Progress())] if self.verbose else []
        keep_best = KeepBest()
        stop = [("stop", StopWhenExhausted(keep_best)), ("long_enough", StopWhenLongEnough())]
        return [*bar, ("keep_best", keep_best), *(self.callbacks or []), *stop]

    @torch_as_it_comes()
    @np.errstate(under="ignore")
    def _dataset(self, X: Any, y: np.ndarray, relative_weight: np.ndarray) -> TabularDataset:
        """Scale rows and put them, their targets and weights where the network is."""
        device = self.net_.module_.input_layer.weight.device
        rows: Rows
        if sparse.issparse(X):
            rows = SparseRows(X, self.scaler_.transform, len(self.scaler_.column_features_))
        else:
            values = torch.from_numpy(self.scaler_.transform(X))
            rows = DeviceRows(values.to(device) if has_room(device, values.nbytes) else values)
        seen, target = (torch.from_numpy(values).to(device) for values in self._encode_y(y))
        weight = relative_weight.astype(np.float32)
        if (weight == 1).all():
            return TabularDataset(rows, seen, target)
        return TabularDataset(rows, seen, target, torch.from_numpy(weight).unsqueeze(1).to(device))

    @property
    def _holds_out(self) -> bool:
        """Whether rows are held out from all members."""
        return bool(self.early_stopping) and self.early_stopping != "out_of_fold"

    def _folds(self, y: np.ndarray) -> np.ndarray | None:
        """Return the member that does not see a row, -1 where all do; None where all see all."""
        if self.n_members == 1:
            return None
        folds = assign_members(y, self.n_members, self._seeds["split"], stratified=self._stratified)
        return folds if (folds >= 0).any() else None

    def _train(
        self,
        X: Any,
        y: np.ndarray,
        weight: np.ndarray,
        validation: tuple | None,
        epochs: int,
        folds: np.ndarray | None,
    ) -> None:
        """Train the net for some epochs, and say so if the loss diverges."""
        net = self.net_
        net.train_split = None
        if validation is not None:
            X_val, y_val, weight_val = validation
            net.train_split = predefined_split(self._dataset(X_val, y_val, weight_val / weight_val.mean()))
        dataset = self._dataset(X, y, weight / self._weight_scale)
        device = dataset.target.device
        dataset.fold = None if folds is None else torch.from_numpy(folds).to(device)
        net.batch_generator = torch.Generator(device).manual_seed(self._seeds["batches"] + len(net.history))
        if self._batch_state is not None:
            with contextlib.suppress(RuntimeError):  # the state of another kind of device: start a new order
                net.batch_generator.set_state(torch.tensor(self._batch_state, device="cpu"))
        keep_best = dict(net.callbacks_)["keep_best"]
        patience = self.n_iter_no_change if self._holds_out else None
        n_steps = -(-len(dataset) // self.batch_size)
        every = 1 if patience is not None else max(1, STEPS_BETWEEN_COPIES // n_steps)
        keep_best.configure(self._monitors if patience is not None else [("train_loss", -1)], patience, every)
        self._train_net(dataset, epochs)
        self._batch_state = net.batch_generator.get_state().numpy()
        self.best_epoch_ = keep_best.best_epoch_
        if keep_best.diverged_:
            warnings.warn(
                f"The loss became infinite or NaN; the weights of epoch {self.best_epoch_} were restored. "
                f"Lower learning_rate={self.learning_rate}, or choose scaling='squash' if scaling is None.",
                ConvergenceWarning,
                stacklevel=3,
            )

    @torch_as_it_comes()
    def _train_net(self, dataset: TabularDataset, epochs: int) -> None:
        self.net_.partial_fit(dataset, epochs=epochs)

    # -- prediction -------------------------------------------------------------------------------------------

    @np.errstate(under="ignore")
    def _decision(self, X: Any) -> np.ndarray:
        """Return the members' combined outputs, float64 of shape (n_samples, n_outputs)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, **X_OPTIONS)
        net = self.net_
        return predict_in_chunks(net.module_, self._combine, X, self.scaler_.transform, rows_a_chunk(net.module_))

    def _combine(self, output: torch.Tensor) -> torch.Tensor:
        """Merge the members' outputs (n_members, n_rows, n_outputs) into decision values (n_rows, n_outputs)."""
        return self.net_.criterion_.loss.combine(output)

    # -- persistence ------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "net_" in state:
            state["net_"] = net_state(self.net_)
        return state

    @torch_as_it_comes()
    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if isinstance(vars(self).get("net_"), dict):
            saved = self.net_
            module = restore_module(saved, resolve_device(self.device, fall_back=True))
            self.net_ = self._make_net(module, saved["history"])
            restore_optimizer(self.net_, saved)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        return tags


def _without_zero_weights(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Drop rows of zero weight before anything looks at them, even at whether they are finite."""
    weight = np.asarray(sample_weight)
    if sample_weight is None or y is None or weight.ndim != 1 or weight.dtype.kind not in "biuf" or weight.all():
        return X, y, sample_weight
    check_consistent_length(X, y, weight)
    if sparse.issparse(X):
        X = X.tocsr()  # not every format can be indexed
    used = np.flatnonzero(weight)
    if not len(used):
        raise ValueError("sample_weight is zero in every row: nothing is left to train on")
    return _safe_indexing(X, used), _safe_indexing(y, used), weight[used]
