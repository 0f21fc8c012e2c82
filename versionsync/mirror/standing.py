"""How much of a source is mirrored, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, func, select

from versionsync.mirror.tables import events, models, records, versions

__all__ = ["Standing", "standing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the mirror holds of a source; `records` counts the deleted ones too, `versions` the missing ones."""

    models: int
    records: int
    records_deleted: int
    versions: int
    versions_missing: int
    events: int


def standing(connection: Connection, source_id: int) -> Standing:
    """The numbers of a source. Counting takes a while in a large mirror: it is for people who ask.

    Each is counted by an index of its own, since the tables hold all contents.
    """

    def count(table: Table, *conditions: ColumnElement[bool]) -> int:
        query = select(func.count()).select_from(table).where(table.c.source_id == source_id, *conditions)
        return connection.scalar(query) or 0

    return Standing(
        models=count(models, models.c.deleted_at.is_(None), models.c.is_block.is_(False)),
        records=count(records),
        records_deleted=count(records, records.c.deleted_at.is_not(None)),
        versions=count(versions),
        versions_missing=count(versions, versions.c.missing_since.is_not(None)),
        events=count(events),
    )
