"""Helper processes that end with the process that started them, however that one ended."""

import os
import threading
import time


def end_with(parent: int) -> None:
    """Watch, in a thread, the process that started this one, and end at once when it is gone."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
