"""Read and write `links`: which records and uploads contents name, from which version until which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from versionsync.mirror.engine.bulk import chunked, field_names, run_many
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import links

__all__ = ["RECORD", "UPLOAD", "LinkRow", "load_links", "write_links"]

RECORD: Final = "record"
UPLOAD: Final = "upload"


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A row of `links`, without its source."""

    record_id: str
    from_ordinal: int
    number: int
    until_ordinal: int | None
    target_kind: str
    target_id: str
    field_id: str | None
    field: str
    locale: str | None
    block_path: str | None


COLUMNS = field_names(LinkRow)
KEY = ("record_id", "from_ordinal", "number")
_values = attrgetter(*COLUMNS)
_key = attrgetter(*KEY)
_QUERY = select(*(links.c[name] for name in COLUMNS))
_DELETE = delete(links).where(
    links.c.source_id == bindparam("of_source"), *(links.c[name] == bindparam(f"of_{name}") for name in KEY)
)


def load_links(connection: Connection, source_id: int, record_ids: Iterable[str]) -> list[LinkRow]:
    """Return the links of these records, in the order of record, first version and number."""
    found: list[LinkRow] = []
    for chunk in chunked(record_ids):
        query = _QUERY.where(links.c.source_id == source_id, links.c.record_id.in_(chunk)).order_by(
            links.c.record_id, links.c.from_ordinal, links.c.number
        )
        found += (LinkRow(*row) for row in connection.execute(query))
    return found


def write_links(tx: Connection, source_id: int, *, gone: Sequence[LinkRow], new: Sequence[LinkRow]) -> None:
    """Delete the rows `gone` and insert the rows `new`."""
    columns = ("of_source", *(f"of_{name}" for name in KEY))
    run_many(tx, _DELETE, columns, [(source_id, *_key(row)) for row in gone])
    dialect_of(tx).insert_many(tx, links, ("source_id", *COLUMNS), [(source_id, *_values(row)) for row in new])
