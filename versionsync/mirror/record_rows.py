"""Rows of `records`: what an applied plan makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, update
from sqlalchemy.sql.dml import Update

from versionsync.ledger.plan import RecordPlan
from versionsync.ledger.records import SeenRecord
from versionsync.mirror.bulk import insert_many, run_many
from versionsync.mirror.tables import records

__all__ = ["insert_records", "update_records"]

META = (
    "model_id",
    "status",
    "stage",
    "created_at",
    "updated_at",
    "published_at",
    "first_published_at",
    "publication_scheduled_at",
    "unpublishing_scheduled_at",
    "creator_type",
    "creator_id",
    "fingerprint",
)
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
    """Insert the records that are new; `update_records` points them to their versions when these are there."""
    insert_many(
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
    """Point each record to its current and published versions; of a known one, set state and meta (where seen) too."""
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
    return (
        record.model_id,
        record.status,
        record.stage,
        record.created_at,
        record.updated_at,
        record.published_at,
        record.first_published_at,
        record.publication_scheduled_at,
        record.unpublishing_scheduled_at,
        creator.type if creator else None,
        creator.id if creator else None,
        record.fingerprint,
    )


def _state(plan: RecordPlan, observed_at: datetime) -> tuple[object, ...]:
    return (
        plan.version_count,
        observed_at,
        plan.deleted_at,
        plan.deletion_evidence.value if plan.deletion_evidence else None,
    )
