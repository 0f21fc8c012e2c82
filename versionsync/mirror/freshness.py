"""How fresh the mirror of a source is: of when it is whole, how long changes take to come in, how far a run is.

Everything here looks at the newest rows alone, so that it costs the same in a mirror of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, desc, func, select

from versionsync.mirror.runs import RunRow
from versionsync.mirror.tables import events, records, runs

__all__ = ["Lag", "RunSoFar", "lag", "run_so_far", "whole_as_of"]

WHOLE = ("backfill", "incremental", "full")
"""The kinds of runs that see all of a source when they succeed; the others read some histories only."""
NEWEST_EVENTS = 1000
NEWEST_VERSIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How long it took from a version's time upstream to its row: of the newest `versions` that were not backfilled.

    Half of them took `median` at the most, nine of ten `ninth`.
    """

    median: timedelta
    ninth: timedelta
    versions: int

    @classmethod
    def of(cls, took: Sequence[timedelta]) -> Lag | None:
        """None: there is nothing to tell it from. A clock that runs behind upstream's makes it no less than nothing."""
        if not took:
            return None
        ordered = sorted(max(one, timedelta(0)) for one in took)
        return cls(
            median=ordered[(len(ordered) - 1) // 2],
            ninth=ordered[-(-9 * len(ordered) // 10) - 1],
            versions=len(ordered),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSoFar:
    """What a run has committed until now: records whose histories it read, and events."""

    records: int
    events: int


def whole_as_of(connection: Connection, source_id: int) -> datetime | None:
    """The moment of which the mirror holds all that was upstream; None: it was never whole.

    It is when the last run began that saw all of the source and succeeded.
    """
    return connection.scalar(
        select(runs.c.started_at)
        .where(runs.c.source_id == source_id, runs.c.outcome == "succeeded", runs.c.kind.in_(WHOLE))
        .order_by(desc(runs.c.id))
        .limit(1)
    )


def lag(connection: Connection, source_id: int) -> Lag | None:
    """The lag of the newest versions; None: there was none since the backfill."""
    newest = (
        select(events.c.id, events.c.type, events.c.occurred_at, events.c.observed_at, events.c.run_id)
        .where(events.c.source_id == source_id)
        .order_by(desc(events.c.id))
        .limit(NEWEST_EVENTS)
        .subquery("newest")
    )
    seen = connection.execute(
        select(newest.c.occurred_at, newest.c.observed_at)
        .join(runs, runs.c.id == newest.c.run_id)
        .where(newest.c.type == "version.created", runs.c.kind != "backfill")
        .order_by(desc(newest.c.id))
        .limit(NEWEST_VERSIONS)
    )
    return Lag.of([observed - occurred for occurred, observed in seen])


def run_so_far(connection: Connection, run: RunRow) -> RunSoFar:
    """How far a run is that is under way; its own counts come with its end."""
    read = select(func.count()).where(records.c.source_id == run.source_id, records.c.synced_at >= run.started_at)
    told = select(func.count()).where(events.c.run_id == run.id)
    return RunSoFar(records=connection.scalar(read) or 0, events=connection.scalar(told) or 0)
