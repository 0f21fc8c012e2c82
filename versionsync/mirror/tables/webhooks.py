"""What is known of a source's webhook: the queue of its calls, how far its log was read, and how well it delivers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from versionsync.mirror.engine.bulk import among, field_names
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import webhook_log_cursors, webhook_queue, webhooks

__all__ = [
    "INVALID_CURSOR",
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
    "save_webhooks",
    "webhook_rows",
]


@dataclass(frozen=True, slots=True)
class QueuedRecords:
    """What queued calls name.

    Attributes:
        record_ids: The records that may have changed, each once.
        last_id: The id of the last queued call that is included.
        needs_check: Whether more may have changed than the records: a call named none, or there were too many calls.
    """

    record_ids: Sequence[str]
    last_id: int
    needs_check: bool = False


def queue_record(
    tx: Connection, source_id: int, record_id: str | None, *, event_type: str, received_at: datetime
) -> None:
    """Queue the record that a call names. None: it names none, and another daemon has to check the source."""
    tx.execute(
        insert(webhook_queue).values(
            source_id=source_id, record_id=record_id, event_type=event_type, received_at=received_at
        )
    )


def is_pending(connection: Connection, source_id: int, record_id: str, *, event_type: str) -> bool:
    same = select(webhook_queue.c.id).where(
        webhook_queue.c.source_id == source_id,
        webhook_queue.c.record_id == record_id,
        webhook_queue.c.event_type == event_type,
    )
    return connection.execute(same.limit(1)).first() is not None


def queued_records(connection: Connection, source_id: int, *, limit: int) -> QueuedRecords | None:
    """Return the records of the oldest `limit` queued calls of a source, or None.

    If there are more calls, all of them are included, since the source needs a complete check: one check for each
    `limit` of ten thousand calls would read the same records a hundred times.
    """
    rows = connection.execute(
        select(webhook_queue.c.id, webhook_queue.c.record_id)
        .where(webhook_queue.c.source_id == source_id)
        .order_by(webhook_queue.c.id)
        .limit(limit + 1)
    ).all()
    if not rows:
        return None
    last_id, has_more = rows[-1].id, len(rows) > limit
    if has_more:
        newest = select(func.max(webhook_queue.c.id)).where(webhook_queue.c.source_id == source_id)
        last_id, rows = connection.scalar(newest) or last_id, rows[:limit]
    ids = dict.fromkeys(row.record_id for row in rows)
    named = tuple(id for id in ids if id is not None)
    return QueuedRecords(named, last_id, needs_check=has_more or len(named) < len(ids))


def delete_queued(tx: Connection, source_id: int, *, up_to: int, besides: Set[str] = frozenset()) -> None:
    """Delete what a run has mirrored from the queue, except the records `besides`."""
    tx.execute(
        delete(webhook_queue).where(
            webhook_queue.c.source_id == source_id,
            webhook_queue.c.id <= up_to,
            or_(webhook_queue.c.record_id.is_(None), webhook_queue.c.record_id.not_in(sorted(besides))),
        )
    )


INVALID_CURSOR: Final = ""
"""The id of the webhook in a cursor that a command has made invalid."""


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """A call of the log, and when upstream made it, by its own clock."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCursor:
    """How far a webhook's log was read, at `read_at` by upstream's clock. `last` None: the log was empty."""

    webhook_id: str
    read_at: datetime
    last: LoggedCall | None

    @property
    def is_invalid(self) -> bool:
        """Return whether it only says since when the webhook may be another one."""
        return self.webhook_id == INVALID_CURSOR


def log_cursor(connection: Connection, source_id: int) -> LogCursor | None:
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
    """Let the daemon search for the source's webhook again, since a user created, repaired or removed it."""
    save_cursor(tx, source_id, LogCursor(webhook_id=INVALID_CURSOR, read_at=at, last=None))


def save_cursor(tx: Connection, source_id: int, reading: LogCursor) -> None:
    """Record how far the log was read, in the transaction that queues what it contained."""
    values = {
        "webhook_id": reading.webhook_id,
        "read_at": reading.read_at,
        "last_call_id": reading.last.id if reading.last else None,
        "last_call_at": reading.last.at if reading.last else None,
    }
    tx.execute(dialect_of(tx).upsert(webhook_log_cursors, tuple(values)).values(source_id=source_id, **values))


SILENT_AFTER_CHANGES = 3
"""After this many checks in a row that found undelivered changes, a webhook counts as silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookUpdate:
    """What a daemon reports of a source's webhook. `log_read_at` None: it has not read the log."""

    receives: bool
    log_state: str
    log_read_at: datetime | None
    undelivered_changes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRow:
    """The state of a source's webhook, as its daemon last reported it.

    `log_state` is one of unknown, absent, refused, active, not_in_plan. `undelivered_changes` counts checks in a row
    that found changes without a call, `waiting` the calls in the queue.
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
        """Return whether changes should arrive: its calls are received, or their log is read."""
        return self.receives or self.log_state == "active"

    @property
    def is_silent(self) -> bool:
        """Return whether changes should arrive and no longer do."""
        return self.is_used and self.undelivered_changes >= SILENT_AFTER_CHANGES


def webhook_rows(connection: Connection, source_ids: Collection[int]) -> dict[int, WebhookRow]:
    """Return the state of each source's webhook with one query. One of which no daemon has reported is left out."""
    names = field_names(WebhookRow, "waiting")
    of_this = webhook_queue.c.source_id == webhooks.c.source_id
    waiting = select(func.count()).where(of_this).scalar_subquery().label("waiting")
    query = select(webhooks.c.source_id, waiting, *(webhooks.c[name] for name in names))
    rows = connection.execute(query.where(among(webhooks.c.source_id, source_ids))).mappings()
    return {row["source_id"]: WebhookRow(**{name: row[name] for name in names}, waiting=row["waiting"]) for row in rows}


def record_call(tx: Connection, source_id: int, *, at: datetime) -> None:
    """Record a call about a change that was received or found in the log."""
    _save(tx, source_id, last_call_at=at, undelivered_changes=0)


def record_gap(tx: Connection, source_id: int, *, at: datetime) -> None:
    """Record that the log could not prove that no call was missed."""
    _save(tx, source_id, log_gaps=webhooks.c.log_gaps + 1, last_gap_at=at)


def save_webhooks(tx: Connection, updates: Mapping[int, WebhookUpdate]) -> None:
    """Record what the daemon of some sources knows of their webhooks, by the ids of the sources."""
    if not updates:
        return
    tx.execute(dialect_of(tx).insert_ignore(webhooks), [{"source_id": id} for id in updates])
    new = {name: bindparam(f"new_{name}", type_=webhooks.c[name].type) for name in field_names(WebhookUpdate)}
    values = new | {"log_read_at": func.coalesce(new["log_read_at"], webhooks.c.log_read_at)}
    tx.execute(
        update(webhooks).where(webhooks.c.source_id == bindparam("id")).values(values),
        [
            {"id": id} | {f"new_{name}": getattr(one, name) for name in field_names(WebhookUpdate)}
            for id, one in updates.items()
        ],
    )


def _save(tx: Connection, source_id: int, **values: Any) -> None:
    tx.execute(dialect_of(tx).insert_ignore(webhooks).values(source_id=source_id))
    tx.execute(update(webhooks).where(webhooks.c.source_id == source_id).values(values))
