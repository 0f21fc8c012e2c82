"""Read and write `changes`: what each version changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from sqlalchemy import Connection, delete, select

from versionsync.mirror.engine.bulk import chunked, field_names
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import changes

__all__ = ["ChangeRow", "load_changes", "replace_changes"]


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A row of `changes`, without its source."""

    version_id: str
    number: int
    record_id: str
    model_id: str
    previous_version_id: str | None
    created_at: datetime
    field_id: str | None
    field: str
    locale: str | None
    block_id: str | None
    block_path: str | None
    kind: str
    operation: str
    words_added: int
    words_removed: int
    before_hash: bytes | None
    after_hash: bytes | None


COLUMNS = field_names(ChangeRow)
_values = attrgetter(*COLUMNS)
_QUERY = select(*(changes.c[name] for name in COLUMNS))


def load_changes(connection: Connection, source_id: int, version_ids: Iterable[str]) -> list[ChangeRow]:
    """Return the changes that these versions made, in the order of version and number."""
    found: list[ChangeRow] = []
    for chunk in chunked(version_ids):
        query = _QUERY.where(changes.c.source_id == source_id, changes.c.version_id.in_(chunk)).order_by(
            changes.c.version_id, changes.c.number
        )
        found += (ChangeRow(*row) for row in connection.execute(query))
    return found


def replace_changes(tx: Connection, source_id: int, version_ids: Iterable[str], rows: Sequence[ChangeRow]) -> None:
    """Replace all changes of these versions with `rows`."""
    for chunk in chunked(version_ids):
        tx.execute(delete(changes).where(changes.c.source_id == source_id, changes.c.version_id.in_(chunk)))
    dialect_of(tx).insert_many(tx, changes, ("source_id", *COLUMNS), [(source_id, *_values(row)) for row in rows])
