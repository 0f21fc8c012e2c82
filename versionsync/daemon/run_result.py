"""What came of a run, as far as it matters for the next one."""

from __future__ import annotations

import logging
from collections.abc import Set
from typing import Final

from versionsync.daemon.readiness import FAILURES
from versionsync.errors import ErrorKind, kind_of
from versionsync.sync.report import Outcome, RunReport
from versionsync.sync.result import kind_of_error

__all__ = ["error_kind_of", "has_changes", "has_remaining_work", "is_lease_held", "log_level", "reason_of"]

TRANSIENT: Final = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.STALLED, ErrorKind.DATABASE, ErrorKind.PARTIAL})
"""What passes by itself more often than not: nobody need be called before it has happened twice in a row."""


def is_lease_held(error: BaseException | None) -> bool:
    """Whether another process writes to the source: no trouble, but a reason to come back."""
    return error is not None and kind_of(error) is ErrorKind.LOCKED


def has_changes(report: RunReport) -> bool:
    """Whether upstream had changed since the last look."""
    counts = report.counts
    return bool(counts.versions_inserted or counts.versions_changed or counts.events_written)


def has_remaining_work(report: RunReport) -> Set[str] | None:
    """The records that a run could not mirror though they are there; None: it may have been any."""
    if report.error is not None or (report.outcome is not Outcome.SUCCEEDED and not report.failures):
        return None
    return {failure.record_id for failure in report.failures if not failure.is_unknown}


def error_kind_of(report: RunReport) -> ErrorKind | None:
    """What was wrong with a run; None: nothing."""
    return kind_of_error(report.outcome, report.error)


def reason_of(report: RunReport) -> str:
    """Why a run did not do all that it should, in one line."""
    if report.error is not None:
        return " ".join(str(report.error).split()) or type(report.error).__name__
    if report.failures:
        first = report.failures[0]
        return f"{len(report.failures)} records were not mirrored, the first is {first.record_id}: {first.reason}"
    return "; ".join(report.notes) or "it did not see every record"


def log_level(trouble: ErrorKind, *, said: ErrorKind | None, failures: int) -> int:
    """At which level the log tells a failure, after `said` and as that many in a row: a warning once, if at all."""
    passes = trouble in TRANSIENT
    if trouble is said and not (passes and failures == FAILURES):
        return logging.DEBUG
    return logging.INFO if passes and failures < FAILURES else logging.WARNING
