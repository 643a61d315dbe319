"""A PostgreSQL server for tests: in a folder of its own, on a port of its own, gone afterwards.

The server refuses to run as root; there, an unprivileged user runs it through ``runuser``.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

USER = "tester"


def programs():
    """Return the folder of initdb and postgres, or skip the test where they are not installed."""
    found = [Path(path).resolve().parent for path in [shutil.which("initdb")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # Debian keeps them off the path
    for folder in found:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return pytest.skip("PostgreSQL is not installed (Debian's package postgresql)")


def unprivileged_user():
    """Return whose server it will be; None where we are nobody special ourselves."""
    if os.getuid() != 0:
        return None
    import pwd

    users = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


@contextmanager
def server():
    """Run a server; gives its URL without a database."""
    binaries, user = programs(), unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="sparsemlp-postgresql-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def command(program, *arguments):
        prefix = [] if user is None else ["runuser", "-u", user, "--"]
        return [*prefix, str(binaries / program), "-D", str(folder / "data"), *arguments]

    def run(program, *arguments):
        done = subprocess.run(
            command(program, *arguments), cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        if user is not None:
            shutil.chown(folder, user)
        run("initdb", "--auth", "trust", "--username", USER, "--encoding", "UTF8", "--locale", "C", "--no-sync")
        options = ["-p", str(port), "-k", str(folder), "-h", "127.0.0.1", "-c", "fsync=off"]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command("postgres", *options), cwd=folder, stdout=log, stderr=log)
        try:
            _wait(port, process, folder / "log")
            yield f"postgresql://{USER}@127.0.0.1:{port}"
        finally:
            run("pg_ctl", "stop", "-m", "immediate")
            process.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(port, process, log):
    import psycopg

    for _ in range(300):
        assert process.poll() is None, log.read_text()
        try:
            psycopg.connect(host="127.0.0.1", port=port, user=USER, dbname="postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())


def new_database(url, name):
    """Make an empty database and return its URL."""
    import psycopg

    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return f"{url}/{name}"
