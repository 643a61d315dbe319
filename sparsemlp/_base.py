"""What the classifier and the regressor share: fit, partial_fit, predictions in chunks, pickles."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, Self

import joblib
import numpy as np
import torch
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sparsemlp._convergence import warn_if_cut_off
from sparsemlp._data import (
    CheckedRows,
    EncodedRows,
    check_rows,
    check_table,
    fitted_scaler,
    of_order_one,
    with_class_weights,
)
from sparsemlp._first_layer_start import FirstLayerStart
from sparsemlp._fitted import all_or_nothing
from sparsemlp._many_rows import resolve, when_to_end
from sparsemlp._memory import explained_memory_errors
from sparsemlp._parameters import EstimatorParameters
from sparsemlp._persistence import net_state, restore_module, restore_optimizer
from sparsemlp._prediction import predict_in_chunks, rows_to_share
from sparsemlp._screening import is_wide, screen
from sparsemlp._search import search_if_little_was_found
from sparsemlp._second_net import StrongStart, try_strong_columns
from sparsemlp._splitting import folds, split
from sparsemlp._trained_net import make_module, make_net, train
from sparsemlp._training.batches import TabularDataset
from sparsemlp._training.devices import resolve_device, torch_as_it_comes
from sparsemlp._training.net import FastNet
from sparsemlp._training.out_of_fold import fit_temperatures
from sparsemlp._training.schedules import Schedule
from sparsemlp._training.threads import compute_threads, settle_threads
from sparsemlp._training.time_limit import TimeLimit
from sparsemlp._user_callbacks import check_monitors, without_tensors
from sparsemlp._warning import warn_user


class BaseSparseInitMLP(EstimatorParameters):
    """Base of both estimators; see :class:`SparseInitMLPClassifier` for the parameters."""

    #: a hash of the rows that members have had out-of-fold rows of ever since training began
    _left_out_of: str | None = None
    #: what each member's logits are divided by
    _temperature: np.ndarray

    # -- fitting ----------------------------------------------------------------------------------------------

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
            Raw columns of numbers and categories, see `categorical_features`; missing values are allowed.
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
        with explained_memory_errors(self, X):
            dataset, validation, second = self._prepare(X, y, sample_weight, X_val, y_val, sample_weight_val)
            self.net_.time_limit = limit
            before = self._temperature
            self._temperature = self._no_temperature()  # callbacks predict with it, also after a warm start
            try:
                train(self, dataset, validation, self._resolved["max_epochs"])
                if second is not None and not self.net_.time_limit.is_over():
                    try_strong_columns(self, second, dataset, validation)
                search_if_little_was_found(self, dataset, validation)
                warn_if_cut_off(self, dataset)
                self._temperature = before if dataset.fold is None else self._fit_temperature()
                self._out_of_fold = self._out_of_fold_scores()
            finally:
                self.net_.release()
        return self

    @all_or_nothing
    def _prepare(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any
    ) -> tuple[TabularDataset, TabularDataset | None, StrongStart | None]:
        """Make everything that training needs; return training rows, validation rows, and a second start."""
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
        rows = with_class_weights(self, rows)
        if not rows.weight.any():
            raise ValueError("class_weight is zero for every class in y: nothing is left to train on")
        rows, validation = split(self, rows, X_val, y_val, sample_weight_val)
        if validation is None:
            self._check_monitors("pass X_val and y_val to fit, or early_stopping=True, ")
        self._mean_weight = float(rows.weight.mean())
        if goes_on:
            self.net_.module_.to(resolve_device(self.device))
        else:
            self._fit_scales(rows, may_change=self.warm_start)
        self._left_out_of = self._rows_to_leave_out_of(rows, goes_on)
        fold = None if self._left_out_of is None else folds(self, rows)
        dataset, second = self._start(rows, self.net_ if goes_on else None, fold)
        if validation is None:
            return dataset, None, second
        encoded = EncodedRows(validation, self.scaler_, self._encode_y, is_new=True)
        return dataset, encoded.to_dataset(self._device, validation.weight.mean()), second

    def _rows_to_leave_out_of(self, rows: CheckedRows, goes_on: bool) -> str | None:
        """Return a hash of the rows if members may leave some of them out, else None.

        Where training goes on, they may if it has always been on these rows in this order: of others, a member may
        have been trained on what it would leave out.
        """
        if self.early_stopping != "out_of_fold":
            return None
        these: str = joblib.hash((rows.X, rows.y))
        return these if not goes_on or these == self._left_out_of else None

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, first: bool) -> Self:
        with explained_memory_errors(self, X):
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
        rows = with_class_weights(self, rows)
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
        dataset, _ = self._start(rows, fitted, is_new=not first)
        if fitted is not None and type(fitted.optimizer_) is type(self.net_.optimizer_):  # fit lets go of its own
            self.net_.optimizer_.state.update(fitted.optimizer_.state)
        # The number of chunks to come is not known.
        self.net_.lr_schedule, self.net_.weight_averaging = "constant", False
        train(self, dataset, None, 1)
        self._out_of_fold = self._left_out_of = None  # all members have seen these rows
        self.net_.release(keep_optimizer=True)
        return self

    def _warn_of_a_poor_first_chunk(self, rows: CheckedRows) -> None:
        """Say what the first chunk taught nothing about, which stays so."""
        poor = []
        ignored = np.unique(self.scaler_.column_features_[self.scaler_.ignored_columns()])
        if len(ignored):
            poor.append(f"{len(ignored)} of {self.n_features_in_} columns, which are ignored from now on")
        if is_regressor(self) and (rows.y == rows.y[0]).all(axis=0).any():
            poor.append("the target, whose scale is a guess")
        if poor:
            warn_user(
                f"The first chunk of partial_fit, of {len(rows.y)} rows, has one value only in "
                f"{' and in '.join(poor)}. All scales are learned from this chunk: make it large, and shuffle the "
                "rows before.",
            )

    # -- the data ---------------------------------------------------------------------------------------------

    def _check_rows(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> CheckedRows:
        settle_threads()
        rows = check_rows(self, X, y, sample_weight, reset=reset)
        self._check_architecture(rows.X.shape[1])
        return rows

    @np.errstate(under="ignore")
    def _fit_scales(self, rows: CheckedRows, *, may_change: bool) -> None:
        """Learn the scales of inputs and targets, for all rows to come."""
        self._fit_y_scale(rows.y, of_order_one(rows.weight), may_change=may_change)
        self.scaler_ = fitted_scaler(self, rows)

    def _resolve(self, n_rows: int, *, first: bool) -> None:
        """Settle what "auto" means for a fit on so many rows; a fitted network keeps its number of members."""
        self._resolved = resolve(self, n_rows) | when_to_end(self._min_epochs, n_rows)
        if not first:
            self._resolved["n_members"] = self.net_.module_.n_members

    def _check_monitors(self, way_out: str) -> None:
        check_monitors(self.callbacks, "valid_acc" if is_classifier(self) else "valid_r2", way_out)

    # -- the network ------------------------------------------------------------------------------------------

    def _start(
        self,
        rows: CheckedRows,
        fitted: FastNet | None,
        fold: np.ndarray | None = None,
        *,
        is_new: bool = False,
    ) -> tuple[TabularDataset, StrongStart | None]:
        """Make a net, with the fitted network or a new one; return the rows on its device, and a second start."""
        encoded = EncodedRows(rows, self.scaler_, self._encode_y, is_new=is_new)
        second = None
        if fitted is None:
            if fold is not None and is_wide(self, rows.X):
                encoded = screen(self, rows, encoded, fold)
                module, paths = make_module(self, encoded, fold)
                second = StrongStart.of(module, paths, self.scaler_.column_features_)
            else:
                module, _ = make_module(self, encoded, fold)
            self._batch_state, self.net_ = None, make_net(self, module, [])
            self._temperature = self._no_temperature()
        else:
            self.net_ = make_net(self, fitted.module_, fitted.history, fitted.schedule)
            self.net_.start_ = fitted.start_
        return encoded.to_dataset(self._device, self._mean_weight, fold), second

    def _no_temperature(self) -> np.ndarray:
        return np.ones(self.net_.module_.n_members)

    def _fit_temperature(self) -> np.ndarray:
        """Return what each member's outputs are divided by before they are combined: 1 unless they are logits.

        A member that has found less than the others is less sure then, and the others decide.
        """
        loss, out_of_fold = self.net_.criterion_.loss, self.net_.out_of_fold_
        if out_of_fold is None or not loss.has_probabilities or not bool(out_of_fold.output.isfinite().all()):
            return self._no_temperature()
        with compute_threads(1, 1) as compute:
            temperature: np.ndarray = compute(fit_temperatures, loss, out_of_fold, self.net_.module_.n_members)
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
        if not isinstance(coverage, Real) or not 0 < coverage < 1:
            raise ValueError(f"coverage={coverage!r} must be a number between 0 and 1")
        if self._out_of_fold is None:
            raise ValueError(
                f"{method} compares with rows that a member has not trained on. There are none with fewer rows "
                "than members, or one row of each class, after partial_fit or a warm start on other rows, or if "
                f"the loss diverged. They also need early_stopping='out_of_fold' (it is {self.early_stopping!r}) "
                f"and at least 2 members (n_members={self.n_members!r})"
            )
        return self._out_of_fold

    def _combine(self, output: torch.Tensor) -> torch.Tensor:
        """Merge the members' outputs (n_members, n_rows, n_outputs) into decision values (n_rows, n_outputs)."""
        temperature = torch.tensor(self._temperature, dtype=output.dtype, device=output.device)
        return self.net_.criterion_.loss.combine(output / temperature[:, None, None])

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
            self.net_ = make_net(self, module, saved["history"], schedule and Schedule(*schedule))
            restore_optimizer(self.net_, saved)
            self.net_.start_ = None if saved["start"] is None else FirstLayerStart(*saved["start"])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        return tags
