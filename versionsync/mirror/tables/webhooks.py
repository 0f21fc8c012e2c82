"""How the webhook of a source does: when it last told something, how its log is read, what it left untold."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update

from versionsync.mirror.engine.bulk import insert_ignore
from versionsync.mirror.schema import webhook_log_cursors, webhook_queue, webhooks

__all__ = [
    "SILENT_AFTER_CHANGES",
    "LogCursor",
    "LoggedCall",
    "QueuedRecords",
    "WebhookRow",
    "WebhookUpdate",
    "delete_queued",
    "invalidate_cursor",
    "is_pending",
    "log_cursor",
    "queue_record",
    "queued_records",
    "record_call",
    "record_gap",
    "save_cursor",
    "save_webhook",
    "webhook_row",
]


@dataclass(frozen=True, slots=True)
class QueuedRecords:
    """Records that may have changed, each once, and up to which hint that is so."""

    record_ids: Sequence[str]
    last_id: int


def queue_record(tx: Connection, source_id: int, record_id: str, *, event_type: str, received_at: datetime) -> None:
    """Keep a hint."""
    tx.execute(
        insert(webhook_queue).values(
            source_id=source_id, record_id=record_id, event_type=event_type, received_at=received_at
        )
    )


def is_pending(connection: Connection, source_id: int, record_id: str, *, event_type: str) -> bool:
    """Whether the same hint is kept already."""
    same = select(webhook_queue.c.id).where(
        webhook_queue.c.source_id == source_id,
        webhook_queue.c.record_id == record_id,
        webhook_queue.c.event_type == event_type,
    )
    return connection.execute(same.limit(1)).first() is not None


def queued_records(connection: Connection, source_id: int, *, limit: int) -> QueuedRecords | None:
    """The oldest `limit` hints of a source; None: there are none."""
    rows = connection.execute(
        select(webhook_queue.c.id, webhook_queue.c.record_id)
        .where(webhook_queue.c.source_id == source_id)
        .order_by(webhook_queue.c.id)
        .limit(limit)
    ).all()
    return QueuedRecords(tuple(dict.fromkeys(row.record_id for row in rows)), rows[-1].id) if rows else None


def delete_queued(tx: Connection, source_id: int, *, up_to: int, besides: Set[str] = frozenset()) -> None:
    """A run has mirrored all that these hinted at, but for the records `besides`."""
    tx.execute(
        delete(webhook_queue).where(
            webhook_queue.c.source_id == source_id,
            webhook_queue.c.id <= up_to,
            webhook_queue.c.record_id.not_in(sorted(besides)),
        )
    )


INVALID_CURSOR: Final = ""


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """A call of the log, and when upstream made it, by its own clock."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCursor:
    """A reading of a webhook's log, at `read_at` by upstream's clock. `last` None: the log was empty."""

    webhook_id: str
    read_at: datetime
    last: LoggedCall | None

    @property
    def is_invalid(self) -> bool:
        """Whether it is no reading, but says since when the webhook may be another one."""
        return self.webhook_id == INVALID_CURSOR


def log_cursor(connection: Connection, source_id: int) -> LogCursor | None:
    """How far the log of a source's webhook was read; None: never."""
    row = connection.execute(
        select(webhook_log_cursors).where(webhook_log_cursors.c.source_id == source_id)
    ).one_or_none()
    if row is None:
        return None
    last = None
    if row.last_call_id is not None and row.last_call_at is not None:
        last = LoggedCall(row.last_call_id, row.last_call_at)
    return LogCursor(webhook_id=row.webhook_id, read_at=row.read_at, last=last)


def invalidate_cursor(tx: Connection, source_id: int, *, at: datetime) -> None:
    """Somebody has made, mended or removed the source's webhook: whoever reads its log looks for it again."""
    save_cursor(tx, source_id, LogCursor(webhook_id=INVALID_CURSOR, read_at=at, last=None))


def save_cursor(tx: Connection, source_id: int, reading: LogCursor) -> None:
    """Note how far it was read, together with what that told."""
    values = {
        "webhook_id": reading.webhook_id,
        "read_at": reading.read_at,
        "last_call_id": reading.last.id if reading.last else None,
        "last_call_at": reading.last.at if reading.last else None,
    }
    tx.execute(insert_ignore(webhook_log_cursors, tx.dialect.name).values(source_id=source_id, **values))
    tx.execute(update(webhook_log_cursors).where(webhook_log_cursors.c.source_id == source_id).values(**values))


SILENT_AFTER_CHANGES = 3
"""So many looks in a row must find what no call had told, before a webhook counts as one that stopped telling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookUpdate:
    """What a daemon says of a source's webhook now and then; `log_read_at` None: it has not read the log."""

    receives: bool
    log_state: str
    log_read_at: datetime | None
    undelivered_changes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRow:
    """As the daemon that follows the source last knew it; `waiting` is how many hints no run has looked at yet.

    `log_state` is one of unknown, absent, refused, active. `undelivered_changes` counts checks in a row that found
    changes which no call had reported.
    """

    receives: bool
    last_call_at: datetime | None
    log_state: str
    log_read_at: datetime | None
    log_gaps: int
    last_gap_at: datetime | None
    undelivered_changes: int
    waiting: int

    @property
    def is_used(self) -> bool:
        """Whether it should tell what changes: its calls are received, or their log is read."""
        return self.receives or self.log_state == "active"

    @property
    def is_silent(self) -> bool:
        """Whether it should tell what changes, and does no longer."""
        return self.is_used and self.undelivered_changes >= SILENT_AFTER_CHANGES


def webhook_row(connection: Connection, source_id: int) -> WebhookRow | None:
    """How the webhook of a source does; None: no daemon has followed it yet."""
    row = connection.execute(select(webhooks).where(webhooks.c.source_id == source_id)).one_or_none()
    if row is None:
        return None
    waiting = connection.scalar(
        select(func.count()).select_from(webhook_queue).where(webhook_queue.c.source_id == source_id)
    )
    return WebhookRow(
        receives=row.receives,
        last_call_at=row.last_call_at,
        log_state=row.log_state,
        log_read_at=row.log_read_at,
        log_gaps=row.log_gaps,
        last_gap_at=row.last_gap_at,
        undelivered_changes=row.undelivered_changes,
        waiting=waiting or 0,
    )


def record_call(tx: Connection, source_id: int, *, at: datetime) -> None:
    """A call told of a change: it was received, or found in the log."""
    _save(tx, source_id, last_call_at=at, undelivered_changes=0)


def record_gap(tx: Connection, source_id: int, *, at: datetime) -> None:
    """A reading of the log could not prove that no call was missed."""
    _save(tx, source_id, log_gaps=webhooks.c.log_gaps + 1, last_gap_at=at)


def save_webhook(tx: Connection, source_id: int, news: WebhookUpdate) -> None:
    """What the daemon that follows the source knows."""
    read = {} if news.log_read_at is None else {"log_read_at": news.log_read_at}
    _save(
        tx,
        source_id,
        receives=news.receives,
        log_state=news.log_state,
        undelivered_changes=news.undelivered_changes,
        **read,
    )


def _save(tx: Connection, source_id: int, **values: Any) -> None:
    tx.execute(insert_ignore(webhooks, tx.dialect.name).values(source_id=source_id))
    tx.execute(update(webhooks).where(webhooks.c.source_id == source_id).values(values))
