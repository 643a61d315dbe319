"""The competitors by name. To add one, write a `Model` and name it here, or bring it with ``--plugin``."""

from collections.abc import Sequence

from benchmarks.cli import UsageError, known_names
from benchmarks.models import boosting, forest, nets, pytabkit, sklearn_models
from benchmarks.models.base import Model, Parameters

__all__ = ["MODELS", "Model", "Parameters", "chosen", "label"]

MODELS = {
    model.name: model for module in (forest, nets, sklearn_models, boosting, pytabkit) for model in module.MODELS
}


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """Return the competitors with these names; ``all`` are those whose packages are installed."""
    installed = [name for name, model in MODELS.items() if model.is_installed]
    wanted = known_names("model", names, tuple(MODELS), installed)
    for model in (MODELS[name] for name in wanted):
        if not model.is_installed:
            raise UsageError(
                f"model {model.name!r} needs the package {model.package}: pip install 'sparsemlp[{model.extra}]'"
            )
    return wanted


def label(name: str) -> str:
    """Return what the report calls a competitor."""
    return MODELS[name].label if name in MODELS else name
