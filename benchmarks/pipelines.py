"""The competitors: each a scikit-learn Pipeline, its default configuration and an Optuna search space.

A competitor is one `Model`. Its ``build`` gets the seed and the size of the training set and returns an
unfitted Pipeline at its defaults; its ``space`` draws the parameters that tuning may change, as
``set_params`` takes them; its ``default`` is the default configuration in the words of that space, which
tuning tries first.

Every estimator may use every core, and fits run one at a time: seconds compare like with like.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from optuna.trial import BaseTrial
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.environment import n_cores

Parameters = dict[str, Any]
Build = Callable[[int, int, int], Pipeline]
Space = Callable[[BaseTrial, int, int], Parameters]


@dataclass(frozen=True)
class Model:
    """A competitor.

    Attributes
    ----------
    name : str
        What the command line and the store call it.
    label : str
        What the report calls it.
    build : callable (seed, n_samples, n_features) -> Pipeline
    space : callable (trial, n_samples, n_features) -> dict of parameters for ``Pipeline.set_params``
    default : callable () -> dict
        The default configuration in terms of the space's own suggestions.
    """

    name: str
    label: str
    build: Build
    space: Space
    default: Callable[[], Parameters]


# Random forest ---------------------------------------------------------------------------------------


def _forest(seed: int, n_samples: int, n_features: int) -> Pipeline:
    return Pipeline([("model", RandomForestClassifier(250, n_jobs=n_cores(), random_state=seed))])


FOREST_DEPTHS = {None: 0.7, 2: 0.1, 3: 0.1, 4: 0.1}
FOREST_SPLITS = {2: 0.95, 3: 0.05}
FOREST_IMPURITIES = {0.0: 0.85, 0.01: 0.05, 0.02: 0.05, 0.05: 0.05}
# sqrt stands twice in the published list, so it is drawn twice as often.
FOREST_FEATURES = {"sqrt": 2 / 13, "log2": 1 / 13, None: 1 / 13} | {n / 10: 1 / 13 for n in range(1, 10)}


def _forest_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    """Space of Grinsztajn et al. 2022, with leaves of a single row, the default, added to it."""
    return {
        "model__max_depth": _weighted(trial, "max_depth", FOREST_DEPTHS),
        "model__max_features": _weighted(trial, "max_features", FOREST_FEATURES),
        "model__min_samples_split": _weighted(trial, "min_samples_split", FOREST_SPLITS),
        "model__min_samples_leaf": round(trial.suggest_float("min_samples_leaf", 1.0, 50.5, log=True)),
        "model__bootstrap": trial.suggest_categorical("bootstrap", [True, False]),
        "model__min_impurity_decrease": _weighted(trial, "min_impurity_decrease", FOREST_IMPURITIES),
        "model__criterion": trial.suggest_categorical("criterion", ["gini", "entropy"]),
    }


def _forest_default() -> Parameters:
    return {
        "max_depth": _position(None, FOREST_DEPTHS),
        "max_features": _position("sqrt", FOREST_FEATURES),
        "min_samples_split": _position(2, FOREST_SPLITS),
        "min_samples_leaf": 1.0,
        "bootstrap": True,
        "min_impurity_decrease": _position(0.0, FOREST_IMPURITIES),
        "criterion": "gini",
    }


def _weighted(trial: BaseTrial, name: str, weights: Mapping[Any, float]) -> Any:
    """Suggest one of the keys, drawn with its weight: a uniform number falls in its stretch of [0, 1]."""
    position = trial.suggest_float(name, 0.0, 1.0)
    edge = 0.0
    for choice, weight in weights.items():
        edge += weight
        if position < edge:
            return choice
    return choice


def _position(choice: Any, weights: Mapping[Any, float]) -> float:
    """Return the middle of the stretch of [0, 1] that `_weighted` reads as ``choice``."""
    edges = [0.0]
    for weight in weights.values():
        edges.append(edges[-1] + weight)
    low, high = list(pairwise(edges))[list(weights).index(choice)]
    return (low + high) / 2


# This project's net, sparse and dense ----------------------------------------------------------------


def _sparse_net(seed: int, n_samples: int, n_features: int) -> Pipeline:
    from sparsemlp import SparseInitMLPClassifier

    return Pipeline([("model", SparseInitMLPClassifier(random_state=seed))])


def _dense_net(seed: int, n_samples: int, n_features: int) -> Pipeline:
    from sparsemlp import SparseInitMLPClassifier

    return Pipeline([("model", SparseInitMLPClassifier(sparsity=None, random_state=seed))])


NET_WIDTHS = (256, 1024, 4096, (256, 64), (1024, 128), (2048, 256))
NET_SPARSITIES = (1, 2, 4)


def _dense_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    default = _net_defaults()
    width = trial.suggest_categorical("width", _choices(default["width"], NET_WIDTHS))
    return {
        "model__width": _untold(width),
        "model__learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        "model__weight_decay": trial.suggest_float("weight_decay", 1e-6, 1.0, log=True),
        "model__max_epochs": trial.suggest_int("max_epochs", 4, 200, log=True),
        "model__scaling": trial.suggest_categorical(
            "scaling", _names(default["scaling"], "squash", "quantile", "both")
        ),
        "model__bias_init": trial.suggest_categorical(
            "bias_init", _names(default["bias_init"], "zeros", "uniform", "data")
        ),
    }


def _sparse_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    choices = _choices(_net_defaults()["sparsity"], NET_SPARSITIES)
    sparsity = _untold(trial.suggest_categorical("sparsity", choices))
    if isinstance(sparsity, int):
        sparsity = min(sparsity, n_features)
    return _dense_space(trial, n_samples, n_features) | {"model__sparsity": sparsity}


def _net_defaults() -> Parameters:
    from sparsemlp import SparseInitMLPClassifier

    return SparseInitMLPClassifier().get_params()


def _dense_default() -> Parameters:
    default = _net_defaults()
    return {
        "width": _told(default["width"]),
        "learning_rate": default["learning_rate"],
        "weight_decay": max(default["weight_decay"], 1e-6),
        "max_epochs": default["max_epochs"],
        "scaling": default["scaling"],
        "bias_init": default["bias_init"],
    }


def _sparse_default() -> Parameters:
    return _dense_default() | {"sparsity": _told(_net_defaults()["sparsity"])}


def _told(value: Any) -> str:
    """Write a width or a sparsity as text: Optuna stores no tuples."""
    return json.dumps(value)


def _untold(text: str) -> Any:
    value = json.loads(text)
    return tuple(value) if isinstance(value, list) else value


def _choices(default: Any, others: tuple[Any, ...]) -> list[str]:
    return list(dict.fromkeys([_told(default), *map(_told, others)]))


def _names(default: str, *others: str) -> list[str]:
    return list(dict.fromkeys([default, *others]))


# scikit-learn's other classifiers --------------------------------------------------------------------


def _boosting(seed: int, n_samples: int, n_features: int) -> Pipeline:
    return Pipeline([("model", HistGradientBoostingClassifier(random_state=seed))])


def _boosting_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    return {
        "model__learning_rate": trial.suggest_float("learning_rate", 0.01, 0.5, log=True),
        "model__max_iter": trial.suggest_int("max_iter", 30, 1000, log=True),
        "model__max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 4, 128, log=True),
        "model__min_samples_leaf": trial.suggest_int("min_samples_leaf", 1, 100, log=True),
        "model__l2_regularization": trial.suggest_float("l2_regularization", 1e-6, 1e2, log=True),
        "model__max_features": trial.suggest_float("max_features", 0.3, 1.0),
    }


def _boosting_default() -> Parameters:
    default = HistGradientBoostingClassifier().get_params()
    names = ("learning_rate", "max_iter", "max_leaf_nodes", "min_samples_leaf", "max_features")
    # The default of no penalty lies at the end of a logarithmic scale.
    return {name: default[name] for name in names} | {"l2_regularization": 1e-6}


def _sklearn_mlp(seed: int, n_samples: int, n_features: int) -> Pipeline:
    return Pipeline([("scale", StandardScaler()), ("model", MLPClassifier(random_state=seed))])


def _sklearn_mlp_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    widths = [_told(width) for width in ((100,), (256,), (1024,), (256, 64), (512, 128))]
    return {
        "model__hidden_layer_sizes": _untold(trial.suggest_categorical("hidden_layer_sizes", widths)),
        "model__learning_rate_init": trial.suggest_float("learning_rate_init", 1e-4, 1e-1, log=True),
        "model__alpha": trial.suggest_float("alpha", 1e-6, 10.0, log=True),
        "model__early_stopping": trial.suggest_categorical("early_stopping", [False, True]),
    }


def _sklearn_mlp_default() -> Parameters:
    return {
        "hidden_layer_sizes": _told((100,)),
        "learning_rate_init": 1e-3,
        "alpha": 1e-4,
        "early_stopping": False,
    }


def _logistic(seed: int, n_samples: int, n_features: int) -> Pipeline:
    return Pipeline([("scale", StandardScaler()), ("model", LogisticRegression(max_iter=1000, random_state=seed))])


def _logistic_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    return {"model__C": trial.suggest_float("C", 1e-4, 1e4, log=True)}


def _logistic_default() -> Parameters:
    return {"C": 1.0}


MODELS = {
    model.name: model
    for model in (
        Model("rf", "Random forest", _forest, _forest_space, _forest_default),
        Model("sparse_mlp", "Sparse net", _sparse_net, _sparse_space, _sparse_default),
        Model("dense_mlp", "Dense net", _dense_net, _dense_space, _dense_default),
        Model("hgb", "Boosted trees", _boosting, _boosting_space, _boosting_default),
        Model("sklearn_mlp", "scikit-learn MLP", _sklearn_mlp, _sklearn_mlp_space, _sklearn_mlp_default),
        Model("logistic", "Logistic regression", _logistic, _logistic_space, _logistic_default),
    )
}
