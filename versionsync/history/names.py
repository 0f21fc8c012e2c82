"""Find what somebody names: a record, a version, a model, an editor.

A record is named by its id, by the unique beginning of its id, by `model:slug`, by its title, or by the URL of
DatoCMS's editor. A name that fits several is refused, and they are listed with their titles. A name that fits none is
refused with the nearest, and with what else has this id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from sqlalchemy import ColumnElement, Connection, Text, and_, case, func, literal_column, select

from versionsync.history.errors import AmbiguousName, HistoryError, NotFilled, UnknownName
from versionsync.history.model import RecordKey
from versionsync.history.questions.details import stream, title_of_version
from versionsync.history.scope import ModelName, Scope, fillings
from versionsync.mirror.engine.dialects import ColumnType, dialect_of
from versionsync.mirror.schema import editors, fields, records, titles, versions
from versionsync.mirror.tables.projection_cursors import TITLES
from versionsync.text import nearest, printable

__all__ = [
    "FoundEditor",
    "FoundRecord",
    "FoundVersion",
    "find_editors",
    "find_fields",
    "find_models",
    "find_record",
    "find_version",
    "short_id",
]

SHOWN: Final = 8
"""How many characters of an id are shown. Ids that are numbers are shown in full: their beginnings are alike."""
SHORTEST_PREFIX: Final = 4
MAX_CANDIDATES: Final = 10
MAX_COMPARED: Final = 200_000
"""How many titles an unknown one is compared with to find the nearest."""
ALIKE: Final = 5
"""How many first characters two ids must share to be similar. Of 100,000 random ones, the nearest share three."""

_ID = re.compile(r"[A-Za-z0-9_-]+")
_ITEM = re.compile(r"/(?:items|records)/([A-Za-z0-9_-]+)")
_ENVIRONMENT = re.compile(r"/environments/([^/]+)")
_QUOTES: Final = ('""', "''", "“”", "„“", "«»", "‘’")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRecord:
    """The record that a name means."""

    source_id: int
    record_id: str
    model_id: str
    model: str
    title: str | None
    current_version_id: str | None
    deleted_at: datetime | None
    source: str

    @property
    def key(self) -> RecordKey:
        """What names it in the whole mirror."""
        return RecordKey(self.source_id, self.record_id)

    def __str__(self) -> str:
        """Return it for a list: its short id, title and model."""
        gone = ", deleted" if self.deleted_at else ""
        return printable(f"{short_id(self.record_id)} {_quoted(self.title)} ({self.model}{gone})")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundVersion:
    """The version that a name means."""

    source_id: int
    version_id: str
    record_id: str
    model_id: str
    created_at: datetime
    source: str

    def __str__(self) -> str:
        """Return it for a list: its short id, and when it was made."""
        return printable(f"{short_id(self.version_id)} of {self.created_at:%Y-%m-%d %H:%M} UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEditor:
    """An editor that a name means."""

    source_id: int
    type: str
    id: str
    name: str | None


def short_id(id: str) -> str:
    """Return the first characters of an id, which name it in a list. A number stays as it is."""
    return id if id.isdecimal() else id[:SHOWN]


def find_record(connection: Connection, scope: Scope, name: str) -> FoundRecord:
    """Return the record that `name` means.

    Args:
        connection: An open connection that reads.
        scope: The sources to search.
        name: An id, the beginning of one, `model:slug`, a title, or a URL of DatoCMS's editor.

    Raises:
        UnknownName: None has this name. The message says what else has this id, the hint what is nearest.
        AmbiguousName: Several have it; its candidates are listed with their titles.
    """
    wanted = name.strip()
    if not wanted:
        raise UnknownName("no record is named", hint="Name it by id, model:slug, title or URL.")
    if wanted.lower().startswith(("http://", "https://")):
        return _by_url(connection, scope, wanted)
    title = _unquoted(wanted)
    searches = [_by_title] if title != wanted else [_by_id, _by_slug, _by_title]
    for search in searches:
        if found := search(connection, scope, title):
            return _the_one(connection, scope, name, found)
    raise _unknown_record(connection, scope, title)


def find_version(connection: Connection, scope: Scope, name: str) -> FoundVersion:
    """Return the version whose id is `name` or begins with it.

    Raises:
        UnknownName: None has this id.
        AmbiguousName: The ids of several begin so.
    """
    wanted = name.strip()
    columns = (versions.c.source_id, versions.c.id, versions.c.record_id, versions.c.model_id, versions.c.created_at)
    query = select(*columns).where(versions.c.source_id.in_(scope.ids))
    rows = connection.execute(query.where(versions.c.id == wanted)).all()
    if not rows and _is_prefix(wanted):
        begins = query.where(*_begins(versions.c.id, wanted)).order_by(versions.c.id)
        rows = connection.execute(begins.limit(MAX_CANDIDATES + 1)).all()
    found = [
        FoundVersion(
            source_id=row.source_id,
            version_id=row.id,
            record_id=row.record_id,
            model_id=row.model_id,
            created_at=row.created_at,
            source=scope.name_of(row.source_id),
        )
        for row in rows
    ]
    if not found:
        raise _unknown_id(connection, scope, wanted, versions.c.id, "version")
    if len(found) > 1:
        if len({one.version_id for one in found}) == 1:
            raise _in_several_sources("version", name, [one.source for one in found])
        raise _ambiguous(f"{_number(found)} versions have an id that begins with {name}", map(str, found), len(found))
    return found[0]


def find_models(scope: Scope, name: str) -> list[ModelName]:
    """Return the models of this API key, name or id: one in each source that has it.

    Raises:
        UnknownName: No source has one.
    """
    wanted = name.strip()
    models = list(scope.models.values())
    if found := [model for model in models if wanted in (model.api_key, model.id)]:
        return found
    folded = wanted.casefold()
    if found := [
        model for model in models if folded in ((model.api_key or "").casefold(), (model.name or "").casefold())
    ]:
        return found
    known = [one for model in models for one in (model.name, model.api_key) if one]
    meant = nearest(wanted, known)
    listed = ", ".join(sorted({model.api_key for model in models if model.api_key}))
    raise UnknownName(
        f"there is no model {name}", hint=f"Did you mean {meant}?" if meant else f"There are {listed or 'none yet'}."
    )


def find_editors(connection: Connection, scope: Scope, name: str) -> list[FoundEditor]:
    """Return the editors of this name, email, id or `type:id`: one in each source that has it.

    A part of the name is enough if it fits one person.

    Raises:
        UnknownName: No source has one.
        AmbiguousName: It fits several people of one source.
    """
    wanted = name.strip().casefold()
    columns = (editors.c.source_id, editors.c.type, editors.c.id, editors.c.name, editors.c.email)
    people = connection.execute(select(*columns).where(editors.c.source_id.in_(scope.ids))).all()

    def names(row: Any) -> list[str]:
        known = (row.name, row.email, row.id, f"{row.type}:{row.id}", f"{row.type} {row.id}")
        return [one.casefold() for one in known if one]

    exact = [row for row in people if wanted in names(row)]
    found = exact or [row for row in people if wanted and any(wanted in one for one in names(row)[:2])]
    if not found:
        meant = nearest(wanted, [one for row in people for one in (row.name, row.email) if one])
        raise UnknownName(
            f"no editor is called {name}", hint=f"Did you mean {meant}?" if meant else _listed_editors(people)
        )
    if len({(row.source_id, row.name or row.id) for row in found}) > len({row.source_id for row in found}):
        lines = [printable(f"{row.name or '–'} ({row.type}:{row.id})") for row in found]
        raise _ambiguous(f"{_number(found)} editors are called {name}", lines, len(found))
    return [FoundEditor(source_id=row.source_id, type=row.type, id=row.id, name=row.name) for row in found]


def find_fields(connection: Connection, scope: Scope, name: str) -> tuple[frozenset[str], str | None]:
    """Return the ids of the fields of this API key, label or id, and the nearest API key if there is none."""
    columns = (fields.c.id, fields.c.api_key, fields.c.label)
    known = connection.execute(select(*columns).where(fields.c.source_id.in_(scope.ids))).all()
    ids = {row.id for row in known if name in (row.id, row.api_key)}
    ids = ids or {row.id for row in known if row.label.casefold() == name.casefold()}
    return frozenset(ids), None if ids else nearest(name, {row.api_key for row in known})


def _by_id(connection: Connection, scope: Scope, wanted: str) -> list[RecordKey]:
    """Return the records with this id, else those whose id begins with it, else that of the version with this id."""
    query = select(records.c.source_id, records.c.id).where(records.c.source_id.in_(scope.ids))
    found = _keys(connection, query.where(records.c.id == wanted))
    if not found and _is_prefix(wanted):
        found = _keys(connection, query.where(*_begins(records.c.id, wanted)).limit(MAX_CANDIDATES + 1))
    if not found and _ID.fullmatch(wanted):
        of_version = select(versions.c.source_id, versions.c.record_id).where(versions.c.source_id.in_(scope.ids))
        found = _keys(connection, of_version.where(versions.c.id == wanted))
    return found


def _by_slug(connection: Connection, scope: Scope, wanted: str) -> list[RecordKey]:
    """Return the records of the model before the colon whose newest version has the slug after it."""
    named, _, slug = wanted.partition(":")
    slug = slug.strip()
    found = [model for model in scope.models.values() if slug and named.strip() in (model.api_key, model.id)]
    rows = [key for model in found for key in _with_slug(connection, scope, model, slug)]
    alive = [key for key, is_deleted in rows if not is_deleted]
    return alive or [key for key, _ in rows]


def _with_slug(connection: Connection, scope: Scope, model: ModelName, slug: str) -> Iterator[tuple[RecordKey, bool]]:
    of_model = (fields.c.source_id == model.source_id, fields.c.model_id == model.id)
    keys = connection.scalars(select(fields.c.api_key).where(*of_model, fields.c.field_type == "slug"))
    for key in keys.all():
        member: ColumnElement[str] = literal_column(dialect_of(connection).member(ColumnType.TEXT, key), Text())
        v = versions.alias("v")
        newest = and_(v.c.source_id == records.c.source_id, v.c.id == records.c.current_version_id)
        query = (
            select(records.c.id, records.c.deleted_at, member)
            .join(v, newest)
            .where(records.c.source_id == model.source_id, records.c.model_id == model.id)
            .where(v.c.is_current)  # PostgreSQL has an index of these, and would read every version otherwise
            # One reading of the content decides. Whether it is the whole slug is seen here.
            .where(member.contains(slug, autoescape=True))
        )
        for id, deleted_at, text in stream(connection, query, at_once=100):
            if slug in _slugs_in(text):
                yield RecordKey(model.source_id, id), deleted_at is not None


def _slugs_in(text: str) -> Collection[str]:
    """Return the slugs in a member's text. A localized slug is an object by locale."""
    if not text.startswith("{"):
        return (text,)
    by_locale = json.loads(text)
    return [slug for slug in by_locale.values() if isinstance(slug, str)]


