"""Reading events in the order in which they were committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, desc, func, select

from versionsync.mirror.tables import events, sources

__all__ = ["EventRow", "events_after", "last_event_id", "last_events"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event as the database has it, with its source's name; `data` is a JSON object as text."""

    id: int
    source: str
    type: str
    record_id: str | None
    version_id: str | None
    model_id: str | None
    occurred_at: datetime
    occurred_basis: str
    observed_at: datetime
    run_id: int | None
    data: str


def events_after(
    connection: Connection,
    source_id: int | None,
    id: int,
    *,
    types: Sequence[str] = (),
    limit: int = 1000,
) -> list[EventRow]:
    """The events after that id, of a source or of all (None), of these types or of any; at most `limit`."""
    query = _events(source_id, types).where(events.c.id > id).order_by(events.c.id).limit(limit)
    return _rows(connection, query)


def last_events(
    connection: Connection, source_id: int | None, *, types: Sequence[str] = (), limit: int = 1000
) -> list[EventRow]:
    """The newest events of a source, or of all (None), of these types or of any, oldest first; at most `limit`."""
    query = _events(source_id, types).order_by(desc(events.c.id)).limit(limit)
    return _rows(connection, query)[::-1]


def last_event_id(connection: Connection, source_id: int | None = None) -> int:
    """The id of the newest event of a source, or of all (None); 0 where there is none."""
    query = select(func.max(events.c.id))
    if source_id is not None:
        query = query.where(events.c.source_id == source_id)
    return connection.scalar(query) or 0


def _events(source_id: int | None, types: Sequence[str]) -> Select[Any]:
    query = select(events, sources.c.name).join(sources, sources.c.id == events.c.source_id)
    if source_id is not None:
        query = query.where(events.c.source_id == source_id)
    return query.where(events.c.type.in_(types)) if types else query


def _rows(connection: Connection, query: Select[Any]) -> list[EventRow]:
    return [
        EventRow(
            id=row.id,
            source=row.name,
            type=row.type,
            record_id=row.record_id,
            version_id=row.version_id,
            model_id=row.model_id,
            occurred_at=row.occurred_at,
            occurred_basis=row.occurred_basis,
            observed_at=row.observed_at,
            run_id=row.run_id,
            data=row.data,
        )
        for row in connection.execute(query)
    ]
