"""Read and write `titles`: what each version is called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from sqlalchemy import Connection, delete, select

from versionsync.mirror.engine.bulk import chunked, field_names
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import titles

__all__ = ["TitleRow", "load_titles", "replace_titles"]


@dataclass(frozen=True, slots=True)
class TitleRow:
    """A row of `titles`, without its source."""

    version_id: str
    locale: str
    record_id: str
    title: str


COLUMNS = field_names(TitleRow)
_values = attrgetter(*COLUMNS)
_QUERY = select(*(titles.c[name] for name in COLUMNS))


def load_titles(connection: Connection, source_id: int, version_ids: Iterable[str]) -> list[TitleRow]:
    """Return the titles of these versions, in the order of version and locale."""
    found: list[TitleRow] = []
    for chunk in chunked(version_ids):
        query = _QUERY.where(titles.c.source_id == source_id, titles.c.version_id.in_(chunk)).order_by(
            titles.c.version_id, titles.c.locale
        )
        found += (TitleRow(*row) for row in connection.execute(query))
    return found


def replace_titles(tx: Connection, source_id: int, version_ids: Iterable[str], rows: Sequence[TitleRow]) -> None:
    """Replace all titles of these versions with `rows`."""
    for chunk in chunked(version_ids):
        tx.execute(delete(titles).where(titles.c.source_id == source_id, titles.c.version_id.in_(chunk)))
    dialect_of(tx).insert_many(tx, titles, ("source_id", *COLUMNS), [(source_id, *_values(row)) for row in rows])
