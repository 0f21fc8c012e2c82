"""Which troubles of a source were told to whom and are not over: kept, so that a new start tells none twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from versionsync.mirror.bulk import insert_or_keep
from versionsync.mirror.tables import notices

__all__ = ["forget_notice", "keep_notice", "notices_told"]


def notices_told(connection: Connection, source_id: int) -> Mapping[str, str]:
    """What was told of a source that is not over yet, by the place that was told."""
    rows = connection.execute(select(notices.c.place, notices.c.told).where(notices.c.source_id == source_id))
    return {row.place: row.told for row in rows}


def keep_notice(tx: Connection, source_id: int, place: str, *, told: str, at: datetime) -> None:
    """A trouble of a source was told to a place: `told` is failing, stale or vanished."""
    tx.execute(insert_or_keep(notices, tx.dialect.name).values(source_id=source_id, place=place, told=told, told_at=at))
    tx.execute(
        update(notices).where(notices.c.source_id == source_id, notices.c.place == place).values(told=told, told_at=at)
    )


def forget_notice(tx: Connection, source_id: int, place: str) -> None:
    """All is well again, as far as that place is concerned."""
    tx.execute(delete(notices).where(notices.c.source_id == source_id, notices.c.place == place))
