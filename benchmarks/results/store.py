"""The results: every finished evaluation is a row, written as soon as it is finished.

A row is never written twice for the same piece of work, so that running a command again does what is missing
and nothing else.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import URL, ColumnElement, Engine, RowMapping, Table, and_, select, true
from sqlalchemy.exc import IntegrityError

from benchmarks import environment
from benchmarks.cli import UsageError
from benchmarks.results import schema
from benchmarks.results.database import OTHER_FOLDER, connect, locate, writing
from benchmarks.results.schema import DEFAULT_TRIAL, EVALUATION_KEY, STUDY_KEY
from benchmarks.tabular import leases
from benchmarks.tabular.leases import Lease, Leases

_JSON = ("parameters", "suggestions", "fold_scores", "calibration")


class Store:
    """Results in a database; open them with `Store.open`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._environment_id: int | None = None

    @classmethod
    def open(cls, place: Path | URL, *, create: bool = True) -> "Store":
        """Open the results at ``place``.

        Parameters
        ----------
        place : Path or URL
            A folder that holds ``results.sqlite``, or the URL of a database (`locate`).
        create : bool
            Whether missing results are begun; without it, they are a UsageError.

        Raises
        ------
        UsageError
            When the place cannot be written, or what is there is damaged, another program's, or another
            version's.
        """
        return cls(connect(place if isinstance(place, URL) else locate(place, None), create=create))

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def record_command(self, command: str) -> None:
        """Write down the command that is about to add rows; a repeated one once."""
        with writing(self._engine) as connection:
            table = schema.commands
            known = connection.execute(select(table.c.id).where(table.c.command == command)).first()
            if known is None:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                connection.execute(table.insert().values(started_at=now, command=command))

    def record_dataset(self, task: str, facts: Mapping[str, Any]) -> None:
        """Write down what the data of a task are; other data than at an earlier time are a UsageError."""
        known = self._known_or_added(schema.datasets, {"task": task}, {"task": task, **facts})
        if (known["n_rows"], known["n_features"]) != (facts["n_rows"], facts["n_features"]):
            raise UsageError(
                f"the results hold {task} with {known['n_rows']} rows x {known['n_features']} features, "
                f"but the data now have {facts['n_rows']} x {facts['n_features']}; {OTHER_FOLDER}"
            )

    def finished(self) -> set[tuple[Any, ...]]:
        """Return the keys (EVALUATION_KEY) of all evaluations that are there."""
        return self._keys(true())

    def failed(self) -> set[tuple[Any, ...]]:
        """Return the keys (EVALUATION_KEY) of the evaluations that failed."""
        return self._keys(schema.evaluations.c.failure.is_not(None))

    def _keys(self, condition: ColumnElement[bool]) -> set[tuple[Any, ...]]:
        columns = [schema.evaluations.c[name] for name in EVALUATION_KEY]
        with self._engine.connect() as connection:
            return {tuple(row) for row in connection.execute(select(*columns).where(condition))}

    def trials(self, study: tuple[Any, ...]) -> dict[int, dict[str, Any]]:
        """Return the finished trials of a study (STUDY_KEY) by number, with what replaying them takes."""
        table = schema.evaluations
        names = ("trial", "suggestions", "fold_scores", "validation_score", "pruned", "failure")
        mine = [table.c[name] == value for name, value in zip(STUDY_KEY, study, strict=True)]
        query = select(*(table.c[name] for name in names)).where(and_(*mine), table.c.trial != DEFAULT_TRIAL)
        with self._engine.connect() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return {row["trial"]: {name: _loaded(name, value) for name, value in row.items()} for row in rows}

    def found_on_same_rows(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what was found on the same training rows under another name of the size, or None.

        1000 rows and 10 % of 10000 are the same rows. The draws of a trial must be the same too, and so must the
        machine, its cores, all versions and the package's code; a failure is tried again.

        Parameters
        ----------
        row : mapping
            The evaluation to come, with what is known before it.
        """
        table = schema.evaluations
        alike = ("task", "seed", "model", "trial", "n_train", "threads")
        same = [table.c[name] == row[name] for name in alike]
        same += [
            table.c.suggestions == json.dumps(row["suggestions"], sort_keys=True),
            table.c.environment == self._current_environment(),
            table.c.failure.is_(None),
        ]
        query = select(*(table.c[name] for name in schema.VALIDATED + schema.MEASURED)).where(and_(*same)).limit(1)
        with self._engine.connect() as connection:
            found = connection.execute(query).mappings().first()
        return None if found is None else {name: _loaded(name, value) for name, value in found.items()}

    def add_evaluation(self, row: Mapping[str, Any], lease: Lease | None = None) -> bool:
        """Add one finished evaluation, if its study is still ours and nobody else has added it.

        Parameters
        ----------
        row : mapping
            A value for every column; those kept as JSON as they are.
        lease : Lease or None
            The claim on its study; None where no other worker can be about.

        Returns
        -------
        bool
            Whether it was added.
        """
        texts = {name: json.dumps(row[name], sort_keys=True) for name in _JSON if row.get(name) is not None}
        values = {**row, **texts, "environment": self._current_environment()}
        try:
            with writing(self._engine) as connection:
                if lease is not None and not lease.holds(connection, row["trial"] + 1):
                    return False
                connection.execute(schema.evaluations.insert(), [values])
        except IntegrityError:
            if lease is None:
                raise
            return False
        return True

    def leases(self, owner: str, seconds: float) -> Leases:
        """Return the leases of the worker called ``owner``."""
        return Leases(self._engine, owner, seconds)

    def running(self) -> list[dict[str, Any]]:
        """Return the leases that are held: a study's key, the trial, the owner."""
        with self._engine.connect() as connection:
            return leases.live(connection)

    def expire_leases(self, run: str) -> None:
        """Let the leases of a run's workers run out, which are lost: that counts against their evaluations."""
        leases.expire_all(self._engine, run)

    def release_leases(self, run: str) -> None:
        """Give back the leases of a run's workers, which were ended: that counts against nothing."""
        leases.release_all(self._engine, run)

    def forget_failures(self, keys: Collection[tuple[Any, ...]]) -> None:
        """Delete those of the evaluations with these keys (EVALUATION_KEY) that failed; they are tried again."""
        table = schema.evaluations
        failed = self.failed().intersection(keys)
        with writing(self._engine) as connection:
            for key in failed:
                mine = [table.c[name] == value for name, value in zip(EVALUATION_KEY, key, strict=True)]
                connection.execute(table.delete().where(*mine))

    def keys(self, table: str, columns: Sequence[str]) -> set[tuple[Any, ...]]:
        """Return some columns of all rows of a table."""
        wanted = [schema.metadata.tables[table].c[name] for name in columns]
        with self._engine.connect() as connection:
            return {tuple(row) for row in connection.execute(select(*wanted))}

    def add_rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to a table in one transaction: all of them are there afterwards, or none."""
        self._insert(schema.metadata.tables[table], rows)

    def frame(self, name: str) -> pd.DataFrame:
        """Return a whole table."""
        with self._engine.connect() as connection:
            return pd.read_sql_query(select(schema.metadata.tables[name]), connection)

    def _insert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        environment_id = self._current_environment()
        with writing(self._engine) as connection:
            connection.execute(table.insert(), [{**row, "environment": environment_id} for row in rows])

    def _current_environment(self) -> int:
        """Return the id of this machine, these versions and this code, added when new."""
        if self._environment_id is None:
            values = {
                "versions": json.dumps(environment.versions(), sort_keys=True),
                "machine": json.dumps(environment.machine(), sort_keys=True),
            }
            self._environment_id = int(self._known_or_added(schema.environments, values, values)["id"])
        return self._environment_id

    def _known_or_added(self, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> RowMapping:
        """Return the row with this key, added with these values where there is none."""
        query = select(table).where(and_(*(table.c[name] == value for name, value in key.items())))
        try:
            with writing(self._engine) as connection:
                if connection.execute(query).first() is None:
                    connection.execute(table.insert().values(**values))
        except IntegrityError:  # another worker was faster
            pass
        with self._engine.connect() as connection:
            return connection.execute(query).mappings().one()


def _loaded(name: str, value: Any) -> Any:
    return json.loads(value) if name in _JSON and value is not None else value
