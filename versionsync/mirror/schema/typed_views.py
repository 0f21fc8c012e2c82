"""Three views for every model, with a column for each of its fields.

`<source>_<model>_versions` has all versions, `…_current` and `…_published` have the current and the published version
of each record that is not deleted. The views are made from the schema and hold no data. They are rebuilt after the
schema changed, never while versions are written. A view whose definition is the same is not touched. Deleted models
and fields keep theirs, since their old versions are still here. A renamed field is read from old versions under its old
name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from versionsync.mirror.engine.dialects import OWN_VIEW, ColumnType, dialect_of, name_in_sql, text_in_sql
from versionsync.mirror.errors import ContentRejected, DatabaseUnavailable, TransactionLost
from versionsync.mirror.schema import fields, models, sources
from versionsync.mirror.tables.models import former_keys
from versionsync.mirror.tables.sources import save_blocked_views

__all__ = [
    "COLUMN_TYPES",
    "NAME_BYTES",
    "OWN_COLUMNS",
    "VIEW_KINDS",
    "TypedViews",
    "column_names",
    "column_type",
    "drop_typed_views",
    "rebuild_typed_views",
    "view_stem",
]

NAME_BYTES: Final = 63
"""PostgreSQL cuts off the rest of a name."""
MOST_COLUMNS = 1500
LOCK_SECONDS = 2.0
SHORT_LOCK_SECONDS = 0.1
MARK = f"typed {OWN_VIEW}"

VIEW_KINDS: Final[Mapping[str, str]] = {
    "versions": "",
    "current": " AND v.is_current AND r.deleted_at IS NULL",
    "published": " AND v.is_published AND r.deleted_at IS NULL",
}
"""The end of each view's name, and which of the model's versions it has."""

COLUMN_TYPES: Final = {
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

_LAST_PUBLICATION: Final = (
    "FROM intervals AS i WHERE i.source_id = v.source_id AND i.version_id = v.id AND i.kind = 'published' "
    "ORDER BY i.valid_from DESC, i.number DESC LIMIT 1"
)
# Subqueries, and no joins: a database leaves out those whose column is not asked for.
_OWN: Final = {
    "version_id": "v.id",
    "record_id": "v.record_id",
    "created_at": "v.created_at",
    "editor_type": "v.editor_type",
    "editor_id": "v.editor_id",
    "is_current": "v.is_current",
    "is_published": "v.is_published",
    "published_from": "v.published_from",
    "published_until": "v.published_until",
    "record_deleted_at": "r.deleted_at",
    "version_ordinal": "v.ordinal",
    "editor_name": "(SELECT e.name FROM editors AS e WHERE e.source_id = v.source_id AND e.type = v.editor_type "
    "AND e.id = v.editor_id)",
    "record_title": "(SELECT t.title FROM titles AS t WHERE t.source_id = v.source_id AND t.version_id = v.id "
    "ORDER BY CASE t.locale WHEN '' THEN 0 WHEN {main_locale} THEN 1 ELSE 2 END, t.locale LIMIT 1)",
    "live_from": f"(SELECT i.valid_from {_LAST_PUBLICATION})",
    "live_until": f"(SELECT i.valid_until {_LAST_PUBLICATION})",
    "source_name": "(SELECT s.name FROM sources AS s WHERE s.id = v.source_id)",
}
OWN_COLUMNS: Final = tuple(_OWN)
"""The columns of every typed view that are not fields. No field gets one of these names."""

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


def view_stem(source: str, model: str, *, id: str, taken: Iterable[str]) -> str:
    """Return what the names of a model's views begin with: `<source>_<model>`.

    A hash of the model's `id` distinguishes it from those `taken`, and from others that are too long.
    """
    stem = f"{_plain(source)}_{_plain(model)}"
    if stem[0].isdigit():
        stem = f"_{stem}"
    limit = NAME_BYTES - 1 - max(map(len, VIEW_KINDS))
    if len(stem) <= limit and stem not in taken:
        return stem
    digest = sha256(f"{source}\0{model}\0{id}".encode()).hexdigest()[:8]
    return f"{stem[: limit - 1 - len(digest)]}_{digest}"


def column_names(api_keys: Iterable[str]) -> list[str]:
    """Return a column name for each of `api_keys`: all different (case does not count), and none of them reserved.

    A field keeps its API key as its name unless that is reserved. Then an underscore follows: no API key ends in one,
    so the name is free whatever other fields there are.
    """
    reserved = {name.casefold() for name in OWN_COLUMNS}
    used = set(reserved)
    names = []
    for api_key in api_keys:
        name = _cut(api_key.replace("\0", "") or "field", NAME_BYTES)
        if name.casefold() in reserved:
            name = f"{name}_"
        candidate, number = name, 1
        while candidate.casefold() in used:
            number += 1
            candidate = f"{_cut(name, NAME_BYTES - len(str(number)) - 1)}_{number}"
        used.add(candidate.casefold())
        names.append(candidate)
    return names


def column_type(field_type: str, *, is_localized: bool) -> ColumnType:
    """Return what the column of a field holds. For a localized field that is JSON: an object by locale."""
    return ColumnType.JSON if is_localized else COLUMN_TYPES.get(field_type, ColumnType.JSON)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "x"


def _cut(name: str, limit: int) -> str:
    """Return the start of `name`: at most `limit` bytes, whole characters only."""
    return name.encode()[:limit].decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class TypedViews:
    """What a rebuild did. `blocked` has the views that could not be changed, and why: they stay as they were."""

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
    """Bring the typed views of a source in line with its schema; touch only those that changed.

    A view that cannot be changed is recorded with the source, and stops nothing else.
    """
    dialect = dialect_of(tx)
    existing = _marks(tx, source_id)
    wanted = {view.name: view for view in _definitions(tx, source_id)}
    changes: dict[str, Callable[[], None]] = {
        name: partial(dialect.drop_view, tx, name) for name in sorted(existing.keys() - wanted.keys())
    }
    for name, view in wanted.items():
        if existing.get(name) != view.mark:
            changes[name] = partial(dialect.replace_view, tx, name, view.query, mark=view.mark)
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
        dialect_of(tx).drop_view(tx, name)


def _definitions(tx: Connection, source_id: int) -> Iterator[_Definition]:
    # The models of all sources get their names in the order in which they were first seen: an older one keeps its name.
    query = (
        select(models.c.source_id, models.c.id, models.c.api_key, sources.c.name)
        .join(sources, sources.c.id == models.c.source_id)
        .where(models.c.api_key.is_not(None), models.c.is_block.is_(False))
        .order_by(models.c.first_seen_at, models.c.source_id, models.c.id)
    )
    former = former_keys(tx, source_id)
    locales = json.loads(tx.scalar(select(sources.c.locales).where(sources.c.id == source_id)) or "[]")
    main_locale = text_in_sql(str(locales[0])) if locales else "NULL"
    taken: set[str] = set()
    for model in tx.execute(query).all():
        stem = view_stem(model.name, str(model.api_key), id=f"{model.source_id}:{model.id}", taken=taken)
        taken.add(stem)
        if model.source_id == source_id:
            query_of_all = _query(tx, source_id, model.id, former, main_locale)
            for kind, condition in VIEW_KINDS.items():
                yield _Definition(f"{stem}_{kind}", source_id, f"{query_of_all}{condition}")


def _query(tx: Connection, source_id: int, model_id: str, former: Mapping[str, Sequence[str]], main_locale: str) -> str:
    listed = tx.execute(
        select(fields.c.id, fields.c.api_key, fields.c.field_type, fields.c.is_localized, fields.c.deleted_at)
        .where(fields.c.source_id == source_id, fields.c.model_id == model_id)
        .order_by(fields.c.deleted_at.is_not(None), fields.c.position, fields.c.id)
        .limit(MOST_COLUMNS)
    ).all()
    in_use = {field.api_key for field in listed}
    columns = [f"{expression.replace('{main_locale}', main_locale)} AS {name}" for name, expression in _OWN.items()]
    for field, name in zip(listed, column_names(field.api_key for field in listed), strict=True):
        kind = column_type(field.field_type, is_localized=field.is_localized)
        keys = [field.api_key, *(key for key in former.get(field.id, ()) if key not in in_use)]
        values = [dialect_of(tx).member(kind, key) for key in keys]
        value = values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"
        columns.append(f"{value} AS {name_in_sql(name)}")
    listing = ",\n    ".join(columns)
    return (
        f"SELECT\n    {listing}\nFROM versions AS v\n"
        "JOIN records AS r ON r.source_id = v.source_id AND r.id = v.record_id\n"
        f"WHERE v.source_id = {source_id:d} AND v.model_id = {text_in_sql(model_id)}"
    )


def _obstacle(tx: Connection, name: str, change: Callable[[], None], *, is_first: bool) -> str | None:
    """Make a change to a view; return what prevents it, if anything does.

    Another role may own the view, a user's own views may depend on it, something else may have its name, and a session
    that reads it may not end. We wait for that session, but less for every view after the first.
    """
    dialect = dialect_of(tx)
    if occupant := dialect.in_the_way(tx, name):
        return f"{occupant} has this name: give that another one"
    try:
        with tx.begin_nested():
            dialect.set_lock_timeout(tx, LOCK_SECONDS if is_first else SHORT_LOCK_SECONDS)
            change()
            dialect.set_lock_timeout(tx, None)
    except TransactionLost:
        raise
    except (DBAPIError, DatabaseUnavailable, ContentRejected) as error:
        return _reason(tx, name, error.orig if isinstance(error, DBAPIError) else error.__cause__)
    return None


def _reason(tx: Connection, name: str, cause: BaseException | None) -> str:
    """Return why a view could not be changed and what to do, in a line without content."""
    state = getattr(cause, "sqlstate", None)
    if state == DEPENDED_ON:
        detail = getattr(getattr(cause, "diag", None), "message_detail", None) or ""
        first = detail.splitlines()[0] if detail else "views of your own depend on it"
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
    """Return the marks of the existing typed views of a source, or of all (None), by name."""
    found = {}
    for name, marked in tx.execute(text(dialect_of(tx).marks), {"mark": f"%{MARK},%"}):
        mark = re.search(rf"{MARK}, source (\d+), definition [0-9a-f]+", marked)
        if mark and source_id in (None, int(mark[1])):
            found[name] = mark[0]
    return found
