"""Whether all is as it should be, and if not, why: for whoever watches over the daemon. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from versionsync.daemon.state import SourceState, Stance
from versionsync.sync.error_kinds import ErrorKind

__all__ = ["attention_of", "is_stale", "reason_of", "reasons", "stale_after"]

SLACK_SECONDS: Final = 30.0
FAILURES: Final = 2
"""One failure passes by itself more often than not; from the second in a row on it is told."""


def reasons(states: Iterable[SourceState], now: datetime) -> list[str]:
    """What keeps the daemon from being ready, a line a source; none: nothing."""
    return [f"{state.name}: {reason}" for state in states if (reason := reason_of(state, now))]


def stale_after(max_staleness: float) -> float:
    """Seconds after which a source is not fresh any more that may be `max_staleness` old: one look may be missed."""
    return 2 * max_staleness + SLACK_SECONDS


def reason_of(state: SourceState, now: datetime) -> str | None:
    """What is not as it should be with one source; None: nothing. One that another process follows is fine."""
    match state.stance:
        case Stance.STANDBY:
            return None
        case Stance.FAILING if state.trouble is ErrorKind.BUDGET:
            return state.error
        case Stance.FAILING if state.failures >= FAILURES:
            return f"{state.failures} failures in a row, the last one: {state.error}"
        case Stance.FAILING if state.last_success_at is None:
            return f"its first run failed: {state.error}"
        case Stance.STARTING:
            return "its first run is not done yet"
        case _ if is_stale(state, now):
            seconds = state.staleness(now)
            return f"it was last seen whole {seconds:.0f} s ago, and may be {state.max_staleness:.0f} s old"
        case _:
            return None


def attention_of(state: SourceState, now: datetime) -> str | None:
    """What somebody should look at; None: nothing. Besides what is not as it should be, what costs its speed alone."""
    if reason := reason_of(state, now):
        return reason
    if state.stance is Stance.FOLLOWING and state.is_webhook_silent:
        return f"its webhook tells nothing any more: {state.untold} looks in a row found changes that no call had told"
    return None


def is_stale(state: SourceState, now: datetime) -> bool:
    """Whether it was not seen whole for too long, and not because a budget makes it wait: then the next look is due."""
    if state.stance is Stance.STARTING or state.staleness(now) <= stale_after(state.max_staleness):
        return False
    due = state.next_look_at
    return state.stance is Stance.FAILING or due is None or (now - due).total_seconds() > SLACK_SECONDS