def _by_title(connection: Connection, scope: Scope, wanted: str) -> list[RecordKey]:
    """Return the records that are called so now; else those that once were; else those with it in their title."""
    of_record = and_(records.c.source_id == titles.c.source_id, records.c.id == titles.c.record_id)
    is_newest = func.max(case((records.c.current_version_id == titles.c.version_id, 1), else_=0))
    exact = (
        select(records.c.source_id, records.c.id, is_newest.label("is_newest"), records.c.deleted_at)
        .join(titles, of_record)
        .where(titles.c.source_id.in_(scope.ids), titles.c.title == wanted)
        .group_by(records.c.source_id, records.c.id, records.c.deleted_at)
        .with_hint(titles, "INDEXED BY titles_by_title", "sqlite")
    )
    rows = connection.execute(exact).all()
    now = [row for row in rows if row.is_newest]
    if chosen := [row for row in now if row.deleted_at is None] or now or rows:
        return [RecordKey(row.source_id, row.id) for row in chosen]
    same, within = list[RecordKey](), list[RecordKey]()
    folded = wanted.casefold()
    for key, title in _current_titles(connection, scope):
        candidate = title.casefold()
        if candidate == folded and key not in same:
            same.append(key)
        elif len(within) <= MAX_CANDIDATES and folded in candidate and key not in within:
            within.append(key)
    return same or within


