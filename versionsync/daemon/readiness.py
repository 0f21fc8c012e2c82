"""Whether all is as it should be, and if not, why: for whoever watches over the daemon. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from versionsync.daemon.state import WorkerState, WorkerStatus
from versionsync.errors import ErrorKind

__all__ = ["is_stale", "not_ready_reason", "problem_of", "reasons", "stale_after"]

SLACK_SECONDS: Final = 30.0
FAILURES: Final = 2
"""One failure passes by itself more often than not; from the second in a row on it is told."""


def reasons(states: Iterable[WorkerState], now: datetime) -> list[str]:
    """What keeps the daemon from being ready, a line a source; none: nothing."""
    return [f"{state.name}: {reason}" for state in states if (reason := not_ready_reason(state, now))]


def stale_after(max_staleness: float) -> float:
    """Seconds after which a source is not fresh any more that may be `max_staleness` old: one look may be missed."""
    return 2 * max_staleness + SLACK_SECONDS


def not_ready_reason(state: WorkerState, now: datetime) -> str | None:
    """What is not as it should be with one source; None: nothing. One that another process follows is fine."""
    match state.status:
        case WorkerStatus.STANDBY:
            return None
        case WorkerStatus.FAILING if state.error_kind is ErrorKind.BUDGET:
            return state.error
        case WorkerStatus.FAILING if state.failures >= FAILURES:
            return f"{state.failures} failures in a row, the last one: {state.error}"
        case WorkerStatus.FAILING if state.last_success_at is None:
            return f"its first run failed: {state.error}"
        case WorkerStatus.STARTING:
            return "its first run is not done yet"
        case _ if is_stale(state, now):
            seconds = state.staleness(now)
            return f"it was last seen whole {seconds:.0f} s ago, and may be {state.max_staleness:.0f} s old"
        case _:
            return None


def problem_of(state: WorkerState, now: datetime) -> str | None:
    """What somebody should look at; None: nothing. Besides what is not as it should be, what costs its speed alone."""
    if reason := not_ready_reason(state, now):
        return reason
    if state.status is WorkerStatus.ACTIVE and state.is_webhook_silent:
        return (
            f"its webhook no longer reports changes: {state.undelivered_changes} checks in a row found changes "
            "that no call had reported"
        )
    return None


def is_stale(state: WorkerState, now: datetime) -> bool:
    """Whether it was not seen whole for too long, and not because a budget makes it wait: then the next look is due."""
    if state.status is WorkerStatus.STARTING or state.staleness(now) <= stale_after(state.max_staleness):
        return False
    due = state.next_check_at
    return state.status is WorkerStatus.FAILING or due is None or (now - due).total_seconds() > SLACK_SECONDS
