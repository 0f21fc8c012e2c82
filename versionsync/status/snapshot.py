"""Reads the status of sources from the database, at a bounded cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from versionsync.budget import Budget, BudgetStatus, Period
from versionsync.config import SourceSettings
from versionsync.errors import ErrorKind
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import MirrorError
from versionsync.mirror.row_counts import SourceCounts, count_rows, lags
from versionsync.mirror.tables.daemons import active_daemons
from versionsync.mirror.tables.leases import current_of as current_leases
from versionsync.mirror.tables.runs import RunRow, last_changes_of, last_runs_of
from versionsync.mirror.tables.sources import SourceState, source_ids
from versionsync.mirror.tables.usage import ProjectUsage, project_usages, requests_by_source
from versionsync.mirror.tables.webhooks import webhook_rows
from versionsync.status.model import Problem, SourceDetails, SourceStatus, problems, stale_after
from versionsync.status.ranking import HealthState, rank, state_of

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
        chosen: In which state all of `sources` are, in words, if only those were asked for. None: in any.
    """

    at: datetime
    sources: Sequence[SourceStatus]
    unsynced: Sequence[str]
    max_age: timedelta | None = None
    chosen: str | None = None

    def problems(self, one: SourceStatus) -> list[Problem]:
        """Return what needs attention about one of the sources."""
        return list(problems(one.health(self.at, max_age=self.max_age), self.at))

    def state(self, one: SourceStatus) -> HealthState:
        """Return the state of one of the sources."""
        return state_of(self.problems(one))

    def only(self, states: Sequence[HealthState]) -> Snapshot:
        """Return the snapshot with only the sources in these states."""
        chosen = [one for one in self.sources if self.state(one) in states]
        return replace(self, sources=chosen, unsynced=(), chosen=" or ".join(states))

    def worst_first(self) -> Snapshot:
        """Return the snapshot with the sources that need attention first."""
        ranks = {one.source.id: rank(self.state(one), one.complete_as_of, one.source.name) for one in self.sources}
        return replace(self, sources=sorted(self.sources, key=lambda one: ranks[one.source.id]))

    def limit(self, one: SourceStatus) -> timedelta:
        """Return how old one of the sources may be."""
        return one.limit(self.at, self.max_age)


