"""How competitors that do not find the category columns of a frame themselves are given them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
from optuna.trial import BaseTrial
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from benchmarks.models.base import Adapt, Parameters, Recipe


class CategoryEncoder(TransformerMixin, BaseEstimator):
    """Numbers in place of the category columns of a frame; other columns stay as they are.

    Parameters
    ----------
    encoding : {"ordinal", "onehot"}, default="ordinal"
        A category's place in the alphabet, -1 for one that no training row has; or a column of zeros and ones for
        each category, all zeros for an unknown one.
    """

    def __init__(self, encoding: str = "ordinal") -> None:
        self.encoding = encoding

    def fit(self, X: pd.DataFrame, y: Any = None) -> "CategoryEncoder":
        """Find the categories of each column."""
        encoders = {
            "ordinal": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
            "onehot": OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        }
        of_dtype = make_column_selector(dtype_include="category")
        columns = ColumnTransformer([("categories", encoders[self.encoding], of_dtype)], remainder="passthrough")
        self.columns_ = columns.fit(X)
        return self

    def transform(self, X: pd.DataFrame) -> Any:
        """Return an array of numbers."""
        return self.columns_.transform(X)


def encoded(*encodings: str) -> Adapt:
    """Put a `CategoryEncoder` first; tuning chooses among the encodings, of which the first is the default."""
    return partial(_encoded, encodings)


def _encoded(encodings: Sequence[str], recipe: Recipe, columns: list[int]) -> Recipe:
    def build(seed: int, n_samples: int, n_features: int) -> Pipeline:
        steps = recipe.build(seed, n_samples, n_features).steps
        return Pipeline([("categories", CategoryEncoder(encodings[0])), *steps])

    def space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
        chosen = {"categories__encoding": trial.suggest_categorical("encoding", encodings)}
        return recipe.space(trial, n_samples, n_features) | chosen

    def default() -> Parameters:
        return recipe.default() | {"encoding": encodings[0]}

    return Recipe(build, space, default) if len(encodings) > 1 else recipe._replace(build=build)


def named(parameter: str) -> Adapt:
    """Set the parameter that says which columns are categories."""
    return partial(_named, parameter)


def _named(parameter: str, recipe: Recipe, columns: list[int]) -> Recipe:
    def build(seed: int, n_samples: int, n_features: int) -> Pipeline:
        return recipe.build(seed, n_samples, n_features).set_params(**{parameter: columns})

    return recipe._replace(build=build)
