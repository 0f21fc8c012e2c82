"""Which records a restore is about, and which versions they must go back to. It reads the mirror alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, and_, case, func, select

from versionsync.history.model import RecordKey
from versionsync.history.names import find_editors, find_models, find_record, find_version
from versionsync.history.questions.as_of import AsOf, as_of
from versionsync.history.questions.deleted import deleted
from versionsync.history.questions.details import title_of_version
from versionsync.history.scope import Scope
from versionsync.mirror.schema import intervals, records, versions
from versionsync.mirror.tables.intervals import PUBLISHED
from versionsync.restore.errors import RestoreError
from versionsync.restore.model import OLDER_THAN_HISTORY, Target
from versionsync.restore.taking_back import changed_by

__all__ = ["Wanted", "targets_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked. One of `version`, `record`, `model`, `changed_by` and `deleted`, or `at` alone: the whole project.

    Attributes:
        version: This version of its record.
        record: A record, as it was `at` a time; without a time, a deleted record as it was last.
        model: All records of a model as they were `at` a time.
        at: The time.
        changed_by: Take back what this editor changed since `since`.
        deleted: All records that were deleted, since `since` if it is given.
        fields: Only these fields, by API key.
        locales: Only these locales.
        blocks: Only these blocks, by id.
        publishes: Make each record as live as it was. Otherwise what is live stays as it is.
        creates: Create the records that are missing.
        updates: Update the records that differ.
        deletes: Delete the records that are new.
    """

    version: str | None = None
    record: str | None = None
    model: str | None = None
    at: datetime | None = None
    changed_by: str | None = None
    since: datetime | None = None
    deleted: bool = False
    fields: tuple[str, ...] = ()
    locales: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    publishes: bool = False
    creates: bool = True
    updates: bool = True
    deletes: bool = False
    words: str = ""


def targets_of(connection: Connection, scope: Scope, wanted: Wanted) -> list[Target]:
    """Return the records that are asked for, each once, by id. `scope` has one source.

    Raises:
        HistoryError: A name is not known, or the time is before the history.
        RestoreError: The question is not complete.
    """
    found = list(_found(connection, scope, wanted))
    return sorted(found, key=lambda one: one.record_id)


def _found(connection: Connection, scope: Scope, wanted: Wanted) -> Iterable[Target]:
    if wanted.version is not None:
        return [_of_version(connection, scope, wanted.version, publishes=wanted.publishes)]
    if wanted.changed_by is not None:
        if wanted.since is None:
            raise RestoreError("since when is not said", hint="Add --since, such as --since 'today 13:00'.")
        editors = find_editors(connection, scope, wanted.changed_by)
        return changed_by(connection, scope, editors, wanted.since, publishes=wanted.publishes)
    if wanted.deleted:
        return _deleted(connection, scope, wanted)
    if wanted.record is not None and wanted.at is None:
        return [_of_deleted(connection, scope, wanted.record, publishes=wanted.publishes)]
    if wanted.at is None:
        raise RestoreError("the time is not said", hint="Add --at, such as --at '2026-03-03 12:00'.")
    return _at(connection, scope, wanted, wanted.at)


def _of_version(connection: Connection, scope: Scope, name: str, *, publishes: bool) -> Target:
    found = find_version(connection, scope, name)
    key = RecordKey(found.source_id, found.record_id)
    was_live = connection.scalar(
        select(intervals.c.version_id)
        .where(
            intervals.c.source_id == key.source_id,
            intervals.c.record_id == key.record_id,
            intervals.c.version_id == found.version_id,
            intervals.c.kind == PUBLISHED,
        )
        .limit(1)
    )
    return Target(
        record_id=key.record_id,
        model_id=_model_of(connection, key),
        title=title_of_version(connection, scope, key, found.version_id),
        version_id=found.version_id,
        live_version_id=found.version_id if publishes and was_live else None,
        is_live_wanted=publishes and was_live is not None,
    )


