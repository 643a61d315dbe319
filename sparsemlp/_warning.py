"""Warnings that show the user's line, however many calls lie between it and what warns."""

from __future__ import annotations

import inspect
import warnings

#: the package, and those whose decorators are around its functions
INSIDE = ("sparsemlp", "numpy", "contextlib")


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called the package."""
    frame, level = inspect.currentframe(), 1
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
