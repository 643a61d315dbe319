"""Which versions and which machine made a result; no host names, no paths."""

import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

import joblib

PACKAGES = (
    *("sparsemlp", "scikit-learn", "torch", "skorch", "numpy", "pandas", "optuna", "openml"),
    *("xgboost", "lightgbm", "catboost", "pytabkit"),  # where they are installed
)


def n_cores() -> int:
    """Return the number of cores that this process may use (affinity and container limits counted)."""
    return int(joblib.cpu_count())


@cache
def versions() -> dict[str, str]:
    """Return the version of Python and of every package that a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def machine() -> dict[str, str]:
    """Return processor, cores, memory and operating system in words."""
    found = {
        "cpu": _cpu_name(),
        "cores": str(n_cores()),
        "system": f"{platform.system()} {platform.machine()}",
    }
    try:
        n_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        found["memory"] = f"{n_bytes / 2**30:.0f} GiB"
    except (AttributeError, ValueError, OSError):  # not on Windows
        pass
    return found


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
