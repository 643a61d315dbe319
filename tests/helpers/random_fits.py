"""Random parameters on odd tables: what goes wrong with a message about nothing that the user gave, or silently.

``python -m helpers.random_fits 1000`` in the folder tests, with the number of trials and the first seed.
"""

import itertools
import re
import sys
import time
import warnings
from collections import Counter

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

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
#: what an error may be about
GIVEN = re.compile(rf"\b({'|'.join([*PARAMETERS, 'loss', 'class_weight', 'X', 'y', 'sample_weight', 'y_val'])})\b")


def random_column(rng, n_rows):
    """Return one column of an odd table."""
    normal = rng.standard_normal(n_rows)
    kinds = (
        lambda: normal,
        lambda: 1e300 * normal,
        lambda: np.where(normal > 0, 1.7e308, -1.7e308),
        lambda: 1e-300 * normal,
        lambda: 5e-324 * rng.integers(0, 9, n_rows),
        lambda: np.full(n_rows, rng.choice([0.0, 1.0, -1e30, 1e308])),
        lambda: np.full(n_rows, np.nan),
        lambda: np.where(rng.random(n_rows) < 0.5, np.nan, normal),
        lambda: rng.integers(0, 3, n_rows).astype(float),
        lambda: rng.standard_cauchy(n_rows) ** 5,
        lambda: np.where(np.arange(n_rows) == 0, 1e308, 0.0),
        lambda: 1e15 + normal,
    )
    return kinds[rng.integers(len(kinds))]()


def random_table(rng, n_rows):
    """Return an odd table, in one of several forms."""
    X = np.column_stack([random_column(rng, n_rows) for _ in range(rng.integers(1, 7))])
    if rng.random() < 0.2:
        X = np.repeat(X[: max(1, n_rows // 3)], 3, axis=0)[:n_rows] if n_rows > 3 else X
    if len(X) < n_rows:
        X = np.vstack([X, X[: n_rows - len(X)]])
    form = rng.integers(5)
    if form == 0:
        return pd.DataFrame(X, columns=[f"column {i}" for i in range(X.shape[1])])
    if form == 1:
        return sparse.csr_matrix(np.nan_to_num(X, nan=0.0))
    if form == 2:
        with np.errstate(over="ignore"):
            X32 = X.astype(np.float32)
        return np.where(np.isinf(X32), np.float32(3e38), X32)
    return X


def random_targets(rng, n_rows, kind):
    """Return odd targets for a kind of estimator."""
    if kind is SparseInitMLPRegressor:
        y = rng.standard_normal(n_rows)
        y[0] *= rng.choice([1.0, 1e6, 1e150])
        with np.errstate(over="ignore", under="ignore"):
            return np.clip(y * rng.choice([1.0, 0.0, 1e30, 1e-30, 1e-308]) + rng.choice([0.0, 1e9]), -1e300, 1e300)
    y = np.arange(n_rows) % rng.integers(2, 6)
    if rng.random() < 0.3:
        y = (np.arange(n_rows) < 1).astype(int)  # a class of one row
    return rng.permutation(y if rng.random() < 0.5 else y.astype(str))


def random_weights(rng, n_rows):
    """Return odd weights of rows, or None."""
    kinds = (
        None,
        None,
        rng.random(n_rows),
        (rng.random(n_rows) < 0.7).astype(float),
        1e-300 * rng.random(n_rows),
        1e300 * rng.random(n_rows),
        np.where(np.arange(n_rows) == 0, 1e12, 1e-12),
    )
    return kinds[rng.integers(len(kinds))]


def what_goes_wrong(seed):
    """Fit and predict once; return what was wrong with it, or None, and what was done."""
    rng = np.random.default_rng(seed)
    kind = (SparseInitMLPClassifier, SparseInitMLPRegressor)[seed % 2]
    n_rows = int(rng.choice([2, 3, 5, 12, 40, 120, 300]))
    X, y, weight = random_table(rng, n_rows), random_targets(rng, n_rows, kind), random_weights(rng, n_rows)
    options = {}
    for name, values in (PARAMETERS | {"loss": LOSSES[kind]}).items():
        if rng.random() < 0.5:
            options[name] = values[rng.integers(len(values))]
    options.setdefault("width", (16, 8))
    options.setdefault("max_epochs", 2)
    options.setdefault("search_steps", 20)
    if kind is SparseInitMLPClassifier and rng.random() < 0.3:
        options["class_weight"] = "balanced"
    done = f"seed {seed}: {kind.__name__}({options}) on {type(X).__name__} {X.shape}"
    estimator = kind(**options, random_state=0, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "A few targets dominate|The first chunk of partial_fit")
        warnings.filterwarnings(
            "ignore", "The number of unique classes|The least populated class|.*unique classes"
        )
        try:
            estimator.fit(X, y, sample_weight=weight)
            if options.get("warm_start"):
                estimator.fit(X, y, sample_weight=weight)
            rows = [X, random_column(rng, X.shape[0])[:, None] * np.ones(X.shape[1])]
            if isinstance(X, pd.DataFrame):
                rows[1] = pd.DataFrame(rows[1], columns=X.columns)
            for table in rows:
                try:
                    wrong = what_is_wrong_with_outputs(estimator, table)
                except ValueError as error:
                    if not re.search("too large for float32|so large that the outputs", str(error)):
                        raise
                    wrong = None
                if wrong:
                    return wrong, done
        except (ValueError, MemoryError) as error:
            return (None if GIVEN.search(str(error)) else f"says {error}"), done
        except Exception as error:
            return f"raises {type(error).__name__}: {error}", done
    return None, done


def what_is_wrong_with_outputs(estimator, X):
    """Return what is wrong with predictions, or None."""
    prediction = estimator.predict(X)
    if isinstance(estimator, SparseInitMLPRegressor):
        return None if np.isfinite(prediction).all() else "predictions are not finite"
    if not np.isfinite(estimator.decision_function(X)).all():
        return "decision values are not finite"
    if estimator.loss == "cross_entropy":
        probability = estimator.predict_proba(X)
        if not np.isfinite(probability).all() or not np.allclose(probability.sum(axis=1), 1):
            return "probabilities are not finite, or do not add up to 1"
        if (prediction != estimator.classes_[probability.argmax(axis=1)]).any():
            return "another class is predicted than the most probable one"
    return None


def main(n_trials, first_seed=0):
    """Run trials; print what goes wrong, and how often."""
    counts, start = Counter(), time.monotonic()
    for seed in itertools.islice(itertools.count(first_seed), n_trials):
        wrong, done = what_goes_wrong(seed)
        counts["wrong" if wrong else "right"] += 1
        if wrong:
            print(f"{wrong}\n    {done}", flush=True)
    print(f"{dict(counts)} of {n_trials} trials in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
