"""What is known of a record: as upstream shows it, and as the mirror holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from versionsync.ledger.ids import ModelId, RecordId, VersionId

__all__ = ["Change", "DeletionEvidence", "Editor", "KnownRecord", "SeenRecord", "SeenVersion", "Version"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenVersion:
    """One version as upstream shows it, without its content.

    `content_hash` is that of the content's value. If the mirror has the same content in another form, it is the
    mirror's. `rewrite_cause` says why the content differs, if that is known: `time_zone` if only the project's time
    zone changed. It is not part of the version.
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
    rewrite_cause: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version as a row of the mirror: as last seen, its position in the history, and since when it is missing."""

    seen: SeenVersion
    ordinal: int
    missing_since: datetime | None = None

    @property
    def id(self) -> VersionId:
        return self.seen.id


@dataclass(frozen=True, slots=True)
class Change:
    """One version before (None: not mirrored yet) and after."""

    before: Version | None
    after: Version

    @property
    def is_rewrite(self) -> bool:
        """Return whether the same id came back with other content."""
        return self.before is not None and self.before.seen.content_hash != self.after.seen.content_hash


class DeletionEvidence(StrEnum):
    """How we know that a record was deleted. Its absence from a listing is never enough (invariant 5)."""

    NOT_FOUND = "not_found"
    MODEL_DELETED = "model_deleted"


@dataclass(frozen=True, slots=True)
class Editor:
    """Who made a version or a record: one of DatoCMS's types (`account`, `user`, …; new ones may come), and an id."""

    type: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    id: RecordId
    model_id: ModelId
    fingerprint: bytes
    current_version_id: VersionId | None
    created_at: datetime | None
    updated_at: datetime | None
    published_at: datetime | None
    first_published_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRecord(_Record):
    """A record's meta as upstream shows it in a listing, or on request."""

    status: str | None
    stage: str | None
    creator: Editor | None
    publication_scheduled_at: datetime | None
    unpublishing_scheduled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRecord(_Record):
    """What the mirror holds of a record, as far as a plan needs it."""

    published_version_id: VersionId | None
    version_count: int
    synced_at: datetime
    deleted_at: datetime | None
