"""What a competitor is: a pipeline, its default configuration and an Optuna search space."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, NamedTuple

from optuna.trial import BaseTrial
from sklearn.pipeline import Pipeline

from benchmarks.cli import UsageError

Parameters = dict[str, Any]
Build = Callable[[int, int, int], Pipeline]
Space = Callable[[BaseTrial, int, int], Parameters]
Default = Callable[[], Parameters]


class Recipe(NamedTuple):
    """How to build, and to tune, a pipeline for one kind of task; see `Model`."""

    build: Build
    space: Space
    default: Default


Adapt = Callable[[Recipe, list[int]], Recipe]


@dataclass(frozen=True)
class Model:
    """A competitor.

    Every estimator may use `benchmarks.environment.n_cores` cores and should take its random numbers from
    the seed.

    Attributes
    ----------
    name : str
        What the command line and the store call it.
    label : str
        What the report calls it.
    build : callable (seed, n_samples, n_features) -> Pipeline
        Returns an unfitted pipeline at its defaults, for a training set of that size.
    space : callable (trial, n_samples, n_features) -> dict
        Samples the parameters that tuning may change, as ``Pipeline.set_params`` takes them. Choices are
        numbers, texts, booleans or None, which is what Optuna can store; `encode_choice` writes others as text.
    default : callable () -> dict
        The default configuration in terms of the space's own suggestions; tuning tries it first.
    package, extra : str
        The package that ``build`` needs beyond scikit-learn and sparsemlp, and the group of optional
        dependencies that has it.
    regressor : Recipe or None
        The same three functions for regression tasks; None: there is no regressor.
    categories : callable (recipe, columns) -> Recipe, or None
        Changes a recipe for frames in which these columns are categories (`benchmarks.models.categories`). None:
        the pipeline takes such frames as it is.
    pinned : dict
        Parameters that are set after ``build`` and after ``space``: those of a variant.
    """

    name: str
    label: str
    build: Build
    space: Space
    default: Default
    package: str = ""
    extra: str = ""
    regressor: Recipe | None = None
    categories: Adapt | None = None
    pinned: Parameters = field(default_factory=dict)

    @property
    def is_installed(self) -> bool:
        """Whether the package that it needs is there."""
        return not self.package or find_spec(self.package) is not None

    def recipe(self, kind: str, categories: Sequence[int] = ()) -> Recipe:
        """Return how it is built for tasks of a kind, and for tables of which these columns are categories."""
        recipe = self.regressor if kind == "regression" else Recipe(self.build, self.space, self.default)
        if recipe is None:
            raise UsageError(f"model {self.name!r} has no regressor, which regression tasks need")
        return self.categories(recipe, list(categories)) if self.categories and categories else recipe


def encode_choice(value: Any) -> str:
    """Write a value as text, for a choice that Optuna could not store, such as a tuple."""
    return json.dumps(value)


def decode_choice(text: str) -> Any:
    """Return the value that `encode_choice` wrote; lists are tuples."""
    value = json.loads(text)
    return tuple(value) if isinstance(value, list) else value


def weighted(trial: BaseTrial, name: str, weights: Mapping[Any, float]) -> Any:
    """Suggest one of the keys, with its probability: a uniform number falls in its part of [0, 1]."""
    position = trial.suggest_float(name, 0.0, 1.0)
    edge = 0.0
    for choice, weight in weights.items():
        edge += weight
        if position < edge:
            return choice
    return choice


def position(choice: Any, weights: Mapping[Any, float]) -> float:
    """Return the middle of the part of [0, 1] that `weighted` reads as ``choice``."""
    edges = [0.0]
    for weight in weights.values():
        edges.append(edges[-1] + weight)
    low, high = list(pairwise(edges))[list(weights).index(choice)]
    return (low + high) / 2
