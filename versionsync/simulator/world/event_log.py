"""What really happened in the simulated project: facts, only ever appended, written by the world as it acts.

Nothing that answers requests reads the journal. That makes it a witness: `truth` derives from it alone what a perfect
mirror would hold, whatever the server (or a fault) told its clients. Contents are held by reference: they are the bytes
that are served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
"""A version's attributes as JSON text: the bytes, or a function that makes them when somebody reads."""


def read_content(content: Content) -> bytes:
    """The JSON text of *content*, made now if it was not made before."""
    return content if isinstance(content, bytes) else content()


class Cause(StrEnum):
    """Why a version's content changed under its id."""

    MERGED = "merged"
    FIELD_REMOVED = "field_removed"
    FIELD_RENAMED = "field_renamed"
    LOCALE_REMOVED = "locale_removed"
    SELECTIVE_PUBLISHING = "selective_publishing"
    TIME_ZONE_CHANGED = "time_zone_changed"


class Change(StrEnum):
    """What became of a model or a field."""

    MADE = "made"
    CHANGED = "changed"
    REMOVED = "removed"


class EditorRef(msgspec.Struct, frozen=True, gc=False):
    """Whoever did it: one of the five kinds of editor, and its id."""

    type: str
    id: str


class Fact(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Something that happened in *environment* at *at*, in milliseconds, as upstream keeps times."""

    at: datetime
    environment: str


class RecordMade(Fact, frozen=True, gc=False):
    """A record came to be; *again*: under the id of one that had been deleted."""

    record_id: str
    model_id: str
    creator: EditorRef
    created_at: datetime
    again: bool = False


class RecordDeleted(Fact, frozen=True, gc=False):
    """A record went, with its versions."""

    record_id: str


class VersionMade(Fact, frozen=True, gc=False):
    """A version was written. *replaces*: the version that was merged into it, whose id is gone."""

    version_id: str
    record_id: str
    model_id: str
    editor: EditorRef
    content: Content
    is_current: bool = True
    replaces: str | None = None


class VersionRewritten(Fact, frozen=True, gc=False):
    """A version has other content under its id; *created_at* is the new one, where that changed too."""

    version_id: str
    content: Content
    cause: Cause
    created_at: datetime | None = None


class VersionDropped(Fact, frozen=True, gc=False):
    """A version is not kept any more (the plan keeps only so many)."""

    version_id: str


class PublicationBegan(Fact, frozen=True, gc=False):
    """A version went live."""

    version_id: str


class PublicationEnded(Fact, frozen=True, gc=False):
    """A version is not live any more."""

    version_id: str


class SchemaChanged(Fact, frozen=True, gc=False):
    """A model (no *field_id*) or one of its fields was made, changed or removed."""

    change: Change
    model_id: str
    api_key: str
    field_id: str | None = None


class ModelTurned(Fact, frozen=True, gc=False):
    """A model became a block model, or a model of records again. Its records are served as blocks meanwhile."""

    model_id: str
    is_block: bool


class EnvironmentMade(Fact, frozen=True, gc=False):
    """The project's first environment."""


class EnvironmentForked(Fact, frozen=True):
    """*environment* began as a copy of *source*; *version_ids* maps old to new where ids were not kept."""

    source: str
    version_ids: dict[str, str] | None = None


class EnvironmentPromoted(Fact, frozen=True, gc=False):
    """*environment* became the primary one."""


class EnvironmentRenamed(Fact, frozen=True, gc=False):
    """*environment* was *old_name* before."""

    old_name: str


class EnvironmentDestroyed(Fact, frozen=True, gc=False):
    """*environment* is no more."""


class EventLog:
    """The facts in the order in which they happened."""

    __slots__ = ("_facts",)

    def __init__(self) -> None:
        self._facts: list[Fact] = []

    def write(self, fact: Fact) -> None:
        """Append *fact*."""
        self._facts.append(fact)

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)
