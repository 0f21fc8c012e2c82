"""For every model a view with a column for each of its fields: `<source>_<model>_versions`.

They are made from the schema and hold no data; they are rebuilt after the schema changed, never while versions are
written. A view whose definition is the same is left alone. Deleted models and fields keep theirs, since their old
versions are still here; a renamed field is found in old versions under its old name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from hashlib import sha256

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from versionsync.ledger.events import EventType
from versionsync.mirror.engine.types import POSTGRES
from versionsync.mirror.errors import ContentRejected, DatabaseUnavailable, TransactionLost
from versionsync.mirror.schema import events, fields, models, sources
from versionsync.mirror.schema.ddl import (
    OWN_VIEW,
    drop_view,
    in_the_way,
    name_in_sql,
    replace_view,
    run_ddl,
    text_in_sql,
)
from versionsync.mirror.tables.sources import save_blocked_views

__all__ = [
    "NAME_BYTES",
    "ColumnType",
    "TypedViews",
    "column_names",
    "column_type",
    "drop_typed_views",
    "expression",
    "rebuild_typed_views",
    "view_name",
]

NAME_BYTES = 63  # PostgreSQL cuts off the rest


def view_name(source: str, model: str, *, id: str, taken: Iterable[str]) -> str:
    """`<source>_<model>_versions`, told from those `taken` by something made of the model's `id`."""
    name = f"{_plain(source)}_{_plain(model)}"
    if name[0].isdigit():
        name = f"_{name}"
    full = f"{name}_versions"
    if len(full) <= NAME_BYTES and full not in taken:
        return full
    mark = sha256(f"{source}\0{model}\0{id}".encode()).hexdigest()[:8]
    return f"{name[: NAME_BYTES - len(mark) - 10]}_{mark}_versions"


def column_names(wanted: Iterable[str], *, taken: Iterable[str]) -> list[str]:
    """A name for each of `wanted`, all different (case does not count), and none of `taken`."""
    used = {name.casefold() for name in taken}
    names = []
    for name in wanted:
        plain = _cut(name.replace("\0", "") or "field", NAME_BYTES)
        candidate, number = plain, 1
        if candidate.casefold() in used:
            candidate = _cut(f"field_{plain}", NAME_BYTES)
        while candidate.casefold() in used:
            number += 1
            candidate = f"{_cut(plain, NAME_BYTES - len(str(number)) - 1)}_{number}"
        used.add(candidate.casefold())
        names.append(candidate)
    return names


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "x"


def _cut(name: str, limit: int) -> str:
    """The start of `name` of at most `limit` bytes, whole characters only."""
    return name.encode()[:limit].decode(errors="ignore")


class ColumnType(Enum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    JSON = "JSON"


COLUMN_TYPES = {
    "string": ColumnType.TEXT,
    "text": ColumnType.TEXT,
    "slug": ColumnType.TEXT,
    "json": ColumnType.TEXT,
    "link": ColumnType.TEXT,
    "integer": ColumnType.NUMBER,
    "float": ColumnType.NUMBER,
    "boolean": ColumnType.BOOLEAN,
    "date": ColumnType.DATE,
    "date_time": ColumnType.TIME,
}

# Days that exist: a cast of any other raises. PostgreSQL before 16 cannot be asked.
_LEAP_YEAR = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][48]|[13579][26]|[2468]0)00)"
_DAY = (
    "(?!0000)("
    "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP_YEAR}-02-29)"
)
_CLOCK = "T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?(Z|[+-](0[0-9]|1[0-3]):?[0-5][0-9])"
PLAIN_KEY = re.compile("[A-Za-z0-9_]+")
IS_DATE = f"^{_DAY}$"
IS_TIME = f"^{_DAY}{_CLOCK}$"


def column_type(field_type: str, *, is_localized: bool) -> ColumnType:
    """What a column of a field holds: of a localized one always JSON, an object by locale."""
    return ColumnType.JSON if is_localized else COLUMN_TYPES.get(field_type, ColumnType.JSON)


def expression(kind: ColumnType, keys: Sequence[str], dialect: str) -> str:
    """The value of a field that is, or once was, a member of `attributes`: of the first of `keys` that has one."""
    make = _on_postgres if dialect == POSTGRES else _on_sqlite
    values = [make(kind, key) for key in keys]
    return values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"


def _on_postgres(kind: ColumnType, key: str) -> str:
    member, text = f"v.attributes -> {text_in_sql(key)}", f"v.attributes ->> {text_in_sql(key)}"
    match kind:
        case ColumnType.TEXT:
            return f"({text})"
        case ColumnType.NUMBER:
            return f"CASE jsonb_typeof({member}) WHEN 'number' THEN ({text})::numeric END"
        case ColumnType.BOOLEAN:
            return f"CASE jsonb_typeof({member}) WHEN 'boolean' THEN ({text})::boolean END"
        case ColumnType.DATE:
            return f"CASE WHEN ({text}) ~ {text_in_sql(IS_DATE)} THEN ({text})::date END"
        case ColumnType.TIME:
            return f"CASE WHEN ({text}) ~ {text_in_sql(IS_TIME)} THEN ({text})::timestamptz END"
        case ColumnType.JSON:
            return f"nullif({member}, 'null')"


