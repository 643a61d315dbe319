"""The net of this project, started sparse and started dense: one class, one space but for the sparsity.

It is imported where it is used: torch takes seconds, and a command that prints its plan needs none of it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from optuna.trial import BaseTrial
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.models.base import Adapt, Model, Parameters, Recipe
from benchmarks.models.categories import encoded


def _net(seed: int, n_samples: int, n_features: int, *, dense: bool, regression: bool = False) -> Pipeline:
    import sparsemlp

    estimator = sparsemlp.SparseInitMLPRegressor if regression else sparsemlp.SparseInitMLPClassifier
    options: dict[str, Any] = {"sparsity": None} if dense else {}
    return Pipeline([("model", estimator(random_state=seed, **options))])


def _space(
    trial: BaseTrial, n_samples: int, n_features: int, *, dense: bool, regression: bool = False
) -> Parameters:
    from sparsemlp.search_space import suggest_params

    suggested = suggest_params(trial, n_samples, n_features, dense=dense, regression=regression)
    return {f"model__{name}": value for name, value in suggested.items()}


def _default(*, dense: bool, regression: bool = False) -> Parameters:
    from sparsemlp.search_space import default_suggestions

    return default_suggestions(dense=dense, regression=regression)


_FUNCTIONS: tuple[Callable[..., Any], ...] = (_net, _space, _default)


def _model(name: str, label: str, *, dense: bool, categories: Adapt | None = None) -> Model:
    build, space, default = (partial(function, dense=dense) for function in _FUNCTIONS)
    regressor = Recipe(*(partial(function, dense=dense, regression=True) for function in _FUNCTIONS))
    return Model(name, label, build, space, default, regressor=regressor, categories=categories)


# The net of the paper, for sparse parities. Its training has a fixed length, here in steps, as theirs has.

PAPER_WIDTHS = (100, 3000)
PAPER_SPARSITIES = (1, 2, 4)
PAPER_STEPS = (3_000, 30_000)
PAPER_DEFAULT: Parameters = {"width": 1000, "sparsity": 2, "steps": 10_000}
PAPER_BATCH = 32


def _paper_net(seed: int, n_samples: int, n_features: int, *, dense: bool) -> Pipeline:
    from sparsemlp import paper_net

    epochs = _epochs(PAPER_DEFAULT["steps"], n_samples)
    sparsity = None if dense else min(2, n_features)
    net = paper_net(PAPER_DEFAULT["width"], sparsity, max_epochs=epochs, random_state=seed)
    return Pipeline([("scale", StandardScaler()), ("model", net)])


def _paper_space(trial: BaseTrial, n_samples: int, n_features: int, *, dense: bool) -> Parameters:
    suggested: Parameters = {"model__width": trial.suggest_int("width", *PAPER_WIDTHS, log=True)}
    if not dense:
        suggested["model__sparsity"] = min(trial.suggest_categorical("sparsity", PAPER_SPARSITIES), n_features)
    suggested["model__max_epochs"] = _epochs(trial.suggest_int("steps", *PAPER_STEPS, log=True), n_samples)
    return suggested


def _paper_default(*, dense: bool) -> Parameters:
    return {name: value for name, value in PAPER_DEFAULT.items() if not (dense and name == "sparsity")}


def _epochs(n_steps: int, n_samples: int) -> int:
    return max(1, round(n_steps * PAPER_BATCH / n_samples))


_PAPER_FUNCTIONS: tuple[Callable[..., Any], ...] = (_paper_net, _paper_space, _paper_default)


def _paper_model(name: str, label: str, *, dense: bool) -> Model:
    build, space, default = (partial(function, dense=dense) for function in _PAPER_FUNCTIONS)
    return Model(name, label, build, space, default, categories=encoded("onehot"))


MODELS = (
    _model("sparse_mlp", "Sparse net", dense=False),
    _model("sparse_mlp_onehot", "Sparse net, one-hot", dense=False, categories=encoded("onehot")),
    _model("dense_mlp", "Dense net", dense=True),
    _paper_model("paper_net", "The paper's net", dense=False),
    _paper_model("dense_paper_net", "The paper's net, dense", dense=True),
)
