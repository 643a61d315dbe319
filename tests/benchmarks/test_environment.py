"""The fingerprint of a package's code: what changes it, and what does not."""

import shutil
import sys
import zipfile

import pytest

from benchmarks.environment import package_code

NAME = "fingerprinted_toy"


@pytest.fixture
def package(tmp_path):
    """A package that cannot be imported, in a folder of its own."""
    folder = tmp_path / "here" / NAME
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (folder / "inner" / "__init__.py").write_text("")
    (folder / "inner" / "a.py").write_text("x = 1\n")
    return folder


def code(place, monkeypatch):
    """The fingerprint of the package in this folder or zip file."""
    package_code.cache_clear()
    with monkeypatch.context() as patch:
        patch.syspath_prepend(place)
        try:
            return package_code(NAME)
        finally:
            package_code.cache_clear()


def test_it_is_the_same_in_another_folder_in_a_zip_file_and_beside_other_files(package, tmp_path, monkeypatch):
    before = code(package.parent, monkeypatch)
    assert len(before) == 12
    assert int(before, 16) >= 0
    (package / "py.typed").write_text("")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"\0")
    assert code(package.parent, monkeypatch) == before
    shutil.copytree(package, tmp_path / "there" / NAME)
    assert code(tmp_path / "there", monkeypatch) == before
    archive = tmp_path / "packed.zip"  # as dask workers get it: without entries for folders
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(package.rglob("*.py"), reverse=True):
            file.write(path, path.relative_to(package.parent))
    assert code(archive, monkeypatch) == before
    assert NAME not in sys.modules


@pytest.mark.parametrize(
    "change",
    [
        lambda package: (package / "inner" / "a.py").write_text("x = 2\n"),
        lambda package: (package / "inner" / "a.py").rename(package / "inner" / "b.py"),
        lambda package: (package / "inner" / "a.py").rename(package / "a.py"),
        lambda package: (package / "b.py").write_text(""),
        lambda package: (package / "inner" / "__init__.py").unlink(),
    ],
    ids=["edited", "renamed", "moved", "added", "removed"],
)
def test_every_change_of_a_file_changes_it(change, package, monkeypatch):
    before = code(package.parent, monkeypatch)
    change(package)
    assert code(package.parent, monkeypatch) != before
