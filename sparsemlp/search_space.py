"""A small Optuna space around the estimators' defaults, for studies of some 20 trials."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

from sparsemlp._base import BaseSparseInitMLP
from sparsemlp._many_rows import LEARNING_RATE
from sparsemlp.classifier import SparseInitMLPClassifier
from sparsemlp.regressor import SparseInitMLPRegressor
from sparsemlp.trees import FEATURE_SAMPLINGS

WIDTHS = ((256, 64), (1024, 128), 1024, 2048)
SPARSITIES = (1, 4, 8)  # and "auto", which is 2
ACTIVATIONS = ("mixed", "relu", "tanh", "sin", "box")  # each kind of neuron, and several
SCALINGS = ("both", "squash", "quantile", "standard")
LEARNING_RATES = (3e-4, 1e-2)
WEIGHT_DECAYS = (1e-3, 1.0)
# A step of a wider net may cost this many times the default's; from MANY_ROWS on, where fits take minutes, it may
# cost no more than the default's.
MAX_COST = 2.0
MANY_ROWS = 50_000
# The activation of a neuron takes about the time of this many of its weights, on a CPU.
NEURON = 50
#: the user attribute of a trial that holds the parameters it was given, as JSON
RECORD = "sparsemlp"


class _Trial(Protocol):
    """The methods of an Optuna trial that are used here; Optuna is not imported."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Return one of the choices."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number between two others."""

    @property
    def user_attrs(self) -> Mapping[str, Any]:
        """Return what the trial carries besides its suggestions."""

    def set_user_attr(self, key: str, value: Any) -> None:
        """Let the trial carry a value."""


class _Study(Protocol):
    """The attribute of an Optuna study that is used here."""

    @property
    def best_trial(self) -> Any:
        """Return the trial with the best value."""


def suggest_params(
    trial: _Trial, n_samples: int, n_features: int, *, dense: bool = False, regression: bool = False
) -> dict[str, Any]:
    """Suggest parameters of the estimators from a small space around the defaults.

    Width, sparsity, feature sampling, scaling, activation, learning rate and weight decay; the length of
    training is left to ``early_stopping="out_of_fold"``. Every choice is a number or a text, as Optuna's
    storages need: a tuple of widths is suggested as text, and returned as a tuple.

    The space is the same for every size of table. What a table is too small for is reduced after sampling: a
    sparsity to the number of features, and the first layer of a net that would take too long to half its width,
    as often as necessary. The trial carries the parameters as they are returned, for :func:`best_params`.

    Parameters
    ----------
    trial : optuna.trial.BaseTrial
        A running trial, or a finished one, whose suggestions are read again for a table of any size.
    n_samples, n_features : int
        Size of the training set, which bounds the widths: a training step takes about twice the time of the
        default's at most, and from 50000 rows on no more than that.
    dense : bool, default=False
        Start dense (``sparsity=None``), and suggest all but the sparsity.
    regression : bool, default=False
        A space around the defaults of the regressor, which has another activation.

    Returns
    -------
    dict
        For ``set_params`` of :class:`sparsemlp.SparseInitMLPClassifier` or
        :class:`sparsemlp.SparseInitMLPRegressor`.

    See Also
    --------
    default_suggestions : The defaults, for a study to begin with.
    best_params : The parameters of a study's best trial.

    Examples
    --------
    >>> import optuna
    >>> from sparsemlp.search_space import default_suggestions, suggest_params
    >>> trial = optuna.trial.FixedTrial(default_suggestions() | {"width": "[256, 64]", "sparsity": 4})
    >>> params = suggest_params(trial, n_samples=1000, n_features=20)
    >>> params["width"], params["sparsity"], params["learning_rate"]
    ((256, 64), 4, 0.002)
    >>> suggest_params(trial, n_samples=1000, n_features=3)["sparsity"]
    3
    """
    default = _default(regression)
    widths = [_text(width) for width in _first(default["width"], WIDTHS)]
    width = _from_json(trial.suggest_categorical("width", widths))
    params = {
        "width": _affordable(width, default["width"], n_samples, n_features),
        **({"sparsity": None} if dense else _start(trial, default, n_features)),
        "scaling": trial.suggest_categorical("scaling", _first(default["scaling"], SCALINGS)),
        "activation": trial.suggest_categorical("activation", _first(default["activation"], ACTIVATIONS)),
        "learning_rate": trial.suggest_float("learning_rate", *LEARNING_RATES, log=True),
        "weight_decay": trial.suggest_float("weight_decay", *WEIGHT_DECAYS, log=True),
    }
    if RECORD not in trial.user_attrs:  # a finished trial keeps what it was run with
        trial.set_user_attr(RECORD, json.dumps(params))
    return params


def best_params(study: _Study) -> dict[str, Any]:
    """Return the parameters of a study's best trial, for the estimator.

    They are what :func:`suggest_params` returned in that trial. ``study.best_params`` differs: it has a tuple of
    widths as text, what was sampled before limits were applied, and no ``sparsity=None`` of a dense start.

    Parameters
    ----------
    study : optuna.study.Study
        A study whose objective called :func:`suggest_params`; one from a storage too.

    Returns
    -------
    dict
        For :class:`sparsemlp.SparseInitMLPClassifier` or :class:`sparsemlp.SparseInitMLPRegressor`.

    Raises
    ------
    ValueError
        If no trial has finished, or the best one did not call :func:`suggest_params`.

    Examples
    --------
    >>> import optuna
    >>> from sparsemlp.search_space import best_params, default_suggestions, suggest_params
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study()
    >>> study.enqueue_trial(default_suggestions())
    >>> study.optimize(lambda trial: suggest_params(trial, 1000, 20)["learning_rate"], n_trials=1)
    >>> best_params(study)["width"], study.best_params["width"]
    ((512, 128), '[512, 128]')
    """
    trial = study.best_trial
    if RECORD not in trial.user_attrs:
        raise ValueError(
            f"trial {trial.number}, the study's best, carries no parameters of sparsemlp: its objective did not "
            "call suggest_params; call suggest_params(study.best_trial, n_samples, n_features) if another "
            "program stored the trial"
        )
    params: dict[str, Any] = json.loads(trial.user_attrs[RECORD])
    return params | {"width": _from_json(_text(params["width"]))}


def _start(trial: _Trial, default: dict[str, Any], n_features: int) -> dict[str, Any]:
    """Suggest how a sparse first layer starts."""
    sparsity = trial.suggest_categorical("sparsity", ["auto", *SPARSITIES])
    samplings = _first(default["feature_sampling"], FEATURE_SAMPLINGS)
    return {
        "sparsity": sparsity if sparsity == "auto" else min(sparsity, n_features),
        "feature_sampling": trial.suggest_categorical("feature_sampling", samplings),
    }


def default_suggestions(*, dense: bool = False, regression: bool = False) -> dict[str, Any]:
    """Return the estimator's defaults in terms of the suggestions, for ``study.enqueue_trial``.

    The learning rate is that of up to 20,000 rows; with more, "auto" takes a larger one.

    Parameters
    ----------
    dense, regression : bool, default=False
        As in :func:`suggest_params`.

    Returns
    -------
    dict
        A value for every suggestion.

    Examples
    --------
    >>> from sparsemlp.search_space import default_suggestions
    >>> default_suggestions()["width"]
    '[512, 128]'
    """
    default = _default(regression)
    names = ["scaling", "activation", "learning_rate", "weight_decay"]
    if not dense:
        names += ["sparsity", "feature_sampling"]
    suggestions = {"width": _text(default["width"])} | {name: default[name] for name in names}
    return suggestions | {"learning_rate": LEARNING_RATE}


def _default(regression: bool) -> dict[str, Any]:
    estimator: BaseSparseInitMLP = SparseInitMLPRegressor() if regression else SparseInitMLPClassifier()
    return estimator.get_params()


def _affordable(width: Any, default: Any, n_samples: int, n_features: int) -> Any:
    """Halve the first layer until the net does not cost too much more than the default."""
    bound = (MAX_COST if n_samples < MANY_ROWS else 1.0) * _cost(default, n_features)
    while _cost(width, n_features) > bound:
        width = (width[0] // 2, *width[1:]) if isinstance(width, Sequence) else width // 2
    return width


def _cost(width: Any, n_features: int) -> int:
    """Return the cost of a step in units of a weight's, with two columns for every feature."""
    sizes = [2 * n_features, *(width if isinstance(width, Sequence) else [width])]
    return sum((n_inputs + NEURON) * n_neurons for n_inputs, n_neurons in pairwise(sizes))


def _first(default: Any, others: Sequence[Any]) -> list[Any]:
    return list(dict.fromkeys([default, *others]))


def _text(width: Any) -> str:
    return json.dumps(width)


def _from_json(text: str) -> Any:
    """Return a width: a number, or a tuple of them."""
    width = json.loads(text)
    return tuple(width) if isinstance(width, list) else width
