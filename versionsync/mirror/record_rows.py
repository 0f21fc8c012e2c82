"""Rows of `records`: what an applied plan makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, update

from versionsync.ledger.plan import RecordPlan
from versionsync.ledger.records import SeenRecord
from versionsync.mirror.bulk import run_many
from versionsync.mirror.tables import records

__all__ = ["write_records"]

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
STATE = (
    "current_version_id",
    "published_version_id",
    "version_count",
    "synced_at",
    "deleted_at",
    "deletion_evidence",
)
KEY = ("of_source", "record")

_this_one = (records.c.source_id == bindparam("of_source"), records.c.id == bindparam("record"))
INSERT = insert(records)
UPDATE = update(records).where(*_this_one).values({name: bindparam(f"new_{name}") for name in META + STATE})
UPDATE_STATE = update(records).where(*_this_one).values({name: bindparam(f"new_{name}") for name in STATE})


def write_records(tx: Connection, source_id: int, plans: Sequence[RecordPlan], *, observed_at: datetime) -> None:
    """Insert or update the record of each plan: its meta where it was seen, and the state that the plan leaves.

    Their current and published versions may come later in the transaction: those constraints wait for its end.
    """
    new = [
        (source_id, plan.record_id, observed_at, *_meta(plan.meta), *_state(plan, observed_at))
        for plan in plans
        if plan.is_new and plan.meta is not None
    ]
    seen = [
        (source_id, plan.record_id, *_meta(plan.meta), *_state(plan, observed_at))
        for plan in plans
        if not plan.is_new and plan.meta is not None
    ]
    unseen = [(source_id, plan.record_id, *_state(plan, observed_at)) for plan in plans if plan.meta is None]
    run_many(tx, INSERT, ("source_id", "id", "first_seen_at", *META, *STATE), new)
    run_many(tx, UPDATE, KEY + tuple(f"new_{name}" for name in META + STATE), seen)
    run_many(tx, UPDATE_STATE, KEY + tuple(f"new_{name}" for name in STATE), unseen)


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
        plan.current_version_id,
        plan.published_version_id,
        plan.version_count,
        observed_at,
        plan.deleted_at,
        plan.deletion_evidence.value if plan.deletion_evidence else None,
    )
