"""A notice says which source, what, since when, what to do, and which machine says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from versionsync.daemon.notifications.rules import NotificationKind
from versionsync.daemon.notifications.text import notification_for, test_notification
from versionsync.daemon.state import WorkerState, WorkerStatus
from versionsync.errors import ErrorKind

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def failing(trouble: ErrorKind | None = ErrorKind.REFUSED) -> WorkerState:
    """A source that fails for the third time, and was well a quarter of an hour ago."""
    return WorkerState(
        name="website",
        max_staleness=60,
        since=NOW - timedelta(days=1),
        status=WorkerStatus.FAILING,
        error_kind=trouble,
        error="the API token is wrong",
        failures=3,
        last_success_at=NOW - timedelta(minutes=15),
    )


def test_a_notice_says_all_that_somebody_wants_to_know() -> None:
    notice = notification_for([(NotificationKind.FAILING, failing())], now=NOW, host="mirror1")
    assert notice.title == "versionsync: website: failing (3 in a row)"
    assert notice.body.splitlines() == [
        "The API token is wrong.",
        "The last look at website that succeeded was 15 minutes ago (2026-11-01 11:45:00 UTC).",
        "What to do: Somebody has to mend the token, its role or the environment: `versionsync doctor` says which. "
        "A token that is exchanged in its file is used by itself.",
        "mirror1, 2026-11-01 12:00:00 UTC",
    ]


@pytest.mark.parametrize("trouble", ErrorKind)
def test_there_is_something_to_do_about_every_trouble(trouble: ErrorKind) -> None:
    assert (
        "What to do: " in notification_for([(NotificationKind.FAILING, failing(trouble))], now=NOW, host="mirror1").body
    )


def test_a_source_that_never_was_well_says_so() -> None:
    state = failing()
    state.last_success_at = None
    body = notification_for([(NotificationKind.STALE, state)], now=NOW, host="mirror1").body
    assert "No look at website has succeeded since the start 24 hours ago" in body


def test_a_recovery_names_the_time_as_of_which_all_is_there() -> None:
    notice = notification_for([(NotificationKind.RECOVERED, failing())], now=NOW, host="mirror1")
    assert notice.title == "versionsync: website: well again"
    assert "as of 2026-11-01 11:45:00 UTC" in notice.body
    assert "token" not in notice.body


def test_the_last_notice_of_an_hour_says_so() -> None:
    assert (
        "has to wait"
        in notification_for([(NotificationKind.FAILING, failing())], now=NOW, host="mirror1", is_last=True).body
    )


def test_a_trial_says_that_nothing_is_wrong() -> None:
    assert "Nothing is wrong" in test_notification(host="mirror1", now=NOW).body


def test_what_ails_several_sources_is_one_notice() -> None:
    """Its title names them by what is told, its body has a part for each."""
    shop, blog = failing(), failing()
    shop.name, blog.name = "shop", "blog"
    due = [(NotificationKind.RECOVERED, blog), (NotificationKind.FAILING, failing()), (NotificationKind.FAILING, shop)]
    notice = notification_for(due, now=NOW, host="mirror1")
    assert notice.kind is NotificationKind.FAILING
    assert notice.title == "versionsync: well again: blog; failing: website, shop"
    parts = notice.body.split("\n\n")
    assert [part.partition(":")[0] for part in parts[:3]] == ["blog", "website", "shop"]
    assert parts[3] == "mirror1, 2026-11-01 12:00:00 UTC"
