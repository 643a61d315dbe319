"""The net of this project, started sparse and started dense: one class, one space but for the sparsity.

It is imported where it is used: torch takes seconds, and workers that have no fits to do need none of it.
"""

from optuna.trial import BaseTrial
from sklearn.pipeline import Pipeline

from benchmarks.models.base import Model, Parameters


def _sparse_net(seed: int, n_samples: int, n_features: int) -> Pipeline:
    from sparsemlp import SparseInitMLPClassifier

    return Pipeline([("model", SparseInitMLPClassifier(random_state=seed))])


def _dense_net(seed: int, n_samples: int, n_features: int) -> Pipeline:
    from sparsemlp import SparseInitMLPClassifier

    return Pipeline([("model", SparseInitMLPClassifier(sparsity=None, random_state=seed))])


def _sparse_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    return _space(trial, n_samples, n_features, dense=False)


def _dense_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    return _space(trial, n_samples, n_features, dense=True)


def _space(trial: BaseTrial, n_samples: int, n_features: int, dense: bool) -> Parameters:
    from sparsemlp.search_space import suggest_params

    drawn = suggest_params(trial, n_samples, n_features, dense=dense)
    return {f"model__{name}": value for name, value in drawn.items()}


def _sparse_default() -> Parameters:
    from sparsemlp.search_space import default_suggestions

    return default_suggestions()


def _dense_default() -> Parameters:
    from sparsemlp.search_space import default_suggestions

    return default_suggestions(dense=True)


MODELS = (
    Model("sparse_mlp", "Sparse net", _sparse_net, _sparse_space, _sparse_default),
    Model("dense_mlp", "Dense net", _dense_net, _dense_space, _dense_default),
)
