"""Ctrl-C in training: it ends the training and not the program, unless it comes twice."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

# A second Ctrl-C within this many seconds ends the program, or the search that the training is part of.
SECONDS = 5.0
_latest = -float("inf")


class Interrupts:
    """What Ctrl-C has done to a training."""

    def __init__(self) -> None:
        #: whether it was pressed
        self.happened = False
        #: whether it was pressed shortly before as well
        self.twice = False

    def note(self) -> None:
        """Take note of one Ctrl-C."""
        global _latest
        now = time.monotonic()
        self.happened, self.twice = True, self.twice or now - _latest < SECONDS
        _latest = now


@contextlib.contextmanager
def noting_interrupts() -> Iterator[Interrupts]:
    """Tell Ctrl-C from a callback that ends training: both raise KeyboardInterrupt.

    Only in the main thread, and where the program has not its own way with Ctrl-C.
    """
    interrupts = Interrupts()
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield interrupts
        return

    def note_and_raise(number: int, frame: FrameType | None) -> None:
        interrupts.note()
        signal.default_int_handler(number, frame)

    try:
        signal.signal(signal.SIGINT, note_and_raise)
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
