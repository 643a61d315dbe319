"""The net of this project, started sparse and started dense: one class, one space but for the sparsity.

It is imported where it is used: torch takes seconds, and workers that have no fits to do need none of it.
"""

from typing import Any

from optuna.trial import BaseTrial
from sklearn.pipeline import Pipeline

from benchmarks.models.model import Model, Parameters, told, untold


def _sparse_net(seed: int, n_samples: int, n_features: int) -> Pipeline:
    from sparsemlp import SparseInitMLPClassifier

    return Pipeline([("model", SparseInitMLPClassifier(random_state=seed))])


def _dense_net(seed: int, n_samples: int, n_features: int) -> Pipeline:
    from sparsemlp import SparseInitMLPClassifier

    return Pipeline([("model", SparseInitMLPClassifier(sparsity=None, random_state=seed))])


WIDTHS = (256, 1024, 4096, (256, 64), (1024, 128), (2048, 256))
SPARSITIES = (1, 2, 4)


def _dense_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    default = _net_defaults()
    width = trial.suggest_categorical("width", _choices(default["width"], WIDTHS))
    return {
        "model__width": untold(width),
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
    choices = _choices(_net_defaults()["sparsity"], SPARSITIES)
    sparsity = untold(trial.suggest_categorical("sparsity", choices))
    if isinstance(sparsity, int):
        sparsity = min(sparsity, n_features)
    return _dense_space(trial, n_samples, n_features) | {"model__sparsity": sparsity}


def _net_defaults() -> Parameters:
    from sparsemlp import SparseInitMLPClassifier

    return SparseInitMLPClassifier().get_params()


def _dense_default() -> Parameters:
    default = _net_defaults()
    return {
        "width": told(default["width"]),
        "learning_rate": default["learning_rate"],
        "weight_decay": max(default["weight_decay"], 1e-6),
        "max_epochs": default["max_epochs"],
        "scaling": default["scaling"],
        "bias_init": default["bias_init"],
    }


def _sparse_default() -> Parameters:
    return _dense_default() | {"sparsity": told(_net_defaults()["sparsity"])}


def _choices(default: Any, others: tuple[Any, ...]) -> list[str]:
    return list(dict.fromkeys([told(default), *map(told, others)]))


def _names(default: str, *others: str) -> list[str]:
    return list(dict.fromkeys([default, *others]))


MODELS = (
    Model("sparse_mlp", "Sparse net", _sparse_net, _sparse_space, _sparse_default),
    Model("dense_mlp", "Dense net", _dense_net, _dense_space, _dense_default),
)
