"""The state of the daemon and its sources as plain values, for `/status`. It holds no content of any project."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from versionsync import __version__
from versionsync.daemon.worker_state import WorkerState
from versionsync.status.as_json import activity_fields, budget_fields
from versionsync.status.model import not_ready_reason, problems
from versionsync.status.snapshot import Activity

__all__ = ["PROGRAM", "identity", "reasons", "status"]

PROGRAM: Final = "versionsync"
_NO_ACTIVITY: Final[Mapping[str, Any]] = {"counts": None, "last_runs": [], "last_changes": []}


def identity() -> dict[str, Any]:
    """Return how this program identifies itself to another one that finds its port taken."""
    return {"program": PROGRAM, "version": __version__, "pid": os.getpid()}


def reasons(states: Mapping[str, WorkerState], now: datetime) -> list[str]:
    """Return what keeps the daemon from being ready, one line per source."""
    found = {name: not_ready_reason(state.health(now), now) for name, state in states.items()}
    return [f"{name}: {reason}" for name, reason in found.items() if reason is not None]


def status(
    states: Mapping[str, WorkerState],
    *,
    started_at: datetime,
    now: datetime,
    redact: Callable[[str], str],
    activity: Mapping[str, Activity] | None = None,
) -> dict[str, Any]:
    """Return everything that is known.

    Args:
        states: The state of each source.
        started_at: When the daemon started.
        now: The time.
        redact: Masks secrets in errors.
        activity: What the database has of each source.
    """
    return {
        **identity(),
        "at": now,
        "started_at": started_at,
        "ready": not reasons(states, now),
        "sources": [_source(state, now, redact, (activity or {}).get(name)) for name, state in states.items()],
    }


def _source(
    state: WorkerState, now: datetime, redact: Callable[[str], str], activity: Activity | None
) -> dict[str, Any]:
    problem = next(problems(state.health(now), now), None)
    budget = budget_fields(state.budget)
    return {
        "source": state.name,
        "state": state.status.value,
        "attention": None if problem is None else redact(problem.text),
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
        "run": _run(state),
        "budget": None if budget is None else budget | {"budget": str(state.budget and state.budget.budget)},
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
            "log_polls": {outcome.value: number for outcome, number in state.log_polls.items()},
            "calls": {result.value: number for result, number in state.webhook_results.items()},
        },
        "runs": {outcome.value: number for outcome, number in state.runs.items()},
        "total": asdict(state.total),
        **(_NO_ACTIVITY if activity is None else activity_fields(activity, redact)),
    }


def _run(state: WorkerState) -> dict[str, Any] | None:
    if (progress := state.progress) is None:
        return None
    return {
        "started_at": state.started_at,
        "phase": progress.phase,
        "records_total": progress.records_total,
        "records_planned": progress.records_planned,
        "counts": asdict(progress.counts),
    }
