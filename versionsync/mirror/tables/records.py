"""Read and write records: their meta and their state, without their versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, case, func, or_, select, update
from sqlalchemy.sql.dml import Update

from versionsync.ledger.ids import ModelId, RecordId
from versionsync.ledger.plan import RecordPlan
from versionsync.ledger.records import KnownRecord, SeenRecord
from versionsync.mirror.engine.bulk import chunked, field_names, run_many
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import models, records

__all__ = [
    "has_due_schedule",
    "insert_records",
    "live_counts_by_model",
    "live_counts_by_status",
    "live_record_count",
    "load_records",
    "oldest_synced",
    "publication_candidates",
    "update_records",
]

# The columns that are fields of SeenRecord of the same name; `creator` is two columns.
SEEN = field_names(SeenRecord, "id", "current_version_id", "creator")
META = (*SEEN, "creator_type", "creator_id")
STATE = ("version_count", "synced_at", "deleted_at", "deletion_evidence")
FLAGGED = ("current_version_id", "published_version_id")
KEY = ("of_source", "record")

_this_one = (records.c.source_id == bindparam("of_source"), records.c.id == bindparam("record"))


def _update(*columns: str) -> Update:
    return update(records).where(*_this_one).values({name: bindparam(f"new_{name}") for name in columns})


def _parameters(*columns: str) -> tuple[str, ...]:
    return KEY + tuple(f"new_{name}" for name in columns)


POINT = _update(*FLAGGED)
UPDATE = _update(*FLAGGED, *STATE, *META)
UPDATE_STATE = _update(*FLAGGED, *STATE)


def insert_records(tx: Connection, source_id: int, plans: Sequence[RecordPlan], *, observed_at: datetime) -> None:
    """Insert the new records; `update_records` points them to their versions once these exist."""
    dialect_of(tx).insert_many(
        tx,
        records,
        ("source_id", "id", "first_seen_at", *STATE, *META),
        [
            (source_id, plan.record_id, observed_at, *_state(plan, observed_at), *_meta(plan.meta))
            for plan in plans
            if plan.is_new and plan.meta is not None
        ],
    )


def update_records(tx: Connection, source_id: int, plans: Sequence[RecordPlan], *, observed_at: datetime) -> None:
    """Point each record to its current and published versions; also set state and meta of a known one."""
    new, seen, unseen = [], [], []
    for plan in plans:
        key = (source_id, plan.record_id, plan.current_version_id, plan.published_version_id)
        if plan.is_new:
            new.append(key)
        elif plan.meta is not None:
            seen.append((*key, *_state(plan, observed_at), *_meta(plan.meta)))
        else:
            unseen.append((*key, *_state(plan, observed_at)))
    run_many(tx, POINT, _parameters(*FLAGGED), new)
    run_many(tx, UPDATE, _parameters(*FLAGGED, *STATE, *META), seen)
    run_many(tx, UPDATE_STATE, _parameters(*FLAGGED, *STATE), unseen)


def _meta(record: SeenRecord) -> tuple[object, ...]:
    creator = record.creator
    return (*_seen(record), creator.type if creator else None, creator.id if creator else None)


def _state(plan: RecordPlan, observed_at: datetime) -> tuple[object, ...]:
    return (
        plan.version_count,
        observed_at,
        plan.deleted_at,
        plan.deletion_evidence.value if plan.deletion_evidence else None,
    )


MAX_SCHEDULE_DELAY = timedelta(minutes=10)
UPDATED, PUBLISHED = "updated", "published"
SCRUB_UPDATED_AFTER = timedelta(days=1)

_RECORD = select(*(records.c[name] for name in field_names(KnownRecord)))
_seen = attrgetter(*SEEN)


def load_records(connection: Connection, source_id: int, ids: Iterable[RecordId]) -> dict[RecordId, KnownRecord]:
    """Return those of `ids` that the mirror holds, deleted ones too."""
    found: dict[RecordId, KnownRecord] = {}
    for chunk in chunked(ids):
        query = _RECORD.where(records.c.source_id == source_id, records.c.id.in_(chunk))
        for row in connection.execute(query):
            found[RecordId(row.id)] = _record(row)
    return found


def has_due_schedule(connection: Connection, source_id: int, *, after: datetime, until: datetime) -> bool:
    """Return whether a live record's scheduled publication or unpublishing is between `after` and `until`.

    One shortly before that counts too if the mirror does not show its effect: upstream may be a little late. All times
    are by upstream's clock. Upstream carries out no schedule of a record whose model is now a block model.
    """
    live = select(records.c.id).where(*_live(source_id))
    publication, unpublishing = records.c.publication_scheduled_at, records.c.unpublishing_scheduled_at
    was_published = func.coalesce(records.c.published_at >= publication, False)
    is_overdue = {publication: ~was_published, unpublishing: records.c.published_version_id.is_not(None)}
    is_due = [
        *(live.where(column.between(after, until)) for column in is_overdue),
        *(live.where(column.between(after - MAX_SCHEDULE_DELAY, after), still) for column, still in is_overdue.items()),
    ]
    return connection.scalar(select(or_(*(query.exists() for query in is_due)))) is True  # each has an index


def live_record_count(connection: Connection, source_id: int) -> int:
    """Count the records of the source that are not deleted."""
    query = select(func.count()).where(records.c.source_id == source_id, records.c.deleted_at.is_(None))
    return connection.scalar(query) or 0


def live_counts_by_model(connection: Connection, source_id: int) -> dict[ModelId, int]:
    """Count the live records of each model; a model without any is left out."""
    query = (
        select(records.c.model_id, func.count())
        .where(records.c.source_id == source_id, records.c.deleted_at.is_(None))
        .group_by(records.c.model_id)
    )
    return {ModelId(row[0]): row[1] for row in connection.execute(query)}


def live_counts_by_status(connection: Connection, source_id: int) -> dict[str | None, int]:
    """Count the live records of each status, without those of models that are block models now.

    None counts those without a status, which upstream's schema allows.
    """
    query = select(records.c.status, func.count()).where(*_live(source_id)).group_by(records.c.status)
    return {row[0]: row[1] for row in connection.execute(query)}


def oldest_synced(connection: Connection, source_id: int, limit: int, *, now: datetime) -> list[KnownRecord]:
    """Return at most `limit` live records: those whose versions were not read for the longest time.

    Up to half of them are records with status `updated` that were not read for a day. Only there can a publication
    leave no trace in the list of records, if the same record was edited after it.
    """
    longest_first = (records.c.synced_at, records.c.id)
    updated = _RECORD.where(
        *_live(source_id), records.c.status == UPDATED, records.c.synced_at <= now - SCRUB_UPDATED_AFTER
    )
    first = [_record(row) for row in connection.execute(updated.order_by(*longest_first).limit(-(-limit // 2)))]
    rest = _RECORD.where(*_live(source_id), records.c.id.not_in([record.id for record in first]))
    others = connection.execute(rest.order_by(*longest_first).limit(limit - len(first)))
    return first + [_record(row) for row in others]


def publication_candidates(
    connection: Connection, source_id: int, *, since: datetime, published_after: datetime, limit: int
) -> list[KnownRecord]:
    """Return live records that may have been published without a trace, and whose versions were not read `since`.

    Those with status `updated` come first, then those published after `published_after`. In both groups the latest
    publication comes first. Models without draft mode are left out: there each publication is a new version.
    """
    without_drafts = select(models.c.id).where(models.c.source_id == source_id, models.c.draft_mode.is_(False))
    is_updated = records.c.status == UPDATED
    query = (
        _RECORD.where(
            *_live(source_id),
            records.c.model_id.not_in(without_drafts),
            records.c.synced_at < since,
            or_(is_updated, and_(records.c.status == PUBLISHED, records.c.published_at >= published_after)),
        )
        .order_by(case((is_updated, 0), else_=1), records.c.published_at.desc(), records.c.id)
        .limit(limit)
    )
    return [_record(row) for row in connection.execute(query)]


def _live(source_id: int) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for the records that upstream should list.

    Records of a model that became a block model stay as they were: upstream shows them as blocks, if at all.
    """
    blocks = select(models.c.id).where(models.c.source_id == source_id, models.c.is_block)
    return records.c.source_id == source_id, records.c.deleted_at.is_(None), records.c.model_id.not_in(blocks)


def _record(row: Row[*tuple[Any, ...]]) -> KnownRecord:
    return KnownRecord(**row._asdict())
