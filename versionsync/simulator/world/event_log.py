"""What really happened in the simulated project: facts that are only appended, written by the world as it acts.

Nothing that answers requests reads them. So `expected` can derive from them alone what a perfect mirror holds, whatever
the server (or a fault) answered. Contents are shared references: the bytes that are served.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

import msgspec

__all__ = [
    "Cause",
    "Change",
    "Content",
    "EditorRef",
    "EnvironmentDestroyed",
    "EnvironmentForked",
    "EnvironmentMade",
    "EnvironmentPromoted",
    "EnvironmentRenamed",
    "EventLog",
    "Fact",
    "ModelTurned",
    "PublicationBegan",
    "PublicationEnded",
    "RecordDeleted",
    "RecordMade",
    "SchemaChanged",
    "VersionDropped",
    "VersionMade",
    "VersionRewritten",
    "read_content",
]

Content = bytes | Callable[[], bytes]
"""A version's attributes as JSON text: the bytes, or a function that creates them on each read."""


def read_content(content: Content) -> bytes:
    return content if isinstance(content, bytes) else content()


class Cause(StrEnum):
    """Why a version's content changed under its id."""

    MERGED = "merged"
    FIELD_REMOVED = "field_removed"
    FIELD_RENAMED = "field_renamed"
    LOCALE_REMOVED = "locale_removed"
    SELECTIVE_PUBLISHING = "selective_publishing"
    TIME_ZONE_CHANGED = "time_zone_changed"
    LINKS_REMOVED = "links_removed"
    PARENT_REMOVED = "parent_removed"


class Change(StrEnum):
    """What happened to a model or a field."""

    MADE = "made"
    CHANGED = "changed"
    REMOVED = "removed"


class EditorRef(msgspec.Struct, frozen=True, gc=False):
    """An editor: one of the five kinds, and its id."""

    type: str
    id: str


class Fact(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Something that happened in *environment* at *at*. Times have milliseconds, as upstream's do."""

    at: datetime
    environment: str


class RecordMade(Fact, frozen=True, gc=False):
    """A record was created; *again*: under the id of a deleted one."""

    record_id: str
    model_id: str
    creator: EditorRef
    created_at: datetime
    again: bool = False


class RecordDeleted(Fact, frozen=True, gc=False):
    """A record was deleted with its versions."""

    record_id: str


class VersionMade(Fact, frozen=True, gc=False):
    """A version was written. *replaces*: the version that was merged into it, whose id no longer exists."""

    version_id: str
    record_id: str
    model_id: str
    editor: EditorRef
    content: Content
    is_current: bool = True
    replaces: str | None = None


class VersionRewritten(Fact, frozen=True, gc=False):
    """A version has other content under its id; *created_at*: the new time, if that changed too."""

    version_id: str
    content: Content
    cause: Cause
    created_at: datetime | None = None


class VersionDropped(Fact, frozen=True, gc=False):
    """A version is not kept any more: the plan limits how many are kept."""

    version_id: str


class PublicationBegan(Fact, frozen=True, gc=False):
    """A version was published."""

    version_id: str


class PublicationEnded(Fact, frozen=True, gc=False):
    """A version was unpublished."""

    version_id: str


class SchemaChanged(Fact, frozen=True, gc=False):
    """A model (no *field_id*) or one of its fields was created, changed or removed."""

    change: Change
    model_id: str
    api_key: str
    field_id: str | None = None


class ModelTurned(Fact, frozen=True, gc=False):
    """A model became a block model, or a model of records again. Meanwhile its records are served as blocks."""

    model_id: str
    is_block: bool


class EnvironmentMade(Fact, frozen=True, gc=False):
    """The project's first environment."""


class EnvironmentForked(Fact, frozen=True):
    """*environment* was copied from *source*; *version_ids* maps old to new ids unless they were kept."""

    source: str
    version_ids: dict[str, str] | None = None


class EnvironmentPromoted(Fact, frozen=True, gc=False):
    """*environment* became the primary one."""


class EnvironmentRenamed(Fact, frozen=True, gc=False):
    """*environment* was *old_name* before."""

    old_name: str


class EnvironmentDestroyed(Fact, frozen=True, gc=False):
    """*environment* was destroyed."""


class EventLog(list[Fact]):
    """The facts in the order in which they happened."""

    def write(self, fact: Fact) -> None:
        self.append(fact)
