"""Whether a source is ready: it has a daemon and is fresh; and if not, why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from versionsync.budget import Budget, BudgetStatus
from versionsync.daemon.http.status import reasons
from versionsync.daemon.worker_state import WorkerState, WorkerStatus
from versionsync.status.model import not_ready_reason

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def state(status: WorkerStatus, *, seen: float | None = 0, failures: int = 0, name: str = "website") -> WorkerState:
    """Return a source whose last complete check was `seen` seconds ago."""
    success = None if seen is None else NOW - timedelta(seconds=seen)
    since = NOW - timedelta(days=1)
    return WorkerState(
        name=name,
        max_staleness=60,
        since=since,
        status=status,
        failures=failures,
        error="no answer",
        last_success_at=success,
    )


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (state(WorkerStatus.ACTIVE), None),
        (state(WorkerStatus.ACTIVE, seen=140), None),
        (state(WorkerStatus.ACTIVE, seen=200), "no complete check for 3 minutes, the limit is 2 minutes"),
        (state(WorkerStatus.STANDBY, seen=None), None),
        (state(WorkerStatus.STARTING, seen=None), "first run is not finished yet"),
        (state(WorkerStatus.FAILING, failures=1), None),
        (state(WorkerStatus.FAILING, failures=1, seen=None), "the last run failed: no answer"),
        (state(WorkerStatus.FAILING, failures=1, seen=200), "no complete check for 3 minutes"),
        (state(WorkerStatus.FAILING, failures=2), "2 failures in a row, the last one: no answer"),
    ],
)
def test_a_reason_says_what_is_wrong(found: WorkerState, reason: str | None) -> None:
    """One failure is not enough. A standby is ready."""
    actual = not_ready_reason(found.health(NOW), NOW)
    assert (actual is None) if reason is None else (actual is not None and reason in actual)


def test_a_source_that_its_budget_slows_down_is_ready() -> None:
    """Until the next check is overdue."""
    slow = state(WorkerStatus.ACTIVE, seen=600)
    slow.budget = BudgetStatus(budget=Budget.parse("100/day"), spent=50, shared_by=1, now=NOW)
    slow.next_check_at = NOW + timedelta(seconds=60)
    assert not_ready_reason(slow.health(NOW), NOW) is None
    slow.next_check_at = NOW - timedelta(seconds=60)
    assert not_ready_reason(slow.health(NOW), NOW) is not None


def test_each_source_has_its_line() -> None:
    """Sources that are well have none."""
    found = [
        state(WorkerStatus.ACTIVE, name="one"),
        state(WorkerStatus.STARTING, name="two"),
        state(WorkerStatus.STARTING, name="x"),
    ]
    assert [line.partition(":")[0] for line in reasons({each.name: each for each in found}, NOW)] == ["two", "x"]


def test_a_clock_that_was_set_back_makes_nothing_negative() -> None:
    """A check that succeeded in the future counts as now."""
    assert state(WorkerStatus.ACTIVE, seen=-3600).staleness(NOW) == 0
