"""The health policy: when a source is stale or failing, and what needs attention. Pure.

There is one policy. `versionsync status` applies it to what the database knows. The daemon applies it to what its
workers know, for `/status`, `/readyz` and notifications. Each of them fills a `Health` with its facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import Final

from versionsync.budget import BudgetStatus
from versionsync.errors import ErrorKind
from versionsync.mirror.row_counts import LagQuantiles, SourceCounts
from versionsync.mirror.tables.daemons import ActiveDaemon
from versionsync.mirror.tables.leases import HeldLease
from versionsync.mirror.tables.runs import RunRow
from versionsync.mirror.tables.sources import SourceState
from versionsync.mirror.tables.webhooks import SILENT_AFTER_CHANGES, WebhookRow
from versionsync.text import count, span

__all__ = [
    "FAILURES_BEFORE_ALERT",
    "GRACE",
    "Health",
    "Problem",
    "ProblemKind",
    "SourceDetails",
    "SourceStatus",
    "is_stale",
    "not_ready_reason",
    "problems",
    "stale_after",
    "sync_before",
]

STALE_AFTER: Final = timedelta(days=1)
"""The limit for a source that no daemon checks, unless another one is asked for."""
DAEMON_GONE_AFTER: Final = timedelta(days=1)
"""A daemon that ended without releasing its source is still expected to come back for this long."""
GRACE: Final = timedelta(seconds=30)
"""A check may be this late before it counts as overdue."""
FAILURES_BEFORE_ALERT: Final = 2
"""One failure usually passes by itself when a daemon tries again; the second in a row needs attention."""


class ProblemKind(StrEnum):
    """What kind of thing needs attention."""

    STARTING = "starting"
    BUDGET_SPENT = "budget_spent"
    FAILING = "failing"
    NEVER_COMPLETE = "never_complete"
    STALE = "stale"
    HISTORY_AT_RISK = "history_at_risk"
    VIEW_BLOCKED = "view_blocked"
    WEBHOOK_SILENT = "webhook_silent"


_READY_DESPITE: Final = frozenset({ProblemKind.HISTORY_AT_RISK, ProblemKind.VIEW_BLOCKED, ProblemKind.WEBHOOK_SILENT})
"""These need attention, but the mirror is as fresh as it should be."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that needs attention, as one line. `error_kind` is that of the last run, if it failed."""

    kind: ProblemKind
    text: str
    error_kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The facts that the policy judges, for one source.

    Attributes:
        limit: How old the mirror may be.
        complete_as_of: Everything that was upstream at this time is mirrored. None: nothing is complete yet.
        has_succeeded: Whether any run has ever succeeded.
        failure: What went wrong with the last run, in one line. None: nothing.
        error_kind: The kind of that failure.
        failures: The number of failures in a row.
        is_retried: Whether a daemon tries again by itself.
        is_starting: Whether the first run of a daemon is not finished yet.
        is_standby: Whether another process takes care of the source.
        running_since: The start of a run in progress, which makes nothing fresher or staler until it ends.
        budget: The status of its budget, while a daemon keeps to it.
        is_slowed_by_budget: Whether the last run succeeded and a budget decides when the next one starts.
        next_check_at: When the daemon intends to check next.
        lost_daemon: The daemon that ended without releasing the source.
        retention_days: How long DatoCMS keeps versions.
        blocked_views: Typed views that cannot follow the schema, and why.
        undelivered_changes: Checks in a row that found changes which the webhook, if one is used, had not reported.
    """

    limit: timedelta
    complete_as_of: datetime | None
    has_succeeded: bool
    failure: str | None = None
    error_kind: str | None = None
    failures: int = 0
    is_retried: bool = False
    is_starting: bool = False
    is_standby: bool = False
    running_since: datetime | None = None
    budget: BudgetStatus | None = None
    is_slowed_by_budget: bool = False
    next_check_at: datetime | None = None
    lost_daemon: str | None = None
    retention_days: int | None = None
    blocked_views: Mapping[str, str] = field(default_factory=dict)
    undelivered_changes: int = 0


def problems(health: Health, now: datetime) -> Iterator[Problem]:
    """Yield what needs attention, the most urgent first."""
    if health.is_standby:
        return
    if health.is_starting:
        yield Problem(ProblemKind.STARTING, "its first run is not finished yet")
        return
    if health.budget is not None and health.budget.is_spent:
        yield Problem(ProblemKind.BUDGET_SPENT, health.budget.spent_text)
    is_expected_to_pass = health.is_retried and health.has_succeeded and health.failures < FAILURES_BEFORE_ALERT
    if health.failure is not None and not is_expected_to_pass:
        yield Problem(ProblemKind.FAILING, health.failure, health.error_kind)
    if health.complete_as_of is None and health.running_since is None:
        checked = "checked every record" if health.has_succeeded else "succeeded"
        yield Problem(ProblemKind.NEVER_COMPLETE, f"no run has {checked} yet")
    elif health.complete_as_of is not None and is_stale(health, now):
        lost = f": the daemon for it ({health.lost_daemon}) ended unexpectedly" if health.lost_daemon else ""
        age = span(now - health.complete_as_of)
        yield Problem(ProblemKind.STALE, f"no complete check for {age}, the limit is {span(health.limit)}{lost}")
    yield from _other_problems(health, now)


def _other_problems(health: Health, now: datetime) -> Iterator[Problem]:
    """Yield what needs attention though the mirror may be fresh."""
    lost_from = sync_before(health.complete_as_of, health.retention_days)
    if lost_from is not None and lost_from <= (health.running_since or now):
        days = count(health.retention_days or 0, "day")
        text = f"versions may be lost: DatoCMS keeps them for {days}, and no sync was complete for that long"
        yield Problem(ProblemKind.HISTORY_AT_RISK, text)
    for name, obstacle in health.blocked_views.items():
        text = f"the view {name} could not follow the schema and stays as it was: {obstacle}"
        yield Problem(ProblemKind.VIEW_BLOCKED, text)
    if health.undelivered_changes >= SILENT_AFTER_CHANGES:
        text = (
            f"its webhook no longer reports changes: {count(health.undelivered_changes, 'check')} in a row found "
            "changes that no call had reported. `versionsync webhook status` shows its last calls"
        )
        yield Problem(ProblemKind.WEBHOOK_SILENT, text)


def not_ready_reason(health: Health, now: datetime) -> str | None:
    """Return why the source is not as fresh as it should be; None: it is."""
    return next((problem.text for problem in problems(health, now) if problem.kind not in _READY_DESPITE), None)


def is_stale(health: Health, now: datetime) -> bool:
    """Return whether the mirror is too old, for any other reason than a budget that delays the next check."""
    if health.is_starting or health.complete_as_of is None:
        return False
    if (health.running_since or now) - health.complete_as_of <= health.limit:
        return False
    due = health.next_check_at
    return not health.is_slowed_by_budget or due is None or now - due > GRACE


def stale_after(max_staleness: float) -> timedelta:
    """Return the age limit of a source that a daemon checks: it may miss one check."""
    return timedelta(seconds=2 * max_staleness) + GRACE


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDetails:
    """What is shown of a source, and does not decide about its health.

    Attributes:
        row_counts: How much is mirrored. None: it was not counted.
        last_changes: The newest runs that changed something, newest first.
        lag: How long changes take to arrive. None: nothing has changed since the backfill.
        today: Requests of its daemon in this UTC day.
        this_month: Requests of its daemon in this UTC month.
    """

    row_counts: SourceCounts | None = None
    last_changes: Sequence[RunRow] = ()
    lag: LagQuantiles | None = None
    today: int = 0
    this_month: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """What the database and the settings know about one source.

    Attributes:
        source: The source with its project, if that is known, and its checkpoint.
        runs: The newest runs, newest first.
        lease: The lease, if any process holds it.
        daemon: The daemon that claims the source.
        webhook: The webhook, as the daemon last knew it.
        daemon_limit: The age limit while a daemon checks the source. None: the settings do not have the source.
        budget: The status of its budget, if it has one.
        details: What is shown besides.
    """

    source: SourceState
    runs: Sequence[RunRow] = ()
    lease: HeldLease | None = None
    daemon: ActiveDaemon | None = None
    webhook: WebhookRow | None = None
    daemon_limit: timedelta | None = None
    budget: BudgetStatus | None = None
    details: SourceDetails = SourceDetails()

    @property
    def complete_as_of(self) -> datetime | None:
        """Everything that was upstream at this time is mirrored; None: the mirror was never complete."""
        return self.source.checkpoint.complete_as_of

    @property
    def sync_before(self) -> datetime | None:
        """Until when the next sync misses no version; None: unknown, or DatoCMS keeps all versions."""
        return sync_before(self.complete_as_of, self.retention_days)

    @property
    def retention_days(self) -> int | None:
        """For how many days DatoCMS keeps versions; None: permanently, or it is not known."""
        return None if self.source.project is None else self.source.project.history_retention_days

    @property
    def is_written(self) -> bool:
        """Whether a process holds its lease now."""
        return self.lease is not None and not self.lease.is_free

    @property
    def has_daemon(self) -> bool:
        """Whether a daemon checks it now."""
        return self.daemon is not None and not self.daemon.is_expired

    @property
    def running(self) -> RunRow | None:
        """The run in progress."""
        newest = self.runs[0] if self.runs else None
        return newest if newest is not None and newest.outcome == "running" and self.is_written else None

    @property
    def ended(self) -> Sequence[RunRow]:
        """The newest runs that are not in progress, newest first. One that still says `running` was cut off."""
        return self.runs[1:] if self.running is not None else self.runs

    @property
    def judged(self) -> Sequence[RunRow]:
        """As `ended`, without runs for a record id that does not exist: they say nothing about the source."""
        return [run for run in self.ended if run.error_kind != ErrorKind.UNKNOWN_RECORD]

    def limit(self, now: datetime, max_age: timedelta | None = None) -> timedelta:
        """Return how old it may be: `max_age` if given, else by whether a daemon should check it."""
        if max_age is not None:
            return max_age
        gone = self.daemon is not None and self.daemon.is_expired and now - self.daemon.expires_at > DAEMON_GONE_AFTER
        if self.daemon is None or gone or self.daemon_limit is None:
            return STALE_AFTER
        return self.daemon_limit

    def health(self, now: datetime, *, max_age: timedelta | None = None) -> Health:
        """Return the facts for the policy. `max_age` is a limit that was asked for."""
        last = self.judged[0] if self.judged else None
        is_used = self.has_daemon and self.webhook is not None and self.webhook.is_used
        return Health(
            limit=self.limit(now, max_age),
            complete_as_of=self.complete_as_of,
            has_succeeded=self.source.checkpoint.last_success_at is not None,
            failure=None if last is None else self._failure(last),
            error_kind=None if last is None else last.error_kind,
            failures=sum(1 for _ in takewhile(lambda run: run.outcome in ("failed", "partial"), self.judged)),
            is_retried=self.has_daemon,
            running_since=None if self.running is None else self.running.started_at,
            budget=self.budget if self.has_daemon else None,
            is_slowed_by_budget=max_age is None
            and self.budget is not None
            and self.has_daemon
            and last is not None
            and last.outcome == "succeeded",
            next_check_at=None if self.daemon is None else self.daemon.next_check_at,
            lost_daemon=str(self.daemon.holder) if self.daemon is not None and self.daemon.is_expired else None,
            retention_days=self.retention_days,
            blocked_views=self.source.blocked_views,
            undelivered_changes=self.webhook.undelivered_changes if is_used and self.webhook is not None else 0,
        )

    def _failure(self, last: RunRow) -> str | None:
        because = f": {last.error}" if last.error else ""
        match last.outcome:
            case "failed":
                return f"the last run failed{because}"
            case "partial":
                return f"the last run was partial{because}"
            case "interrupted" | "running" if self.has_daemon or self.running is not None:
                return None  # the next run goes on from there
            case "interrupted":
                return f"the last run was interrupted{because}"
            case "running":
                return "the last run ended unexpectedly; the next one goes on from there"
            case _:
                return None
