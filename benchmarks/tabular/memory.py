"""The most memory that a process held, from the kernel's high-water mark."""

import re
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak() -> None:
    """Let the high-water mark begin again at what the process holds now, where the kernel can."""
    try:
        _RESET.write_text("5")
    except OSError:  # not Linux
        return


def peak_mib() -> float | None:
    """Return the high-water mark in MiB; None where the kernel does not tell."""
    try:
        kilobytes = re.search(r"VmHWM:\s+(\d+)", _STATUS.read_text())
    except OSError:
        return None
    return int(kilobytes.group(1)) / 1024 if kilobytes else None