class SnapshotReader:
    """Takes snapshots for `versionsync status`. The number of queries does not depend on the number of sources.

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

    def read(self, mirror: Mirror) -> Snapshot:
        """Return the status now, without the details of the sources. Raises UnknownSource and MirrorError."""
        known = self._known(mirror)
        found = mirror.query(lambda connection: self._statuses(connection, known))
        sources = [one for one in found if self._is_shown(one)]
        names = {one.source.name for one in sources}
        unsynced = [name for name in self._expected if name not in names]
        return Snapshot(at=datetime.now(UTC), sources=sources, unsynced=unsynced, max_age=self._max_age)

    def _is_shown(self, one: SourceStatus) -> bool:
        is_expected = not self._expected or one.source.name in self._expected
        return one.source.project is not None or (is_expected and bool(one.runs))

    def with_details(self, mirror: Mirror, sources: Sequence[SourceStatus]) -> list[SourceStatus]:
        """Return these sources with their details: counting rows may take a while. Raises MirrorError."""
        return mirror.query(lambda connection: _with_details(connection, sources))

    def _statuses(self, connection: Connection, sources: Sequence[SourceState]) -> list[SourceStatus]:
        now, ids = datetime.now(UTC), [source.id for source in sources]
        runs = last_runs_of(connection, ids, limit=LAST_RUNS, besides=ErrorKind.UNKNOWN_RECORD)
        leases, daemons = current_leases(connection, ids), active_daemons(connection, ids)
        webhooks, budgets = webhook_rows(connection, ids), self._budgets(connection, sources, now)
        return [
            SourceStatus(
                source=source,
                runs=runs.get(source.id, ()),
                lease=leases.get(source.id),
                daemon=daemons.get(source.id),
                webhook=webhooks.get(source.id),
                daemon_limit=stale_after(settings.max_staleness) if settings else None,
                budget=budgets.get(source.id),
            )
            for source in sources
            for settings in (self._settings.get(source.name),)
        ]

    def _budgets(
        self, connection: Connection, sources: Sequence[SourceState], now: datetime
    ) -> dict[int, BudgetStatus]:
        """Return the budgets in the settings: what the daemon knows, except for runs in progress."""
        budgets = {
            source.id: Budget.parse(settings.budget)
            for source in sources
            if (settings := self._settings.get(source.name)) is not None and settings.budget is not None
        }
        found = {}
        for period in Period:
            ids = [id for id, budget in budgets.items() if budget.period is period]
            since = period.bounds(now)[0].date()
            usages = project_usages(connection, ids, since=since) if ids else {}
            for id in ids:
                usage = usages.get(id, ProjectUsage(0, 1))
                found[id] = BudgetStatus(budget=budgets[id], spent=usage.requests, shared_by=usage.sources, now=now)
        return found


def _with_details(connection: Connection, sources: Sequence[SourceStatus]) -> list[SourceStatus]:
    now, ids = datetime.now(UTC), [one.source.id for one in sources]
    counts, changes = count_rows(connection, ids), last_changes_of(connection, ids, limit=LAST_RUNS)
    lag = lags(connection, ids)
    today, this_month = (
        requests_by_source(connection, ids, since=period.bounds(now)[0].date()) for period in (Period.DAY, Period.MONTH)
    )
    return [
        replace(
            one,
            details=SourceDetails(
                row_counts=counts[id],
                last_changes=changes.get(id, ()),
                lag=lag.get(id),
                today=today.get(id, 0),
                this_month=this_month.get(id, 0),
            ),
        )
        for one in sources
        for id in (one.source.id,)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What a source holds, its newest runs, and its newest runs that changed something; newest first."""

    counts: SourceCounts
    last_runs: Sequence[RunRow]
    last_changes: Sequence[RunRow]


class RowCounter:
    """Counts rows, and counts again only when the last count is old compared with its cost."""

    def __init__(self) -> None:
        self._counted: dict[int, tuple[SourceCounts, float]] = {}

    def counts(self, connection: Connection, source_ids: Sequence[int]) -> dict[int, SourceCounts]:
        """Return the counts of sources, with as many queries for many as for one."""
        began = time.monotonic()
        old = [id for id in source_ids if id not in self._counted or began >= self._counted[id][1]]
        counted = count_rows(connection, old) if old else {}
        ended = time.monotonic()
        self._counted |= {id: (counts, ended + COST_SHARE * (ended - began)) for id, counts in counted.items()}
        return {id: self._counted[id][0] for id in source_ids}


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
        self._asked: set[str] = set()
        self._read_again_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def read(self, names: Sequence[str]) -> Mapping[str, Activity]:
        """Return the activity of each source in the database. It may be older if the database is slow or away.

        One that was never read may be missing in that case.
        """
        if self._task is None or self._task.done():
            is_new = not self._asked.issuperset(names)
            if not is_new and time.monotonic() < self._read_again_at:
                return self._activity
            self._asked.update(names)
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
            found = await self._thread.run(self._mirror.query, lambda connection: self._read(connection, names))
            self._activity = {**self._activity, **found}
        except MirrorError:
            pass  # the runs report it
        finally:
            ended = time.monotonic()
            self._read_again_at = ended + COST_SHARE * (ended - began)

    def _read(self, connection: Connection, names: Sequence[str]) -> Mapping[str, Activity]:
        known = source_ids(connection, names)
        ids = list(known.values())
        counts = self._rows.counts(connection, ids)
        runs = last_runs_of(connection, ids, limit=LAST_RUNS)
        changes = last_changes_of(connection, ids, limit=LAST_RUNS)
        return {
            name: Activity(counts=counts[id], last_runs=runs.get(id, ()), last_changes=changes.get(id, ()))
            for name, id in known.items()
        }
