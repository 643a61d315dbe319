"""The results file: every finished evaluation is a row, written as soon as it is finished.

SQLite through SQLAlchemy. A row is never written twice for the same piece of work, so that running a
command again does what is missing and nothing else. A file that is not ours is refused and left alone.
"""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import (
    URL,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DatabaseError

from benchmarks import environment, parity_store
from benchmarks.arguments import UsageError

APPLICATION = "sparsemlp benchmarks"
SCHEMA_VERSION = 2
FILE_NAME = "results.sqlite"
DEFAULT_TRIAL = -1
OTHER_FOLDER = "choose another --results folder"

_metadata = MetaData()

_about = Table(
    "about",
    _metadata,
    Column("application", String(64), primary_key=True),
    Column("schema_version", Integer, nullable=False),
)

_environments = Table(
    "environments",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("versions", Text, nullable=False),
    Column("machine", Text, nullable=False),
    UniqueConstraint("versions", "machine"),
)

_commands = Table(
    "commands",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("started_at", String(32), nullable=False),
    Column("command", Text, nullable=False),
)

_datasets = Table(
    "datasets",
    _metadata,
    Column("task", String(64), primary_key=True),
    Column("n_rows", Integer, nullable=False),
    Column("n_features", Integer, nullable=False),
    Column("n_published", Integer),
    Column("statement", Text, nullable=False),
    Column("complete", Boolean, nullable=False),
)

EVALUATION_KEY = ("task", "size", "seed", "model", "trial")
_evaluations = Table(
    "evaluations",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("task", String(64), nullable=False),
    Column("size", String(32), nullable=False),  # what was asked for: "fraction:0.1" or "rows:1000"
    Column("seed", Integer, nullable=False),
    Column("model", String(64), nullable=False),
    Column("trial", Integer, nullable=False),  # DEFAULT_TRIAL: the untuned pipeline
    Column("n_train", Integer, nullable=False),
    Column("fraction", Float, nullable=False),  # n_train as a share of the whole training pool
    Column("n_test", Integer, nullable=False),
    Column("parameters", Text, nullable=False),  # JSON: what the trial set; {} at the defaults
    Column("suggestions", Text, nullable=False),  # JSON: the same in Optuna's words, for replaying a study
    Column("validation", String(64)),  # how the validation score came about: "5-fold"
    Column("validation_score", Float),
    Column("test_accuracy", Float),
    Column("test_roc_auc", Float),
    Column("test_log_loss", Float),
    Column("test_brier", Float),
    Column("chance_accuracy", Float, nullable=False),  # of always saying the commonest training class
    Column("fit_seconds", Float),
    Column("predict_seconds", Float),
    Column("tuning_seconds", Float),  # of the fits on validation folds
    Column("warnings", Text),
    Column("failure", Text),
    Column("environment", ForeignKey("environments.id"), nullable=False),
    UniqueConstraint(*EVALUATION_KEY),
)

parity_store.define_tables(_metadata)


class Store:
    """The results of a folder; open it with `Store.open`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._environment_id: int | None = None

    @classmethod
    def open(cls, folder: Path, *, create: bool = True) -> "Store":
        """Open the results file in ``folder``.

        Parameters
        ----------
        folder : Path
            Holds ``results.sqlite``.
        create : bool
            Whether a missing file is made; without it, a missing file is a UsageError.

        Raises
        ------
        UsageError
            When the folder cannot be written or the file is damaged, another program's, or another version's.
        """
        path = folder / FILE_NAME
        new = not path.exists() or path.stat().st_size == 0
        if new and not create:
            raise UsageError(f"no results in {folder}: run `python -m benchmarks tabular` or `parity` first")
        if new:
            _make_folder(folder)
        elif create and not os.access(path, os.W_OK):
            raise UsageError(f"{path} cannot be written; {OTHER_FOLDER}")
        engine = _sqlite(path)
        if new:
            _create(engine, path)
        else:
            _check(engine, path)
        return cls(engine)

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def record_command(self, command: str) -> None:
        """Write down the command that is about to add rows; a repeated one once."""
        with self._engine.begin() as connection:
            known = connection.execute(select(_commands.c.id).where(_commands.c.command == command)).first()
            if known is None:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                connection.execute(_commands.insert().values(started_at=now, command=command))

    def record_dataset(self, task: str, facts: Mapping[str, Any]) -> None:
        """Write down what the data of a task are; other data than at an earlier time are a UsageError."""
        with self._engine.begin() as connection:
            known = connection.execute(select(_datasets).where(_datasets.c.task == task)).mappings().first()
            if known is None:
                connection.execute(_datasets.insert().values(task=task, **facts))
            elif (known["n_rows"], known["n_features"]) != (facts["n_rows"], facts["n_features"]):
                raise UsageError(
                    f"the results hold {task} with {known['n_rows']} rows x {known['n_features']} features, "
                    f"but the data now have {facts['n_rows']} x {facts['n_features']}; {OTHER_FOLDER}"
                )

    def finished(self) -> set[tuple[Any, ...]]:
        """Return the keys (EVALUATION_KEY) of all evaluations that are there."""
        return self.keys("evaluations", EVALUATION_KEY)

    def trials(self, task: str, size: str, seed: int, model: str) -> dict[int, dict[str, Any]]:
        """Return the finished trials of one study by number: suggestions, validation score, failure."""
        table = _evaluations
        query = select(table.c.trial, table.c.suggestions, table.c.validation_score, table.c.failure).where(
            table.c.task == task,
            table.c.size == size,
            table.c.seed == seed,
            table.c.model == model,
            table.c.trial != DEFAULT_TRIAL,
        )
        with self._engine.connect() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return {row["trial"]: row | {"suggestions": json.loads(row["suggestions"])} for row in rows}

    def add_evaluation(self, row: Mapping[str, Any]) -> None:
        """Add one finished evaluation; parameters and suggestions as dicts."""
        texts = {name: json.dumps(row[name], sort_keys=True) for name in ("parameters", "suggestions")}
        self._insert(_evaluations, [{**row, **texts}])

    def forget_failures(self) -> int:
        """Delete the rows of failed evaluations, so that they are tried again."""
        with self._engine.begin() as connection:
            return connection.execute(_evaluations.delete().where(_evaluations.c.failure.is_not(None))).rowcount

    def keys(self, table: str, columns: Sequence[str]) -> set[tuple[Any, ...]]:
        """Return some columns of all rows of a table."""
        wanted = [_metadata.tables[table].c[name] for name in columns]
        with self._engine.connect() as connection:
            return {tuple(row) for row in connection.execute(select(*wanted))}

    def add_rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to a table in one transaction: all of them are there afterwards, or none."""
        self._insert(_metadata.tables[table], rows)

    def frame(self, name: str) -> pd.DataFrame:
        """Return a whole table."""
        with self._engine.connect() as connection:
            return pd.read_sql_query(select(_metadata.tables[name]), connection)

    def _insert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        environment_id = self._current_environment()
        with self._engine.begin() as connection:
            connection.execute(table.insert(), [{**row, "environment": environment_id} for row in rows])

    def _current_environment(self) -> int:
        """Return the id of this machine and these versions, added when new."""
        if self._environment_id is None:
            table = _environments
            values = {
                "versions": json.dumps(environment.versions(), sort_keys=True),
                "machine": json.dumps(environment.machine(), sort_keys=True),
            }
            query = select(table.c.id).filter_by(**values)
            with self._engine.begin() as connection:
                known = connection.execute(query).scalar()
                if known is None:
                    connection.execute(table.insert().values(**values))
                    known = connection.execute(query).scalar_one()
            self._environment_id = int(known)
        return self._environment_id


def _sqlite(path: Path) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)))

    # Python's driver begins no transaction before CREATE TABLE. With these two, making the file is all or
    # nothing, and a run that is killed at that moment leaves no file that the next one would refuse.
    @event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--results {folder} cannot be made: {error.strerror}") from error