def _current_titles(connection: Connection, scope: Scope) -> Iterator[tuple[RecordKey, str]]:
    """Yield record and title of the newest version of each record that is not deleted, in every locale."""
    newest = and_(titles.c.source_id == records.c.source_id, titles.c.version_id == records.c.current_version_id)
    query = (
        select(records.c.source_id, records.c.id, titles.c.title)
        .join(titles, newest)
        .where(records.c.source_id.in_(scope.ids), records.c.deleted_at.is_(None))
    )
    for row in stream(connection, query, at_once=1000):
        yield RecordKey(row[0], row[1]), row[2]


def _by_url(connection: Connection, scope: Scope, url: str) -> FoundRecord:
    """Return the record that DatoCMS's editor shows at this URL."""
    path = urlsplit(url).path
    item = _ITEM.search(path)
    if item is None:
        raise UnknownName(
            f"the URL {url} is not that of a record",
            hint="Open the record in DatoCMS and copy the URL: it has /items/ and the record's id in it.",
        )
    environment = _ENVIRONMENT.search(path)
    wanted = unquote(environment[1]) if environment else None
    chosen = [source for source in scope.sources if wanted in (None, source.project.environment)]
    if not chosen:
        known = ", ".join(sorted({source.project.environment for source in scope.sources}))
        raise UnknownName(f"the URL is of the environment {wanted}, which is not mirrored", hint=f"Mirrored: {known}.")
    if wanted is None and any(source.project.follows_primary for source in chosen):
        chosen = [source for source in chosen if source.project.follows_primary]
    ids = [source.id for source in chosen]
    found = _keys(
        connection,
        select(records.c.source_id, records.c.id).where(records.c.source_id.in_(ids), records.c.id == item[1]),
    )
    if not found:
        raise _unknown_record(connection, scope, item[1])
    return _the_one(connection, scope, url, found)


