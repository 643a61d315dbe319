"""The progress bar: what is running, how much is done, how long is left."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

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
