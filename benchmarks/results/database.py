"""Opening the database of a results store, and refusing one that is damaged or not ours.

SQLite by default, a file in the results folder; any SQLAlchemy URL otherwise. What belongs to somebody else
is refused and left as it is.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    extract,
    func,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, SQLAlchemyError

from benchmarks.cli import UsageError, make_folder
from benchmarks.results import schema

FILE_NAME = "results.sqlite"
OTHER_FOLDER = "choose another --results folder"
BUSY_SECONDS = 60  # how long a writer waits for the one before it
CREATION_LOCK = 0x5BA25E  # any number that all our processes share


class NoResultsError(UsageError):
    """There are no results yet where some were expected."""


def locate(results: Path, storage: str | None) -> URL:
    """Return where the store is: ``storage``, or the SQLite file of the folder ``results``."""
    if storage is None:
        return _sqlite_url(results / FILE_NAME)
    try:
        url = make_url(storage)
    except ArgumentError as error:
        raise UsageError(
            "--storage must be a URL of SQLAlchemy's, such as postgresql://user@host/database or "
            f"sqlite:///results.sqlite, got {storage!r}"
        ) from error
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise UsageError("--storage sqlite needs a file: sqlite:///results.sqlite")
        return _sqlite_url(Path(url.database))
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _sqlite_url(path: Path) -> URL:
    return URL.create("sqlite", database=str(path.absolute()))


def connect(url: URL, *, create: bool) -> Engine:
    """Return an engine on a store of this version at ``url``, made there first if ``create``.

    Raises
    ------
    UsageError
        When the place cannot be reached or written, or holds what is damaged, another program's, or another
        version's; or when there is nothing and ``create`` is false.
    """
    if url.get_backend_name() == "sqlite":
        return _open_file(Path(str(url.database)), url, create)
    return _open_server(url, create)


def clock(connection: Connection) -> float:
    """Return the seconds since 1970 on the clock that all workers of this store share."""
    if connection.dialect.name == "postgresql":
        return float(connection.execute(select(extract("epoch", func.clock_timestamp()))).scalar_one())
    return time.time()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction that is going to write.

    SQLite refuses a reader that turns into a writer while another writes; one that says so at the start waits.
    """
    with engine.execution_options(sparsemlp_writes=True).begin() as connection:
        yield connection


# A file ----------------------------------------------------------------------------------------------


def _open_file(path: Path, url: URL, create: bool) -> Engine:
    new = not path.exists() or path.stat().st_size == 0
    if new and not create:
        raise NoResultsError(f"no results in {path.parent}: run `python -m benchmarks tabular` or `parity` first")
    if new:
        make_folder(path.parent)
    elif create and not os.access(path, os.W_OK):
        raise UsageError(f"{path} cannot be written; {OTHER_FOLDER}")
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    _take_over_transactions(engine)
    if new:
        try:
            _make_tables(engine)
        except DatabaseError as error:
            raise UsageError(f"{path} cannot be written: {error.orig}") from error
    else:
        _check_file(engine, path)
    return engine


def _take_over_transactions(engine: Engine) -> None:
    """Let transactions begin where we say; Python's driver begins none before CREATE TABLE.

    So making the file is all or nothing, and a run that is killed at that moment leaves no file that the next
    one would refuse.
    """

    @event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("sparsemlp_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _check_file(engine: Engine, path: Path) -> None:
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
        raise UsageError(f"{path} is damaged ({health}); it was left as it is: {OTHER_FOLDER}")
    if problem is not None:
        raise UsageError(f"{path} {problem}; it was left as it is: {OTHER_FOLDER}")


# A server --------------------------------------------------------------------------------------------


def _open_server(url: URL, create: bool) -> Engine:
    name = url.render_as_string(hide_password=True)
    try:
        engine = create_engine(url, pool_pre_ping=True)
    except NoSuchModuleError as error:
        raise UsageError(f"--storage {name}: SQLAlchemy knows no database {url.drivername!r}") from error
    except ModuleNotFoundError as error:
        extra = ": pip install 'sparsemlp[cluster]'" if url.get_backend_name() == "postgresql" else ""
        raise UsageError(f"--storage {name} needs the Python package {error.name}{extra}") from error
    try:
        with engine.connect() as connection:
            empty = not inspect(connection).get_table_names()
        if empty and not create:
            raise NoResultsError(f"no results at {name}: run `python -m benchmarks tabular` first")
        if empty:
            _make_tables(engine)
        with engine.connect() as connection:
            problem = _problem(connection)
    except SQLAlchemyError as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())
        raise UsageError(f"--storage {name} cannot be used: {reason}") from error
    if problem is not None:
        raise UsageError(f"--storage {name} {problem}; it was left as it is: choose another database")
    return engine


# Both ------------------------------------------------------------------------------------------------


def _make_tables(engine: Engine) -> None:
    """Make all tables in one transaction; of workers that begin together, one does and the others wait."""
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(CREATION_LOCK)))
        if inspect(connection).has_table(schema.about.name):
            return
        schema.metadata.create_all(connection)
        connection.execute(
            schema.about.insert().values(application=schema.APPLICATION, schema_version=schema.SCHEMA_VERSION)
        )


def _problem(connection: Connection) -> str | None:
    """Say what is wrong with a database that could be read, or None."""
    ours = inspect(connection).has_table(schema.about.name)
    row = connection.execute(select(schema.about)).first() if ours else None
    if row is None or row.application != schema.APPLICATION:
        return "is another program's"
    if row.schema_version != schema.SCHEMA_VERSION:
        return f"has results format {row.schema_version} and this version reads {schema.SCHEMA_VERSION}"
    return None
