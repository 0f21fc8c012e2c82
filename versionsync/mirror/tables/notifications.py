"""Which problems of a source were notified and are not over: kept, so that a restart sends none of them again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, select

from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import sent_notifications

__all__ = ["delete_sent", "load_sent", "save_sent"]

TABLE = sent_notifications.c


def load_sent(connection: Connection, source_id: int) -> Mapping[str, str]:
    """Return the kind of problem that each channel was last sent for a source and that is not over."""
    rows = connection.execute(select(TABLE.channel, TABLE.kind).where(TABLE.source_id == source_id))
    return {row.channel: row.kind for row in rows}


def save_sent(tx: Connection, source_id: int, channel: str, *, kind: str, at: datetime) -> None:
    """Record that a channel was sent a problem of a source: `kind` is failing, stale or mass_delete."""
    upsert = dialect_of(tx).upsert(sent_notifications, ("kind", "sent_at"))
    tx.execute(upsert.values(source_id=source_id, channel=channel, kind=kind, sent_at=at))


def delete_sent(tx: Connection, source_id: int, channel: str) -> None:
    tx.execute(delete(sent_notifications).where(TABLE.source_id == source_id, TABLE.channel == channel))
