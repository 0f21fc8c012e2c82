"""Hints that a record has changed: kept from when a webhook told it until a run has looked. They are never data."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from versionsync.mirror.tables import hints

__all__ = ["Hints", "add_hint", "forget_hints", "is_hinted", "waiting_hints"]


@dataclass(frozen=True, slots=True)
class Hints:
    """Records that may have changed, each once, and up to which hint that is so."""

    record_ids: Sequence[str]
    last_id: int


def add_hint(tx: Connection, source_id: int, record_id: str, *, event_type: str, received_at: datetime) -> None:
    """Keep a hint."""
    tx.execute(
        insert(hints).values(source_id=source_id, record_id=record_id, event_type=event_type, received_at=received_at)
    )


def is_hinted(connection: Connection, source_id: int, record_id: str, *, event_type: str) -> bool:
    """Whether the same hint is kept already."""
    same = select(hints.c.id).where(
        hints.c.source_id == source_id, hints.c.record_id == record_id, hints.c.event_type == event_type
    )
    return connection.execute(same.limit(1)).first() is not None


def waiting_hints(connection: Connection, source_id: int, *, limit: int) -> Hints | None:
    """The oldest `limit` hints of a source; None: there are none."""
    rows = connection.execute(
        select(hints.c.id, hints.c.record_id).where(hints.c.source_id == source_id).order_by(hints.c.id).limit(limit)
    ).all()
    return Hints(tuple(dict.fromkeys(row.record_id for row in rows)), rows[-1].id) if rows else None


def forget_hints(tx: Connection, source_id: int, *, up_to: int, besides: Set[str] = frozenset()) -> None:
    """A run has mirrored all that these hinted at, but for the records `besides`."""
    tx.execute(
        delete(hints).where(
            hints.c.source_id == source_id, hints.c.id <= up_to, hints.c.record_id.not_in(sorted(besides))
        )
    )
