"""How far each projection of a source is filled, and what has to be computed again without an event.

Nothing but the cursor says that rows are there. A projection without one is empty, or about to be emptied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy import Column, Connection, Table, delete, select, update

from versionsync.ledger.ids import RecordId
from versionsync.mirror.engine.bulk import chunked, run_many
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import changes, intervals, links, passages, projection_cursors, reordered_records, titles

__all__ = [
    "CHANGES",
    "COMPUTABLE",
    "FILLED_FIRST",
    "INTERVALS",
    "LINKS",
    "PROJECTIONS",
    "SEARCH",
    "TITLES",
    "Cursor",
    "delete_some_rows",
    "forget_cursors",
    "load_cursors",
    "mark_reordered",
    "move_cursor",
    "reordered",
    "start_cursor",
    "unmark_reordered",
]

CHANGES: Final = "changes"
INTERVALS: Final = "intervals"
LINKS: Final = "links"
TITLES: Final = "titles"
SEARCH: Final = "search"
COMPUTABLE: Final = (CHANGES, INTERVALS, TITLES)
"""Those that are computed in memory for one record if they are not filled."""
FILLED_FIRST: Final = (CHANGES, INTERVALS, LINKS, TITLES)
PROJECTIONS: Final = (*FILLED_FIRST, SEARCH)
"""All. The index is filled alone, after the others."""

_PARTS: Final[Mapping[str, tuple[Table, Column[str]]]] = MappingProxyType(
    {
        CHANGES: (changes, changes.c.version_id),
        INTERVALS: (intervals, intervals.c.record_id),
        LINKS: (links, links.c.record_id),
        TITLES: (titles, titles.c.version_id),
        SEARCH: (passages, passages.c.version_id),
    }
)
"""The table of each projection, and the column by which its rows are deleted."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a projection is filled: every event up to `event_id` is in it, computed as `format` says."""

    event_id: int
    format: int
    filled_at: datetime


def load_cursors(connection: Connection, source_id: int) -> dict[str, Cursor]:
    """Return the cursors of a source, by projection. One that has none is left out."""
    rows = connection.execute(
        select(
            projection_cursors.c.projection,
            projection_cursors.c.event_id,
            projection_cursors.c.format,
            projection_cursors.c.filled_at,
        ).where(projection_cursors.c.source_id == source_id)
    )
    return {row[0]: Cursor(row[1], row[2], row[3]) for row in rows}


def start_cursor(tx: Connection, source_id: int, projection: str, *, format: int, at: datetime) -> None:
    """Say that a projection is empty, and computed as `format` says from now on."""
    row = (source_id, projection, 0, format, at)
    columns = ("source_id", "projection", "event_id", "format", "filled_at")
    run_many(tx, dialect_of(tx).insert_ignore(projection_cursors), columns, [row])


def move_cursor(
    tx: Connection, source_id: int, projection: str, *, before: int, after: int, format: int, at: datetime
) -> bool:
    """Move a cursor to another event; return whether it was at the expected one.

    Args:
        tx: The transaction. Roll it back if this returns False.
        source_id: The source.
        projection: The projection that is filled.
        before: The event up to which it is expected to be filled.
        after: The event up to which it is filled now.
        format: How its rows are computed.
        at: When it was filled.
    """
    moved = tx.execute(
        update(projection_cursors)
        .where(
            projection_cursors.c.source_id == source_id,
            projection_cursors.c.projection == projection,
            projection_cursors.c.event_id == before,
            projection_cursors.c.format == format,
        )
        .values(event_id=after, filled_at=at)
    )
    return moved.rowcount == 1


def forget_cursors(tx: Connection, source_id: int, projections: Iterable[str]) -> None:
    """Delete the cursors of projections: the next filling empties these and fills them from the start."""
    tx.execute(
        delete(projection_cursors).where(
            projection_cursors.c.source_id == source_id, projection_cursors.c.projection.in_(list(projections))
        )
    )


def delete_some_rows(tx: Connection, source_id: int, projection: str, *, limit: int) -> int:
    """Delete about `limit` rows of a projection, and the others of the same versions or records; return how many."""
    table, key = _PARTS[projection]
    some = select(key).where(table.c.source_id == source_id).limit(limit).subquery()
    return tx.execute(delete(table).where(table.c.source_id == source_id, key.in_(select(some.c[0])))).rowcount


def mark_reordered(tx: Connection, source_id: int, record_ids: Iterable[RecordId]) -> None:
    """Note that the order or the times of the versions of these records changed without an event."""
    rows = [(source_id, id) for id in record_ids]
    run_many(tx, dialect_of(tx).insert_ignore(reordered_records), ("source_id", "record_id"), rows)


def reordered(connection: Connection, source_id: int, *, limit: int) -> list[str]:
    """Return at most `limit` of the records that are marked."""
    query = (
        select(reordered_records.c.record_id)
        .where(reordered_records.c.source_id == source_id)
        .order_by(reordered_records.c.record_id)
        .limit(limit)
    )
    return list(connection.scalars(query))


def unmark_reordered(tx: Connection, source_id: int, record_ids: Iterable[str]) -> None:
    """Remove the marks of records that were computed again."""
    for chunk in chunked(record_ids):
        tx.execute(
            delete(reordered_records).where(
                reordered_records.c.source_id == source_id, reordered_records.c.record_id.in_(chunk)
            )
        )
