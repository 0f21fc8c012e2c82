"""How it stands with each source, in memory: written by its follower, read by whoever is asked for it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from versionsync import cma
from versionsync.cma import Result, Usage
from versionsync.daemon.budget import Budget, BudgetStatus
from versionsync.errors import ErrorKind
from versionsync.mirror.tables.webhooks import SILENT_AFTER_CHANGES
from versionsync.sync.report import Counts, LagHistogram, Outcome, Progress, RunKind, RunReport, SourceSpec
from versionsync.webhooks.payload import BasicAuth, WebhookResult

__all__ = ["RUN_SECONDS", "LogStatus", "PollOutcome", "RunTimes", "SourceConfig", "WorkerState", "WorkerStatus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """A source as the settings have it. `open_client` makes a client for one run, with the token as it is by then.

    `max_staleness`: seconds that a look may be old; `scrub`: histories that are read again a day; `budget`: None is no
    limit. `webhook`: what a webhook must say to be heard; None: none is. `reads_webhook_log`: whether
    the log of its calls is read, where there is one.
    """

    spec: SourceSpec
    max_staleness: float
    scrub: int
    budget: Budget | None = None
    webhook: BasicAuth | None = None
    polls_webhook_log: bool = True
    open_client: Callable[[], AbstractAsyncContextManager[cma.Client]] = field(compare=False)


RUN_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
"""The upper ends of the classes of `RunTimes`."""


class WorkerStatus(StrEnum):
    """What this daemon is to a source."""

    STARTING = "starting"
    """Nothing came of it yet."""
    ACTIVE = "active"
    """It looks, and all is well."""
    STANDBY = "standby"
    """Another daemon follows the source, or another process writes to it."""
    FAILING = "failing"
    """The last look did not do all that it should; it is tried again."""


class LogStatus(StrEnum):
    """What this daemon knows of the log of a source's webhook."""

    UNKNOWN = "unknown"
    """It was not asked for yet, or the settings do not want it."""
    ABSENT = "absent"
    """The source has no webhook, or none that tells every change of a record."""
    REFUSED = "refused"
    """The token may not read webhooks."""
    ACTIVE = "active"
    """It is read, and tells what changes."""
    NOT_IN_PLAN = "not_in_plan"
    """It is not read for now: the budget pays for looks alone."""


class PollOutcome(StrEnum):
    """How a reading of that log ended."""

    COMPLETE = "complete"
    """No call can be missing between this reading and the one before."""
    GAP = "gap"
    """Some may be: all of the source is looked at."""
    FAILED = "failed"
    """It could not be read."""


@dataclass(slots=True)
class RunTimes:
    """How long runs took: a histogram. `numbers`: how many runs are in each class, the last one without an end."""

    numbers: list[int] = field(default_factory=lambda: [0] * (len(RUN_SECONDS) + 1))
    seconds: float = 0.0

    def observe(self, seconds: float) -> None:
        """One more run, that took so long."""
        self.numbers[bisect_left(RUN_SECONDS, seconds)] += 1
        self.seconds += seconds


@dataclass(slots=True, kw_only=True)
class WorkerState:
    """One source. `progress` and `usage` are of the run under way, if one is.

    What counts since the start: `total`, `results`, `lag`, `run_seconds`, `heard`, `runs` and `troubles`. The first
    three take a run in when it has ended: `counts` and `requests` have the one under way in them too, so that they
    never stand still.
    """

    name: str
    max_staleness: float
    since: datetime
    status: WorkerStatus = WorkerStatus.STARTING
    error_kind: ErrorKind | None = None
    error: str | None = None
    failures: int = 0
    other_holder: str | None = None
    progress: Progress | None = None
    usage: Usage | None = None
    lease_epoch: int = 0
    queued_records: int = 0
    started_at: datetime | None = None
    last_run_at: datetime | None = None
    last_run_seconds: float | None = None
    last_success_at: datetime | None = None
    last_change_at: datetime | None = None
    unexplained_change_since: datetime | None = None
    blocked_views: int = 0
    next_check_at: datetime | None = None
    next_check_reason: str | None = None
    budget: BudgetStatus | None = None
    total: Counts = field(default_factory=Counts)
    results: Counter[Result] = field(default_factory=Counter)
    lag: LagHistogram = field(default_factory=LagHistogram)
    run_seconds: RunTimes = field(default_factory=RunTimes)
    webhook_results: Counter[WebhookResult] = field(default_factory=Counter)
    webhook_log: LogStatus = LogStatus.UNKNOWN
    log_polls: Counter[PollOutcome] = field(default_factory=Counter)
    log_read_at: datetime | None = None
    log_gaps: int = 0
    last_gap_at: datetime | None = None
    receiver_enabled: bool = False
    last_call_at: datetime | None = None
    undelivered_changes: int = 0
    runs: Counter[Outcome] = field(default_factory=Counter)
    failures_by_kind: Counter[ErrorKind] = field(default_factory=Counter)

    def called(self, at: datetime) -> None:
        """A call of the webhook has told of a change, whichever way it came."""
        self.last_call_at, self.undelivered_changes = at, 0

    @property
    def is_read(self) -> bool:
        """Whether looks get through, though single records may not."""
        return self.status is WorkerStatus.ACTIVE or (
            self.status is WorkerStatus.FAILING and self.error_kind is ErrorKind.PARTIAL
        )

    @property
    def is_webhook_used(self) -> bool:
        """Whether calls should tell what changes: they are received, or their log is read."""
        return self.receiver_enabled or self.webhook_log is LogStatus.ACTIVE

    @property
    def is_webhook_silent(self) -> bool:
        """Whether they should, and do no longer."""
        return self.is_webhook_used and self.undelivered_changes >= SILENT_AFTER_CHANGES

    def ended(self, report: RunReport) -> None:
        """The run under way has ended: from now on it is one of those that were."""
        self.total += report.counts
        if self.usage is not None:
            self.results += self.usage.results
        if self.progress is not None:
            if report.kind is not RunKind.BACKFILL:  # what was there before we were came late to nobody
                self.lag.add(self.progress.lag)
            if self.progress.lease is not None:
                self.lease_epoch = self.progress.lease.epoch
        self.progress = self.usage = None
        if report.run_id is not None:
            self.unexplained_change_since = report.unexplained_change_since
        if report.blocked_views is not None:
            self.blocked_views = len(report.blocked_views)

    @property
    def counts(self) -> Counts:
        """Those since the start."""
        return self.total if self.progress is None else self.total + self.progress.counts

    @property
    def requests(self) -> Counter[Result]:
        """The requests since the start, by how they ended."""
        return self.results if self.usage is None else self.results + self.usage.results

    def staleness(self, now: datetime) -> float:
        """Seconds since the last look that succeeded began, or since the start where none has."""
        return max((now - (self.last_success_at or self.since)).total_seconds(), 0.0)
