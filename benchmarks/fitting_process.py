"""The process at the other end of `benchmarks.isolation`: ``python -m benchmarks.fitting_process FD PARENT``."""

import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection

from benchmarks.evaluator import Evaluator
from benchmarks.plugins import register


def serve(connection: Connection) -> None:
    """Answer requests, (method, arguments), by (what was returned, what was raised), until there are no more."""
    evaluator = Evaluator()
    register(connection.recv())
    while True:
        try:
            method, arguments = connection.recv()
        except (EOFError, ConnectionError):
            return
        returned, raised = None, None
        try:
            returned = getattr(evaluator, method)(*arguments)
        except Exception as error:
            raised = error
        connection.send((returned, raised))


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone: nobody would hear of the fit."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this one
    threading.Thread(target=_end_with, args=(int(sys.argv[2]),), daemon=True).start()
    serve(Connection(int(sys.argv[1])))
