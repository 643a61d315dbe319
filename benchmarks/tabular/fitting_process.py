"""The process at the other end of `isolation`: ``python -m benchmarks.tabular.fitting_process FD PARENT``."""

import signal
import sys
from multiprocessing.connection import Connection

from benchmarks.tabular.evaluate import Evaluator
from benchmarks.tabular.orphans import end_with
from benchmarks.tabular.plugins import register


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


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this one
    end_with(int(sys.argv[2]))
    serve(Connection(int(sys.argv[1])))
