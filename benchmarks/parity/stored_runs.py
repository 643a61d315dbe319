"""The parity tables of the results file: a row for every run, a row for every net of the lottery experiment."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sqlalchemy import Boolean, Column, Float, ForeignKey, Integer, MetaData, String, Table, Text, UniqueConstraint
from sqlalchemy.exc import IntegrityError

from benchmarks.results import schema
from sparsemlp.frontier import Outcome, Run, Setting

if TYPE_CHECKING:
    from benchmarks.results.store import Store

RUNS, TICKETS = "parity_runs", "parity_tickets"
SETTING_FIELDS = tuple(field.name for field in fields(Setting))
RUN_KEY = (*SETTING_FIELDS, "run")
TICKET_KEY = (*RUN_KEY, "n_neurons", "net")

_TYPES: dict[Any, Any] = {"int": Integer, "int | None": Integer, "float": Float, "str": String(32)}


def define_tables(metadata: MetaData) -> None:
    """Add the parity tables; the columns of a run's setting are the fields of its setting."""
    for name, key in ((RUNS, RUN_KEY), (TICKETS, TICKET_KEY)):
        Table(
            name,
            metadata,
            Column("id", Integer, primary_key=True),
            *(Column(field.name, _TYPES[field.type], nullable=False) for field in fields(Setting)),
            Column("run", Integer, nullable=False),
            *_outcome_columns(name),
            Column("environment", ForeignKey("environments.id"), nullable=False),
            UniqueConstraint(*key),
        )


def _outcome_columns(name: str) -> list[Column[Any]]:
    of_ticket: list[Column[Any]] = [
        Column("n_neurons", Integer, nullable=False),
        Column("net", String(32), nullable=False),
        Column("n_lucky", Integer, nullable=False),
    ]
    return [
        *(of_ticket if name == TICKETS else []),
        Column("succeeded", Boolean, nullable=False),
        Column("steps", Integer, nullable=False),  # until success, divergence or the last step
        Column("train_error", Float),  # none online
        Column("test_error", Float, nullable=False),
        *([Column("curve", Text)] if name == RUNS else []),  # JSON: [[step, train error, test error], ...]
    ]


define_tables(schema.metadata)


def setting_key(setting: Setting) -> dict[str, Any]:
    """Return the fields of a setting as the store has them: no key may be null, so online and dense are 0."""
    return {name: 0 if value is None else value for name, value in asdict(setting).items()}


def missing_runs(store: "Store", settings: Iterable[Setting], n_runs: int) -> list[Run]:
    """Return the runs that the store does not hold."""
    finished = store.keys(RUNS, RUN_KEY)
    return [run for run, key in _keyed_runs(settings, n_runs).items() if key not in finished]


def n_without_curve(store: "Store", settings: Iterable[Setting], n_runs: int) -> int:
    """Count the runs of which the store holds the outcome, but not the errors at every evaluation."""
    without = {row[:-1] for row in store.keys(RUNS, (*RUN_KEY, "curve")) if row[-1] is None}
    return sum(key in without for key in _keyed_runs(settings, n_runs).values())


def _keyed_runs(settings: Iterable[Setting], n_runs: int) -> dict[Run, tuple[Any, ...]]:
    keys = {setting: tuple(setting_key(setting).values()) for setting in settings}
    return {Run(setting, i): (*key, i) for setting, key in keys.items() for i in range(n_runs)}


def add_runs(store: "Store", outcomes: Iterable[Outcome]) -> None:
    """Add finished runs in one transaction, so that a batch is there or not."""
    _add_new(store, RUNS, RUN_KEY, [_run_row(outcome) for outcome in outcomes])


def _run_row(outcome: Outcome) -> dict[str, Any]:
    return setting_key(outcome.run.setting) | {
        "run": outcome.run.number,
        "succeeded": outcome.succeeded,
        "steps": outcome.n_steps,
        "train_error": None if np.isnan(outcome.train_error) else outcome.train_error,
        "test_error": outcome.test_error,
        "curve": None if outcome.curve is None else json.dumps(outcome.curve),
    }


def add_tickets(store: "Store", setting: Setting, n_neurons: int, table: pd.DataFrame) -> None:
    """Add the nets of a batch of the lottery experiment."""
    rows = [
        setting_key(setting)
        | {
            "run": row["run"],
            "n_neurons": n_neurons,
            "net": row["net"],
            "n_lucky": row["n_lucky"],
            "succeeded": row["succeeded"],
            "steps": int(row["steps_to_success"]) if row["succeeded"] else setting.max_steps,
            "train_error": None if np.isnan(row["train_error"]) else row["train_error"],
            "test_error": row["test_error"],
        }
        for row in table.to_dict("records")
    ]
    _add_new(store, TICKETS, TICKET_KEY, rows)


def _add_new(store: "Store", table: str, key: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Add the rows in one transaction, but for those that another command has added meanwhile."""
    while rows:
        try:
            store.add_rows(table, rows)
            return
        except IntegrityError:
            known = store.keys(table, key)
            new = [row for row in rows if tuple(row[name] for name in key) not in known]
            if len(new) == len(rows):  # they are refused for another reason
                raise
            rows = new


def rows_of(frame: pd.DataFrame, settings: Iterable[Setting]) -> pd.DataFrame:
    """Return the rows of some settings."""
    wanted = pd.DataFrame(
        [setting_key(setting) for setting in settings], columns=list(SETTING_FIELDS)
    ).drop_duplicates()
    return frame.merge(wanted, on=list(SETTING_FIELDS))
