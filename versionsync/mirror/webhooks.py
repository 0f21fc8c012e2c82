"""How the webhook of a source does: when it last told something, how its log is read, what it left untold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from versionsync.mirror.bulk import insert_or_keep
from versionsync.mirror.tables import hints, webhooks

__all__ = ["SILENT_AFTER", "WebhookNews", "WebhookRow", "note_call", "note_gap", "note_webhook", "webhook_row"]

SILENT_AFTER = 3
"""So many looks in a row must find what no call had told, before a webhook counts as one that stopped telling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookNews:
    """What a daemon says of a source's webhook now and then; `log_read_at` None: it has not read the log."""

    receives: bool
    log: str
    log_read_at: datetime | None
    untold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRow:
    """As the daemon that follows the source last knew it; `waiting` is how many hints no run has looked at yet.

    `log` is one of unknown, absent, refused, read. `untold`: looks in a row that found changes of which no call told.
    """

    receives: bool
    last_call_at: datetime | None
    log: str
    log_read_at: datetime | None
    gaps: int
    last_gap_at: datetime | None
    untold: int
    waiting: int

    @property
    def is_used(self) -> bool:
        """Whether it should tell what changes: its calls are received, or their log is read."""
        return self.receives or self.log == "read"

    @property
    def is_silent(self) -> bool:
        """Whether it should tell what changes, and does no longer."""
        return self.is_used and self.untold >= SILENT_AFTER


def webhook_row(connection: Connection, source_id: int) -> WebhookRow | None:
    """How the webhook of a source does; None: no daemon has followed it yet."""
    row = connection.execute(select(webhooks).where(webhooks.c.source_id == source_id)).one_or_none()
    if row is None:
        return None
    waiting = connection.scalar(select(func.count()).select_from(hints).where(hints.c.source_id == source_id))
    return WebhookRow(
        receives=row.receives,
        last_call_at=row.last_call_at,
        log=row.log,
        log_read_at=row.log_read_at,
        gaps=row.gaps,
        last_gap_at=row.last_gap_at,
        untold=row.untold,
        waiting=waiting or 0,
    )


def note_call(tx: Connection, source_id: int, *, at: datetime) -> None:
    """A call told of a change: it was received, or found in the log."""
    _note(tx, source_id, last_call_at=at, untold=0)


def note_gap(tx: Connection, source_id: int, *, at: datetime) -> None:
    """A reading of the log could not prove that no call was missed."""
    _note(tx, source_id, gaps=webhooks.c.gaps + 1, last_gap_at=at)


def note_webhook(tx: Connection, source_id: int, news: WebhookNews) -> None:
    """What the daemon that follows the source knows."""
    read = {} if news.log_read_at is None else {"log_read_at": news.log_read_at}
    _note(tx, source_id, receives=news.receives, log=news.log, untold=news.untold, **read)


def _note(tx: Connection, source_id: int, **values: Any) -> None:
    tx.execute(insert_or_keep(webhooks, tx.dialect.name).values(source_id=source_id))
    tx.execute(update(webhooks).where(webhooks.c.source_id == source_id).values(values))
