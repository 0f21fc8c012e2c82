"""What somebody should look at, of all that is known of a source, and which exit code tells it. Pure.

It says the same as the daemon's `/readyz`, from the database alone. A daemon that follows a source tries again by
itself what failed once; where nobody follows it, one failure is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from versionsync.cli.exit_codes import ExitCode, exit_code_of_kind
from versionsync.errors import ErrorKind
from versionsync.text import count

if TYPE_CHECKING:
    from versionsync.daemon.budget import BudgetStatus
    from versionsync.mirror.status import LagQuantiles, SourceCounts
    from versionsync.mirror.tables.daemons import ActiveDaemon
    from versionsync.mirror.tables.leases import HeldLease
    from versionsync.mirror.tables.runs import RunRow
    from versionsync.mirror.tables.sources import SourceRow
    from versionsync.mirror.tables.webhooks import WebhookRow

__all__ = ["Problem", "SourceStatus", "ago", "problems", "span", "sync_before"]

STALE: Final = timedelta(days=1)
"""What nobody follows is looked at once a day, where nothing else is said."""
DAEMON_GONE_AFTER: Final = timedelta(days=1)
"""For so long a daemon that ended without a word counts as one that should be there."""

GRACE: Final = timedelta(seconds=30)
"""So late a look may be that a daemon has announced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """All that is known of one source.

    `runs` are the newest ones, newest first; `lease` is None while nobody writes, `follower` where no daemon follows
    it, `webhook` where none ever did, `lag` while nothing has changed.
    `followed_limit` is the age at which a daemon calls it stale, by the settings; None: they do not know the source.
    `purse`: how it stands with its budget; None: it has none. `today` and `this_month`: requests of its daemon, in UTC.
    """

    source: SourceRow
    row_counts: SourceCounts
    runs: Sequence[RunRow] = ()
    lag: LagQuantiles | None = None
    lease: HeldLease | None = None
    daemon: ActiveDaemon | None = None
    webhook: WebhookRow | None = None
    daemon_limit: timedelta | None = None
    budget: BudgetStatus | None = None
    today: int = 0
    this_month: int = 0

    @property
    def complete_as_of(self) -> datetime | None:
        """The moment of which all that was upstream is mirrored; None: it was never whole."""
        return self.source.checkpoint.complete_as_of

    @property
    def sync_before(self) -> datetime | None:
        """Until when the next sync misses no version; None: it is not known, or DatoCMS keeps all versions."""
        return sync_before(self.complete_as_of, self.source.project.history_retention_days)

    @property
    def is_written(self) -> bool:
        """Whether a process holds its lease now."""
        return self.lease is not None and not self.lease.is_free

    @property
    def has_daemon(self) -> bool:
        """Whether a daemon follows it now."""
        return self.daemon is not None and not self.daemon.is_expired

    @property
    def running(self) -> RunRow | None:
        """The run that goes on now."""
        newest = self.runs[0] if self.runs else None
        return newest if newest is not None and newest.outcome == "running" and self.is_written else None

    @property
    def ended(self) -> Sequence[RunRow]:
        """The newest runs that are not under way, newest first; one that still says `running` was cut off."""
        return self.runs[1:] if self.running is not None else self.runs

    @property
    def judged(self) -> Sequence[RunRow]:
        """As `ended`, without runs that were asked for an unknown record: they say nothing about the source."""
        return [run for run in self.ended if run.error_kind != ErrorKind.UNKNOWN_RECORD]

    def limit(self, now: datetime, max_age: timedelta | None = None) -> timedelta:
        """How old it may be. `max_age` is what was asked for; else it depends on whether a daemon should follow it."""
        if max_age is not None:
            return max_age
        silent = self.daemon is not None and self.daemon.is_expired and now - self.daemon.expires_at > DAEMON_GONE_AFTER
        if self.daemon is None or silent or self.daemon_limit is None:
            return STALE
        return self.daemon_limit


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that somebody should look at, in one line; `exit` tells a program which kind of thing it is."""

    text: str
    exit: ExitCode = ExitCode.PARTIAL


def problems(one: SourceStatus, now: datetime, *, max_age: timedelta | None = None) -> Iterator[Problem]:
    """What somebody should look at; none: all is well.

    A run that failed is told by the code that a sync would have ended with.
    """
    last = one.judged[0] if one.judged else None
    if last is not None and (told := _what_went_wrong(one, last)):
        yield Problem(told, exit_code_of_kind(last.error_kind))
    limit = one.limit(now, max_age)
    # A run that has just begun makes nothing fresher; one that takes long makes nothing staler.
    reference = now if one.running is None else one.running.started_at
    if one.complete_as_of is None:
        if one.running is None:
            never = one.source.checkpoint.last_success_at is None
            yield Problem("no run has succeeded yet" if never else "no run has seen all of it yet")
    elif reference - one.complete_as_of > limit and not (max_age is None and _waits_for_budget(one, now)):
        yield Problem(
            f"nothing succeeded for {span(now - one.complete_as_of)}, it may be {span(limit)} old{_who_left(one)}"
        )
    if one.sync_before is not None and one.sync_before <= reference:
        days = count(one.source.project.history_retention_days or 0, "day")
        yield Problem(f"versions may be lost: DatoCMS keeps them for {days}, and this is how long no sync was complete")
    for name, obstacle in one.source.blocked_views.items():
        yield Problem(f"the view {name} could not follow the schema and stays as it was: {obstacle}", ExitCode.OK)
    if one.has_daemon and one.budget is not None and one.budget.is_spent:
        yield Problem(f"{one.budget.budget} are spent: it goes on at {one.budget.ends_at:%Y-%m-%d %H:%M} UTC")
    if one.has_daemon and one.webhook is not None and one.webhook.is_silent:
        yield Problem(
            f"its webhook no longer reports changes: {count(one.webhook.undelivered_changes, 'check')} in a row found "
            "changes that no call had reported. `versionsync webhook status` shows its last calls"
        )


def sync_before(complete_as_of: datetime | None, retention_days: int | None) -> datetime | None:
    """Return when DatoCMS begins to delete versions that the mirror does not have.

    A version that was made just after the last complete sync is kept for `retention_days`. None: the mirror was never
    complete, the days are not known, or they are too many for a date.
    """
    if complete_as_of is None or retention_days is None:
        return None
    try:
        return complete_as_of + timedelta(days=retention_days)
    except OverflowError:
        return None


def span(time: timedelta) -> str:
    """`1 second`, `90 seconds`, `3 hours`."""
    seconds = max(time.total_seconds(), 0.0)
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * size:
            return count(int(seconds // size), unit)
    return count(int(seconds), "second")


def ago(time: datetime, now: datetime) -> str:
    """`5 seconds ago`, `3 hours ago`."""
    return f"{span(now - time)} ago"


def _what_went_wrong(one: SourceStatus, last: RunRow) -> str | None:
    match last.outcome:
        case "failed" | "partial":
            if one.has_daemon and (len(one.judged) < 2 or one.judged[1].outcome not in ("failed", "partial")):
                return None
            how = "failed" if last.outcome == "failed" else f"was {last.outcome}"
            return f"the last run {how}{f': {last.error}' if last.error else ''}"
        case "interrupted" | "running" if one.has_daemon or one.running is not None:
            return None
        case "interrupted":
            return f"the last run was interrupted{f': {last.error}' if last.error else ''}"
        case "running":
            return "the last run ended without a word; the next one goes on from there"
        case _:
            return None


def _waits_for_budget(one: SourceStatus, now: datetime) -> bool:
    """Whether all is well but that a budget lets it look less often than the settings ask for."""
    if one.budget is None or one.daemon is None or one.daemon.is_expired or one.daemon.next_check_at is None:
        return False
    is_due = now - one.daemon.next_check_at > GRACE
    return not is_due and bool(one.judged) and one.judged[0].outcome == "succeeded"


def _who_left(one: SourceStatus) -> str:
    if one.daemon is None or not one.daemon.is_expired:
        return ""
    return f": the daemon that followed it ({one.daemon.holder}) ended without a word"
