"""Read and write editors: who made versions and records, as far as the token may read that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from versionsync.ledger.records import Editor
from versionsync.mirror.engine.bulk import run_many
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import editors
from versionsync.mirror.tables.leases import Lease, assert_and_renew

__all__ = ["EditorRow", "unknown_editors", "upsert_editor_ids", "upsert_editors"]

KEY = ("source_id", "type", "id")
DETAILS = ("name", "email", "payload")


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorRow:
    """What is known of an editor. `payload` is its JSON document without secrets."""

    type: str
    id: str
    name: str | None = None
    email: str | None = None
    payload: str | None = None


def upsert_editors(tx: Connection, lease: Lease, rows: Sequence[EditorRow]) -> None:
    """Write what is known of these editors. A row that is equal already is not written again."""
    assert_and_renew(tx, lease)
    stored = dialect_of(tx).storable_json_text
    run_many(
        tx,
        dialect_of(tx).upsert(editors, DETAILS),
        KEY + DETAILS,
        [(lease.source_id, row.type, row.id, row.name, row.email, row.payload and stored(row.payload)) for row in rows],
    )


def upsert_editor_ids(tx: Connection, source_id: int, mentioned: Iterable[Editor]) -> None:
    """Make a row with type and id only for each editor who has none."""
    wanted = sorted({(editor.type, editor.id) for editor in mentioned})
    if wanted:
        run_many(tx, dialect_of(tx).insert_ignore(editors), KEY, [(source_id, type_, id) for type_, id in wanted])


def unknown_editors(connection: Connection, source_id: int, *, nameless_too: bool = False) -> list[Editor]:
    """Return the editors without details; with `nameless_too` those without a name."""
    unknown = editors.c.name if nameless_too else editors.c.payload
    query = (
        select(editors.c.type, editors.c.id)
        .where(editors.c.source_id == source_id, unknown.is_(None))
        .order_by(editors.c.type, editors.c.id)
    )
    return [Editor(type=row.type, id=row.id) for row in connection.execute(query)]
