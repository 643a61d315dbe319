"""Leases: which worker is at work on which study, so that no two do the same.

A study is claimed before its evaluations are done, one after the other, and its lease is renewed by a
heartbeat. A worker that is killed stops renewing, and when its lease runs out another goes on from the
evaluations that are stored. A row is stored only by who holds the lease at that moment (`Lease.holds`), so that a
worker that was merely held up for long does no harm when it wakes.
"""

import threading
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, and_, case, delete, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from benchmarks.results.database import clock, writing
from benchmarks.results.schema import STUDY_KEY, leases

LEASE_SECONDS = 60.0
BEATS = 4  # renewals in the time of a lease


class Leases:
    """The leases of one worker.

    Parameters
    ----------
    engine : Engine
    owner : str
        The name of the worker, which no other may have.
    seconds : float
        How long a lease lasts when it is not renewed.
    """

    def __init__(self, engine: Engine, owner: str, seconds: float = LEASE_SECONDS) -> None:
        self._engine = engine
        self.owner = owner
        self.seconds = seconds

    def claim(self, study: tuple[Any, ...], trial: int) -> "Lease | None":
        """Return the lease on a study whose next evaluation is ``trial``; None where another worker has it."""
        key = dict(zip(STUDY_KEY, study, strict=True))
        with writing(self._engine) as connection:
            now = clock(connection)
            # Who takes over from a worker that was lost counts it against the evaluation that it was at.
            lost = case((leases.c.trial == trial, leases.c.n_lost + 1), else_=0)
            taken = connection.execute(
                update(leases)
                .where(_is(key), leases.c.expires_at <= now)
                .values(owner=self.owner, trial=trial, n_lost=lost, expires_at=now + self.seconds)
            )
            if taken.rowcount:
                n_lost = connection.execute(select(leases.c.n_lost).where(_is(key))).scalar_one()
                return Lease(self, key, int(n_lost))
        try:
            with writing(self._engine) as connection:
                expires_at = clock(connection) + self.seconds
                connection.execute(
                    leases.insert().values(owner=self.owner, trial=trial, n_lost=0, expires_at=expires_at, **key)
                )
        except IntegrityError:
            return None
        return Lease(self, key, 0)

    def renew(self, key: Mapping[str, Any]) -> bool:
        """Put off the end of a lease; False where another worker has taken it over."""
        with writing(self._engine) as connection:
            return self.hold(connection, key)

    def hold(self, connection: Connection, key: Mapping[str, Any], **changes: Any) -> bool:
        """Renew a lease within a transaction, which keeps it from being taken over before the end of it."""
        held = connection.execute(
            update(leases)
            .where(_is(key), leases.c.owner == self.owner)
            .values(expires_at=clock(connection) + self.seconds, **changes)
        )
        return held.rowcount == 1

    def release(self, key: Mapping[str, Any]) -> None:
        """Give a lease back."""
        with writing(self._engine) as connection:
            connection.execute(delete(leases).where(_is(key), leases.c.owner == self.owner))


class Lease:
    """A claimed study; a context in which a thread of its own renews the lease, and which gives it back.

    Attributes
    ----------
    n_lost : int
        How many workers were lost during the evaluation that comes next.
    """

    def __init__(self, leases: Leases, key: Mapping[str, Any], n_lost: int) -> None:
        self._leases = leases
        self._key = key
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self.n_lost = n_lost

    def __enter__(self) -> "Lease":
        self._heart.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._heart.join()
        self._leases.release(self._key)

    def holds(self, connection: Connection, next_trial: int) -> bool:
        """Say, within the transaction that stores an evaluation, whether the study is still ours."""
        self.n_lost = 0
        return self._leases.hold(connection, self._key, trial=next_trial, n_lost=0)

    def _beat(self) -> None:
        while not self._ended.wait(self._leases.seconds / BEATS):
            try:
                if not self._leases.renew(self._key):
                    return
            except DBAPIError:  # the database is away for a moment: the next beat tries again
                continue


def live(connection: Connection) -> list[dict[str, Any]]:
    """Return the leases that have not run out."""
    query = select(leases).where(leases.c.expires_at > clock(connection))
    return [dict(row) for row in connection.execute(query).mappings()]


def expire_all(engine: Engine, run: str) -> None:
    """Let the leases of a run's workers run out at once; for when they are known to be lost."""
    with writing(engine) as connection:
        connection.execute(update(leases).where(_of_run(run)).values(expires_at=0.0))


def release_all(engine: Engine, run: str) -> None:
    """Give back the leases of a run's workers; for when they were ended through no fault of their evaluations."""
    with writing(engine) as connection:
        connection.execute(delete(leases).where(_of_run(run)))


def _of_run(run: str) -> Any:
    return leases.c.owner.startswith(f"{run}/", autoescape=True)


def _is(key: Mapping[str, Any]) -> Any:
    return and_(*(leases.c[name] == value for name, value in key.items()))
