"""How far the log of a webhook's calls was read: the newest call seen, by which the next reading proves its overlap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select, update

from versionsync.mirror.bulk import insert_or_keep
from versionsync.mirror.tables import webhook_logs

__all__ = ["LoggedCall", "ReadUpTo", "doubt_webhook", "note_reading", "read_up_to"]


DOUBTED: Final = ""


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """A call of the log, and when upstream made it, by its own clock."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadUpTo:
    """A reading of a webhook's log, at `read_at` by upstream's clock. `last` None: the log was empty."""

    webhook_id: str
    read_at: datetime
    last: LoggedCall | None

    @property
    def is_doubted(self) -> bool:
        """Whether it is no reading, but says since when the webhook may be another one."""
        return self.webhook_id == DOUBTED


def read_up_to(connection: Connection, source_id: int) -> ReadUpTo | None:
    """How far the log of a source's webhook was read; None: never."""
    row = connection.execute(select(webhook_logs).where(webhook_logs.c.source_id == source_id)).one_or_none()
    if row is None:
        return None
    last = None
    if row.last_call_id is not None and row.last_call_at is not None:
        last = LoggedCall(row.last_call_id, row.last_call_at)
    return ReadUpTo(webhook_id=row.webhook_id, read_at=row.read_at, last=last)


def doubt_webhook(tx: Connection, source_id: int, *, at: datetime) -> None:
    """Somebody has made, mended or removed the source's webhook: whoever reads its log looks for it again."""
    note_reading(tx, source_id, ReadUpTo(webhook_id=DOUBTED, read_at=at, last=None))


def note_reading(tx: Connection, source_id: int, reading: ReadUpTo) -> None:
    """Note how far it was read, together with what that told."""
    values = {
        "webhook_id": reading.webhook_id,
        "read_at": reading.read_at,
        "last_call_id": reading.last.id if reading.last else None,
        "last_call_at": reading.last.at if reading.last else None,
    }
    tx.execute(insert_or_keep(webhook_logs, tx.dialect.name).values(source_id=source_id, **values))
    tx.execute(update(webhook_logs).where(webhook_logs.c.source_id == source_id).values(**values))
