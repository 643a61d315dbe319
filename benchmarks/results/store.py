"""The results: every finished evaluation is a row of an SQLite file, written as soon as it is finished.

The process of a command is the only one that writes. An evaluation has one row, so that running a command again
does what is missing and nothing else.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Engine, RowMapping, and_, inspect, select, true

from benchmarks import environment
from benchmarks.cli import UsageError
from benchmarks.results import schema
from benchmarks.results.database import OTHER_FOLDER, connect, writing
from benchmarks.results.schema import DEFAULT_TRIAL, EVALUATION_KEY, STUDY_KEY

_JSON = ("parameters", "suggestions", "fold_scores", "calibration")


class Store:
    """Results in a database; open them with `Store.open`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._environments: dict[str, int] = {}

    @classmethod
    def open(cls, folder: Path, *, create: bool = True) -> "Store":
        """Open the results of a folder.

        Parameters
        ----------
        folder : Path
            The folder that holds ``results.sqlite``.
        create : bool
            Whether missing results are begun; without it, they are a UsageError.

        Raises
        ------
        UsageError
            When the file cannot be written, or is damaged, another program's, or another version's.
        """
        return cls(connect(folder, create=create))

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def record_command(self, command: str) -> None:
        """Add the command that is about to add rows; a repeated one once."""
        with writing(self._engine) as connection:
            table = schema.commands
            known = connection.execute(select(table.c.id).where(table.c.command == command)).first()
            if known is None:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                connection.execute(table.insert().values(started_at=now, command=command))

    def record_dataset(self, task: str, facts: Mapping[str, Any]) -> None:
        """Add a description of a task's data; other data than at an earlier time are a UsageError."""
        known = self._known_or_added("datasets", {"task": task}, {"task": task, **facts})
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
        """Return what was measured on the same training rows under another name of the size, or None.

        1000 rows and 10 % of 10000 are the same rows. The parameters of a trial must be the same too, and so must
        the machine, its cores, all versions and the package's code; a failure is tried again.

        Parameters
        ----------
        row : mapping
            The evaluation to come, with what is known before it.
        """
        table = schema.evaluations
        alike = ("task", "seed", "model", "trial", "n_train", "threads")
        same = [table.c[name] == row[name] for name in alike]
        same += [table.c[name] == json.dumps(row[name], sort_keys=True) for name in ("parameters", "suggestions")]
        same += [table.c.environment == self._environment_id(row.get("environment")), table.c.failure.is_(None)]
        query = select(*(table.c[name] for name in schema.VALIDATED + schema.MEASURED)).where(and_(*same)).limit(1)
        with self._engine.connect() as connection:
            found = connection.execute(query).mappings().first()
        return None if found is None else {name: _loaded(name, value) for name, value in found.items()}

    def add_evaluation(self, row: Mapping[str, Any]) -> None:
        """Add one finished evaluation.

        Parameters
        ----------
        row : mapping
            A value for every column; those kept as JSON as they are, and ``environment`` as the two mappings of
            `environment.here`, which are this process's where there are none.
        """
        texts = {name: json.dumps(row[name], sort_keys=True) for name in _JSON if row.get(name) is not None}
        values = {**row, **texts, "environment": self._environment_id(row.get("environment"))}
        with writing(self._engine) as connection:
            connection.execute(schema.evaluations.insert(), [values])

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
        if not rows:
            return
        environment_id = self._environment_id(None)
        with writing(self._engine) as connection:
            connection.execute(
                schema.metadata.tables[table].insert(), [{**row, "environment": environment_id} for row in rows]
            )

    def frame(self, name: str) -> pd.DataFrame:
        """Return a whole table, which is empty where no command of its study has run."""
        table = schema.metadata.tables[name]
        with self._engine.connect() as connection:
            if not inspect(connection).has_table(name):
                return pd.DataFrame(columns=[column.name for column in table.columns])
            return pd.read_sql_query(select(table), connection)

    def _environment_id(self, made_by: Mapping[str, Any] | None) -> int:
        """Return the id of a machine, its versions and its code, added when new."""
        texts = {
            name: json.dumps(value, sort_keys=True) for name, value in (made_by or environment.here()).items()
        }
        key = "".join(texts.values())
        if key not in self._environments:
            self._environments[key] = int(self._known_or_added("environments", texts, texts)["id"])
        return self._environments[key]

    def _known_or_added(self, name: str, key: Mapping[str, Any], values: Mapping[str, Any]) -> RowMapping:
        """Return the row with this key, added with these values where there is none."""
        table = schema.metadata.tables[name]
        query = select(table).where(and_(*(table.c[name] == value for name, value in key.items())))
        with writing(self._engine) as connection:
            if connection.execute(query).first() is None:
                connection.execute(table.insert().values(**values))
            return connection.execute(query).mappings().one()


def _loaded(name: str, value: Any) -> Any:
    return json.loads(value) if name in _JSON and value is not None else value
