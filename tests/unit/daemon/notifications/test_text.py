"""A notification has the source, the problem, since when, what to do, and the machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from versionsync.daemon.notifications.rules import NotificationKind
from versionsync.daemon.notifications.text import notification_for
from versionsync.daemon.notifications.text import test_notification as a_test
from versionsync.daemon.worker_state import WorkerState, WorkerStatus
from versionsync.errors import ErrorKind

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def failing(kind: ErrorKind | None = ErrorKind.REFUSED) -> WorkerState:
    """Return a source that failed three times, and was well a quarter of an hour ago."""
    return WorkerState(
        name="website",
        max_staleness=60,
        since=NOW - timedelta(days=1),
        status=WorkerStatus.FAILING,
        error_kind=kind,
        error="the API token is wrong",
        failures=3,
        last_success_at=NOW - timedelta(minutes=15),
    )


def test_a_notification_has_everything_a_person_needs() -> None:
    notification = notification_for([(NotificationKind.FAILING, failing())], now=NOW, host="mirror1")
    assert notification.title == "versionsync: website: failing (3 in a row)"
    assert notification.body.splitlines() == [
        "The API token is wrong.",
        "The last successful check of website was 15 minutes ago (2026-11-01 11:45:00 UTC).",
        "What to do: Fix the token, its role or the environment: `versionsync doctor` shows which. A new token in the "
        "token file is used without a restart.",
        "mirror1, 2026-11-01 12:00:00 UTC",
    ]


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_of_error_has_advice(kind: ErrorKind) -> None:
    assert "What to do: " in notification_for([(NotificationKind.FAILING, failing(kind))], now=NOW, host="mirror1").body


def test_a_source_that_was_never_well_is_described_so() -> None:
    state = failing()
    state.last_success_at = None
    body = notification_for([(NotificationKind.STALE, state)], now=NOW, host="mirror1").body
    assert "No check of website has succeeded since the start 24 hours ago" in body


def test_a_recovery_has_the_time_of_the_complete_check() -> None:
    notification = notification_for([(NotificationKind.RECOVERED, failing())], now=NOW, host="mirror1")
    assert notification.title == "versionsync: website: recovered"
    assert "as of 2026-11-01 11:45:00 UTC" in notification.body
    assert "token" not in notification.body


def test_the_last_notification_of_an_hour_announces_the_pause() -> None:
    assert (
        "has to wait"
        in notification_for([(NotificationKind.FAILING, failing())], now=NOW, host="mirror1", is_last=True).body
    )


def test_a_test_says_that_nothing_is_wrong() -> None:
    assert "Nothing is wrong" in a_test(host="mirror1", now=NOW).body


def test_a_problem_of_several_sources_is_one_notification() -> None:
    """Its title groups them by problem, its body has a part for each."""
    shop, blog = failing(), failing()
    shop.name, blog.name = "shop", "blog"
    due = [(NotificationKind.RECOVERED, blog), (NotificationKind.FAILING, failing()), (NotificationKind.FAILING, shop)]
    notification = notification_for(due, now=NOW, host="mirror1")
    assert notification.kind is NotificationKind.FAILING
    assert notification.title == "versionsync: recovered: blog; failing: website, shop"
    parts = notification.body.split("\n\n")
    assert [part.partition(":")[0] for part in parts[:3]] == ["blog", "website", "shop"]
    assert parts[3] == "mirror1, 2026-11-01 12:00:00 UTC"