def _of_deleted(connection: Connection, scope: Scope, name: str, *, publishes: bool) -> Target:
    found = find_record(connection, scope, name)
    row = connection.execute(
        select(
            records.c.model_id, records.c.deleted_at, records.c.current_version_id, records.c.published_version_id
        ).where(records.c.source_id == found.source_id, records.c.id == found.record_id)
    ).one()
    if row.deleted_at is None:
        raise RestoreError(
            f"{found.title or found.record_id} is not deleted, so it is not clear to what it must go back",
            hint="Add --at TIME, or name one of its versions: `versionsync log` lists them.",
        )
    return Target(
        record_id=found.record_id,
        model_id=row.model_id,
        title=found.title,
        version_id=row.current_version_id,
        live_version_id=row.published_version_id if publishes else None,
        is_live_wanted=publishes,
    )


def _deleted(connection: Connection, scope: Scope, wanted: Wanted) -> Iterator[Target]:
    chosen = find_models(scope, wanted.model) if wanted.model is not None else ()
    for one in deleted(connection, scope, since=wanted.since, models=chosen):
        live = connection.scalar(
            select(records.c.published_version_id).where(
                records.c.source_id == scope.ids[0], records.c.id == one.record_id
            )
        )
        yield Target(
            record_id=one.record_id,
            model_id=one.model_id,
            title=one.title,
            version_id=one.version_id,
            live_version_id=live if wanted.publishes else None,
            is_live_wanted=wanted.publishes,
        )


def _at(connection: Connection, scope: Scope, wanted: Wanted, at: datetime) -> Iterator[Target]:
    key = None
    if wanted.record is not None:
        found = find_record(connection, scope, wanted.record)
        key = RecordKey(found.source_id, found.record_id)
    models = find_models(scope, wanted.model) if wanted.model is not None else ()
    asked = AsOf(at=at, record=key, models=models)
    then = {state.record_id: state for state in as_of(connection, scope, asked)}
    live: dict[str, str] = {}
    if wanted.publishes:
        live = {
            state.record_id: state.version_id for state in as_of(connection, scope, replace(asked, is_published=True))
        }
    for state in then.values():
        yield Target(
            record_id=state.record_id,
            model_id=state.model_id,
            title=state.title,
            version_id=state.version_id,
            live_version_id=live.get(state.record_id),
            is_live_wanted=wanted.publishes,
        )
    yield from _new_since(connection, scope, then.keys(), at, key, [one.id for one in models])


def _new_since(
    connection: Connection,
    scope: Scope,
    then: Iterable[str],
    at: datetime,
    key: RecordKey | None,
    model_ids: Sequence[str],
) -> Iterator[Target]:
    """Yield the records that exist now and did not exist then, as far as that is known."""
    known = set(then)
    oldest = (
        select(func.min(versions.c.created_at))
        .where(versions.c.source_id == records.c.source_id, versions.c.record_id == records.c.id)
        .scalar_subquery()
    )
    is_older_than_history = case((and_(records.c.created_at <= at, oldest > at), 1), else_=0)
    query = select(records.c.id, records.c.model_id, records.c.current_version_id, is_older_than_history).where(
        records.c.source_id == scope.ids[0], records.c.deleted_at.is_(None)
    )
    if key is not None:
        query = query.where(records.c.id == key.record_id)
    if model_ids:
        query = query.where(records.c.model_id.in_(model_ids))
    for id, model_id, current, is_older in connection.execute(query).all():
        if id in known:
            continue
        title = None if current is None else title_of_version(connection, scope, RecordKey(scope.ids[0], id), current)
        why_not = OLDER_THAN_HISTORY if is_older else None
        yield Target(record_id=id, model_id=model_id, title=title, why_not=why_not)


def _model_of(connection: Connection, key: RecordKey) -> str:
    query = select(records.c.model_id).where(records.c.source_id == key.source_id, records.c.id == key.record_id)
    return connection.execute(query).scalar_one()