def _on_sqlite(kind: ColumnType, key: str) -> str:
    if PLAIN_KEY.fullmatch(key):
        path = text_in_sql(f'$."{key}"')
        value, type_ = f"json_extract(v.attributes, {path})", f"json_type(v.attributes, {path})"
    else:  # no path can spell every key
        member = f"FROM json_each(v.attributes) AS m WHERE m.key = {text_in_sql(key)}"
        value, type_ = f"(SELECT m.value {member})", f"(SELECT m.type {member})"
    match kind:
        case ColumnType.TEXT | ColumnType.DATE | ColumnType.TIME:
            return value
        case ColumnType.NUMBER:
            return f"CASE WHEN {type_} IN ('integer', 'real') THEN {value} END"
        case ColumnType.BOOLEAN:
            return f"CASE WHEN {type_} IN ('true', 'false') THEN {value} END"
        case ColumnType.JSON:
            return f"CASE {type_} WHEN 'text' THEN json_quote({value}) ELSE {value} END"


MARK = f"typed {OWN_VIEW}"
MOST_COLUMNS = 1500
LOCK_MILLISECONDS = 2_000
LEAST_LOCK_MILLISECONDS = 100

DEPENDED_ON = "2BP01"
NO_RIGHT = "42501"
LOCKED = ("55P03", "57014")
OWNER = text(
    """
    SELECT (
        SELECT pg_get_userbyid(c.relowner)
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = current_schema()
        WHERE c.relname = :name
    ), current_user
    """
)
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
    JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = current_schema()
    JOIN pg_description AS d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
    WHERE c.relkind = 'v' AND d.description LIKE :mark
    """
)
SQLITE_MARKS = text("SELECT name, sql FROM sqlite_master WHERE type = 'view' AND sql LIKE :mark")


@dataclass(frozen=True, slots=True)
class TypedViews:
    """What a rebuilding did. `blocked` are those that could not be changed, and why: they stay as they were."""

    made: tuple[str, ...]
    dropped: tuple[str, ...]
    blocked: Mapping[str, str]


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
    """Make the typed views of a source what its schema says; only those that changed are touched.

    Whatever keeps a view from being changed is noted with the source, and fails nothing else.
    """
    there = _marks(tx, source_id)
    wanted = {view.name: view for view in _definitions(tx, source_id)}
    changes = {name: partial(drop_view, tx, name) for name in sorted(there.keys() - wanted.keys())}
    changes |= {name: partial(_make, tx, view) for name, view in wanted.items() if there.get(name) != view.mark}
    blocked: dict[str, str] = {}
    for name, change in changes.items():
        if obstacle := _obstacle(tx, name, change, is_first=not blocked):
            blocked[name] = obstacle
    save_blocked_views(tx, source_id, blocked)
    done = [name for name in changes if name not in blocked]
    return TypedViews(
        made=tuple(name for name in done if name in wanted),
        dropped=tuple(name for name in done if name not in wanted),
        blocked=blocked,
    )


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
        kind = column_type(field.field_type, is_localized=field.is_localized)
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


def _obstacle(tx: Connection, name: str, change: Callable[[], None], *, is_first: bool) -> str | None:
    """Make a change to a view; returns what keeps it from being made, if anything does.

    Another role may own it, views of a user's own may stand on it, something else may have its name, and a session that
    reads it may not end: that is waited for, but only for the first of them.
    """
    if there := in_the_way(tx, name):
        return f"{there} has this name: give that another one"
    try:
        with tx.begin_nested():
            if tx.dialect.name == POSTGRES:
                patience = LOCK_MILLISECONDS if is_first else LEAST_LOCK_MILLISECONDS
                tx.exec_driver_sql(f"SET LOCAL lock_timeout = {patience:d}")
            change()
            if tx.dialect.name == POSTGRES:
                tx.exec_driver_sql("SET LOCAL lock_timeout TO DEFAULT")
    except TransactionLost:
        raise
    except (DBAPIError, DatabaseUnavailable, ContentRejected) as error:
        return _reason(tx, name, error.orig if isinstance(error, DBAPIError) else error.__cause__)
    return None


def _reason(tx: Connection, name: str, cause: BaseException | None) -> str:
    """Why a view could not be changed, and what to do, in a line without content."""
    state = getattr(cause, "sqlstate", None)
    if state == DEPENDED_ON:
        detail = getattr(getattr(cause, "diag", None), "message_detail", None) or ""
        first = detail.splitlines()[0] if detail else "views of your own stand on it"
        return f"{first}: drop yours, and make it again after the next run"
    if state == NO_RIGHT:
        owner, ours = tx.execute(OWNER, {"name": name}).one()
        if owner is None:
            return f"the role {ours} may not create views in this schema: GRANT CREATE ON SCHEMA … TO {ours}"
        return f"it belongs to the role {owner}: ALTER VIEW {name_in_sql(name)} OWNER TO {ours}, or drop it"
    if state in LOCKED:
        return "another session has it in use: the next run tries again"
    return f"the database refuses it ({type(cause).__name__}{f' {state}' if state else ''})"


def _marks(tx: Connection, source_id: int | None = None) -> dict[str, str]:
    """The typed views that are there, of a source or of all (None), with their marks."""
    query = POSTGRES_MARKS if tx.dialect.name == POSTGRES else SQLITE_MARKS
    found = {}
    for name, said in tx.execute(query, {"mark": f"%{MARK},%"}):
        mark = re.search(rf"{MARK}, source (\d+), definition [0-9a-f]+", said)
        if mark and source_id in (None, int(mark[1])):
            found[name] = mark[0]
    return found
