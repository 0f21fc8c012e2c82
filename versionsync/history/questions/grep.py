"""In which versions a phrase is: where it came in, was last, or was removed.

The index names the passages that may have it. Each is then compared with the pattern itself, so both databases return
the same hits. A record, or a regular expression, is answered without the index, from all passages of the records.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, or_, select

from versionsync.history.errors import NoFullText, NotFilled, UnknownName
from versionsync.history.model import Find, Hit, RecordKey
from versionsync.history.names import FoundEditor, find_fields
from versionsync.history.questions.details import stream, titles_of_versions
from versionsync.history.scope import ModelName, Scope, fillings
from versionsync.history.search.matching import Matcher, RegexMatcher, WordMatcher, snippet_of
from versionsync.history.search.patterns import Pattern
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.engine.full_text import full_text_of
from versionsync.mirror.schema import passages, records, versions
from versionsync.mirror.tables.passages import IDS_OF_A_SECOND, first_id_of
from versionsync.mirror.tables.projection_cursors import SEARCH
from versionsync.mirror.tables.versions import VersionPlace, version_order

__all__ = ["Grep", "Hits", "Reading", "grep"]

FIRST_PAGE: Final = 200
PAGE: Final = 5000
RECORDS_AT_ONCE: Final = 200
_COLUMNS: Final = (
    *("id", "source_id", "version_id", "number", "record_id", "model_id"),
    *("record_field", "field_id", "field", "locale", "block_path", "hash"),
)


@dataclass(slots=True)
class Reading:
    """How much was read besides the index: passages, and their bytes."""

    passages: int = 0
    bytes: int = 0


class Hits(Iterator[Hit]):
    """The hits of a search, as an iterator, and how much was read besides the index."""

    def __init__(self, hits: Iterator[Hit], reading: Reading, matcher: Matcher) -> None:
        self._hits = hits
        self._reading = reading
        self._matcher = matcher

    def __next__(self) -> Hit:
        return next(self._hits)

    @property
    def passages_read(self) -> int:
        """How many passages were read so far."""
        return self._reading.passages

    @property
    def bytes_read(self) -> int:
        """How many bytes these have, in UTF-8."""
        return self._reading.bytes

    @property
    def passages_given_up(self) -> int:
        """How many of them took a regular expression too long. They count as without a match."""
        return self._matcher.given_up if isinstance(self._matcher, RegexMatcher) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grep:
    """What is searched for, and where.

    Attributes:
        matcher: What a passage has to have.
        reading: Counts what is read.
        find: Which versions are returned.
        record: In this record only.
        models: In records of these models only.
        editors: In versions that these editors saved only.
        field: In this field only, or in the blocks of it: its API key, its label or its id.
        locale: In this locale only.
        since: In versions made then or later.
        until: In versions made before.
    """

    matcher: Matcher
    reading: Reading
    find: Find = Find.CHANGED
    record: RecordKey | None = None
    models: Sequence[ModelName] = ()
    editors: Sequence[FoundEditor] = ()
    field: str | None = None
    locale: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class _Found(NamedTuple):
    """A passage that matches, and the version that the answer is about."""

    passage: Row[Any]
    version_id: str


def grep(connection: Connection, scope: Scope, wanted: Grep) -> Iterator[Hit]:
    """Yield the hits, newest first. Unless `wanted.find` is CHANGED, all passages that match are in memory.

    Raises:
        NoFullText: This SQLite cannot search.
        NotFilled: The index is empty.
        UnknownName: No field is called `wanted.field`.
    """
    if not full_text_of(connection).exists(connection) and not full_text_of(connection).is_available(connection):
        raise NoFullText(
            "this SQLite has no FTS5, so there is no full-text index",
            hint="Use a Python whose SQLite has it, as those of python.org and of Linux distributions do.",
        )
    if any(one.is_empty for one in fillings(connection, scope, (SEARCH,))):
        raise NotFilled(
            "the full-text index is not filled yet",
            hint="The next sync or the daemon does it; `versionsync db rebuild search` does it now.",
        )
    pages = _pages(connection, scope, wanted)
    if wanted.find is Find.CHANGED:
        for page in pages:
            yield from _hits(connection, scope, wanted, [_Found(row, row.version_id) for row in page])
        return
    matching = [row for page in pages for row in page]
    yield from _hits(connection, scope, wanted, list(_chosen(connection, matching, wanted.find)))


def _pages(connection: Connection, scope: Scope, wanted: Grep) -> Iterator[list[Row[Any]]]:
    """Yield the passages that match, newest first. Those of one second are on one page."""
    conditions = _conditions(connection, scope, wanted)
    if isinstance(wanted.matcher, WordMatcher) and wanted.record is None:
        yield from _indexed(connection, wanted, wanted.matcher.pattern, conditions)
    else:
        yield _read(connection, scope, wanted, conditions)


def _once(rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    """Return each passage once: a long one may be found in two of its pieces."""
    return list({(row.source_id, row.version_id, row.number): row for row in rows}.values())


def _indexed(
    connection: Connection, wanted: Grep, pattern: Pattern, conditions: Sequence[ColumnElement[bool]]
) -> Iterator[list[Row[Any]]]:
    """Yield what the index names and the pattern confirms."""
    phrases = [phrase.indexed for phrase in pattern.phrases]
    index = full_text_of(connection).search(connection, phrases, conditions, FIRST_PAGE)
    whole = passages.alias("whole")
    of_passage = and_(
        whole.c.source_id == passages.c.source_id,
        whole.c.version_id == passages.c.version_id,
        whole.c.number == passages.c.number,
        whole.c.piece == 0,
    )
    query: Select[Any] = (
        select(*(passages.c[name] for name in _COLUMNS), whole.c.text.label("whole_text"))
        .select_from(index.rows.join(whole, of_passage))
        .where(index.condition, *conditions)
        .order_by(index.id.desc())
    )
    if wanted.find is Find.CHANGED and wanted.since is not None:
        query = query.where(index.id >= first_id_of(wanted.since))
    if wanted.find is Find.CHANGED and wanted.until is not None:
        query = query.where(index.id < first_id_of(wanted.until) + IDS_OF_A_SECOND)
    size, waiting = FIRST_PAGE, list[Row[Any]]()
    page = index.page(connection, query.limit(size))
    while page:
        waiting += (row for row in page if wanted.matcher.matches(row.whole_text))
        if len(page) < size:
            break
        last = page[-1].id
        ready = [row for row in waiting if row.id // IDS_OF_A_SECOND != last // IDS_OF_A_SECOND]
        waiting = waiting[len(ready) :]
        yield _once(ready)
        size = PAGE
        page = index.page(connection, query.where(index.id < last).limit(size))
    yield _once(waiting)


def _read(
    connection: Connection, scope: Scope, wanted: Grep, conditions: Sequence[ColumnElement[bool]]
) -> list[Row[Any]]:
    """Return the passages that match of all those of the record or of the models, and count what is read."""
    query: Select[Any] = (
        select(*(passages.c[name] for name in _COLUMNS), passages.c.text.label("whole_text"))
        .where(passages.c.id.is_not(None), passages.c.piece == 0, *conditions)
        .with_hint(passages, "INDEXED BY passages_of_record", "sqlite")
    )
    found: list[Row[Any]] = []
    for source_id, ids in _records(connection, scope, wanted):
        of_records = query.where(passages.c.source_id == source_id, passages.c.record_id.in_(ids))
        for row in stream(connection, of_records, at_once=PAGE):
            wanted.reading.passages += 1
            wanted.reading.bytes += len(row.whole_text.encode())
            if wanted.matcher.matches(row.whole_text):
                found.append(row)
    found.sort(key=lambda row: -row.id)
    return found


def _records(connection: Connection, scope: Scope, wanted: Grep) -> Iterator[tuple[int, list[str]]]:
    """Yield the record, or those of the models, or all, some at a time."""
    if wanted.record is not None:
        yield wanted.record.source_id, [wanted.record.record_id]
        return
    for source_id in scope.ids:
        ids = [model.id for model in wanted.models if model.source_id == source_id]
        query = select(records.c.id).where(records.c.source_id == source_id, records.c.model_id.in_(ids))
        for chunk in chunked(connection.scalars(query).all() if ids else ()):
            yield source_id, chunk


def _conditions(connection: Connection, scope: Scope, wanted: Grep) -> list[ColumnElement[bool]]:
    """Return what a passage satisfies besides the pattern."""
    found: list[ColumnElement[bool]] = [passages.c.source_id.in_(scope.ids)]
    if wanted.models:
        of_models = ((passages.c.source_id == one.source_id) & (passages.c.model_id == one.id) for one in wanted.models)
        found.append(or_(*of_models))
    if wanted.locale is not None:
        found.append(passages.c.locale == wanted.locale)
    if wanted.field is not None:
        ids, meant = find_fields(connection, scope, wanted.field)
        if not ids:
            raise UnknownName(
                f"there is no field {wanted.field}",
                hint=f"Did you mean {meant}?" if meant else "Name it by its API key.",
            )
        found.append(or_(passages.c.field_id.in_(ids), passages.c.record_field.in_(ids)))
    return found


def _chosen(connection: Connection, matching: Sequence[Row[Any]], find: Find) -> Iterator[_Found]:
    """Yield the first or last version of each field that has it, or those that removed it."""
    by_source: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in matching:
        by_source[row.source_id].append(row)
    for source_id, rows in by_source.items():
        by_record: dict[str, list[Row[Any]]] = defaultdict(list)
        for row in rows:
            by_record[row.record_id].append(row)
        for ids in chunked(by_record, RECORDS_AT_ONCE):
            order = version_order(connection, source_id, ids)
            gone = _removed(connection, source_id, ids) if find is not Find.FIRST else {}
            for id in ids:
                places = {place.id: number for number, place in enumerate(order[id])}
                for of_field in _by_field(by_record[id]):
                    yield from _of_field(of_field, order[id], places, gone.get(id, ()), find)


def _by_field(rows: Iterable[Row[Any]]) -> Iterable[list[Row[Any]]]:
    found: dict[tuple[str, str, str | None], list[Row[Any]]] = defaultdict(list)
    for row in rows:
        found[row.record_field, row.field_id or row.field, row.locale].append(row)
    return found.values()


def _removed(connection: Connection, source_id: int, ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """Return the removed passages of some records."""
    query: Select[Any] = (
        select(*(passages.c[name] for name in ("record_id", "version_id", "hash")))
        .where(passages.c.source_id == source_id, passages.c.record_id.in_(ids), passages.c.id.is_(None))
        .with_hint(passages, "INDEXED BY passages_of_record", "sqlite")
    )
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.record_id].append(row)
    return found


def _of_field(
    rows: Sequence[Row[Any]],
    order: Sequence[VersionPlace],
    places: Mapping[str, int],
    removed: Iterable[Row[Any]],
    find: Find,
) -> Iterator[_Found]:
    """Follow a field from version to version: which of the passages that match it has.

    Args:
        rows: The passages that match.
        order: The versions of the record, oldest first.
        places: Their places in `order`.
        removed: The removed passages of the record.
        find: What to yield.
    """
    if find is Find.FIRST:
        first = min(rows, key=lambda row: (places[row.version_id], row.number))
        yield _Found(first, first.version_id)
        return
    hashes = {row.hash for row in rows}
    comes: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        comes[places[row.version_id]].append(row)
    goes: dict[int, list[int]] = defaultdict(list)
    for one in removed:
        if one.hash in hashes:
            goes[places[one.version_id]].append(one.hash)
    has: dict[int, Row[Any]] = {}
    last: _Found | None = None
    for place in sorted({*comes, *goes}):
        before = min(has.values(), key=lambda row: (row.version_id, row.number), default=None)
        for hash in goes.get(place, ()):
            has.pop(hash, None)
        has |= {row.hash: row for row in comes.get(place, ())}
        if before is not None and not has:
            last = _Found(before, order[place - 1].id)
            if find is Find.REMOVED:
                yield _Found(before, order[place].id)
    if find is Find.LAST:
        if has:
            last = _Found(min(has.values(), key=lambda row: (row.version_id, row.number)), order[-1].id)
        if last is not None:
            yield last


def _hits(connection: Connection, scope: Scope, wanted: Grep, found: Sequence[_Found]) -> Iterator[Hit]:
    """Yield the hits in versions that satisfy what is asked of them, newest first."""
    by_source: dict[int, list[str]] = defaultdict(list)
    for one in found:
        by_source[one.passage.source_id].append(one.version_id)
    made: dict[tuple[int, str], Row[Any]] = {}
    titles: dict[tuple[int, str], str | None] = {}
    for source_id, ids in by_source.items():
        for chunk in chunked(dict.fromkeys(ids)):
            query = select(*_VERSION).where(versions.c.source_id == source_id, versions.c.id.in_(chunk))
            made |= {(source_id, row.id): row for row in connection.execute(query)}
        of_versions = titles_of_versions(connection, scope, source_id, dict.fromkeys(ids))
        titles |= {(source_id, id): title for id, title in of_versions.items()}
    editors = {(one.source_id, one.type, one.id) for one in wanted.editors}
    since, until = wanted.since, wanted.until
    kept = []
    for row, version_id in found:
        version = made[row.source_id, version_id]
        is_by_them = not editors or (row.source_id, version.editor_type, version.editor_id) in editors
        is_in_time = not (since and version.created_at < since) and not (until and version.created_at >= until)
        if is_by_them and is_in_time:
            kept.append((row, version))
    kept.sort(key=_newest_first)
    for row, version in kept:
        spans = wanted.matcher.spans(row.whole_text)
        yield Hit(
            source=scope.name_of(row.source_id),
            record_id=row.record_id,
            version_id=version.id,
            model=scope.model(row.source_id, row.model_id),
            model_id=row.model_id,
            title=titles.get((row.source_id, version.id)),
            created_at=version.created_at,
            editor_type=version.editor_type,
            editor_id=version.editor_id,
            editor_name=scope.editor_name(row.source_id, version.editor_type, version.editor_id),
            ordinal=version.ordinal,
            field_id=row.field_id,
            field=row.field,
            locale=row.locale,
            block_path=row.block_path,
            snippet=snippet_of(row.whole_text, spans),
            text=row.whole_text,
            spans=tuple(spans),
        )


_VERSION: Final = tuple(versions.c[name] for name in ("id", "created_at", "ordinal", "editor_type", "editor_id"))


def _newest_first(one: tuple[Row[Any], Row[Any]]) -> tuple[float, int, str, int, str, str, int]:
    row, version = one
    at = -version.created_at.timestamp()
    return at, row.source_id, row.record_id, -version.ordinal, row.field, row.locale or "", row.number
