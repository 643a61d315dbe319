"""What the classifier and the regressor share: validation, fitting, chunked prediction, persistence."""

from __future__ import annotations

import contextlib
import copy
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from skorch.helper import predefined_split

from sparsemlp._activations import ACTIVATIONS
from sparsemlp._convergence import warn_if_cut_off, warn_of_interrupt
from sparsemlp._data import CheckedRows, EncodedRows, check_rows, check_table, hold_out, of_order_one
from sparsemlp._equal_rows import equal_rows
from sparsemlp._first_layer_start import FirstLayerStart
from sparsemlp._fitted import FittedAttributes, all_or_nothing
from sparsemlp._many_rows import resolve, when_to_end
from sparsemlp._persistence import net_state, restore_module, restore_optimizer
from sparsemlp._prediction import predict_in_chunks, rows_a_chunk, rows_to_share
from sparsemlp._screening import is_wide, screen, strong_columns, try_strong_columns
from sparsemlp._search import search_if_little_was_found
from sparsemlp._training.batches import TabularDataset
from sparsemlp._training.callbacks import KeepBest, Progress, StopWhenExhausted
from sparsemlp._training.devices import is_out_of_memory, resolve_device, torch_as_it_comes
from sparsemlp._training.net import LR_SCHEDULES, FastNet
from sparsemlp._training.optimizers import OPTIMIZERS, optimizer_options
from sparsemlp._training.out_of_fold import StopWhenLongEnough, assign_members, fit_temperature
from sparsemlp._training.schedules import Schedule, resume
from sparsemlp._training.session import PRECISIONS
from sparsemlp._training.threads import compute_threads, settle_threads
from sparsemlp._training.time_limit import StopAtTimeLimit, TimeLimit
from sparsemlp._user_callbacks import check_monitors, without_tensors
from sparsemlp._validation import check_richness
from sparsemlp.init import BIAS_INITS, WEIGHT_INITS
from sparsemlp.module import SparseInitMLP
from sparsemlp.preprocessing import SCALINGS, InputScaler
from sparsemlp.trees import FEATURE_SAMPLINGS

# Training has so many copies of the weights at a time: parameters, gradients, AdamW's two moments, the average,
# what it is the average of, and the best so far.
WEIGHT_COPIES = 7
# ... and of a batch's neurons: values, their gradients, what the backward pass needs of them.
BATCH_COPIES = 3
# Keep a copy of the weights for divergence at most once in this many steps.
STEPS_BETWEEN_COPIES = 16


