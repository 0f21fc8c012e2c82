"""Read and write `intervals`: when each version was current, and when it was live."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from sqlalchemy import Connection, bindparam, delete, select

from versionsync.mirror.engine.bulk import chunked, field_names, run_many
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import intervals

__all__ = ["CURRENT", "PUBLISHED", "IntervalRow", "load_intervals", "write_intervals"]

CURRENT = "current"
PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """A row of `intervals`, without its source."""

    kind: str
    record_id: str
    valid_from: datetime
    number: int
    version_id: str
    model_id: str
    valid_until: datetime | None
    known_from: datetime
    known_until: datetime | None


COLUMNS = field_names(IntervalRow)
KEY = ("kind", "record_id", "valid_from", "number")
_values = attrgetter(*COLUMNS)
_key = attrgetter(*KEY)
_QUERY = select(*(intervals.c[name] for name in COLUMNS))
_DELETE = delete(intervals).where(
    intervals.c.source_id == bindparam("of_source"), *(intervals.c[name] == bindparam(f"of_{name}") for name in KEY)
)


def load_intervals(connection: Connection, source_id: int, record_ids: Iterable[str]) -> list[IntervalRow]:
    """Return the intervals of these records, in the order of record, kind and time."""
    found: list[IntervalRow] = []
    for chunk in chunked(record_ids):
        query = _QUERY.where(
            intervals.c.source_id == source_id,
            intervals.c.kind.in_((CURRENT, PUBLISHED)),  # for the primary key
            intervals.c.record_id.in_(chunk),
        ).order_by(intervals.c.record_id, intervals.c.kind, intervals.c.valid_from, intervals.c.number)
        found += (IntervalRow(*row) for row in connection.execute(query))
    return found


def write_intervals(tx: Connection, source_id: int, *, gone: Sequence[IntervalRow], new: Sequence[IntervalRow]) -> None:
    """Delete the rows `gone` and insert the rows `new`."""
    columns = ("of_source", *(f"of_{name}" for name in KEY))
    run_many(tx, _DELETE, columns, [(source_id, *_key(row)) for row in gone])
    dialect_of(tx).insert_many(tx, intervals, ("source_id", *COLUMNS), [(source_id, *_values(row)) for row in new])