def _create(engine: Engine, path: Path) -> None:
    try:
        with engine.begin() as connection:
            _metadata.create_all(connection)
            connection.execute(_about.insert().values(application=APPLICATION, schema_version=SCHEMA_VERSION))
    except DatabaseError as error:
        raise UsageError(f"{path} cannot be written: {error.orig}") from error


def _check(engine: Engine, path: Path) -> None:
    """Refuse a file that is damaged or not ours, having only read it."""
    try:
        with engine.connect() as connection:
            health = connection.execute(text("PRAGMA quick_check(1)")).scalar()
            ours = inspect(connection).has_table("about")
            row = connection.execute(select(_about)).first() if ours else None
    except DatabaseError as error:
        raise UsageError(
            f"{path} is no results file, or is damaged ({error.orig}); it was left as it is: {OTHER_FOLDER}"
        ) from error
    if health != "ok":
        raise UsageError(f"{path} is damaged ({health}); it was left as it is: choose another --results folder")
    if row is None or row.application != APPLICATION:
        raise UsageError(f"{path} is another program's file; it was left as it is: {OTHER_FOLDER}")
    if row.schema_version != SCHEMA_VERSION:
        raise UsageError(
            f"{path} has results format {row.schema_version} and this version reads {SCHEMA_VERSION}; "
            f"it was left as it is: {OTHER_FOLDER}"
        )
