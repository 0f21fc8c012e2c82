"""Ready: every source is followed by somebody, and fresh; and if not, in one line why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from versionsync.daemon.readiness import not_ready_reason, reasons
from versionsync.daemon.state import WorkerState, WorkerStatus

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def state(stance: WorkerStatus, *, seen: float | None = 0, failures: int = 0, name: str = "website") -> WorkerState:
    """A source that was last seen whole so many seconds ago."""
    success = None if seen is None else NOW - timedelta(seconds=seen)
    since = NOW - timedelta(days=1)
    return WorkerState(
        name=name,
        max_staleness=60,
        since=since,
        status=stance,
        failures=failures,
        error="no answer",
        last_success_at=success,
    )


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (state(WorkerStatus.ACTIVE), None),
        (state(WorkerStatus.ACTIVE, seen=140), None),
        (state(WorkerStatus.ACTIVE, seen=200), "last seen whole 200 s ago, and may be 60 s old"),
        (state(WorkerStatus.STANDBY, seen=None), None),
        (state(WorkerStatus.STARTING, seen=None), "first run is not done yet"),
        (state(WorkerStatus.FAILING, failures=1), None),
        (state(WorkerStatus.FAILING, failures=1, seen=None), "its first run failed: no answer"),
        (state(WorkerStatus.FAILING, failures=1, seen=200), "last seen whole 200 s ago"),
        (state(WorkerStatus.FAILING, failures=2), "2 failures in a row, the last one: no answer"),
    ],
)
def test_a_reason_says_what_is_wrong(found: WorkerState, says: str | None) -> None:
    """One failure is none yet; standing by is as good as following."""
    reason = not_ready_reason(found, NOW)
    assert (reason is None) if says is None else (reason is not None and says in reason)


def test_a_source_that_its_budget_slows_down_is_ready() -> None:
    """Until the look that it has announced is overdue."""
    slow = state(WorkerStatus.ACTIVE, seen=600)
    slow.next_check_at = NOW + timedelta(seconds=60)
    assert not_ready_reason(slow, NOW) is None
    slow.next_check_at = NOW - timedelta(seconds=60)
    assert not_ready_reason(slow, NOW) is not None


def test_each_source_has_its_line() -> None:
    """Those that are well have none."""
    found = [
        state(WorkerStatus.ACTIVE, name="one"),
        state(WorkerStatus.STARTING, name="two"),
        state(WorkerStatus.STARTING, name="x"),
    ]
    assert [line.partition(":")[0] for line in reasons(found, NOW)] == ["two", "x"]


def test_a_clock_that_was_set_back_makes_nothing_negative() -> None:
    """A look that succeeded in the future was now."""
    assert state(WorkerStatus.ACTIVE, seen=-3600).staleness(NOW) == 0
