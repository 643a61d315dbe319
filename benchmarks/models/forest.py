"""The random forest, with the search space of Grinsztajn, Oyallon and Varoquaux (NeurIPS 2022, appendix A)."""

from optuna.trial import BaseTrial
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import Pipeline

from benchmarks.environment import n_cores
from benchmarks.models.base import Model, Parameters, Recipe, position, weighted
from benchmarks.models.categories import encoded


def _build(seed: int, n_samples: int, n_features: int) -> Pipeline:
    return Pipeline([("model", RandomForestClassifier(250, n_jobs=n_cores(), random_state=seed))])


def _build_regressor(seed: int, n_samples: int, n_features: int) -> Pipeline:
    return Pipeline([("model", RandomForestRegressor(250, n_jobs=n_cores(), random_state=seed))])


DEPTHS = {None: 0.7, 2: 0.1, 3: 0.1, 4: 0.1}
SPLITS = {2: 0.95, 3: 0.05}
IMPURITIES = {0.0: 0.85, 0.01: 0.05, 0.02: 0.05, 0.05: 0.05}
# sqrt stands twice in the published list, so it is sampled twice as often.
FEATURES = {"sqrt": 2 / 13, "log2": 1 / 13, None: 1 / 13} | {n / 10: 1 / 13 for n in range(1, 10)}


def _space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    """Space of Grinsztajn et al. 2022; the default, leaves of a single row, lies outside of it."""
    parameters = _regressor_space(trial, n_samples, n_features)
    return parameters | {"model__criterion": trial.suggest_categorical("criterion", ["gini", "entropy"])}


def _regressor_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    """Return the same without a criterion: the absolute error, the other choice, takes many times as long."""
    return {
        "model__max_depth": weighted(trial, "max_depth", DEPTHS),
        "model__max_features": weighted(trial, "max_features", FEATURES),
        "model__min_samples_split": weighted(trial, "min_samples_split", SPLITS),
        "model__min_samples_leaf": round(trial.suggest_float("min_samples_leaf", 1.5, 50.5, log=True)),
        "model__bootstrap": trial.suggest_categorical("bootstrap", [True, False]),
        "model__min_impurity_decrease": weighted(trial, "min_impurity_decrease", IMPURITIES),
    }


def _default() -> Parameters:
    return _regressor_default() | {"max_features": position("sqrt", FEATURES), "criterion": "gini"}


def _regressor_default() -> Parameters:
    return {
        "max_depth": position(None, DEPTHS),
        "max_features": position(None, FEATURES),
        "min_samples_split": position(2, SPLITS),
        "min_samples_leaf": 1.0,
        "bootstrap": True,
        "min_impurity_decrease": position(0.0, IMPURITIES),
    }


REGRESSOR = Recipe(_build_regressor, _regressor_space, _regressor_default)
_ENCODED = encoded("ordinal", "onehot")
MODELS = (Model("rf", "Random forest", _build, _space, _default, regressor=REGRESSOR, categories=_ENCODED),)
