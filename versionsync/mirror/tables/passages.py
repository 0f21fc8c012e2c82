"""Read and write `passages`: the texts that each version added or removed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, delete, select

from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.engine.full_text import FullText, full_text_of
from versionsync.mirror.schema import passages

__all__ = ["IDS_OF_A_SECOND", "PassageRow", "first_id_of", "replace_passages"]

COLUMNS: Final = (
    *("source_id", "version_id", "number", "piece", "id", "record_id", "model_id"),
    *("record_field", "field_id", "field", "locale", "block_path", "hash", "text", "words"),
)
_ID: Final = COLUMNS.index("id")
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
IDS_OF_A_SECOND: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class PassageRow:
    """A passage that a version added or removed.

    Attributes:
        pieces: Its words, in parts that overlap. Empty: it was removed.
        are_plain: The words are the runs of ASCII letters and digits of the text.
    """

    version_id: str
    number: int
    record_id: str
    model_id: str
    created_at: datetime
    record_field: str
    field_id: str | None
    field: str
    locale: str | None
    block_path: str | None
    hash: int
    text: str | None
    pieces: Sequence[Sequence[str]] = ()
    are_plain: bool = False


def first_id_of(at: datetime) -> int:
    """Return the lowest id that a passage of a version made at this time or later can have."""
    return max(int((at - _BEGINNING).total_seconds()), 0) * IDS_OF_A_SECOND


def replace_passages(tx: Connection, source_id: int, version_ids: Iterable[str], rows: Sequence[PassageRow]) -> None:
    """Replace all passages of these versions with `rows`."""
    for chunk in chunked(version_ids):
        tx.execute(delete(passages).where(passages.c.source_id == source_id, passages.c.version_id.in_(chunk)))
    index = full_text_of(tx)
    made = [values for row in rows for values in _values(source_id, row, index)]
    indexed = [values for values in made if values[_ID] is not None]
    _make_unique(tx, indexed)
    indexed.sort(key=itemgetter(_ID))  # FTS5 writes ids that rise in one go
    removed = [values for values in made if values[_ID] is None]
    dialect_of(tx).insert_many(tx, passages, COLUMNS, [*removed, *indexed])


def _values(source_id: int, row: PassageRow, index: FullText) -> Iterator[list[Any]]:
    base = first_id_of(row.created_at)
    salt = zlib.crc32(f"{source_id}/{row.version_id}".encode()) + row.number
    for piece, words in enumerate(row.pieces or (None,)):
        yield [
            source_id,
            row.version_id,
            row.number,
            piece,
            None if words is None else base + (salt + piece) % IDS_OF_A_SECOND,
            row.record_id,
            row.model_id,
            row.record_field,
            row.field_id,
            row.field,
            row.locale,
            row.block_path,
            row.hash,
            None if piece else row.text,
            None if words is None else index.column_value(words, are_plain=row.are_plain),
        ]


def _make_unique(tx: Connection, rows: Sequence[list[Any]]) -> None:
    """Give another id to rows whose id is taken. Ids are numbers of a second, so this is rare."""
    taken: set[int] = set()
    for chunk in chunked(sorted({values[_ID] for values in rows})):
        taken |= set(tx.scalars(select(passages.c.id).where(passages.c.id.in_(chunk))))
    for values in rows:
        while values[_ID] in taken:
            values[_ID] += 1
            if values[_ID] not in taken and tx.scalar(select(passages.c.id).where(passages.c.id == values[_ID])):
                taken.add(values[_ID])
        taken.add(values[_ID])
