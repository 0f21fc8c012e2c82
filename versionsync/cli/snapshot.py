"""Asks the database how it stands with its sources, at one moment."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from versionsync.cli.attention import Problem, SourceStatus, problems
from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode, most_severe
from versionsync.errors import ErrorKind

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from versionsync.config import SourceSettings
    from versionsync.daemon.budget import BudgetStatus
    from versionsync.mirror.database import Mirror
    from versionsync.mirror.status import SourceCounts
    from versionsync.mirror.tables.sources import SourceRow

__all__ = ["Snapshot", "SnapshotReader"]

RUNS: Final = 3
"""One that is under way, and two that ended: from the second failure on a daemon's are told.

Runs that were asked for an unknown record come on top.
"""
COUNTING_SHARE: Final = 20
"""Rows are counted again when so many times as long has passed as it took: a large mirror is not kept busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """How it stood with the sources at one moment, and which ones of the settings are not in the database yet."""

    at: datetime
    sources: Sequence[SourceStatus]
    unsynced: Sequence[str]
    max_age: timedelta | None

    def problems(self, one: SourceStatus) -> list[Problem]:
        """What somebody should look at, of one of the sources."""
        return list(problems(one, self.at, max_age=self.max_age))

    def attention(self, one: SourceStatus) -> list[str]:
        """The same as lines."""
        return [remark.text for remark in self.problems(one)]

    def exit_of(self, one: SourceStatus) -> ExitCode:
        """The exit code of one of the sources."""
        return most_severe(remark.exit for remark in self.problems(one))

    def limit(self, one: SourceStatus) -> timedelta:
        """How old one of the sources may be."""
        return one.limit(self.at, self.max_age)

    @property
    def exit(self) -> ExitCode:
        """For a monitoring script: the worst of the sources; PARTIAL at least where one is not mirrored yet."""
        is_all = bool(self.sources) and not self.unsynced
        return most_severe([*map(self.exit_of, self.sources), ExitCode.OK if is_all else ExitCode.PARTIAL])


class SnapshotReader:
    """Takes snapshots of the sources called `names`, all of them if none is named."""

    def __init__(self, session: CliContext, names: Sequence[str], *, max_age: timedelta | None = None) -> None:
        self._session = session
        self._names = names
        self._max_age = max_age
        self._settings = {source.name: source for source in session.configuration.sources}
        self._counted: dict[int, tuple[SourceCounts, float]] = {}

    def read(self, mirror: Mirror) -> Snapshot:
        """How it stands now. Raises UnknownSource and MirrorError."""
        known = self._session.known_sources(mirror, self._names)
        sources = mirror.query(lambda connection: [self._one(connection, source) for source in known])
        waiting = [] if self._names else self._unsynced(source.name for source in known)
        return Snapshot(at=datetime.now(UTC), sources=sources, unsynced=waiting, max_age=self._max_age)

    def _one(self, connection: Connection, source: SourceRow) -> SourceStatus:
        from versionsync.daemon.budget import Period
        from versionsync.daemon.readiness import stale_after
        from versionsync.mirror.status import lag
        from versionsync.mirror.tables.daemons import active_daemon
        from versionsync.mirror.tables.leases import current as current_lease
        from versionsync.mirror.tables.runs import last_runs
        from versionsync.mirror.tables.usage import requests_since
        from versionsync.mirror.tables.webhooks import webhook_row

        now, id, settings = datetime.now(UTC), source.id, self._settings.get(source.name)
        began = {period: period.bounds(now)[0].date() for period in Period}
        return SourceStatus(
            source=source,
            row_counts=self._row_counts(connection, id),
            runs=last_runs(connection, id, limit=RUNS, besides=ErrorKind.UNKNOWN_RECORD),
            lag=lag(connection, id),
            lease=current_lease(connection, id),
            daemon=active_daemon(connection, id),
            webhook=webhook_row(connection, id),
            daemon_limit=timedelta(seconds=stale_after(settings.max_staleness)) if settings else None,
            budget=_budget_status(connection, id, settings, now),
            today=requests_since(connection, id, since=began[Period.DAY]),
            this_month=requests_since(connection, id, since=began[Period.MONTH]),
        )

    def _row_counts(self, connection: Connection, source_id: int) -> SourceCounts:
        from versionsync.mirror.status import count_rows

        known = self._counted.get(source_id)
        began = time.monotonic()
        if known is not None and began < known[1]:
            return known[0]
        found = count_rows(connection, source_id)
        ended = time.monotonic()
        self._counted[source_id] = found, ended + COUNTING_SHARE * (ended - began)
        return found

    def _unsynced(self, known: Iterable[str]) -> list[str]:
        """Sources that the settings file names and the database does not have."""
        if not self._session.configuration.file_names_sources:
            return []
        names = set(known)
        return [name for name in self._settings if name not in names]


def _budget_status(
    connection: Connection, source_id: int, settings: SourceSettings | None, now: datetime
) -> BudgetStatus | None:
    """How it stands with the budget that the settings give the source; as the daemon has it, give or take a run."""
    from versionsync.daemon.budget import Budget, BudgetStatus
    from versionsync.mirror.tables.usage import project_usage

    if settings is None or settings.budget is None:
        return None
    budget = Budget.parse(settings.budget)
    use = project_usage(connection, source_id, since=budget.period.bounds(now)[0].date())
    return BudgetStatus(budget=budget, spent=use.requests, shared_by=use.sources, now=now)
