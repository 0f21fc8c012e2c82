"""How far the log of a webhook was read is kept, for each source."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.integration.mirror.writing import Desk, at
from versionsync.mirror.errors import MirrorError
from versionsync.mirror.tables.webhooks import LogCursor, LoggedCall, log_cursor, save_cursor


def test_a_log_that_was_never_read_has_no_end(desk: Desk) -> None:
    """Nobody knows yet what is in it."""
    with desk.mirror.read() as connection:
        assert log_cursor(connection, desk.lease.source_id) is None


def test_the_last_word_holds(desk: Desk) -> None:
    """An empty log, its first call, another webhook."""
    source_id = desk.lease.source_id
    for reading in (
        LogCursor(webhook_id="4", read_at=at(0), last=None),
        LogCursor(webhook_id="4", read_at=at(9), last=LoggedCall("100", at(8))),
        LogCursor(webhook_id="5", read_at=at(10), last=None),
    ):
        with desk.mirror.write() as tx:
            save_cursor(tx, source_id, reading)
        with desk.mirror.read() as connection:
            assert log_cursor(connection, source_id) == reading


def test_a_call_without_its_time_is_refused(desk: Desk) -> None:
    """By the database itself."""
    with desk.mirror.write() as tx:
        save_cursor(tx, desk.lease.source_id, LogCursor(webhook_id="4", read_at=at(0), last=None))
    with pytest.raises((MirrorError, DBAPIError)), desk.mirror.write() as tx:
        tx.execute(text("UPDATE webhook_log_cursors SET last_call_id = 'x'"))