class BaseSparseInitMLP(FittedAttributes, BaseEstimator, metaclass=ABCMeta):
    """Base of both estimators; see :class:`SparseInitMLPClassifier` for the parameters."""

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

    # -- fitting ----------------------------------------------------------------------------------------------

    def _validate_params(self) -> None:
        if isinstance(self.width, str):
            raise ValueError(
                f"width={self.width!r} is a text, as Optuna stores a tuple; "
                "sparsemlp.search_space.best_params(study) returns the parameters of a study's best trial"
            )
        super()._validate_params()

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Raw numeric columns; NaN is allowed.
        y : array-like of shape (n_samples,), (n_samples, n_targets) or (n_samples, n_labels)
            Class labels, or numbers for regression. Several targets are learned by one network, each scaled on its
            own; so are several labels a row, a matrix of 0 and 1.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights. Rows of zero weight are dropped before anything else. The objective is the
            weighted mean of the loss.
        X_val, y_val : optional
            Your own validation data. With ``early_stopping=True`` they replace the rows that would be held out.
            Otherwise training does not depend on them: their scores are recorded after every epoch
            (`validation_scores_`).
        sample_weight_val : array-like of shape (n_validation_rows,), optional
            Non-negative weights of your validation rows. Their losses and scores are weighted by them and by the
            class weights of the training rows.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used; the message names which, and what would be right. The
            estimator is then left as it was.
        MemoryError
            If there is not enough memory; the message says what the first layer needs, and what to lower.
        """
        limit = TimeLimit(self.max_seconds)  # preparing the rows counts
        with self._explained_memory_errors(X):
            dataset, validation = self._prepare(X, y, sample_weight, X_val, y_val, sample_weight_val)
            self.net_.time_limit = limit
            self._temperature = 1.0  # callbacks predict with it, also after a warm start
            try:
                start = None if dataset.strong is None else copy.deepcopy(self.net_.module_)
                self._train(dataset, validation, self._resolved["max_epochs"])
                if start is not None and not self.net_.time_limit.is_over():
                    try_strong_columns(self, start, dataset, validation)
                search_if_little_was_found(self, dataset, validation)
                warn_if_cut_off(self, dataset)
                self._temperature = self._fit_temperature()
                self._out_of_fold = self._out_of_fold_scores()
            finally:
                self.net_.release()
        return self

    @all_or_nothing
    def _prepare(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any
    ) -> tuple[TabularDataset, TabularDataset | None]:
        """Make everything that training needs; return the rows to train and those to validate on."""
        self._validate_params()
        goes_on = self.warm_start and hasattr(self, "net_")
        rows = self._check_rows(X, y, sample_weight, reset=not goes_on)
        if goes_on:
            self._check_same_network("warm_start=True", "set warm_start=False")
        self._resolve(len(rows.y), first=not goes_on)
        self._check_y(rows.y, learn=not goes_on)
        if not goes_on:
            self._seed()
            self._fitted_network = self._network()
        rows = self._with_class_weights(rows)
        if not rows.weight.any():
            raise ValueError("class_weight is zero for every class in y: nothing is left to train on")
        rows, validation = self._split(rows, X_val, y_val, sample_weight_val)
        if validation is None:
            self._check_monitors("pass X_val and y_val to fit, or early_stopping=True, ")
        self._mean_weight = float(rows.weight.mean())
        if goes_on:
            self.net_.module_.to(resolve_device(self.device))
        else:
            self._fit_scales(rows, may_change=self.warm_start)
        fold = self._folds(rows) if self.early_stopping == "out_of_fold" else None
        dataset = self._start(rows, self.net_ if goes_on else None, fold)
        if validation is None:
            return dataset, None
        encoded = EncodedRows(validation, self.scaler_, self._encode_y, is_new=True)
        return dataset, encoded.to_dataset(self._device, validation.weight.mean())

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, first: bool) -> Self:
        with self._explained_memory_errors(X):
            return self._fit_chunk(X, y, sample_weight, first)

    def _fit_chunk(self, X: Any, y: Any, sample_weight: Any, first: bool) -> Self:
        if self._holds_out:
            raise ValueError(
                "early_stopping=True cannot work with partial_fit, which sees one chunk at a time and so has "
                "no validation rows; pass early_stopping=False"
            )
        rows = self._check_rows(X, y, sample_weight, reset=first)
        if not first:
            self._check_same_network("partial_fit", "call fit, or partial_fit on a clone,")
        self._resolve(0, first=first)  # the number of rows in all chunks is not known
        self._check_y(rows.y, learn=first and is_regressor(self))
        self._check_monitors("call fit with X_val and y_val, ")
        rows = self._with_class_weights(rows)
        if first:
            self._seed()
            self._fitted_network = self._network()
            # All chunks share the first one's mean weight, so that a heavier chunk counts for more.
            self._mean_weight = float(rows.weight.mean()) or 1.0
            self._fit_scales(rows, may_change=True)
            self._warn_of_a_poor_first_chunk(rows)
        with np.errstate(over="ignore"):
            ratio = rows.weight.max() / self._mean_weight
        if ratio > np.finfo(np.float32).max:
            raise ValueError(
                f"sample_weight, with class_weight, is up to {rows.weight.max():.3g} in this chunk: too large "
                f"beside the mean of the first chunk of partial_fit, {self._mean_weight:.3g}; divide it"
            )
        fitted = None if first else self.net_
        dataset = self._start(rows, fitted, is_new=not first)
        if fitted is not None and type(fitted.optimizer_) is type(self.net_.optimizer_):  # fit lets go of its own
            self.net_.optimizer_.state.update(fitted.optimizer_.state)
        # The number of chunks to come is not known.
        self.net_.lr_schedule, self.net_.weight_averaging = "constant", False
        self._train(dataset, None, 1)
        self._out_of_fold = None  # all members have seen these rows
        self.net_.release(keep_optimizer=True)
        return self

    @contextlib.contextmanager
    def _explained_memory_errors(self, X: Any) -> Iterator[None]:
        """Say what the first layer needs where memory runs out, and what to lower."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise MemoryError(f"{type(self).__name__} ran out of memory. {self._what_needs_memory(X)}") from error

    def _what_needs_memory(self, X: Any) -> str:
        """Say what takes most of the memory of a fit, and which parameters lower it."""
        n_rows, n_features = np.shape(X)[:2]
        n_columns = n_features * (2 if self.scaling == "both" else 1)
        n_members = resolve(self, n_rows)["n_members"]
        n_neurons, n_batch = n_members * sum(self._widths()), min(self.batch_size, n_rows)
        of_weights = 4 * WEIGHT_COPIES * n_members * self._widths()[0] * n_columns
        of_batch = 4 * BATCH_COPIES * n_neurons * n_batch
        if of_batch > of_weights:
            return (
                f"A batch of batch_size={n_batch} rows has a value for each of {n_neurons} neurons of "
                f"n_members={n_members} networks; training holds {BATCH_COPIES} copies of them, "
                f"{of_batch / 2**30:.2g} GiB. Lower batch_size, width or n_members"
            )
        return (
            f"Its first layer has n_members={n_members} times width={self._widths()[0]} weights for each of "
            f"{n_columns} input columns; training holds {WEIGHT_COPIES} copies of them, "
            f"{of_weights / 2**30:.2g} GiB. Lower width or n_members, select columns before, or pass "
            "scaling='squash' if scaling is 'both', which has two inputs a column"
        )

    def _warn_of_a_poor_first_chunk(self, rows: CheckedRows) -> None:
        """Say what the first chunk taught nothing about, which stays so."""
        poor = []
        ignored = np.unique(self.scaler_.column_features_[self.scaler_.ignored_columns()])
        if len(ignored):
            poor.append(f"{len(ignored)} of {self.n_features_in_} columns, which are ignored from now on")
        if is_regressor(self) and (rows.y == rows.y[0]).all(axis=0).any():
            poor.append("the target, whose scale is a guess")
        if poor:
            warnings.warn(
                f"The first chunk of partial_fit, of {len(rows.y)} rows, has one value only in "
                f"{' and in '.join(poor)}. All scales are learned from this chunk: make it large, and shuffle the "
                "rows before.",
                UserWarning,
                stacklevel=5,
            )

    # -- the data ---------------------------------------------------------------------------------------------

    def _check_rows(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> CheckedRows:
        settle_threads()
        rows = check_rows(self, X, y, sample_weight, reset=reset)
        self._check_architecture(rows.X.shape[1])
        return rows

    def _with_class_weights(self, rows: CheckedRows, y_train: np.ndarray | None = None) -> CheckedRows:
        """Multiply the weights of the rows by those of their classes, as these are frequent in `y_train`."""
        by_class = self._class_weights(rows.y, rows.y if y_train is None else y_train)
        with np.errstate(over="ignore", under="ignore"):
            weight = rows.weight if by_class is None else rows.weight * by_class
            if not np.isfinite(weight.sum()):
                raise ValueError(
                    "sample_weight or class_weight is so large that its sum overflows; only ratios count, so "
                    "divide by the largest"
                )
        return rows._replace(weight=weight)

    def _split(
        self, rows: CheckedRows, X_val: Any, y_val: Any, sample_weight_val: Any
    ) -> tuple[CheckedRows, CheckedRows | None]:
        """Return training rows, and validation rows or None."""
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together")
        if X_val is None and sample_weight_val is not None:
            raise ValueError("sample_weight_val weights the rows of X_val, which is not given")
        if X_val is not None:
            validation = check_rows(self, X_val, y_val, sample_weight_val, y_name="y_val")
            self._check_y(validation.y, "y_val")
            validation = self._with_class_weights(validation, rows.y)
            if not validation.weight.any():
                raise ValueError("class_weight is zero for every class in y_val: nothing is left to validate on")
            return rows, validation
        if not self._holds_out:
            return rows, None
        return hold_out(
            rows, self.validation_fraction, self._seeds["split"], stratified=self._is_stratified(rows.y)
        )

    @np.errstate(under="ignore")
    def _fit_scales(self, rows: CheckedRows, *, may_change: bool) -> None:
        """Learn the scales of inputs and targets, for all rows to come."""
        self._fit_y_scale(rows.y, of_order_one(rows.weight), may_change=may_change)
        self._fit_scaler(rows)

    def _fit_scaler(self, rows: CheckedRows, features: np.ndarray | None = None) -> None:
        """Learn the scales of some features, or of all."""
        categorical = [] if self._categories is None else np.flatnonzero(self._categories.is_categorical).tolist()
        target = self._encode_y(rows.y)[1] if categorical else None
        # the rows of a first chunk may all have the weight 0
        weight = of_order_one(rows.weight) if rows.weight.any() else None
        self.scaler_ = InputScaler(self.scaling, self._seeds["scaler"], categorical, features)
        self.scaler_.fit(rows.X, target, sample_weight=weight)

    def _folds(self, rows: CheckedRows) -> np.ndarray | None:
        """Return which of several members does not train on a row, -1 where all do; None if rows are too few."""
        n_members = self._resolved["n_members"]
        if n_members == 1:
            return None
        equal = equal_rows(rows.X, largest=len(rows.y) / (2 * n_members))
        seed, stratified = self._seeds["split"], self._is_stratified(rows.y)
        fold = assign_members(rows.y, n_members, seed, stratified=stratified, equal=equal)
        return fold if (fold >= 0).any() else None

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

    def _resolve(self, n_rows: int, *, first: bool) -> None:
        """Settle what "auto" means for a fit on so many rows; a fitted network keeps its number of members."""
        self._resolved = resolve(self, n_rows) | when_to_end(self._min_epochs, n_rows)
        if not first:
            self._resolved["n_members"] = self.net_.module_.n_members

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

    # -- the network ------------------------------------------------------------------------------------------

    def _start(
        self,
        rows: CheckedRows,
        fitted: FastNet | None,
        fold: np.ndarray | None = None,
        *,
        is_new: bool = False,
    ) -> TabularDataset:
        """Make a net, with the fitted network or a new one; return the rows on its device."""
        encoded = EncodedRows(rows, self.scaler_, self._encode_y, is_new=is_new)
        if fitted is None:
            if fold is not None and is_wide(self, rows.X):
                encoded = screen(self, rows, encoded, fold)
            self._batch_state, self._temperature = None, 1.0
            self.net_ = self._make_net(self._make_module(encoded, fold), [])
        else:
            self.net_ = self._make_net(fitted.module_, fitted.history, fitted.schedule)
            self.net_.start_ = fitted.start_
        dataset = encoded.to_dataset(self._device, self._mean_weight)
        if fold is not None:
            dataset.fold = torch.from_numpy(fold).to(self._device)
        return dataset

    @torch_as_it_comes()
    @np.errstate(under="ignore")
    def _make_module(self, rows: EncodedRows, fold: np.ndarray | None) -> SparseInitMLP:
        """Make the network, whose first layer starts from the rows."""
        self.sparsity_ = min(2, self.n_features_in_) if self.sparsity == "auto" else self.sparsity
        generator = torch.Generator().manual_seed(self._seeds["init"])
        groups, one_hot = self.scaler_.column_groups(), list(self.scaler_.one_hot_columns())
        inputs = paths = None
        by_trees = self.feature_sampling == "trees" and self.sparsity_ is not None
        if by_trees or self.bias_init == "data":
            sample = rows.sample(generator)
            inputs = sample.inputs
            if by_trees:
                paths = sample.grow_trees(fold, self._resolved["n_members"], groups, one_hot, generator)
                if rows.is_screened:
                    rows.strong = strong_columns(paths, self.scaler_.column_features_)
        module = SparseInitMLP(
            len(self.scaler_.column_features_),
            rows.target.shape[1],
            self._widths(),
            self.sparsity_,
            init=self.init,
            bias_init=self.bias_init,
            activation=self.activation,
            richness=self.richness,
            n_members=self._resolved["n_members"],
            data=inputs,
            column_groups=groups,
            one_hot=one_hot,
            paths=paths,
            generator=generator,
            dtype=torch.float32,  # torch's default may be another
        )
        if rows.columns is not None:
            module.see_only_(rows.columns)
        return module.to(resolve_device(self.device))

    @torch_as_it_comes()
    def _make_net(self, module: SparseInitMLP, history: list, schedule: Schedule | None = None) -> Any:
        """Wrap `module` in a skorch net that is ready to train, and goes on from `history` and `schedule`."""
        net = self._skorch_net(
            module=module,
            batch_size=self.batch_size,
            max_epochs=self._resolved["max_epochs"],
            lr_schedule=self.lr_schedule,
            weight_averaging=self.weight_averaging,
            precision=self.precision,
            **optimizer_options(self.optimizer, module, self._resolved["learning_rate"], self.weight_decay),
            train_split=None,
            callbacks=self._callbacks(),
            device=str(module.input_layer.weight.device),  # safetensors takes no torch.device
            verbose=self.verbose,
            chunk_size=rows_a_chunk(module),
        ).initialize()
        net.history.extend(history)
        if history:
            resume(net, schedule)
        elif self.sparsity_ is not None:  # a dense start is as large as the layer itself
            net.start_ = FirstLayerStart.of(module)
        return net

    @property
    def _device(self) -> torch.device:
        """The device that the network is on."""
        return self.net_.module_.input_layer.weight.device

    def _callbacks(self) -> list:
        bar = [("_progress", Progress())] if self.verbose else []
        keep_best = KeepBest()
        stop = [
            ("_stop", StopWhenExhausted(keep_best)),
            ("_long_enough", StopWhenLongEnough(self._resolved["min_epochs"], self._resolved["patience"])),
            ("_time_limit", StopAtTimeLimit(keep_best)),
        ]
        return [*bar, ("_keep_best", keep_best), *(self.callbacks or []), *stop]

    def _check_monitors(self, way_out: str) -> None:
        check_monitors(self.callbacks, "valid_acc" if is_classifier(self) else "valid_r2", way_out)

    def _is_stratified(self, y: np.ndarray) -> bool:
        """Say whether splits keep the shares of classes; several labels a row have none."""
        return is_classifier(self) and y.ndim == 1

    @property
    def _holds_out(self) -> bool:
        """Whether rows are held out from all members."""
        return bool(self.early_stopping) and self.early_stopping != "out_of_fold"

    def _train(self, dataset: TabularDataset, validation: TabularDataset | None, epochs: int) -> None:
        """Train the net for some epochs, and say so if the loss diverges."""
        net = self.net_
        net.train_split = None if validation is None else predefined_split(validation)
        net.batch_generator = torch.Generator(self._device).manual_seed(self._seeds["batches"] + len(net.history))
        if self._batch_state is not None:
            with contextlib.suppress(RuntimeError):  # the state of another kind of device: start a new order
                net.batch_generator.set_state(torch.tensor(self._batch_state, device="cpu"))
        keep_best = dict(net.callbacks_)["_keep_best"]
        patience = self.n_iter_no_change if self._holds_out else None
        n_steps = -(-len(dataset) // self.batch_size)
        monitors, every = [("train_loss", -1)], max(1, STEPS_BETWEEN_COPIES // n_steps)
        if patience is not None:
            monitors, every = net.monitors, 1
        elif net.time_limit.seconds is not None and dataset.fold is not None:
            monitors, every = [("out_of_fold_loss", -1)], 1
        keep_best.configure(monitors, patience, every)
        try:
            with torch_as_it_comes():
                net.partial_fit(dataset, epochs=epochs)
        except BaseException:  # a callback's: the net is as far as it came
            self.best_epoch_ = len(net.history)
            raise
        if net.interrupts.happened:
            warn_of_interrupt(net, epochs)
        self._batch_state = net.batch_generator.get_state().numpy()
        self.best_epoch_ = keep_best.best_epoch_
        if keep_best.diverged_:
            rate = self._resolved["learning_rate"]
            warnings.warn(
                f"The loss became infinite or NaN; the weights of epoch {self.best_epoch_} were restored. "
                f"Lower learning_rate={rate}, or choose scaling='squash' if scaling is None.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _fit_temperature(self) -> float:
        """Return what outputs are divided by before members are combined: 1 unless they are logits."""
        loss, out_of_fold = self.net_.criterion_.loss, self.net_.out_of_fold_
        if out_of_fold is None or not loss.has_probabilities or not bool(out_of_fold.output.isfinite().all()):
            return 1.0
        with compute_threads(1, 1) as compute:
            temperature: float = compute(fit_temperature, loss, out_of_fold)
        return temperature

    def _out_of_fold_scores(self) -> np.ndarray | None:
        """Return what intervals and sets need of the out-of-fold rows, (n_members, n_rows, ...); None without."""
        out_of_fold = self.net_.out_of_fold_
        if out_of_fold is None or not bool(out_of_fold.output.isfinite().all()):
            return None
        scores = self._scores(out_of_fold.output.cpu().double(), out_of_fold.target.cpu().double())
        return scores.numpy().reshape(self.net_.module_.n_members, -1, *scores.shape[1:])

    # -- prediction -------------------------------------------------------------------------------------------

    def _decision(self, X: Any) -> np.ndarray:
        """Return the members' combined outputs, float64 of shape (n_samples, n_outputs)."""
        return self._predict(X, self._combine)

    def _predict(self, X: Any, merge: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
        """Return what `merge` makes of the members' outputs for rows, see `predict_in_chunks`."""
        check_is_fitted(self)
        X = check_table(self, X)
        module = self.net_.module_
        predicted = predict_in_chunks(module, merge, X, self.scaler_.transform, rows_to_share(module))
        if self.scaler_.scaling in (None, "standard") and not np.isfinite(predicted).all():
            raise ValueError(
                f"scaling={self.scaler_.scaling!r}: X has values so large that the outputs are infinite or NaN; "
                "scale X or choose another scaling"
            )
        return predicted

    def _calibrated(self, coverage: float, method: str) -> np.ndarray:
        """Return the scores of the out-of-fold rows, after checks."""
        check_is_fitted(self)
        if isinstance(coverage, str) or not 0 < coverage < 1:
            raise ValueError(f"coverage={coverage!r} must be a number between 0 and 1")
        if self._out_of_fold is None:
            raise ValueError(
                f"{method} compares with rows that a member has not trained on. There are none after partial_fit "
                f"or a fit with early_stopping={self.early_stopping!r} and n_members={self.n_members!r}; call "
                "fit, and pass early_stopping='out_of_fold' and n_members of at least 2"
            )
        return self._out_of_fold

    def _combine(self, output: torch.Tensor) -> torch.Tensor:
        """Merge the members' outputs (n_members, n_rows, n_outputs) into decision values (n_rows, n_outputs)."""
        return self.net_.criterion_.loss.combine(output / self._temperature)

    # -- persistence ------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "net_" in state:
            state["net_"] = net_state(self.net_)
        state["callbacks"] = without_tensors(self.callbacks)
        return state

    @torch_as_it_comes()
    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if isinstance(vars(self).get("net_"), dict):
            saved = self.net_
            module = restore_module(saved, resolve_device(self.device, fall_back=True))
            schedule = saved.get("schedule")
            self.net_ = self._make_net(module, saved["history"], schedule and Schedule(*schedule))
            restore_optimizer(self.net_, saved)
            self.net_.start_ = None if saved["start"] is None else FirstLayerStart(*saved["start"])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        return tags
