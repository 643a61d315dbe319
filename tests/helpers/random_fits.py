"""Random parameters on odd tables: what goes wrong with a message about nothing that the user gave, or silently.

``python -m helpers.random_fits 1000 0`` in the folder tests: the number of trials and the first seed. Every seed
is tried twice: in a plain fit, and with more of what a user may do.
"""

import itertools
import pickle
import re
import sys
import time
import warnings
from collections import Counter

import numpy as np
import pandas as pd
from helpers.random_tables import (
    other_rows,
    random_column,
    random_table,
    random_targets,
    random_weights,
    several_targets,
    with_categories,
)
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import _safe_indexing, gen_batches

from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor

PARAMETERS = {
    "width": [1, 2, 8, (5, 3, 2), (16, 8), (1, 1)],
    "sparsity": ["auto", 1, 2, 3, None],
    "init": ["sign", "ones", "normal", "uniform"],
    "bias_init": ["zeros", "uniform", "data"],
    "feature_sampling": ["trees", "trees", "uniform"],
    "activation": ["mixed", "relu-tanh", "relu", "tanh", "sin", "box"],
    "richness": [None, None, 0.01, 1.0, 100.0],
    "scaling": ["squash", "quantile", "both", "both", "standard", None],
    "n_members": [1, 2, 3, 8],
    "optimizer": ["adamw", "sgd"],
    "learning_rate": [1e-8, 2e-3, 0.1, 10.0, 1e6, 1e30],
    "lr_schedule": ["constant", "cosine"],
    "weight_averaging": [True, False],
    "weight_decay": [0.0, 0.01, 10.0],
    "batch_size": [1, 7, 32, 256, 10**6],
    "max_epochs": [1, 2, 5],
    "early_stopping": ["out_of_fold", "out_of_fold", True, False],
    "validation_fraction": [0.01, 0.15, 0.9],
    "search_steps": [0, 20],
    "n_iter_no_change": [1, 10],
    "precision": ["float32", "float32", "bf16"],
    "warm_start": [False, False, True],
}
LOSSES = {
    SparseInitMLPClassifier: ["cross_entropy", "cross_entropy", "hinge", "squared"],
    SparseInitMLPRegressor: ["squared", "squared", "absolute_error", "huber"],
}
#: what a user gives besides
ARGUMENTS = [
    "loss",
    "class_weight",
    "classes",
    "categorical_features",
    "X",
    "y",
    "sample_weight",
    "X_val",
    "y_val",
]
#: what an error may be about
GIVEN = re.compile(rf"\b({'|'.join([*PARAMETERS, *ARGUMENTS, 'coverage', 'partial_fit'])})\b")
TOO_LARGE = "too large for float32|so large that the outputs"
EXPECTED_WARNINGS = (
    "A few targets dominate|The first chunk of partial_fit",
    "The number of unique classes|The least populated class|.*unique classes",
    "A column-vector y was passed",
)


def what_goes_wrong(seed, more=False):
    """Fit and predict once; return what was wrong with it, or None, and what was done.

    `more`: with categories, several targets, chunks, validation rows, weights of classes, other forms of tables.
    """
    rng = np.random.default_rng(seed)
    kind = (SparseInitMLPClassifier, SparseInitMLPRegressor)[seed % 2]
    n_rows = int(rng.choice([2, 3, 5, 12, 40, 120, 300]))
    X, y, weight = random_table(rng, n_rows), random_targets(rng, n_rows, kind), random_weights(rng, n_rows)
    options = random_options(rng, kind)
    way = "fit"
    if more:
        more_rng = np.random.default_rng([seed, 1])
        X, y, options = more_kinds(more_rng, kind, X, y, options)
        way = more_rng.choice(["fit", "fit", "partial_fit", "fit with X_val", "fit after pickling"])
    done = f"seed {seed}, more={more}: {way} of {kind.__name__}({options}) on {type(X).__name__} {X.shape}"
    estimator = kind(**options, random_state=0, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message)
        try:
            estimator = fitted(estimator, X, y, weight, way)
            tables = [X, other_rows(rng, X)] if more else [X, repeated_column(rng, X)]
            for table in tables:
                wrong = what_is_wrong_with_outputs(estimator, table, more=more)
                if wrong:
                    return wrong, done
        except (ValueError, MemoryError) as error:
            return (None if GIVEN.search(str(error)) else f"says {error}"), done
        except Exception as error:
            return f"raises {type(error).__name__}: {error}", done
    return None, done


def random_options(rng, kind):
    """Return random parameters of an estimator."""
    options = {}
    for name, values in (PARAMETERS | {"loss": LOSSES[kind]}).items():
        if rng.random() < 0.5:
            options[name] = values[rng.integers(len(values))]
    options.setdefault("width", (16, 8))
    options.setdefault("max_epochs", 2)
    options.setdefault("search_steps", 20)
    if kind is SparseInitMLPClassifier and rng.random() < 0.3:
        options["class_weight"] = "balanced"
    return options


