"""Take back what one editor changed since a time, and nothing that others changed.

Of each record that the editor saved since then, the version before the editor's first one says how it was. A field is
taken back if no other person changed it since. A record that only the editor touched goes back as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, or_, select

from versionsync.history.diff.model import Json
from versionsync.history.model import RecordKey
from versionsync.history.names import FoundEditor
from versionsync.history.projections.changes import VersionContent, comparable
from versionsync.history.questions.compared import content_of
from versionsync.history.questions.details import title_of_version
from versionsync.history.schema_at import SchemaHistory
from versionsync.history.scope import Scope
from versionsync.ledger.content import canonical_value
from versionsync.mirror.schema import events, intervals, records, versions
from versionsync.mirror.tables.intervals import PUBLISHED
from versionsync.restore.model import OLDER_THAN_HISTORY, Target

__all__ = ["changed_by"]

Part = tuple[str, str | None]
"""A field by API key, and a locale; None: it is not localized."""

_NOT_THERE: Final = object()


def changed_by(
    connection: Connection, scope: Scope, editors: Sequence[FoundEditor], since: datetime, *, publishes: bool
) -> Iterator[Target]:
    """Yield the records that the editor changed, created or deleted since then.

    Args:
        connection: A snapshot.
        scope: One source.
        editors: The editor. One person can have several ids.
        since: The time.
        publishes: Whether what was live then must be live again.
    """
    source_id = scope.ids[0]
    schemas = SchemaHistory.load(connection, source_id)
    who = {(one.type, one.id) for one in editors}
    of_editor = or_(*(and_(versions.c.editor_type == type, versions.c.editor_id == id) for type, id in sorted(who)))
    saved = connection.scalars(
        select(versions.c.record_id)
        .where(versions.c.source_id == source_id, of_editor, versions.c.created_at >= since)
        .distinct()
        .order_by(versions.c.record_id)
    ).all()
    deleted = set(_deleted_by(connection, source_id, who, since))
    for record_id in sorted({*saved, *deleted}):
        key = RecordKey(source_id, record_id)
        yield _target(connection, scope, key, schemas, who, since, publishes=publishes, is_theirs=record_id in deleted)


def _deleted_by(connection: Connection, source_id: int, who: set[tuple[str, str]], since: datetime) -> Iterator[str]:
    """Yield the records that the editor deleted, as far as the project's audit log says who did."""
    query = select(events.c.record_id).where(
        events.c.source_id == source_id,
        events.c.type == "record.deleted",
        events.c.occurred_at >= since,
        or_(*(and_(events.c.actor_type == type, events.c.actor_id == id) for type, id in sorted(who))),
    )
    yield from (id for id in connection.scalars(query) if id is not None)


def _target(
    connection: Connection,
    scope: Scope,
    key: RecordKey,
    schemas: SchemaHistory,
    who: set[tuple[str, str]],
    since: datetime,
    *,
    publishes: bool,
    is_theirs: bool,
) -> Target:
    record = connection.execute(
        select(
            *(records.c.model_id, records.c.deleted_at, records.c.created_at),
            *(records.c.current_version_id, records.c.published_version_id),
        ).where(records.c.source_id == key.source_id, records.c.id == key.record_id)
    ).one()
    rows = connection.execute(
        select(versions.c.id, versions.c.editor_type, versions.c.editor_id, versions.c.created_at)
        .where(versions.c.source_id == key.source_id, versions.c.record_id == key.record_id)
        .order_by(versions.c.ordinal)
    ).all()
    shown = record.current_version_id or (rows[-1].id if rows else None)
    title = None if shown is None else title_of_version(connection, scope, key, shown)
    target = Target(record_id=key.record_id, model_id=record.model_id, title=title)
    if record.deleted_at is not None and not is_theirs:
        return _left(target, "It was deleted since, and it is not known by whom: use --deleted.")
    first = next(
        (
            place
            for place, row in enumerate(rows)
            if row.created_at >= since and (row.editor_type, row.editor_id) in who
        ),
        len(rows),
    )
    others = [row for row in rows[first:] if (row.editor_type, row.editor_id) not in who]
    if first == 0 and rows and record.created_at is not None and record.created_at < since:
        return _left(target, OLDER_THAN_HISTORY)
    if first == 0:
        if others and record.deleted_at is None:
            return _left(target, "The editor made it, and others edited it since.")
        return target
    if record.deleted_at is not None and (others or first == len(rows)):
        note = "Others edited it since, too: it comes back as it was when it was deleted." if others else None
        return replace(
            target,
            version_id=shown,
            live_version_id=record.published_version_id if publishes else None,
            is_live_wanted=publishes,
            note=note,
        )
    base = rows[first - 1].id
    if not others:
        theirs_alone = [row.id for row in rows[first:]]
        live = _live_before(connection, key, rows[first].created_at, theirs_alone) if publishes else None
        return replace(target, version_id=base, live_version_id=live, is_live_wanted=publishes)
    theirs, shared = _parts(connection, key, schemas, rows[first - 1 :], who)
    if not theirs:
        return _left(target, "Others changed the same fields since.")
    kept = f"Others changed {', '.join(sorted({name for name, _ in shared}))} since: that stays." if shared else None
    return replace(target, version_id=base, parts=tuple(sorted(theirs, key=str)), note=kept)


def _left(target: Target, why: str) -> Target:
    return replace(target, why_not=why)


def _live_before(connection: Connection, key: RecordKey, at: datetime, theirs: Sequence[str]) -> str | None:
    """Return the version that was live when the editor's first one was saved, if someone else had saved it."""
    i = intervals.c
    query = (
        select(i.version_id)
        .where(
            i.source_id == key.source_id,
            i.record_id == key.record_id,
            i.kind == PUBLISHED,
            i.valid_from <= at,
            i.version_id.not_in(theirs),
            or_(i.valid_until.is_(None), i.valid_until >= at),
        )
        .order_by(i.valid_from.desc(), i.number.desc())
        .limit(1)
    )
    return connection.scalar(query)


def _parts(
    connection: Connection,
    key: RecordKey,
    schemas: SchemaHistory,
    rows: Sequence[Row[Any, Any, Any, Any]],
    who: set[tuple[str, str]],
) -> tuple[set[Part], set[Part]]:
    """Return the parts that only the editor changed, and those that others changed, too."""
    by_them: set[Part] = set()
    by_others: set[Part] = set()
    before: VersionContent | None = None
    for row in rows:
        after = content_of(connection, key.source_id, row.id, schemas)
        if before is not None:
            former, latter, schema = comparable(after, before)
            fields = schema.of_model(after.model_id)
            localized = {name for name, one in fields.items() if one.is_localized}
            changed = _changed(former or {}, latter, localized)
            (by_them if (row.editor_type, row.editor_id) in who else by_others).update(changed)
        before = after
    return by_them - by_others, by_them & by_others


def _changed(before: Mapping[str, Json], after: Mapping[str, Json], localized: set[str]) -> Iterator[Part]:
    for name in {*before, *after}:
        one, other = before.get(name, _NOT_THERE), after.get(name, _NOT_THERE)
        if name in localized and isinstance(one, dict) and isinstance(other, dict):
            for locale in {*one, *other}:
                if _differ(one.get(locale), other.get(locale)):
                    yield name, locale
        elif one is _NOT_THERE or other is _NOT_THERE or _differ(one, other):
            yield name, None


def _differ(one: Json, other: Json) -> bool:
    return canonical_value(one) != canonical_value(other)
