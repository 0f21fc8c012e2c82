"""How the webhook of a source does, as the daemon last knew it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from tests.integration.mirror.writing import Desk, at
from versionsync.mirror.tables.webhooks import (
    SILENT_AFTER_CHANGES,
    WebhookRow,
    WebhookUpdate,
    queue_record,
    record_call,
    record_gap,
    save_webhooks,
    webhook_rows,
)


def row_of(desk: Desk) -> WebhookRow:
    """What is known of the source's webhook."""
    with desk.mirror.read() as connection:
        row = webhook_rows(connection, [desk.lease.source_id]).get(desk.lease.source_id)
    assert row is not None
    return row


def say(
    desk: Desk, *, receives: bool = True, log: str = "absent", read_at: datetime | None = None, undelivered: int = 0
) -> None:
    """The daemon says how the webhook does."""
    news = WebhookUpdate(receives=receives, log_state=log, log_read_at=read_at, undelivered_changes=undelivered)
    with desk.mirror.write() as tx:
        save_webhooks(tx, {desk.lease.source_id: news})


def test_without_a_daemon_nothing_is_known(desk: Desk) -> None:
    """Not even that it is absent."""
    with desk.mirror.read() as connection:
        assert webhook_rows(connection, [desk.lease.source_id]) == {}


def test_what_the_daemon_says_replaces_what_it_said(desk: Desk) -> None:
    """But when the log was last read stays, where it does not say so again."""
    say(desk, log="active", read_at=at(5), undelivered=2)
    say(desk, receives=False, log="refused", undelivered=1)
    row = row_of(desk)
    assert (row.receives, row.log_state, row.log_read_at, row.undelivered_changes) == (False, "refused", at(5), 1)


def test_a_call_ends_the_count_of_changes_that_none_told(desk: Desk) -> None:
    """It is the proof that the webhook works."""
    say(desk, undelivered=4)
    with desk.mirror.write() as tx:
        record_call(tx, desk.lease.source_id, at=at(7))
    assert (row_of(desk).undelivered_changes, row_of(desk).last_call_at) == (0, at(7))


def test_gaps_are_counted_and_the_last_one_is_dated(desk: Desk) -> None:
    """They never become fewer."""
    for second in (3, 8):
        with desk.mirror.write() as tx:
            record_gap(tx, desk.lease.source_id, at=at(second))
    assert (row_of(desk).log_gaps, row_of(desk).last_gap_at) == (2, at(8))


def test_the_hints_that_wait_are_counted(desk: Desk) -> None:
    """Each, whichever record it is about."""
    say(desk)
    with desk.mirror.write() as tx:
        for event_type in ("update", "publish"):
            queue_record(tx, desk.lease.source_id, "a", event_type=event_type, received_at=at(1))
    assert row_of(desk).waiting == 2


@pytest.mark.parametrize(
    ("receives", "log", "is_used"),
    [(True, "absent", True), (False, "active", True), (True, "active", True), (False, "absent", False)],
)
def test_a_webhook_is_used_that_is_received_or_whose_log_is_read(
    desk: Desk, receives: bool, log: str, is_used: bool
) -> None:
    """Only such a one can fall silent."""
    say(desk, receives=receives, log=log, undelivered=SILENT_AFTER_CHANGES)
    row = row_of(desk)
    assert (row.is_used, row.is_silent) == (is_used, is_used)
    assert not replace(row, undelivered_changes=SILENT_AFTER_CHANGES - 1).is_silent
