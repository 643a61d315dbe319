"""Which versions and which machine made a result; no host names, no paths."""

import hashlib
import os
import platform
from collections.abc import Iterator
from functools import cache
from importlib import metadata, util
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import joblib

PACKAGES = (
    *("sparsemlp", "scikit-learn", "torch", "skorch", "numpy", "pandas", "optuna", "openml"),
    *("xgboost", "lightgbm", "catboost", "pytabkit"),  # where they are installed
)
CODE = "sparsemlp code"  # the version number is the same between two releases, this is not


def n_cores() -> int:
    """Return the number of cores that this process may use (affinity and container limits counted)."""
    return int(joblib.cpu_count())


def here() -> dict[str, dict[str, str]]:
    """Return versions and machine of this process, as the store keeps them."""
    return {"versions": versions(), "machine": machine()}


@cache
def versions() -> dict[str, str]:
    """Return the version of Python and of every package that a result depends on, and our code's fingerprint."""
    found = {"python": platform.python_version(), CODE: package_code()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def package_code(package: str = "sparsemlp") -> str:
    """Return a fingerprint of a package's Python files, which is not imported.

    Parameters
    ----------
    package : str, default="sparsemlp"

    Returns
    -------
    str
        The first 12 hex digits of a sha256 over the files' paths within the package and their bytes.
    """
    spec: Any = util.find_spec(package)
    folder = spec.loader.get_resource_reader(package).files()  # dask workers have the package in a zip file
    digest = hashlib.sha256()
    for path, content in sorted(_python_files(folder)):
        digest.update(f"{path} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def _python_files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _python_files(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".py"):
            yield prefix + entry.name, entry.read_bytes()


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
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
