"""What is known of a record: as upstream shows it, and as the mirror holds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from versionsync.ledger.ids import ModelId, RecordId, VersionId

__all__ = ["Change", "DeletionEvidence", "Editor", "KnownRecord", "SeenRecord", "SeenVersion", "Version"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenVersion:
    """One version in a pull. Its content travels beside it; here is the hash of its value.

    Where the mirror holds the same content in other words, the hash is that of the mirror's. `rewrite_cause` says why
    the content is another one, where that is known: `time_zone`, if only the project's zone changed.
    """

    id: VersionId
    model_id: ModelId
    created_at: datetime
    editor: Editor | None
    is_current: bool
    is_published: bool
    published_from: datetime | None
    published_until: datetime | None
    is_valid: bool | None
    content_hash: bytes
    rewrite_cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version as a row of the mirror, without its content."""

    id: VersionId
    model_id: ModelId
    ordinal: int
    created_at: datetime
    editor: Editor | None
    is_current: bool
    is_published: bool
    published_from: datetime | None
    published_until: datetime | None
    is_valid: bool | None
    content_hash: bytes
    missing_since: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """One version before (None: not mirrored yet) and after. `cause` says why it was rewritten, where that is known."""

    before: Version | None
    after: Version
    cause: str | None = None

    @property
    def is_rewrite(self) -> bool:
        """Whether the same id came back with other content."""
        return self.before is not None and self.before.content_hash != self.after.content_hash


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
