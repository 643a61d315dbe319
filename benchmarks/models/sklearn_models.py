"""More classifiers of scikit-learn: boosted trees, a neural network, logistic regression with either penalty."""

from optuna.trial import BaseTrial
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.models.base import Model, Parameters, Recipe, decode_choice, encode_choice
from benchmarks.models.categories import encoded


def _boosting(seed: int, n_samples: int, n_features: int) -> Pipeline:
    return Pipeline(
        [("model", HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed))]
    )


def _boosting_regressor(seed: int, n_samples: int, n_features: int) -> Pipeline:
    return Pipeline(
        [("model", HistGradientBoostingRegressor(categorical_features="from_dtype", random_state=seed))]
    )


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
    widths = [encode_choice(width) for width in ((100,), (256,), (1024,), (256, 64), (512, 128))]
    return {
        "model__hidden_layer_sizes": decode_choice(trial.suggest_categorical("hidden_layer_sizes", widths)),
        "model__learning_rate_init": trial.suggest_float("learning_rate_init", 1e-4, 1e-1, log=True),
        "model__alpha": trial.suggest_float("alpha", 1e-6, 10.0, log=True),
        "model__early_stopping": trial.suggest_categorical("early_stopping", [False, True]),
    }


def _sklearn_mlp_default() -> Parameters:
    return {
        "hidden_layer_sizes": encode_choice((100,)),
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


# scikit-learn 1.8 renamed the penalty.
_L1: Parameters = {"l1_ratio": 1.0} if LogisticRegression().penalty == "deprecated" else {"penalty": "l1"}
_L1_GRID = {"estimator__C": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]}


def _l1_logistic(seed: int, n_samples: int, n_features: int) -> Pipeline:
    """Return the L1 penalty with C by 3-fold cross-validation; liblinear is the quick solver with many inputs."""
    one = LogisticRegression(solver="liblinear", max_iter=1000, random_state=seed, **_L1)
    return Pipeline(
        [("scale", StandardScaler()), ("model", GridSearchCV(OneVsRestClassifier(one), _L1_GRID, cv=3))]
    )


def _l1_logistic_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    """Sample what is left: C has a cross-validation of its own."""
    balance = trial.suggest_categorical("class_weight", [None, "balanced"])
    return {
        "model__estimator__estimator__tol": trial.suggest_float("tol", 1e-6, 1e-1, log=True),
        "model__estimator__estimator__class_weight": balance,
    }


def _l1_logistic_default() -> Parameters:
    return {"tol": 1e-4, "class_weight": None}


_ONEHOT = encoded("onehot")
BOOSTING_REGRESSOR = Recipe(_boosting_regressor, _boosting_space, _boosting_default)
MODELS = (
    Model("hgb", "Boosted trees", _boosting, _boosting_space, _boosting_default, regressor=BOOSTING_REGRESSOR),
    Model(
        *("sklearn_mlp", "scikit-learn MLP", _sklearn_mlp, _sklearn_mlp_space, _sklearn_mlp_default),
        categories=_ONEHOT,
    ),
    Model("logistic", "Logistic regression", _logistic, _logistic_space, _logistic_default, categories=_ONEHOT),
    Model(
        *("l1_logistic", "L1 logistic regression", _l1_logistic, _l1_logistic_space, _l1_logistic_default),
        categories=_ONEHOT,
    ),
)
