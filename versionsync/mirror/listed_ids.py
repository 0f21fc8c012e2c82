"""Which records a sweep listed, however many, and which live records of the mirror it did not list.

The ids are in SQLite's nameless database, which moves to a temporary file as it grows and disappears when it is closed.
The mirror is read in pages by key, so that no transaction stays open during a sweep.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from sqlalchemy import select

from versionsync.ledger.ids import ModelId, RecordId
from versionsync.ledger.records import KnownRecord
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.bulk import IDS_AT_ONCE
from versionsync.mirror.engine.driver_errors import translate_error
from versionsync.mirror.schema import records
from versionsync.mirror.tables.records import load_records

__all__ = ["ListedIds"]


class ListedIds:
    """The records that one sweep of one source has listed so far. For one thread at a time."""

    def __init__(self, mirror: Mirror, source_id: int) -> None:
        self._mirror = mirror
        self._source_id = source_id
        self._marks = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        with _on_disk():
            self._marks.execute("PRAGMA journal_mode = OFF")
            self._marks.execute("CREATE TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._marks.close()

    def clear(self) -> None:
        """Delete the ids, since the sweep starts again."""
        with _on_disk():
            self._marks.execute("DELETE FROM seen")

    def add(self, ids: Iterable[RecordId]) -> None:
        """Add these records, if they are not there yet."""
        with _on_disk():
            self._marks.execute("BEGIN")
            self._marks.executemany("INSERT OR IGNORE INTO seen (id) VALUES (?)", ((id,) for id in ids))
            self._marks.execute("COMMIT")

    def add_and_load(self, ids: Sequence[RecordId]) -> dict[RecordId, KnownRecord]:
        """Add these records, and return what the mirror holds of them."""
        self.add(ids)
        return self._mirror.query(lambda connection: load_records(connection, self._source_id, ids))

    def count(self) -> int:
        with _on_disk():
            return int(self._marks.execute("SELECT count(*) FROM seen").fetchone()[0])

    def not_listed(self) -> Iterator[tuple[RecordId, ModelId]]:
        """Yield the mirror's live records that were not listed, with their models, by id."""
        last = RecordId("")
        while page := self._live_page(last):
            last = page[-1][0]
            marked = self._among([id for id, _ in page])
            yield from ((id, model) for id, model in page if id not in marked)

    def _live_page(self, after: RecordId) -> list[tuple[RecordId, ModelId]]:
        query = (
            select(records.c.id, records.c.model_id)
            .where(records.c.source_id == self._source_id, records.c.deleted_at.is_(None), records.c.id > after)
            .order_by(records.c.id)
            .limit(IDS_AT_ONCE)
        )
        rows = self._mirror.query(lambda connection: connection.execute(query).all())
        return [(RecordId(row[0]), ModelId(row[1])) for row in rows]

    def _among(self, ids: Sequence[RecordId]) -> set[str]:
        marks = ",".join("?" * len(ids))
        with _on_disk():
            found = self._marks.execute(f"SELECT id FROM seen WHERE id IN ({marks})", ids)  # noqa: S608
            return {row[0] for row in found}


@contextmanager
def _on_disk() -> Iterator[None]:
    """Raise errors of this database as those of the mirror."""
    try:
        yield
    except sqlite3.Error as error:
        if meaning := translate_error(error, "of what a sweep listed, in the folder for temporary files,"):
            raise meaning from error
        raise