def more_kinds(rng, kind, X, y, options):
    """Return a table, targets and parameters of further kinds."""
    n_rows = X.shape[0]
    if rng.random() < 0.3:
        y = several_targets(rng, n_rows, kind)
    elif kind is SparseInitMLPClassifier and rng.random() < 0.3:
        options = options | {"class_weight": {label: rng.choice([0.0, 1e-9, 1.0, 1e9]) for label in np.unique(y)}}
    form = rng.integers(6)
    if form < 2:
        X = with_categories(rng, X)
    elif form == 2 and not sparse.issparse(X) and not isinstance(X, pd.DataFrame):
        X = np.column_stack([X, rng.choice([0.0, 1.0, 7.0, np.nan], size=n_rows)])
        options = options | {"categorical_features": [X.shape[1] - 1]}
    elif sparse.issparse(X):
        with np.errstate(over="ignore"):
            X = [X.tocsc, X.tocoo, lambda: sparse.csr_array(X), lambda: X.astype(np.float32)][rng.integers(4)]()
        X.data[~np.isfinite(X.data)] = 3e38
    return X, y, options


def fitted(estimator, X, y, weight, way):
    """Return the estimator, fitted in one of several ways."""
    if way == "partial_fit":
        classes = np.unique(y) if isinstance(estimator, SparseInitMLPClassifier) and y.ndim == 1 else None
        for number, rows in enumerate(gen_batches(len(y), max(1, len(y) // 3))):
            index = np.arange(len(y))[rows]
            chunk = _safe_indexing(X.tocsr() if sparse.issparse(X) else X, index), y[index]
            first = {"classes": classes} if classes is not None and not number else {}
            estimator.partial_fit(*chunk, sample_weight=None if weight is None else weight[index], **first)
        return estimator
    validation = {"X_val": X, "y_val": y, "sample_weight_val": weight} if way == "fit with X_val" else {}
    estimator.fit(X, y, sample_weight=weight, **validation)
    if estimator.warm_start:
        estimator.fit(X, y, sample_weight=weight)
    return pickle.loads(pickle.dumps(estimator)) if way == "fit after pickling" else estimator


def repeated_column(rng, X):
    """Return a table of one odd column again and again, with the names of `X`."""
    values = random_column(rng, X.shape[0])[:, None] * np.ones(X.shape[1])
    return pd.DataFrame(values, columns=X.columns) if isinstance(X, pd.DataFrame) else values


def what_is_wrong_with_outputs(estimator, X, *, more=False):
    """Return what is wrong with predictions, or None, also where numbers are too large to predict."""
    try:
        is_regressor = isinstance(estimator, SparseInitMLPRegressor)
        wrong = wrong_numbers(estimator, X) if is_regressor else wrong_classes(estimator, X)
        return wrong or (wrong_calibration(estimator, X) if more else None)
    except ValueError as error:
        if re.search(TOO_LARGE, str(error)):
            return None
        raise


def wrong_numbers(estimator, X):
    """Return what is wrong with a regressor's predictions."""
    return None if np.isfinite(estimator.predict(X)).all() else "predictions are not finite"


def wrong_classes(estimator, X):
    """Return what is wrong with a classifier's predictions."""
    prediction = estimator.predict(X)
    if not np.isfinite(estimator.decision_function(X)).all():
        return "decision values are not finite"
    if estimator.loss != "cross_entropy":
        return None
    probability = estimator.predict_proba(X)
    if not np.isfinite(probability).all():
        return "probabilities are not finite"
    if prediction.ndim == 2:  # several labels
        return None if ((probability > 0.5) == prediction).all() else "a label is predicted that is improbable"
    if not np.allclose(probability.sum(axis=1), 1):
        return "probabilities do not add up to 1"
    if (prediction != estimator.classes_[probability.argmax(axis=1)]).any():
        return "another class is predicted than the most probable one"
    return None


def wrong_calibration(estimator, X):
    """Return what is wrong with intervals or sets."""
    if isinstance(estimator, SparseInitMLPRegressor):
        ends = estimator.predict_interval(X, coverage=0.8)
        return "interval ends are NaN or in the wrong order" if not (ends[..., 0] <= ends[..., 1]).all() else None
    if estimator.loss == "cross_entropy" and estimator.predict(X).ndim == 1:
        sets = estimator.predict_set(X, coverage=0.8)
        return None if sets.shape == (X.shape[0], len(estimator.classes_)) else "sets have the wrong shape"
    return None


def main(n_trials, first_seed=0):
    """Run trials; print what goes wrong, and how often."""
    counts, start = Counter(), time.monotonic()
    trials = ((seed, more) for seed in itertools.count(first_seed) for more in (False, True))
    for seed, more in itertools.islice(trials, n_trials):
        wrong, done = what_goes_wrong(seed, more)
        counts["wrong" if wrong else "right"] += 1
        if wrong:
            print(f"{wrong}\n    {done}", flush=True)
    print(f"{dict(counts)} of {n_trials} trials in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
