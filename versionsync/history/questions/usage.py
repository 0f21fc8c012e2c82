"""Where a record or an upload is used, and was: in which fields of which records, since when, and when live."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from versionsync.history.errors import AmbiguousName, UnknownName
from versionsync.history.model import Interval, Usage, UsageTarget
from versionsync.history.names import find_record, short_id
from versionsync.history.questions.details import titles_of_versions
from versionsync.history.scope import Scope
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.schema import intervals, links, records, uploads, versions
from versionsync.mirror.tables.intervals import PUBLISHED
from versionsync.mirror.tables.links import RECORD, UPLOAD
from versionsync.text import printable

__all__ = ["find_target", "usages"]

SHOWN: Final = 10
"""How many uploads of one name are listed."""
SHORTEST_PREFIX: Final = 4


def find_target(connection: Connection, scope: Scope, name: str) -> UsageTarget:
    """Return the upload or record that `name` means.

    Args:
        connection: A snapshot.
        scope: The sources to search.
        name: The id of an upload, the beginning of one, its file name or URL; a name of a record; or a part of a file
            name.

    Raises:
        UnknownName: Nothing has this name.
        AmbiguousName: Several have it.
    """
    wanted = name.strip()
    folded = wanted.casefold()
    exact = (
        uploads.c.id == wanted,
        or_(uploads.c.filename == wanted, uploads.c.basename == wanted, uploads.c.url == wanted),
    )
    for condition in exact if wanted else ():
        if found := _uploads(connection, scope, condition):
            return _the_one(scope, name, found)
    try:
        record = find_record(connection, scope, name)
    except UnknownName:
        contains = func.lower(uploads.c.filename).contains(folded, autoescape=True)
        begins = uploads.c.id.startswith(wanted, autoescape=True)
        vague = [contains, *([begins] if len(wanted) >= SHORTEST_PREFIX else [])] if wanted else []
        for condition in vague:
            found = [one for one in _uploads(connection, scope, condition) if _fits(one, wanted, folded)]
            if found:
                return _the_one(scope, name, found)
        raise
    return UsageTarget(
        source=record.source,
        source_id=record.source_id,
        target_kind=RECORD,
        target_id=record.record_id,
        name=record.title,
        model=record.model,
        deleted_at=record.deleted_at,
    )


def _fits(one: Row[Any], wanted: str, folded: str) -> bool:
    """Return whether a candidate fits: databases compare some letters in ways of their own."""
    return folded in (one.filename or "").casefold() or one.id.startswith(wanted)


def _uploads(connection: Connection, scope: Scope, condition: ColumnElement[bool]) -> Sequence[Row[Any]]:
    columns = ("source_id", "id", "filename", "url", "mime_type", "size", "width", "height", "deleted_at")
    query = (
        select(*(uploads.c[column] for column in columns))
        .where(uploads.c.source_id.in_(scope.ids), condition)
        .order_by(uploads.c.filename, uploads.c.id, uploads.c.source_id)
    )
    return connection.execute(query).all()


def _the_one(scope: Scope, name: str, found: Sequence[Row[Any]]) -> UsageTarget:
    if len({one.id for one in found}) == 1 < len(found):
        listed = [f"--source {scope.name_of(one.source_id)}" for one in found]
        raise AmbiguousName(f"several sources have the upload {name}", candidates=listed)
    if len(found) > 1:
        lines = [printable(f"{one.id if one.id.isdecimal() else short_id(one.id)} {one.filename}") for one in found]
        more = ["…"] if len(lines) > SHOWN else []
        raise AmbiguousName(f"{len(found)} files are meant by “{name}”", candidates=[*lines[:SHOWN], *more])
    (one,) = found
    return UsageTarget(
        source=scope.name_of(one.source_id),
        source_id=one.source_id,
        target_kind=UPLOAD,
        target_id=one.id,
        name=one.filename,
        url=one.url,
        mime_type=one.mime_type,
        size=one.size,
        width=one.width,
        height=one.height,
        deleted_at=one.deleted_at,
    )


_FIRST, _END, _CURRENT, _LIVE = (versions.alias(name) for name in ("first", "until", "current", "live"))


def usages(
    connection: Connection, scope: Scope, target: UsageTarget, *, now: bool = False, live: bool = False
) -> Iterator[Usage]:
    """Yield where a record or an upload is used and was: what is used now first, then the latest first.

    Args:
        connection: A snapshot.
        scope: The sources.
        target: The record or upload.
        now: Only uses in current versions of records that exist.
        live: Only uses in live versions.
    """
    found = [use for use in _found(connection, target) if (not now or use.is_current) and (not live or use.is_live)]
    found.sort(key=lambda use: (use.is_current or use.is_live, use.since), reverse=True)
    for some in chunked(found):
        titles = titles_of_versions(
            connection,
            scope,
            target.source_id,
            [use.row.current_version_id for use in some if use.row.current_version_id],
        )
        spans = _published(connection, target.source_id, {use.row.record_id for use in some})
        for use in some:
            row = use.row
            yield Usage(
                source=target.source,
                target_kind=target.target_kind,
                target_id=target.target_id,
                record_id=row.record_id,
                model=scope.model(target.source_id, row.model_id),
                model_id=row.model_id,
                title=titles.get(row.current_version_id),
                field_id=row.field_id,
                field=row.field,
                locale=row.locale,
                block_path=row.block_path,
                first_version_id=row.first_version_id,
                until_version_id=row.until_version_id,
                since=row.since,
                until=use.until,
                is_current=use.is_current,
                is_published=use.is_live,
                published=tuple(_live_spans(spans.get(row.record_id, ()), row)),
            )


@dataclass(frozen=True, slots=True)
class _Use:
    row: Row[Any]
    until: datetime | None
    is_current: bool
    is_live: bool

    @property
    def since(self) -> datetime:
        since: datetime = self.row.since
        return since


def _found(connection: Connection, target: UsageTarget) -> Iterator[_Use]:
    def version(alias: Any, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return and_(alias.c.source_id == links.c.source_id, alias.c.record_id == links.c.record_id, condition)

    names = ("record_id", "field_id", "field", "locale", "block_path", "from_ordinal", "until_ordinal")
    joined = (
        links.join(records, and_(records.c.source_id == links.c.source_id, records.c.id == links.c.record_id))
        .join(_FIRST, version(_FIRST, _FIRST.c.ordinal == links.c.from_ordinal))
        .outerjoin(_END, version(_END, _END.c.ordinal == links.c.until_ordinal))
        .outerjoin(_CURRENT, version(_CURRENT, _CURRENT.c.id == records.c.current_version_id))
        .outerjoin(_LIVE, version(_LIVE, _LIVE.c.id == records.c.published_version_id))
    )
    query = (
        select(*(links.c[name] for name in names), records.c.model_id, records.c.current_version_id)
        .add_columns(
            records.c.deleted_at,
            _FIRST.c.id.label("first_version_id"),
            _FIRST.c.created_at.label("since"),
            _END.c.id.label("until_version_id"),
            _END.c.created_at.label("ended_at"),
            _CURRENT.c.ordinal.label("current_ordinal"),
            _LIVE.c.ordinal.label("live_ordinal"),
        )
        .select_from(joined)
        .where(links.c.source_id == target.source_id, links.c.target_id == target.target_id)
        .where(links.c.target_kind == target.target_kind)
        .order_by(links.c.record_id, links.c.from_ordinal.desc(), links.c.number.desc())
    )
    for row in connection.execute(query):
        exists = row.deleted_at is None
        yield _Use(
            row,
            row.deleted_at if row.until_version_id is None else row.ended_at,
            exists and _has(row, row.current_ordinal),
            exists and _has(row, row.live_ordinal),
        )


def _has(row: Row[Any], ordinal: int | None) -> bool:
    """Return whether the version with this ordinal has the link."""
    return (
        ordinal is not None
        and row.from_ordinal <= ordinal
        and (row.until_ordinal is None or ordinal < row.until_ordinal)
    )


def _published(
    connection: Connection, source_id: int, record_ids: Iterable[str]
) -> Mapping[str, Sequence[tuple[int, Interval]]]:
    """Return when each version of these records was live, by record, oldest first, with the version's ordinal."""
    found: dict[str, list[tuple[int, Interval]]] = {}
    of_version = and_(versions.c.source_id == intervals.c.source_id, versions.c.id == intervals.c.version_id)
    for chunk in chunked(record_ids):
        query = (
            select(intervals.c.record_id, versions.c.ordinal, intervals.c.valid_from, intervals.c.valid_until)
            .join(versions, of_version)
            .where(
                intervals.c.source_id == source_id,
                intervals.c.kind == PUBLISHED,
                intervals.c.record_id.in_(chunk),
            )
            .order_by(intervals.c.record_id, intervals.c.valid_from, intervals.c.number)
        )
        for row in connection.execute(query):
            found.setdefault(row.record_id, []).append((row.ordinal, Interval(row.valid_from, row.valid_until)))
    return found


def _live_spans(published: Iterable[tuple[int, Interval]], row: Row[Any]) -> Iterator[Interval]:
    """Yield when a use was live. Versions that follow one another make one span."""
    last: Interval | None = None
    for ordinal, span in published:
        if not _has(row, ordinal):
            continue
        if last is not None and last.valid_until == span.valid_from:
            last = replace(last, valid_until=span.valid_until)
        else:
            if last is not None:
                yield last
            last = span
    if last is not None:
        yield last
