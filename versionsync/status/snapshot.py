"""Reads the status of sources from the database, at a bounded cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from versionsync.budget import Budget, BudgetStatus, Period
from versionsync.config import SourceSettings
from versionsync.errors import ErrorKind
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import MirrorError
from versionsync.mirror.row_counts import SourceCounts, count_rows, lag
from versionsync.mirror.tables.daemons import active_daemon
from versionsync.mirror.tables.leases import current as current_lease
from versionsync.mirror.tables.runs import RunRow, last_changes, last_runs
from versionsync.mirror.tables.sources import SourceState, source_ids
from versionsync.mirror.tables.usage import project_usage, requests_since
from versionsync.mirror.tables.webhooks import webhook_row
from versionsync.status.model import Problem, SourceStatus, problems, stale_after

__all__ = ["Activity", "ActivityReader", "Snapshot", "SnapshotReader"]

LAST_RUNS: Final = 5
"""At least one in progress and two that ended: a daemon's failures need attention from the second one on."""
COST_SHARE: Final = 20
"""After a read that took t seconds the result is reused for this many times t: a large mirror is not kept busy."""
WAIT_SECONDS: Final = 1.0
"""How long a request for `/status` waits for the database; then it shows what was read before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The status of sources at one moment.

    Attributes:
        at: The moment.
        sources: The sources that the database has, if a run of them has begun.
        unsynced: Names of sources that should be in the mirror, but that no run has begun for yet.
        max_age: The age limit that was asked for.
    """

    at: datetime
    sources: Sequence[SourceStatus]
    unsynced: Sequence[str]
    max_age: timedelta | None = None

    def problems(self, one: SourceStatus) -> list[Problem]:
        """Return what needs attention about one of the sources."""
        return list(problems(one.health(self.at, max_age=self.max_age), self.at))

    def limit(self, one: SourceStatus) -> timedelta:
        """Return how old one of the sources may be."""
        return one.limit(self.at, self.max_age)


class RowCounter:
    """Counts rows, and counts again only when the last count is old compared with its cost."""

    def __init__(self) -> None:
        self._counted: dict[int, tuple[SourceCounts, float]] = {}

    def counts(self, connection: Connection, source_id: int) -> SourceCounts:
        before = self._counted.get(source_id)
        began = time.monotonic()
        if before is not None and began < before[1]:
            return before[0]
        counts = count_rows(connection, source_id)
        ended = time.monotonic()
        self._counted[source_id] = counts, ended + COST_SHARE * (ended - began)
        return counts


class SnapshotReader:
    """Takes snapshots for `versionsync status`.

    Args:
        settings: The sources in the settings, by name.
        known: Returns the sources of the mirror to show. May raise UnknownSource.
        expected: Names of sources that should be in the mirror. Others are shown only if something was mirrored, such
            as sources that were in the settings once. Empty: it is not known which should be there.
        max_age: The age limit that was asked for.
    """

    def __init__(
        self,
        settings: Mapping[str, SourceSettings],
        known: Callable[[Mirror], Sequence[SourceState]],
        *,
        expected: Sequence[str] = (),
        max_age: timedelta | None = None,
    ) -> None:
        self._settings = settings
        self._known = known
        self._expected = expected
        self._max_age = max_age
        self._rows = RowCounter()

    def read(self, mirror: Mirror) -> Snapshot:
        """Return the status now. Raises UnknownSource and MirrorError."""
        known = self._known(mirror)
        found = mirror.query(lambda connection: [self._one(connection, source) for source in known])
        sources = [one for one in found if self._is_shown(one)]
        names = {one.source.name for one in sources}
        unsynced = [name for name in self._expected if name not in names]
        return Snapshot(at=datetime.now(UTC), sources=sources, unsynced=unsynced, max_age=self._max_age)

    def _is_shown(self, one: SourceStatus) -> bool:
        is_expected = not self._expected or one.source.name in self._expected
        return one.source.project is not None or (is_expected and bool(one.runs))

    def _one(self, connection: Connection, source: SourceState) -> SourceStatus:
        now, id, settings = datetime.now(UTC), source.id, self._settings.get(source.name)
        began = {period: period.bounds(now)[0].date() for period in Period}
        return SourceStatus(
            source=source,
            row_counts=self._rows.counts(connection, id),
            runs=last_runs(connection, id, limit=LAST_RUNS, besides=ErrorKind.UNKNOWN_RECORD),
            last_changes=last_changes(connection, id, limit=LAST_RUNS),
            lag=lag(connection, id),
            lease=current_lease(connection, id),
            daemon=active_daemon(connection, id),
            webhook=webhook_row(connection, id),
            daemon_limit=stale_after(settings.max_staleness) if settings else None,
            budget=_budget_status(connection, id, settings, now),
            today=requests_since(connection, id, since=began[Period.DAY]),
            this_month=requests_since(connection, id, since=began[Period.MONTH]),
        )


def _budget_status(
    connection: Connection, source_id: int, settings: SourceSettings | None, now: datetime
) -> BudgetStatus | None:
    """Return the status of the budget in the settings: what the daemon knows, except for the run in progress."""
    if settings is None or settings.budget is None:
        return None
    budget = Budget.parse(settings.budget)
    usage = project_usage(connection, source_id, since=budget.period.bounds(now)[0].date())
    return BudgetStatus(budget=budget, spent=usage.requests, shared_by=usage.sources, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What a source holds, its newest runs, and its newest runs that changed something; newest first."""

    counts: SourceCounts
    last_runs: Sequence[RunRow]
    last_changes: Sequence[RunRow]


class ActivityReader:
    """Reads the activity of sources for the daemon's `/status`, off the event loop.

    It reads only when someone asks, one read at a time, and never takes more than a small share of the time. A
    database that does not answer delays a request by `WAIT_SECONDS` at most.
    """

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._thread = mirror.lane("status")
        self._rows = RowCounter()
        self._activity: Mapping[str, Activity] = {}
        self._read_again_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def read(self, names: Sequence[str]) -> Mapping[str, Activity]:
        """Return the activity of each source in the database. It may be older if the database is slow or away."""
        if self._task is None or self._task.done():
            if time.monotonic() < self._read_again_at:
                return self._activity
            self._task = asyncio.create_task(self._refresh(names))
        await asyncio.wait({self._task}, timeout=WAIT_SECONDS)
        return self._activity

    async def close(self) -> None:
        """Wait for the last read."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._thread.close()

    async def _refresh(self, names: Sequence[str]) -> None:
        began = time.monotonic()
        try:
            self._activity = await self._thread.run(
                self._mirror.query, lambda connection: self._read(connection, names)
            )
        except MirrorError:
            pass  # the runs report it
        finally:
            ended = time.monotonic()
            self._read_again_at = ended + COST_SHARE * (ended - began)

    def _read(self, connection: Connection, names: Sequence[str]) -> Mapping[str, Activity]:
        return {
            name: Activity(
                counts=self._rows.counts(connection, id),
                last_runs=last_runs(connection, id, limit=LAST_RUNS),
                last_changes=last_changes(connection, id, limit=LAST_RUNS),
            )
            for name, id in source_ids(connection, names).items()
        }
