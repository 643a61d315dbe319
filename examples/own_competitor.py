"""A competitor of your own for the benchmark: nearest neighbours with a tuned k.

Run it with built-in competitors, on the same splits and with the same number of trials:

    python -m benchmarks tabular --plugin examples/own_competitor.py --models knn rf sparse_mlp \
        --tasks credit --rows 1000 --trials 10 --seeds 2 --results results-knn
"""

from optuna.trial import BaseTrial
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import QuantileTransformer

from benchmarks.models import Model, Parameters


def build(seed: int, n_samples: int, n_features: int) -> Pipeline:
    """Return the pipeline at its defaults, for a training set of this size."""
    scale = QuantileTransformer(n_quantiles=min(1000, n_samples), output_distribution="normal")
    return Pipeline([("scale", scale), ("model", KNeighborsClassifier(n_neighbors=5))])


def space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    """Sample what tuning may change, as ``Pipeline.set_params`` takes it."""
    # A validation fold leaves as little as half of a small training set.
    return {
        "model__n_neighbors": trial.suggest_int("n_neighbors", 1, max(1, min(200, n_samples // 2)), log=True),
        "model__weights": trial.suggest_categorical("weights", ["uniform", "distance"]),
    }


def default() -> Parameters:
    """Return the defaults in terms of the space; they are the first trial."""
    return {"n_neighbors": 5, "weights": "uniform"}


MODELS = [Model("knn", "Nearest neighbours", build, space, default)]
