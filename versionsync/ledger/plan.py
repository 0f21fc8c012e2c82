"""Decide what one look at a record changes in the mirror. Pure: no I/O, no clock, no SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from versionsync.ledger.events import Event
from versionsync.ledger.ids import ModelId, RecordId, VersionId
from versionsync.ledger.records import DeletionEvidence, SeenRecord
from versionsync.ledger.versions import Change

__all__ = ["RecordPlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPlan:
    """All that one transaction writes for one record. `changes` and `events` are in the order in which it happened.

    `meta` is None when only the tombstone changes; `is_new` says that the record has no row yet.
    """

    record_id: RecordId
    model_id: ModelId
    is_new: bool
    meta: SeenRecord | None
    current_version_id: VersionId | None
    published_version_id: VersionId | None
    version_count: int
    deleted_at: datetime | None
    deletion_evidence: DeletionEvidence | None
    changes: tuple[Change, ...]
    events: tuple[Event, ...]
