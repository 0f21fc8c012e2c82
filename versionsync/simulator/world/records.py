"""Records and versions of an environment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from versionsync.simulator.world import content as contents
from versionsync.simulator.world.event_log import Content, read_content
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.people_roles_tokens import Editor

__all__ = ["Interval", "LoadedMeta", "LoadedVersion", "Record", "Selection", "Version"]

Interval = tuple[datetime, datetime | None]
"""When a version was live: from, and until (None: it still is)."""


@dataclass(slots=True, eq=False)
class Version:
    id: str
    record: Record
    editor: Editor
    created_at: datetime
    content: Content
    live: tuple[Interval, ...] = ()
    is_valid: bool = True

    @property
    def is_current(self) -> bool:
        return self.record.current is self

    @property
    def is_published(self) -> bool:
        return self.record.published is self

    def read(self) -> bytes:
        """Return the attributes as JSON text, with complete blocks."""
        return read_content(self.content)

    @property
    def locales(self) -> list[str]:
        """The locales of its localized fields."""
        return contents.locales_of(self.read(), self.record.model.localized_keys)


@dataclass(slots=True, eq=False)
class Record:
    """A record: its meta, and its versions, oldest first."""

    id: str
    model: Model
    creator: Editor
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None = None
    first_published_at: datetime | None = None
    publication_scheduled_at: datetime | None = None
    unpublishing_scheduled_at: datetime | None = None
    stage: str | None = None
    versions: list[Version] = field(default_factory=list)
    current: Version | None = None
    published: Version | None = None
    is_deleted: bool = False
    locked_by: Editor | None = None
    """The editor who has it open, so that others cannot save it."""
    sequence: int = 0
    """Rises with each change: the order of listings for equal times."""

    @property
    def head(self) -> Version:
        """The current version; every saved record has one."""
        if self.current is None:
            raise RuntimeError(f"record {self.id} was never saved")
        return self.current

    @property
    def shown_versions(self) -> list[Version]:
        """The current and the published version; one, if they are the same."""
        return [one for one in dict.fromkeys((self.current, self.published)) if one is not None]

    @property
    def parent_id(self) -> str | None:
        """The id of the record above it in a tree."""
        return None if self.current is None else self.parent_in(self.current.read())

    def parent_in(self, content: bytes) -> str | None:
        """Return the id of the parent that its *content* names, if it is in a tree."""
        parent = contents.split(content).get("parent_id") if self.model.tree else None
        return None if parent is None else contents.load(parent)

    @property
    def status(self) -> str:
        """`draft`, `updated` or `published`; without draft mode always `published`."""
        if self.published is None:
            return "draft"
        return "published" if self.published is self.current else "updated"


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of a record that selective publishing publishes."""

    locales: frozenset[str]
    non_localized: bool = False

    @classmethod
    def of(cls, locales: Iterable[str], *, non_localized: bool = False) -> Selection:
        """Return a selection of *locales*, with or without the content that is not localized."""
        return cls(frozenset(locales), non_localized)


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A past version for `World.load`: its content, editor, time, and when it was live."""

    content: Content
    editor: Editor
    created_at: datetime
    live: tuple[Interval, ...] = ()
    id: str | None = None
    is_valid: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedMeta:
    """What a record claims for `World.load`, instead of what follows from its versions.

    *current* is the id of the current version; None: the last one. A plan for a time that has passed is left out.
    """

    current: str | None = None
    updated_at: datetime | None = None
    published_at: datetime | None = None
    first_published_at: datetime | None = None
    publication_scheduled_at: datetime | None = None
    unpublishing_scheduled_at: datetime | None = None
    stage: str | None = None
