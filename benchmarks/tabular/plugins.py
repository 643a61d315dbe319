"""Competitors and tasks of a user's own: Python files with a list ``MODELS``, a list ``TASKS``, or both."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

import cloudpickle

from benchmarks.cli import UsageError


def register(path: Path) -> None:
    """Run a file, and add what it holds to the competitors and the tasks of this process."""
    from benchmarks.data.tasks import TASKS, SampledTask, Task
    from benchmarks.models import MODELS, Model

    module = _module(path)
    models, tasks = (_listed(path, module, name) for name in ("MODELS", "TASKS"))
    if not models + tasks:
        raise UsageError(f"--plugin {path.name} has neither a list MODELS nor a list TASKS")
    _add(path, models, (Model,), MODELS)
    _add(path, tasks, (Task, SampledTask), TASKS)


def _module(path: Path) -> ModuleType:
    """Return the file as a module; one of the same text is run once.

    It is among the process's modules, where dataclasses and pickle look for it. Workers cannot import it, and so
    cloudpickle, with which dask sends work to them, is told to send the code along.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--plugin {path} cannot be read: {error}") from error
    name = f"benchmarks_plugin_{path.stem}_{crc32(source.encode()):08x}"
    if name in sys.modules:
        return sys.modules[name]
    module = sys.modules[name] = ModuleType(name)
    try:
        exec(compile(source, path.name, "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[name]
        raise UsageError(f"--plugin {path.name} fails: {type(error).__name__}: {error}") from error
    cloudpickle.register_pickle_by_value(module)
    return module


def _listed(path: Path, module: ModuleType, name: str) -> list[Any]:
    items = getattr(module, name, [])
    if not isinstance(items, list | tuple):
        raise UsageError(f"--plugin {path.name}: {name} must be a list, got one {type(items).__name__}")
    return list(items)


def _add(path: Path, items: Sequence[Any], kinds: tuple[type[Any], ...], known: dict[str, Any]) -> None:
    for item in items:
        if not isinstance(item, kinds):
            raise UsageError(f"--plugin {path.name}: {item!r} is no {kinds[0].__name__}")
        if known.setdefault(item.name, item) is not item:
            raise UsageError(
                f"--plugin {path.name}: there is another {kinds[0].__name__} called {item.name!r}; rename yours"
            )
