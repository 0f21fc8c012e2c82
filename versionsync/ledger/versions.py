"""What is known of a version: as upstream shows it, and as the mirror holds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from versionsync.ledger.ids import ModelId, VersionId
from versionsync.ledger.records import Editor

__all__ = ["Change", "SeenVersion", "Version"]


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
