"""Opens the SQLite file of the results; refuses one that is damaged, another program's or another version's."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.exc import DatabaseError

from benchmarks.cli import UsageError, make_folder
from benchmarks.results import schema

FILE_NAME = "results.sqlite"
OTHER_FOLDER = "choose another --results folder"
BUSY_SECONDS = 60  # how long a writer waits for another command's transaction


class NoResultsError(UsageError):
    """There are no results yet where some were expected."""


def connect(folder: Path, *, create: bool) -> Engine:
    """Return an engine on the results of a folder; with ``create``, missing tables are made.

    Raises
    ------
    UsageError
        When the file cannot be written, or is damaged, another program's or another version's; or when there is
        none and ``create`` is false.
    """
    path = folder / FILE_NAME
    new = not path.exists() or path.stat().st_size == 0
    if new and not create:
        raise NoResultsError(f"no results in {folder}: run `python -m benchmarks tabular` or `parity` first")
    if new:
        make_folder(folder)
    elif create and not os.access(path, os.W_OK):
        raise UsageError(f"{path} cannot be written; {OTHER_FOLDER}")
    url = URL.create("sqlite", database=str(path.absolute()))
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    _begin_transactions_ourselves(engine)
    if not new:
        _check(engine, path)
    if create:
        try:
            _make_tables(engine)
        except DatabaseError as error:
            raise UsageError(f"{path} cannot be written: {error.orig}") from error
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction that is going to write.

    SQLite refuses a reader that turns into a writer while another writes; one that says so at the start waits.
    """
    with engine.execution_options(sparsemlp_writes=True).begin() as connection:
        yield connection


def _begin_transactions_ourselves(engine: Engine) -> None:
    """Begin transactions explicitly; Python's driver begins none before CREATE TABLE.

    So the file is made completely or not at all, and a command that is killed at that moment leaves no file that
    the next one would refuse.
    """

    @event.listens_for(engine, "connect")
    def _turn_off_the_drivers_own(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("sparsemlp_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _check(engine: Engine, path: Path) -> None:
    """Refuse a file that is damaged or not ours, having only read it."""
    try:
        with engine.connect() as connection:
            health = connection.execute(text("PRAGMA quick_check(1)")).scalar()
            problem = _problem(connection)
    except DatabaseError as error:
        raise UsageError(
            f"{path} is no results file, or is damaged ({error.orig}); it was left as it is: {OTHER_FOLDER}"
        ) from error
    if health != "ok":
        problem = f"is damaged ({health})"
    if problem is not None:
        raise UsageError(f"{path} {problem}; it was left as it is: {OTHER_FOLDER}")


def _problem(connection: Connection) -> str | None:
    """Say what is wrong with a file that could be read, or None."""
    ours = inspect(connection).has_table(schema.about.name)
    row = connection.execute(select(schema.about)).first() if ours else None
    if row is None or row.application != schema.APPLICATION:
        return "is another program's"
    if row.schema_version != schema.SCHEMA_VERSION:
        return f"has results format {row.schema_version} and this version reads {schema.SCHEMA_VERSION}"
    return None


def _make_tables(engine: Engine) -> None:
    """Make the tables that are missing, in one transaction."""
    with writing(engine) as connection:
        new = not inspect(connection).has_table(schema.about.name)
        schema.metadata.create_all(connection)
        if new:
            connection.execute(
                schema.about.insert().values(application=schema.APPLICATION, schema_version=schema.SCHEMA_VERSION)
            )
