"""For every model a view with a column for each of its fields: `<source>_<model>_versions`.

They are made from the schema and hold no data; they are rebuilt after the schema changed, never while versions are
written. A view whose definition is the same is left alone. Deleted models and fields keep theirs, since their old
versions are still here; a renamed field is found in old versions under its old name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from versionsync.ledger.events import EventType
from versionsync.mirror.ddl import drop_view, name_in_sql, replace_view, run_ddl, text_in_sql
from versionsync.mirror.tables import events, fields, models, sources
from versionsync.mirror.typed_columns import expression, kind_of
from versionsync.mirror.types import POSTGRES
from versionsync.mirror.view_names import column_names, view_name

__all__ = ["TypedViews", "drop_typed_views", "rebuild_typed_views"]

# How our views are told from others: in SQLite by a comment in their text, in PostgreSQL by their comment.
MARK = "typed view by versionsync"
MOST_COLUMNS = 1500
OWN_COLUMNS = (
    "version_id",
    "record_id",
    "created_at",
    "editor_type",
    "editor_id",
    "is_current",
    "is_published",
    "published_from",
    "published_until",
    "record_deleted_at",
)

POSTGRES_MARKS = text(
    """
    SELECT c.relname, d.description
    FROM pg_class AS c
    JOIN pg_description AS d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
    WHERE c.relkind = 'v' AND pg_table_is_visible(c.oid) AND d.description LIKE :mark
    """
)
SQLITE_MARKS = text("SELECT name, sql FROM sqlite_master WHERE type = 'view' AND sql LIKE :mark")


@dataclass(frozen=True, slots=True)
class TypedViews:
    """What a rebuilding did. `blocked` could not be changed, because views of a user's own stand on them."""

    made: tuple[str, ...]
    dropped: tuple[str, ...]
    blocked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Definition:
    name: str
    source_id: int
    query: str

    @property
    def mark(self) -> str:
        digest = sha256(self.query.encode()).hexdigest()[:16]
        return f"{MARK}, source {self.source_id}, definition {digest}"


def rebuild_typed_views(tx: Connection, source_id: int) -> TypedViews:
    """Make the typed views of a source what its schema says; only those that changed are touched."""
    there = _marks(tx, source_id)
    wanted = {view.name: view for view in _definitions(tx, source_id)}
    made: list[str] = []
    dropped: list[str] = []
    blocked: list[str] = []
    for name in sorted(there.keys() - wanted.keys()):
        (dropped if _try(tx, partial(drop_view, tx, name)) else blocked).append(name)
    for name, view in wanted.items():
        if there.get(name) != view.mark:
            (made if _try(tx, partial(_make, tx, view)) else blocked).append(name)
    return TypedViews(tuple(made), tuple(dropped), tuple(blocked))


def drop_typed_views(tx: Connection) -> None:
    """Drop the typed views of all sources, so that their tables can be altered."""
    for name in _marks(tx):
        drop_view(tx, name)


def _definitions(tx: Connection, source_id: int) -> Iterator[_Definition]:
    # Names are given to the models of all sources in the order in which they were first seen: an older one keeps its.
    query = (
        select(models.c.source_id, models.c.id, models.c.api_key, sources.c.name)
        .join(sources, sources.c.id == models.c.source_id)
        .where(models.c.api_key.is_not(None), models.c.is_block.is_(False))
        .order_by(models.c.first_seen_at, models.c.source_id, models.c.id)
    )
    former = _former_keys(tx, source_id)
    taken: set[str] = set()
    for model in tx.execute(query).all():
        name = view_name(model.name, str(model.api_key), id=f"{model.source_id}:{model.id}", taken=taken)
        taken.add(name)
        if model.source_id == source_id:
            yield _Definition(name, source_id, _query(tx, source_id, model.id, former))


def _query(tx: Connection, source_id: int, model_id: str, former: Mapping[str, Sequence[str]]) -> str:
    listed = tx.execute(
        select(fields.c.id, fields.c.api_key, fields.c.field_type, fields.c.is_localized, fields.c.deleted_at)
        .where(fields.c.source_id == source_id, fields.c.model_id == model_id)
        .order_by(fields.c.deleted_at.is_not(None), fields.c.position, fields.c.id)
        .limit(MOST_COLUMNS)
    ).all()
    names = column_names([field.api_key for field in listed], taken=OWN_COLUMNS)
    in_use = {field.api_key for field in listed}
    columns = [
        "v.id AS version_id",
        "v.record_id",
        "v.created_at",
        "v.editor_type",
        "v.editor_id",
        "v.is_current",
        "v.is_published",
        "v.published_from",
        "v.published_until",
        "r.deleted_at AS record_deleted_at",
    ]
    for field, name in zip(listed, names, strict=True):
        kind = kind_of(field.field_type, is_localized=field.is_localized)
        keys = [field.api_key, *(key for key in former.get(field.id, ()) if key not in in_use)]
        columns.append(f"{expression(kind, keys, tx.dialect.name)} AS {name_in_sql(name)}")
    listing = ",\n    ".join(columns)
    return (
        f"SELECT\n    {listing}\nFROM versions AS v\n"
        "JOIN records AS r ON r.source_id = v.source_id AND r.id = v.record_id\n"
        f"WHERE v.source_id = {source_id:d} AND v.model_id = {text_in_sql(model_id)}"
    )


def _former_keys(tx: Connection, source_id: int) -> dict[str, list[str]]:
    """The names that fields had before, newest first, by the field's id: the events of their changes tell."""
    told = tx.scalars(
        select(events.c.data)
        .where(events.c.source_id == source_id, events.c.type == EventType.FIELD_CHANGED.value)
        .order_by(events.c.id.desc())
    )
    found: dict[str, list[str]] = {}
    for data in map(json.loads, told):
        renamed = data.get("changes", {}).get("api_key")
        if renamed and isinstance(renamed[0], str):
            keys = found.setdefault(data["field"]["id"], [])
            if renamed[0] not in keys:
                keys.append(renamed[0])
    return found


def _make(tx: Connection, view: _Definition) -> None:
    if tx.dialect.name == POSTGRES:
        replace_view(tx, view.name, view.query)
        run_ddl(tx, f"COMMENT ON VIEW {name_in_sql(view.name)} IS {text_in_sql(view.mark)}")
    else:
        replace_view(tx, view.name, f"-- {view.mark}\n{view.query}")


def _try(tx: Connection, change: Callable[[], None]) -> bool:
    """Whether `change` could be made. PostgreSQL drops no view on which another one stands."""
    try:
        with tx.begin_nested():
            change()
    except DBAPIError:
        return False
    return True


def _marks(tx: Connection, source_id: int | None = None) -> dict[str, str]:
    """The typed views that are there, of a source or of all (None), with their marks."""
    query = POSTGRES_MARKS if tx.dialect.name == POSTGRES else SQLITE_MARKS
    found = {}
    for name, said in tx.execute(query, {"mark": f"%{MARK},%"}):
        mark = re.search(rf"{MARK}, source (\d+), definition [0-9a-f]+", said)
        if mark and source_id in (None, int(mark[1])):
            found[name] = mark[0]
    return found
