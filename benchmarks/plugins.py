"""Competitors and tasks of a user's own: Python files with a list ``MODELS``, a list ``TASKS``, or both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.arguments import UsageError


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
    from benchmarks.models import MODELS, Model
    from benchmarks.tasks import TASKS, Task

    for plugin in plugins:
        module = ModuleType(f"benchmarks_plugin_{Path(plugin.name).stem}")
        try:
            exec(compile(plugin.source, plugin.name, "exec"), module.__dict__)
        except Exception as error:
            raise UsageError(f"--plugin {plugin.name} fails: {type(error).__name__}: {error}") from error
        models, tasks = (list(getattr(module, name, [])) for name in ("MODELS", "TASKS"))
        if not models + tasks:
            raise UsageError(f"--plugin {plugin.name} has neither a list MODELS nor a list TASKS")
        _add(plugin, models, Model, MODELS)
        _add(plugin, tasks, Task, TASKS)


def _add(plugin: Plugin, items: Sequence[Any], kind: type[Any], known: dict[str, Any]) -> None:
    for item in items:
        if not isinstance(item, kind):
            raise UsageError(f"--plugin {plugin.name}: {item!r} is no {kind.__name__}")
    known.update({item.name: item for item in items})
