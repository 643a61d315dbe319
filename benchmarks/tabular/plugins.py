"""Competitors and tasks of a user's own: Python files with a list ``MODELS``, a list ``TASKS``, or both."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

from joblib.externals.loky.cloudpickle_wrapper import dumps

from benchmarks.cli import UsageError


@dataclass(frozen=True)
class Plugin:
    """A file, which is carried to every worker as text: the workers may be on other machines."""

    name: str
    source: str

    @classmethod
    def read(cls, path: Path) -> "Plugin":
        """Return the plugin in a file."""
        try:
            return cls(path.name, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--plugin {path} cannot be read: {error}") from error


def register(plugins: Iterable[Plugin]) -> None:
    """Run the files, and add what they hold to the competitors and the tasks of this process."""
    from benchmarks.data.tasks import TASKS, Task
    from benchmarks.models import MODELS, Model

    for plugin in plugins:
        module = _module(plugin)
        models, tasks = (_listed(plugin, module, name) for name in ("MODELS", "TASKS"))
        if not models + tasks:
            raise UsageError(f"--plugin {plugin.name} has neither a list MODELS nor a list TASKS")
        _add(plugin, models, Model, MODELS)
        _add(plugin, tasks, Task, TASKS)


def _module(plugin: Plugin) -> ModuleType:
    """Return the file as a module; one of the same text is run once.

    It is among the process's modules, where dataclasses and pickle look for it. Other processes cannot import it,
    and so cloudpickle, with which joblib sends work to them, is told to send the code along.
    """
    name = f"benchmarks_plugin_{Path(plugin.name).stem}_{crc32(plugin.source.encode()):08x}"
    if name in sys.modules:
        return sys.modules[name]
    module = sys.modules[name] = ModuleType(name)
    try:
        exec(compile(plugin.source, plugin.name, "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[name]
        raise UsageError(f"--plugin {plugin.name} fails: {type(error).__name__}: {error}") from error
    sys.modules[dumps.__module__].register_pickle_by_value(module)
    return module


def _listed(plugin: Plugin, module: ModuleType, name: str) -> list[Any]:
    items = getattr(module, name, [])
    if not isinstance(items, list | tuple):
        raise UsageError(f"--plugin {plugin.name}: {name} must be a list, got one {type(items).__name__}")
    return list(items)


def _add(plugin: Plugin, items: Sequence[Any], kind: type[Any], known: dict[str, Any]) -> None:
    for item in items:
        if not isinstance(item, kind):
            raise UsageError(f"--plugin {plugin.name}: {item!r} is no {kind.__name__}")
        if known.setdefault(item.name, item) is not item:
            raise UsageError(
                f"--plugin {plugin.name}: there is another {kind.__name__} called {item.name!r}; rename yours"
            )
