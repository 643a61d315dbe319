"""The estimators as a model of AutoGluon 1.6, beside its own, bagged, tuned and stacked like these.

    pip install autogluon.tabular, and sparsemlp from its clone

    from autogluon.tabular import TabularDataset, TabularPredictor
    from autogluon_model import SparseMLPModel

    predictor = TabularPredictor(label="class").fit(train, hyperparameters={SparseMLPModel: {}, "GBM": {}})

The class has to be in a file of its own, because AutoGluon's worker processes import it.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from autogluon.core.models import AbstractModel


class SparseMLPModel(AbstractModel):
    """SparseInitMLPClassifier and SparseInitMLPRegressor; hyperparameters are theirs."""

    ag_key = "SPARSEMLP"
    ag_name = "SparseMLP"
    ag_priority = 65
    seed_name = "random_state"
    _supported_problem_types: ClassVar[list[str]] = ["binary", "multiclass", "regression"]
    # Missing values and categories stay as they are: the estimators take them.
    _default_auxiliary_params_extra: ClassVar[dict] = {"valid_raw_types": ["bool", "int", "float", "category"]}
    default_resources_physical_cores_only = True

    def _fit(
        self,
        X: pd.DataFrame,
        y: pd.Series,
        time_limit: float | None = None,
        num_cpus: int = 1,
        num_gpus: float = 0,
        sample_weight: np.ndarray | None = None,
        **kwargs: Any,
    ) -> None:
        """Fit on all rows: the estimator ends training by its own out-of-fold rows, not by X_val."""
        start = time.monotonic()
        import torch  # here, so that AutoGluon need not load it before

        from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor

        torch.set_num_threads(max(1, int(num_cpus)))  # AutoGluon resets it, by the tag below
        X = self.preprocess(X, y=y, is_train=True)
        parameters = self._get_model_params() | {"device": "cuda" if num_gpus else "cpu"}
        if time_limit is not None:
            parameters["max_seconds"] = 0.9 * max(1.0, time_limit - (time.monotonic() - start))
        kind = SparseInitMLPRegressor if self.problem_type == "regression" else SparseInitMLPClassifier
        self.model = kind(**parameters).fit(X, y, sample_weight=sample_weight)

    @classmethod
    def _class_tags(cls) -> dict[str, bool]:
        return {"reset_torch_threads": True}

    def _more_tags(self) -> dict[str, bool]:
        return {"can_refit_full": True}  # nothing is learned from X_val