def _the_one(connection: Connection, scope: Scope, name: str, keys: Sequence[RecordKey]) -> FoundRecord:
    found = [_described(connection, scope, key) for key in keys[: MAX_CANDIDATES + 1]]
    if len(found) == 1:
        return found[0]
    if len({one.record_id for one in found}) == 1:
        raise _in_several_sources("record", name, [one.source for one in found])
    number = f"{MAX_CANDIDATES} records or more" if len(found) > MAX_CANDIDATES else f"{len(found)} records"
    raise _ambiguous(f"{number} are meant by “{name}”", map(str, found), len(found))


def _described(connection: Connection, scope: Scope, key: RecordKey) -> FoundRecord:
    source_id, id = key
    row = connection.execute(
        select(records.c.model_id, records.c.current_version_id, records.c.deleted_at).where(
            records.c.source_id == source_id, records.c.id == id
        )
    ).one()
    return FoundRecord(
        source_id=source_id,
        record_id=id,
        model_id=row.model_id,
        model=scope.model(source_id, row.model_id),
        title=title_of_version(connection, scope, key, row.current_version_id),
        current_version_id=row.current_version_id,
        deleted_at=row.deleted_at,
        source=scope.name_of(source_id),
    )


def _unknown_record(connection: Connection, scope: Scope, wanted: str) -> HistoryError:
    model, colon, slug = wanted.partition(":")
    if colon and any(model == one.api_key for one in scope.models.values()):
        return UnknownName(f"no {model} has the slug {slug.strip()}", hint="Slugs are those of the newest versions.")
    if _looks_like_id(wanted):
        return _unknown_id(connection, scope, wanted, records.c.id, "record")
    behind = [one for one in fillings(connection, scope, (TITLES,)) if not one.is_complete]
    if any(one.is_empty for one in behind):
        return NotFilled(
            f"titles are not computed yet, so “{wanted}” cannot be searched",
            hint="Name the record by id, model:slug or URL. `versionsync db rebuild titles` computes them now.",
        )
    known = dict[str, RecordKey]()
    for key, title in _current_titles(connection, scope):
        known.setdefault(title, key)
        if len(known) >= MAX_COMPARED:
            break
    meant = nearest(wanted, known)
    never = ", as far as titles are computed" if behind else ", and none ever was"
    return UnknownName(
        f"no record is called “{wanted}”{never}",
        hint=f"Did you mean {_described(connection, scope, known[meant])}?"
        if meant
        else "Name it by id, model:slug, title or URL.",
    )


