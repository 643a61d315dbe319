"""The competitors by name. To add one, write a `Model` and name it here, or bring it with ``--plugin``."""

from collections.abc import Collection, Sequence

from benchmarks.cli import UsageError, known_names
from benchmarks.models import boosting, forest, nets, pytabkit, sklearn_models
from benchmarks.models.base import Model, Parameters, Recipe

__all__ = ["MODELS", "Model", "Parameters", "Recipe", "chosen", "label"]

MODELS = {
    model.name: model for module in (forest, nets, sklearn_models, boosting, pytabkit) for model in module.MODELS
}


def chosen(names: Sequence[str], kinds: Collection[str] = ("classification",)) -> tuple[str, ...]:
    """Return the competitors with these names, which must be installed and do tasks of these kinds.

    ``all`` are those that are installed and do.
    """
    able = [
        name
        for name, model in MODELS.items()
        if model.is_installed and ("regression" not in kinds or model.regressor is not None)
    ]
    wanted = known_names("model", names, tuple(MODELS), able)
    for model in (MODELS[name] for name in wanted):
        if not model.is_installed:
            raise UsageError(
                f"model {model.name!r} needs the package {model.package}: pip install '.[{model.extra}]'"
            )
        for kind in kinds:
            model.recipe(kind)
    return wanted


def label(name: str) -> str:
    """Return what the report calls a competitor."""
    return MODELS[name].label if name in MODELS else name
