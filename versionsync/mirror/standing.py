"""How much of a source is mirrored, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

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
    """The numbers of a source. Counting takes a while in a large mirror: it is for people who ask."""
    records_, deleted = connection.execute(
        select(func.count(), func.count(records.c.deleted_at)).where(records.c.source_id == source_id)
    ).one()
    versions_, missing = connection.execute(
        select(func.count(), func.count(versions.c.missing_since)).where(versions.c.source_id == source_id)
    ).one()
    models_ = select(func.count()).where(
        models.c.source_id == source_id, models.c.deleted_at.is_(None), models.c.is_block.is_(False)
    )
    events_ = select(func.count()).where(events.c.source_id == source_id)
    return Standing(
        models=connection.scalar(models_) or 0,
        records=records_,
        records_deleted=deleted,
        versions=versions_,
        versions_missing=missing,
        events=connection.scalar(events_) or 0,
    )