def _unknown_id(
    connection: Connection, scope: Scope, wanted: str, column: ColumnElement[str], kind: str
) -> UnknownName:
    """Return the error for an id that no record or version has: what else has it, and the nearest."""
    if what := _what_has(connection, scope, wanted):
        return UnknownName(f"{wanted} is no {kind}: it is {what}")
    table = column.table
    near = list[str]()
    for source_id in scope.ids:
        query = select(column).where(table.c.source_id == source_id)
        near += connection.scalars(query.where(column < wanted).order_by(column.desc()).limit(1)).all()
        near += connection.scalars(query.where(column > wanted).order_by(column).limit(1)).all()
    alike = [id for id in near if _common(id, wanted) >= ALIKE]
    best = max(alike, key=lambda other: _common(other, wanted), default=None)
    return UnknownName(
        f"there is no {kind} {wanted}, and the mirror has never seen one",
        hint=f"Did you mean {best}?" if best else "Check the id, or name the source with --source.",
    )


def _what_has(connection: Connection, scope: Scope, id: str) -> str | None:
    for (_, model_id), model in scope.models.items():
        if model_id == id:
            return f"the model {model.shown}"
    row = connection.execute(
        select(versions.c.record_id).where(versions.c.source_id.in_(scope.ids), versions.c.id == id)
    ).first()
    if row is not None:
        return f"a version of the record {row.record_id}"
    if connection.scalar(select(records.c.id).where(records.c.source_id.in_(scope.ids), records.c.id == id)):
        return "a record"
    field = connection.scalar(select(fields.c.api_key).where(fields.c.source_id.in_(scope.ids), fields.c.id == id))
    return None if field is None else f"the field {field}"


def _keys(connection: Connection, query: Any) -> list[RecordKey]:
    return [RecordKey(row[0], row[1]) for row in connection.execute(query)]


def _is_prefix(text: str) -> bool:
    return len(text) >= SHORTEST_PREFIX and _ID.fullmatch(text) is not None


def _looks_like_id(text: str) -> bool:
    """Return whether it can hardly be a title: a number, or letters of both cases or digits without a blank."""
    if _ID.fullmatch(text) is None or len(text) < SHORTEST_PREFIX:
        return False
    return text.isdecimal() or len(text) == 22 or any(char.isdecimal() for char in text)


def _begins(column: ColumnElement[str], prefix: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the condition that the index of ids answers; ids are compared byte by byte."""
    return column >= prefix, column < prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _common(one: str, other: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _unquoted(name: str) -> str:
    for opening, closing in _QUOTES:
        if len(name) > 2 and name.startswith(opening) and name.endswith(closing):
            return name[1:-1].strip()
    return name


def _quoted(title: str | None) -> str:
    return f"“{title}”" if title else "without a title"


def _number(found: Sequence[object]) -> str:
    return f"more than {MAX_CANDIDATES}" if len(found) > MAX_CANDIDATES else str(len(found))


def _ambiguous(message: str, lines: Iterable[str], number: int) -> AmbiguousName:
    shown = list(lines)[:MAX_CANDIDATES]
    return AmbiguousName(message, candidates=[*shown, *(["…"] if number > MAX_CANDIDATES else [])])


def _in_several_sources(kind: str, name: str, names: Sequence[str]) -> AmbiguousName:
    return AmbiguousName(
        f"several sources have the {kind} {name}", candidates=[f"--source {source}" for source in names]
    )


def _listed_editors(people: Sequence[Any]) -> str:
    names = sorted({row.name for row in people if row.name})
    return f"There are {', '.join(names[:MAX_CANDIDATES])}." if names else "The mirror knows no names of editors."
