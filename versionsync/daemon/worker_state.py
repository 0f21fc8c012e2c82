"""The state of each source in memory: written by its worker, read by `/status`, the metrics and the notifications."""

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
from versionsync.budget import Budget, BudgetStatus
from versionsync.cma import Result, Usage
from versionsync.errors import ErrorKind
from versionsync.mirror.tables.runs import Counts
from versionsync.mirror.tables.webhooks import SILENT_AFTER_CHANGES
from versionsync.status.model import Health, stale_after
from versionsync.sync.options import SourceSpec
from versionsync.sync.report import LagHistogram, Outcome, Progress, RunKind, RunReport
from versionsync.webhooks.payload import BasicAuth, WebhookResult

__all__ = ["RUN_SECONDS", "LogStatus", "PollOutcome", "RunTimes", "SourceConfig", "WorkerState", "WorkerStatus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """The settings of a source, as its worker needs them.

    Attributes:
        spec: The settings that the engine needs.
        max_staleness: How old the mirror may become, in seconds.
        scrub: Old histories to read again each day.
        budget: The limit of requests; None: no limit.
        webhook: The credentials of its webhook; None: the receiver is off for this source.
        polls_webhook_log: Whether to read the log of the webhook's calls, if there is one.
        open_client: Makes a client for one run, with the token as it is then.
    """

    spec: SourceSpec
    max_staleness: float
    scrub: int
    budget: Budget | None = None
    webhook: BasicAuth | None = None
    polls_webhook_log: bool = True
    open_client: Callable[[], AbstractAsyncContextManager[cma.Client]] = field(compare=False)


RUN_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
"""The upper bounds of the buckets of `RunTimes`."""


class WorkerStatus(StrEnum):
    """The state of a source in this daemon."""

    STARTING = "starting"
    """Its first run is not finished yet."""
    ACTIVE = "active"
    """It is checked, and all is well."""
    STANDBY = "standby"
    """Another daemon has the source, or another process writes to it."""
    FAILING = "failing"
    """The last run did not do all that it should; it is tried again."""


class LogStatus(StrEnum):
    """The state of the log of a source's webhook."""

    UNKNOWN = "unknown"
    """It was not requested yet, or the settings turn it off."""
    ABSENT = "absent"
    """The source has no webhook, or none that reports every change of a record."""
    REFUSED = "refused"
    """The token may not read webhooks."""
    ACTIVE = "active"
    """It is read, and reports changes."""
    NOT_IN_PLAN = "not_in_plan"
    """It is not read for now: the budget pays only for checks."""


class PollOutcome(StrEnum):
    """How a poll of that log ended."""

    COMPLETE = "complete"
    """No call can be missing between this poll and the one before."""
    GAP = "gap"
    """Some may be missing, so the complete source is checked."""
    FAILED = "failed"
    """The log could not be read."""


@dataclass(slots=True)
class RunTimes:
    """A histogram of how long runs took. `counts` has the runs in each bucket; the last one has no upper bound."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(RUN_SECONDS) + 1))
    seconds: float = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(RUN_SECONDS, seconds)] += 1
        self.seconds += seconds


@dataclass(slots=True, kw_only=True)
class WorkerState:
    """The state of one source.

    `progress` and `usage` belong to the run in progress, if there is one. These count since the start of the daemon:
    `total`, `results`, `lag`, `run_seconds`, `webhook_results`, `log_polls`, `runs` and `failures_by_kind`. The first
    three add a run when it ends. `counts` and `requests` include the run in progress, so that they always rise.
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

    def record_call(self, at: datetime) -> None:
        """Record that a call of the webhook has reported a change, received or found in the log."""
        self.last_call_at, self.undelivered_changes = at, 0

    @property
    def is_working(self) -> bool:
        """Whether checks get through, though single records may fail."""
        return self.status is WorkerStatus.ACTIVE or (
            self.status is WorkerStatus.FAILING and self.error_kind is ErrorKind.PARTIAL
        )

    @property
    def is_webhook_used(self) -> bool:
        """Whether calls should report changes: they are received, or their log is read."""
        return self.receiver_enabled or self.webhook_log is LogStatus.ACTIVE

    @property
    def is_webhook_silent(self) -> bool:
        """Whether calls should report changes, and no longer do."""
        return self.is_webhook_used and self.undelivered_changes >= SILENT_AFTER_CHANGES

    def finish_run(self, report: RunReport) -> None:
        """Add the run in progress to those that ended."""
        self.total += report.counts
        if self.usage is not None:
            self.results += self.usage.results
        if self.progress is not None:
            if report.kind is not RunKind.BACKFILL:  # what was there before the first run did not arrive late
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
        """The counts since the start."""
        return self.total if self.progress is None else self.total + self.progress.counts

    @property
    def requests(self) -> Counter[Result]:
        """The requests since the start, by result."""
        return self.results if self.usage is None else self.results + self.usage.results

    def staleness(self, now: datetime) -> float:
        """Return the seconds since the last successful check began, or since the start if there was none."""
        return max((now - (self.last_success_at or self.since)).total_seconds(), 0.0)

    def health(self, now: datetime) -> Health:
        """Return the facts for the health policy."""
        is_failing = self.status is WorkerStatus.FAILING
        in_a_row = f"{self.failures} failures in a row, the last one" if self.failures > 1 else "the last run failed"
        is_over_budget = is_failing and self.error_kind is ErrorKind.BUDGET
        is_active = self.status is WorkerStatus.ACTIVE
        return Health(
            limit=stale_after(self.max_staleness),
            complete_as_of=min(self.last_success_at or self.since, now),
            has_succeeded=self.last_success_at is not None,
            failure=(self.error if is_over_budget else f"{in_a_row}: {self.error}") if is_failing else None,
            error_kind=self.error_kind,
            failures=self.failures,
            is_retried=not is_over_budget,  # a budget that is spent stays spent until its period ends
            is_starting=self.status is WorkerStatus.STARTING,
            is_standby=self.status is WorkerStatus.STANDBY,
            is_slowed_by_budget=is_active and self.budget is not None,
            next_check_at=self.next_check_at,
            undelivered_changes=self.undelivered_changes if is_active and self.is_webhook_used else 0,
        )
