"""What the daemon says of itself, as plain values. No content of any project is in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from versionsync import __version__
from versionsync.daemon.readiness import problem_of, reasons
from versionsync.daemon.state import WorkerState

__all__ = ["PROGRAM", "identity", "status"]

PROGRAM: Final = "versionsync"


def identity() -> dict[str, Any]:
    """By which this program is known to another one that finds its port taken."""
    return {"program": PROGRAM, "version": __version__, "pid": os.getpid()}


def status(
    states: Mapping[str, WorkerState], *, started_at: datetime, now: datetime, redact: Callable[[str], str]
) -> dict[str, Any]:
    """Everything that is known, as plain values."""
    return {
        **identity(),
        "at": now,
        "started_at": started_at,
        "ready": not reasons(states.values(), now),
        "sources": [_source(state, now, redact) for state in states.values()],
    }


def _source(state: WorkerState, now: datetime, redact: Callable[[str], str]) -> dict[str, Any]:
    reason = problem_of(state, now)
    progress = state.progress
    return {
        "source": state.name,
        "state": state.status.value,
        "attention": None if reason is None else redact(reason),
        "error_kind": None if state.error_kind is None else state.error_kind.value,
        "error": None if state.error is None else redact(state.error),
        "failures": state.failures,
        "daemon": state.other_holder,
        "staleness_seconds": round(state.staleness(now), 1),
        "max_staleness_seconds": state.max_staleness,
        "last_success_at": state.last_success_at,
        "last_change_at": state.last_change_at,
        "unexplained_change_since": state.unexplained_change_since,
        "last_run_at": state.last_run_at,
        "last_run_seconds": None if state.last_run_seconds is None else round(state.last_run_seconds, 3),
        "next_check_at": state.next_check_at,
        "next_check_reason": state.next_check_reason,
        "run": None
        if progress is None
        else {
            "started_at": state.started_at,
            "phase": progress.phase,
            "records_total": progress.records_total,
            "records_planned": progress.records_planned,
            "counts": asdict(progress.counts),
        },
        "budget": None
        if state.budget is None
        else {
            "budget": str(state.budget.budget),
            "spent": state.budget.spent,
            "left": state.budget.left,
            "forecast": state.budget.forecast,
            "ends_at": state.budget.ends_at,
        },
        "webhooks": {
            "receiver_enabled": state.receiver_enabled,
            "last_call_at": state.last_call_at,
            "queued_records": state.queued_records,
            "undelivered_changes": state.undelivered_changes,
            "is_silent": state.is_webhook_silent,
            "log_state": state.webhook_log.value,
            "log_read_at": state.log_read_at,
            "log_gaps": state.log_gaps,
            "last_gap_at": state.last_gap_at,
            "log_polls": {reading.value: number for reading, number in state.log_polls.items()},
            "calls": {heard.value: number for heard, number in state.webhook_results.items()},
        },
        "runs": {outcome.value: number for outcome, number in state.runs.items()},
        "total": asdict(state.total),
    }
