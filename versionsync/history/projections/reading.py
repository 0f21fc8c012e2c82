"""Ask the projections, also if they are not filled: on a copy, or right after a sync.

The rows of one record are always available: from the tables if they are filled that far, otherwise computed in memory.
For anything else, `coverage` says how far the tables are filled.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from versionsync.history.projections.filling import FORMATS
from versionsync.history.projections.rows import content_rows, interval_rows
from versionsync.history.schema_at import SchemaHistory
from versionsync.mirror.schema import events, reordered_records
from versionsync.mirror.tables.changes import ChangeRow, load_changes
from versionsync.mirror.tables.events import OF_RECORD, last_event_id
from versionsync.mirror.tables.intervals import IntervalRow, load_intervals
from versionsync.mirror.tables.projection_cursors import COMPUTABLE, load_cursors
from versionsync.mirror.tables.titles import TitleRow, load_titles
from versionsync.mirror.tables.versions import version_order

__all__ = ["Coverage", "RecordProjections", "computed", "coverage", "record_projections"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far projections of a source are filled.

    Attributes:
        event_id: Every event up to this one is in all of them; 0: they are empty.
        last_event_id: The last event of the source.
        until: They answer what the mirror knew at this time. None: they are empty, or complete.
    """

    event_id: int
    last_event_id: int
    until: datetime | None

    @property
    def is_complete(self) -> bool:
        """Whether they answer everything that the mirror knows."""
        return self.event_id >= self.last_event_id

    @property
    def is_empty(self) -> bool:
        """Whether they answer nothing, though the mirror has a history."""
        return self.event_id == 0 < self.last_event_id


@dataclass(frozen=True, slots=True)
class RecordProjections:
    """The rows of one record.

    Attributes:
        changes: In the order of its versions, oldest first, and of their numbers.
        intervals: In the order of kind, time and number.
        titles: In the order of its versions, and of their locales.
        is_computed: They were computed in memory, since the tables do not have all of them.
    """

    changes: list[ChangeRow]
    intervals: list[IntervalRow]
    titles: list[TitleRow]
    is_computed: bool


def coverage(connection: Connection, source_id: int, projections: Collection[str] = COMPUTABLE) -> Coverage:
    """Return how far these projections of a source are filled."""
    last = last_event_id(connection, source_id)
    cursors = load_cursors(connection, source_id)
    filled = min(
        cursors[name].event_id if name in cursors and cursors[name].format == FORMATS[name] else 0
        for name in projections
    )
    until = None
    if 0 < filled < last:
        until = connection.scalar(select(events.c.observed_at).where(events.c.id == filled))
    return Coverage(filled, last, until)


def record_projections(connection: Connection, source_id: int, record_id: str) -> RecordProjections:
    """Return the rows of a record, whether or not the projections are filled. An unknown record has none."""
    if not _is_filled(connection, source_id, record_id):
        return computed(connection, source_id, record_id)
    of_record = version_order(connection, source_id, [record_id]).get(record_id, [])
    place = {version.id: index for index, version in enumerate(of_record)}
    return RecordProjections(
        changes=sorted(load_changes(connection, source_id, place), key=lambda row: (place[row.version_id], row.number)),
        intervals=load_intervals(connection, source_id, [record_id]),
        titles=sorted(load_titles(connection, source_id, place), key=lambda row: (place[row.version_id], row.locale)),
        is_computed=False,
    )


def computed(connection: Connection, source_id: int, record_id: str) -> RecordProjections:
    """Compute the rows of a record from the core tables."""
    schemas = SchemaHistory.load(connection, source_id)
    rows = content_rows(connection, source_id, {record_id: None}, schemas, with_links=False)
    assert rows is not None, "nothing stops it"
    place = {version_id: index for index, version_id in enumerate(rows.titled)}
    rows.titles.sort(key=lambda row: (place[row.version_id], row.locale))
    return RecordProjections(rows.changes, interval_rows(connection, source_id, [record_id]), rows.titles, True)


def _is_filled(connection: Connection, source_id: int, record_id: str) -> bool:
    """Return whether the tables have all of a record."""
    state = coverage(connection, source_id)
    if state.is_empty:
        return False
    later = (
        select(events.c.id)
        .with_hint(events, OF_RECORD, "sqlite")
        .where(events.c.source_id == source_id, events.c.record_id == record_id, events.c.id > state.event_id)
    )
    marked = select(reordered_records.c.record_id).where(
        reordered_records.c.source_id == source_id, reordered_records.c.record_id == record_id
    )
    return all(connection.execute(query.limit(1)).first() is None for query in (later, marked))
