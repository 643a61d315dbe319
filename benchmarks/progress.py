"""The progress bar: what is running, how much is done, how long is left."""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from tqdm import tqdm

if TYPE_CHECKING:
    from benchmarks.results.store import Store
    from benchmarks.tabular.plan import Evaluation

Item = TypeVar("Item")

FORMAT = "{percentage:3.0f}% |{bar:20}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left] {desc}"


def progress(items: Sequence[Item]) -> Iterator[Item]:
    """Yield the items under a bar on stderr, which names the one that is being worked on.

    Where stderr is a file rather than a terminal, the bar is drawn every few seconds only.
    """
    terminal = sys.stderr.isatty()
    interval = 0.1 if terminal else 10.0
    with tqdm(
        total=len(items), bar_format=FORMAT, mininterval=interval, dynamic_ncols=terminal, disable=not items
    ) as bar:
        for item in items:
            due = terminal or time.time() - getattr(bar, "last_print_t", 0.0) > interval
            bar.set_description_str(str(item), refresh=due)
            yield item
            bar.update()
        bar.set_description_str("")


@contextmanager
def watching(store: "Store", evaluations: "Sequence[Evaluation]") -> Iterator[None]:
    """Show, as long as the context lasts, how many of the evaluations are stored and which are being done.

    Whoever does them, here or elsewhere, the store knows of it.
    """
    wanted = {evaluation.key for evaluation in evaluations}
    terminal = sys.stderr.isatty()
    ended = threading.Event()
    with tqdm(total=len(wanted), bar_format=FORMAT, dynamic_ncols=terminal) as bar:

        def look() -> None:
            bar.update(len(wanted & store.finished()) - bar.n)
            bar.set_description_str(_running(store.running()))

        def watch() -> None:
            while not ended.wait(0.5 if terminal else 10.0):
                look()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            bar.set_description_str("", refresh=False)
            bar.update(len(wanted & store.finished()) - bar.n)


def _running(leases: list[dict[str, object]]) -> str:
    """Say what is being done: one evaluation, and how many beside it."""
    if not leases:
        return ""
    first = min(leases, key=lambda lease: str(lease["owner"]))
    text = f"{first['task']} {first['size']} seed {first['seed']} {first['model']}"
    if first["trial"] != -1:
        text += f" trial {first['trial']}"
    return text if len(leases) == 1 else f"{text} and {len(leases) - 1} more"
