"""How long changes take to come in, from the newest rows alone: it costs the same in a mirror of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, desc, select

from versionsync.mirror.tables import events, runs

__all__ = ["Lag", "lag"]

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
