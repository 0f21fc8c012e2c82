"""Which troubles of a source were told to whom and are not over: kept, so that a new start tells none twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from versionsync.mirror.engine.bulk import insert_ignore
from versionsync.mirror.schema import sent_notifications

__all__ = ["delete_sent", "load_sent", "save_sent"]


def load_sent(connection: Connection, source_id: int) -> Mapping[str, str]:
    """What was told of a source that is not over yet, by the channel that was told."""
    rows = connection.execute(
        select(sent_notifications.c.channel, sent_notifications.c.kind).where(
            sent_notifications.c.source_id == source_id
        )
    )
    return {row.channel: row.kind for row in rows}


def save_sent(tx: Connection, source_id: int, channel: str, *, kind: str, at: datetime) -> None:
    """A trouble of a source was told to a channel: `kind` is failing, stale or mass_delete."""
    tx.execute(
        insert_ignore(sent_notifications, tx.dialect.name).values(
            source_id=source_id, channel=channel, kind=kind, sent_at=at
        )
    )
    tx.execute(
        update(sent_notifications)
        .where(sent_notifications.c.source_id == source_id, sent_notifications.c.channel == channel)
        .values(kind=kind, sent_at=at)
    )


def delete_sent(tx: Connection, source_id: int, channel: str) -> None:
    """All is well again, as far as that channel is concerned."""
    tx.execute(
        delete(sent_notifications).where(
            sent_notifications.c.source_id == source_id, sent_notifications.c.channel == channel
        )
    )
