"""One run of a source in the daemon, and what its report means for the next one."""

from __future__ import annotations

import logging
import time
from collections.abc import Set
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from structlog.typing import FilteringBoundLogger

from versionsync.daemon.request_meter import RequestMeter
from versionsync.daemon.worker_state import SourceConfig, WorkerState
from versionsync.errors import ErrorKind, kind_of
from versionsync.mirror.database import Mirror
from versionsync.status.model import FAILURES_BEFORE_ALERT
from versionsync.sync import sync_source
from versionsync.sync.options import SyncOptions
from versionsync.sync.report import Outcome, Progress, RunReport
from versionsync.sync.run_limits import Limits
from versionsync.sync.stage_results import kind_of_error

__all__ = ["Runner", "error_kind_of", "has_changes", "has_remaining_work", "is_lease_held", "log_level", "reason_of"]

TRANSIENT: Final = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.STALLED, ErrorKind.DATABASE, ErrorKind.PARTIAL})
"""These usually pass by themselves: they need attention only when they happen twice in a row."""


class Runner:
    """The runs of one source.

    Attributes:
        stall_seconds: A run is ended when nothing moves for this long.
        records: How many records the last run saw upstream; None: it did not look.
    """

    def __init__(
        self,
        mirror: Mirror,
        state: WorkerState,
        meter: RequestMeter,
        *,
        log: FilteringBoundLogger,
        stall_seconds: float,
        limits: Limits,
    ) -> None:
        self.stall_seconds = stall_seconds
        self.records: int | None = None
        self._mirror = mirror
        self._state = state
        self._meter = meter
        self._log = log
        self._limits = limits

    async def run(self, source: SourceConfig, options: SyncOptions) -> RunReport:
        """Sync the source within the deadline and the budget. Errors are in the report."""
        state, spec = self._state, source.spec
        max_requests = None
        if state.budget is not None:
            max_requests = state.budget.per_run
            spec = replace(spec, unexplained=spec.unexplained.at_most(state.budget.change_requests_per_hour))
        options = replace(options, stall_seconds=self.stall_seconds, max_requests=max_requests)
        state.progress, state.started_at = Progress(source=spec.name), datetime.now(UTC)
        began = time.monotonic()
        try:
            async with source.open_client() as client:
                state.usage = client.usage
                self._meter.begin(client)
                report = await sync_source(
                    self._mirror,
                    client,
                    spec,
                    options,
                    progress=state.progress,
                    log=self._log,
                    limits=self._limits,
                )
        except Exception as error:  # an error of one source must not stop another one
            report = RunReport.failed(spec.name, error, state.progress.counts)
        finally:
            self.records = state.progress.records_total
            state.last_run_seconds = time.monotonic() - began
        state.last_run_at = state.started_at
        state.finish_run(report)
        self._meter.end()
        if not is_lease_held(report.error):
            state.runs[report.outcome] += 1
            if (kind := error_kind_of(report)) is not None:
                state.failures_by_kind[kind] += 1
            state.run_seconds.observe(state.last_run_seconds)
        return report


def is_lease_held(error: BaseException | None) -> bool:
    """Return whether another process writes to the source: no failure, but a reason to come back."""
    return error is not None and kind_of(error) is ErrorKind.LOCKED


def has_changes(report: RunReport) -> bool:
    """Return whether upstream had changed since the last check."""
    counts = report.counts
    return bool(counts.versions_inserted or counts.versions_changed or counts.events_written)


def has_remaining_work(report: RunReport) -> Set[str] | None:
    """Return the records that exist and could not be mirrored; None: it may be any."""
    if report.error is not None or (report.outcome is not Outcome.SUCCEEDED and not report.failures):
        return None
    return {failure.record_id for failure in report.failures if not failure.is_unknown}


def error_kind_of(report: RunReport) -> ErrorKind | None:
    """Return what went wrong with a run; None: nothing."""
    return kind_of_error(report.outcome, report.error)


def reason_of(report: RunReport) -> str:
    """Return in one line why a run did not do all that it should."""
    if report.error is not None:
        return " ".join(str(report.error).split()) or type(report.error).__name__
    if report.failures:
        first = report.failures[0]
        return f"{len(report.failures)} records were not mirrored, the first is {first.record_id}: {first.reason}"
    return "; ".join(report.notes) or "it did not see every record"


def log_level(kind: ErrorKind, *, previous: ErrorKind | None, failures: int) -> int:
    """Return the log level of a failure: each kind in a row is a warning once, or not at all.

    `previous` is the kind of the failure before it, and `failures` the number in a row.
    """
    is_transient = kind in TRANSIENT
    if kind is previous and not (is_transient and failures == FAILURES_BEFORE_ALERT):
        return logging.DEBUG
    return logging.INFO if is_transient and failures < FAILURES_BEFORE_ALERT else logging.WARNING
