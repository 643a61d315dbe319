"""Run the Python blocks of README.md and of the pages in docs/, and the docstrings' examples, as tests."""

import os
import tempfile
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from pathlib import Path
from typing import Any

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser

# Threads that spin at every barrier make small tests several times slower on a machine that does anything else.
# OpenMP reads this when torch is imported, which is after this file.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# `make test` runs two processes side by side, with a thread each on two cores. Tests that need more set them.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def enter_empty_folder(namespace: dict[str, Any]) -> None:
    """Let a page's examples write files where they disturb nothing."""
    namespace["_folder"] = tempfile.TemporaryDirectory()
    namespace["_came_from"] = Path.cwd()
    os.chdir(namespace["_folder"].name)


def leave_folder(namespace: dict[str, Any]) -> None:
    """Go back to where pytest was started."""
    os.chdir(namespace["_came_from"])
    namespace["_folder"].cleanup()


pages = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/guide/*.md"],
    setup=enter_empty_folder,
    teardown=leave_folder,
)
docstrings = Sybil(
    parsers=[DocTestParser(optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)],
    patterns=["sparsemlp/*.py", "sparsemlp/*/*.py"],
)

pytest_collect_file = (pages + docstrings).pytest()
