"""Gradient boosting libraries; installed with ``pip install '.[boosting]'``.

The spaces are those of Grinsztajn et al. 2022 (XGBoost) as far as the others have the same parameters.
"""

from functools import partial
from typing import Any

from optuna.trial import BaseTrial
from sklearn.pipeline import Pipeline

from benchmarks.environment import n_cores
from benchmarks.models.base import Adapt, Build, Default, Model, Parameters, Recipe, Space
from benchmarks.models.categories import named


def _xgboost(estimator: str, seed: int, n_samples: int, n_features: int) -> Pipeline:
    import xgboost

    # The library's defaults, written out: its estimator says None for them, and tuning has to name them.
    options: dict[str, Any] = {"n_estimators": 100, "n_jobs": n_cores(), "random_state": seed, **_XGBOOST_DEFAULT}
    return Pipeline([("model", getattr(xgboost, estimator)(enable_categorical=True, **options))])


_XGBOOST_DEFAULT: Parameters = {
    "max_depth": 6,
    "learning_rate": 0.3,
    "min_child_weight": 1.0,
    "subsample": 1.0,
    "colsample_bytree": 1.0,
    "reg_lambda": 1.0,
    "gamma": 0.0,
}


def _xgboost_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    return {
        "model__n_estimators": trial.suggest_int("n_estimators", 30, 1000, log=True),
        "model__max_depth": trial.suggest_int("max_depth", 1, 11),
        "model__learning_rate": trial.suggest_float("learning_rate", 1e-3, 0.7, log=True),
        "model__min_child_weight": trial.suggest_float("min_child_weight", 1.0, 100.0, log=True),
        "model__subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "model__colsample_bytree": trial.suggest_float("colsample_bytree", 0.5, 1.0),
        "model__reg_lambda": trial.suggest_float("reg_lambda", 1.0, 4.0, log=True),
        "model__gamma": trial.suggest_float("gamma", 0.0, 7.0),
    }


def _xgboost_default() -> Parameters:
    return {"n_estimators": 100, **_XGBOOST_DEFAULT}


def _lightgbm(estimator: str, seed: int, n_samples: int, n_features: int) -> Pipeline:
    import lightgbm

    # Row subsampling is off in this library until a frequency is set.
    options: dict[str, Any] = {"subsample_freq": 1, "n_jobs": n_cores(), "random_state": seed, "verbosity": -1}
    return Pipeline([("model", getattr(lightgbm, estimator)(**options))])


def _lightgbm_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    return {
        "model__n_estimators": trial.suggest_int("n_estimators", 30, 1000, log=True),
        "model__num_leaves": trial.suggest_int("num_leaves", 4, 256, log=True),
        "model__learning_rate": trial.suggest_float("learning_rate", 1e-3, 0.7, log=True),
        "model__min_child_samples": trial.suggest_int("min_child_samples", 1, 100, log=True),
        "model__subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "model__colsample_bytree": trial.suggest_float("colsample_bytree", 0.5, 1.0),
        "model__reg_lambda": trial.suggest_float("reg_lambda", 0.0, 10.0),
    }


def _lightgbm_default() -> Parameters:
    return {
        "n_estimators": 100,
        "num_leaves": 31,
        "learning_rate": 0.1,
        "min_child_samples": 20,
        "subsample": 1.0,
        "colsample_bytree": 1.0,
        "reg_lambda": 0.0,
    }


def _catboost(estimator: str, seed: int, n_samples: int, n_features: int) -> Pipeline:
    import catboost

    options: dict[str, Any] = {"thread_count": n_cores(), "random_seed": seed, "verbose": 0, "iterations": 1000}
    return Pipeline([("model", getattr(catboost, estimator)(allow_writing_files=False, **options))])


def _catboost_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    # Neither learning_rate nor l2_leaf_reg: where one of them is set, even to its default, the library no longer
    # chooses the learning rate by the data, and trial 0 would not be the default.
    return {
        "model__iterations": trial.suggest_int("iterations", 50, 1000, log=True),
        "model__depth": trial.suggest_int("depth", 2, 10),
        "model__random_strength": trial.suggest_float("random_strength", 0.0, 10.0),
        "model__bagging_temperature": trial.suggest_float("bagging_temperature", 0.0, 1.0),
    }


def _catboost_default() -> Parameters:
    return {
        "iterations": 1000,
        "depth": 6,
        "random_strength": 1.0,
        "bagging_temperature": 1.0,
    }


def _model(
    name: str,
    label: str,
    build: Any,
    classes: tuple[str, str],
    space: Space,
    default: Default,
    categories: Adapt | None = None,
) -> Model:
    """Return the competitor; its regressor has the same parameters and the same defaults."""
    builds: list[Build] = [partial(build, estimator) for estimator in classes]
    regressor = Recipe(builds[1], space, default)
    return Model(name, label, builds[0], space, default, name, "boosting", regressor, categories)


MODELS = (
    _model("xgboost", "XGBoost", _xgboost, ("XGBClassifier", "XGBRegressor"), _xgboost_space, _xgboost_default),
    _model(
        "lightgbm", "LightGBM", _lightgbm, ("LGBMClassifier", "LGBMRegressor"), _lightgbm_space, _lightgbm_default
    ),
    _model(
        "catboost",
        "CatBoost",
        _catboost,
        ("CatBoostClassifier", "CatBoostRegressor"),
        _catboost_space,
        _catboost_default,
        named("model__cat_features"),
    ),
)
