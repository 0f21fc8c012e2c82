"""Editors: who made versions and records, as far as the token may read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, select
from sqlalchemy.sql.dml import Insert

from versionsync.ledger.records import Editor
from versionsync.mirror.engine.bulk import insert_ignore, run_many, upsert
from versionsync.mirror.engine.jsonb import stored_json
from versionsync.mirror.schema import editors
from versionsync.mirror.tables.leases import Lease, assert_and_renew

__all__ = ["EditorRow", "unknown_editors", "upsert_editor_ids", "upsert_editors"]

KEY = ("source_id", "type", "id")
DETAILS = ("name", "email", "payload")


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorRow:
    """What is known of an editor; `payload` is its JSON document without secrets."""

    type: str
    id: str
    name: str | None = None
    email: str | None = None
    payload: str | None = None


def upsert_editors(tx: Connection, lease: Lease, rows: Sequence[EditorRow]) -> None:
    """Write what is known of these editors; a row that is so already is not written again."""
    assert_and_renew(tx, lease)
    run_many(
        tx,
        _details(tx.dialect.name),
        KEY + DETAILS,
        [(lease.source_id, row.type, row.id, row.name, row.email, stored_json(tx, row.payload)) for row in rows],
    )


def upsert_editor_ids(tx: Connection, source_id: int, mentioned: Iterable[Editor]) -> None:
    """Make a row of type and id only for each editor who has none."""
    wanted = sorted({(editor.type, editor.id) for editor in mentioned})
    if wanted:
        run_many(tx, _row(tx.dialect.name), KEY, [(source_id, type_, id) for type_, id in wanted])


def unknown_editors(connection: Connection, source_id: int, *, nameless_too: bool = False) -> list[Editor]:
    """The editors of whom nothing was written; with `nameless_too` those who have no name, whatever was written."""
    unknown = editors.c.name if nameless_too else editors.c.payload
    query = (
        select(editors.c.type, editors.c.id)
        .where(editors.c.source_id == source_id, unknown.is_(None))
        .order_by(editors.c.type, editors.c.id)
    )
    return [Editor(type=row.type, id=row.id) for row in connection.execute(query)]


@lru_cache
def _details(dialect: str) -> Insert:
    return upsert(editors, dialect, DETAILS)


@lru_cache
def _row(dialect: str) -> Insert:
    return insert_ignore(editors, dialect)
