"""What is known of a record: as upstream shows it, and as the mirror holds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from versionsync.ledger.ids import ModelId, RecordId, VersionId

__all__ = ["DeletionEvidence", "Editor", "KnownRecord", "SeenRecord"]


class DeletionEvidence(StrEnum):
    """Why a record is held to be gone; a listing without it is never enough (invariant 5)."""

    NOT_FOUND = "not_found"
    MODEL_DELETED = "model_deleted"


@dataclass(frozen=True, slots=True)
class Editor:
    """Who made a version or a record: one of DatoCMS's kinds (`account`, `user`, …; new ones may come), and an id."""

    type: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRecord:
    """A record's meta as upstream showed it in a sweep or when it was asked for."""

    id: RecordId
    model_id: ModelId
    fingerprint: bytes
    status: str | None
    stage: str | None
    current_version_id: VersionId | None
    creator: Editor | None
    created_at: datetime | None
    updated_at: datetime | None
    published_at: datetime | None
    first_published_at: datetime | None
    publication_scheduled_at: datetime | None
    unpublishing_scheduled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRecord:
    """What the mirror holds of a record, as far as planning needs it."""

    id: RecordId
    model_id: ModelId
    fingerprint: bytes
    created_at: datetime | None
    updated_at: datetime | None
    published_at: datetime | None
    first_published_at: datetime | None
    current_version_id: VersionId | None
    published_version_id: VersionId | None
    version_count: int
    synced_at: datetime
    deleted_at: datetime | None
