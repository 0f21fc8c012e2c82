"""What questions about the history are answered with: frozen dataclasses, whose fields are named as columns are.

Times are aware and in UTC. Text is as DatoCMS sent it: pass it through `versionsync.text.printable` before you write it
to a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from versionsync.ledger.events import JsonValue
from versionsync.ledger.times import format_time

__all__ = [
    "Act",
    "ActKind",
    "Deleted",
    "Event",
    "FieldChange",
    "Find",
    "Hit",
    "Interval",
    "Pending",
    "PendingReason",
    "Record",
    "RecordChanges",
    "RecordKey",
    "State",
    "Usage",
    "UsageTarget",
    "Version",
    "WithEditor",
    "columns_of",
]


class WithEditor:
    """What has an editor: the columns are those of the dataclass."""

    __slots__ = ()

    editor_type: str | None
    editor_id: str | None
    editor_name: str | None

    @property
    def editor(self) -> str:
        """Who saved it, for people: the name, else type and id, else a dash."""
        return self.editor_name or (f"{self.editor_type} {self.editor_id}" if self.editor_id else "–")


class RecordKey(NamedTuple):
    """What names a record in the whole mirror: its source's number (`sources.id`) and its id."""

    source_id: int
    record_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record as the mirror knows it now, also one that is deleted.

    Attributes:
        model: The model's API key, or its id if the token may not read the model.
        title: What its newest version is called, in the project's main locale. None: it has no title, or the titles
            are not filled yet.
        version_count: How many of its versions the mirror has.
    """

    source: str
    record_id: str
    model: str
    model_id: str
    title: str | None
    status: str | None
    current_version_id: str | None
    published_version_id: str | None
    created_at: datetime | None
    updated_at: datetime | None
    published_at: datetime | None
    first_published_at: datetime | None
    publication_scheduled_at: datetime | None
    unpublishing_scheduled_at: datetime | None
    deleted_at: datetime | None
    version_count: int
    key: RecordKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class Interval:
    """A span of time: [valid_from, valid_until). `valid_until` is None while it goes on."""

    valid_from: datetime
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """What a version changed in one field, locale and block. See the table `changes` for each column."""

    field_id: str | None
    field: str
    locale: str | None
    block_id: str | None
    block_path: str | None
    kind: str
    operation: str
    words_added: int
    words_removed: int


class Find(StrEnum):
    """Which versions a search returns. The values are public."""

    CHANGED = "changed"
    """Each version that has what was searched for in a passage that the version before it did not have so."""
    FIRST = "first"
    """Of each field of a record, the oldest version that has it."""
    LAST = "last"
    """Of each field of a record, the newest version that has it."""
    REMOVED = "removed"
    """Each version that no longer has it in a field, while the version before it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(WithEditor):
    """A version in which a search found something.

    Attributes:
        title: What this version is called, in the project's main locale.
        field: The innermost field's API key.
        text: The passage that has it. If the version removed it: the one that had it.
        spans: Where it is in `text`: pairs of a beginning and an end.
        snippet: The passage around the first span, with the spans in «».
    """

    source: str
    record_id: str
    version_id: str
    model: str
    model_id: str
    title: str | None
    created_at: datetime
    editor_type: str | None
    editor_id: str | None
    editor_name: str | None
    ordinal: int
    field_id: str | None
    field: str
    locale: str | None
    block_path: str | None
    snippet: str
    text: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(WithEditor):
    """A version: what a record said from one save to the next.

    Attributes:
        title: What this version is called, in the project's main locale.
        is_first: Whether it is the record's first version.
        changes: What it changed compared with the version before it, by field, locale and block. None: that is not
            computed yet.
        current: When it was the newest version.
        published: When it was live.
        attributes_json: The content as exact JSON text. None: it was not asked for.
    """

    source: str
    record_id: str
    version_id: str
    model: str
    model_id: str
    title: str | None
    created_at: datetime
    editor_type: str | None
    editor_id: str | None
    editor_name: str | None
    ordinal: int
    is_first: bool
    is_current: bool
    is_published: bool
    is_valid: bool | None
    missing_since: datetime | None
    changes: tuple[FieldChange, ...] | None
    current: tuple[Interval, ...]
    published: tuple[Interval, ...]
    attributes_json: str | None = field(default=None, repr=False)

    @property
    def attributes(self) -> Mapping[str, JsonValue] | None:
        """The content by API key. Numbers that Python's floats cannot hold lose digits: see `attributes_json`."""
        return _decoded(self.attributes_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The version of a record that was current, or live, at a moment.

    Attributes:
        kind: `current` or `published`.
        valid_from: Since when it was.
        valid_until: Until when. None: it still is, or at the moment of `--known-at` no end was known.
        attributes_json: The content as exact JSON text. None: it was not asked for.
    """

    source: str
    record_id: str
    version_id: str
    model: str
    model_id: str
    title: str | None
    kind: str
    valid_from: datetime
    valid_until: datetime | None
    attributes_json: str | None = field(default=None, repr=False)

    @property
    def attributes(self) -> Mapping[str, JsonValue] | None:
        """The content by API key. Numbers that Python's floats cannot hold lose digits: see `attributes_json`."""
        return _decoded(self.attributes_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordChanges:
    """What happened to one record in a span of time.

    Attributes:
        acts: What happened, most important first: `deleted`, `unpublished`, `published`, `created`, `edited`.
        fields: The API keys of the fields that changed, the one with most words first. None: not computed yet.
        editors: Who saved versions in this time, by name.
        versions: How many versions were saved.
        last_at: When the last of it happened.
    """

    source: str
    record_id: str
    model: str
    model_id: str
    title: str | None
    acts: tuple[ActKind, ...]
    fields: tuple[str, ...] | None
    editors: tuple[str, ...]
    versions: int
    words_added: int
    words_removed: int
    last_at: datetime


class PendingReason(StrEnum):
    """What a record waits for; the values are public."""

    DRAFT = "draft"
    """It was never published, or it was unpublished."""
    CHANGES = "changes"
    """It is live, and its newest version is not."""
    PUBLICATION = "publication"
    """DatoCMS will publish it on schedule."""
    UNPUBLISHING = "unpublishing"
    """DatoCMS will unpublish it on schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending(WithEditor):
    """A record whose newest version is not live, or whose publication is scheduled.

    Attributes:
        reasons: What it waits for.
        waiting_since: When the oldest change was saved that is not live.
        versions: How many versions were saved since then.
        version_id: The version that waits; the editor is who saved it.
    """

    source: str
    record_id: str
    version_id: str | None
    published_version_id: str | None
    model: str
    model_id: str
    title: str | None
    editor_type: str | None
    editor_id: str | None
    editor_name: str | None
    reasons: tuple[PendingReason, ...]
    waiting_since: datetime | None
    versions: int
    publication_scheduled_at: datetime | None
    unpublishing_scheduled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted(WithEditor):
    """A record that was deleted upstream. Its versions are kept.

    Attributes:
        version_id: Its last version; the editor is who saved it, who may not be who deleted the record.
        was_published: Whether it was live when it was deleted.
        actor_type: Who deleted it, from the project's audit log. None: not known.
    """

    source: str
    record_id: str
    version_id: str | None
    model: str
    model_id: str
    title: str | None
    deleted_at: datetime
    deletion_evidence: str
    editor_type: str | None
    editor_id: str | None
    editor_name: str | None
    version_count: int
    was_published: bool
    actor_type: str | None
    actor_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTarget:
    """A record or an upload that records may use.

    Attributes:
        target_kind: `record` or `upload`.
        name: The title of the record, or the name of the file. None: it is not known.
        model: The record's model.
        deleted_at: When its deletion was observed.
    """

    source: str
    source_id: int = field(repr=False)
    target_kind: str
    target_id: str
    name: str | None
    model: str | None = None
    url: str | None = None
    mime_type: str | None = None
    size: int | None = None
    width: int | None = None
    height: int | None = None
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A place where a record uses another record or an upload.

    Attributes:
        title: What the record that uses it is called now.
        first_version_id: The first version that has it there.
        until_version_id: The next version that has it there no longer. None: all later versions have it.
        since: When that first version was made.
        until: When it ended: the next version without it was made, or the record was found deleted. None: it goes on.
        is_current: Whether the newest version of the record has it. False if the record is deleted.
        is_published: Whether the live version has it.
        published: When that was live, oldest first.
    """

    source: str
    target_kind: str
    target_id: str
    record_id: str
    model: str
    model_id: str
    title: str | None
    field_id: str | None
    field: str
    locale: str | None
    block_path: str | None
    first_version_id: str
    until_version_id: str | None
    since: datetime
    until: datetime | None
    is_current: bool
    is_published: bool
    published: tuple[Interval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. See the table `events` for each column."""

    id: int
    source: str
    type: str
    record_id: str | None
    version_id: str | None
    model_id: str | None
    occurred_at: datetime
    occurred_basis: str
    observed_at: datetime
    run_id: int | None
    data_json: str = field(repr=False)
    actor_type: str | None
    actor_id: str | None
    key: str

    @property
    def data(self) -> Mapping[str, JsonValue]:
        """Further details, decoded."""
        decoded: Mapping[str, JsonValue] = json.loads(self.data_json)
        return decoded


class ActKind(StrEnum):
    """What somebody did; the values are public. One act is one to five events."""

    DELETED = "deleted"
    UNPUBLISHED = "unpublished"
    PUBLISHED = "published"
    CREATED = "created"
    EDITED = "edited"
    REVERTED = "reverted"
    """An older version is the newest one again, as after another environment became the primary one."""
    REWRITTEN = "rewritten"
    MISSING = "missing"
    RETURNED = "returned"
    ERASED = "erased"
    """Content was erased from the mirror by `versionsync erase`."""
    SCHEMA = "schema"
    SOURCE = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act(WithEditor):
    """What happened at one moment to one record, to the schema or to the project.

    Attributes:
        id: The id of its last event.
        kinds: What happened, such as `edited` and `published`.
        version_id: The version concerned; the editor is who saved it.
        about: The model or field of a change of the schema, or the environments of a promotion.
        events: Its events, by id.
    """

    id: int
    source: str
    kinds: tuple[ActKind, ...]
    record_id: str | None
    version_id: str | None
    model: str | None
    model_id: str | None
    title: str | None
    occurred_at: datetime
    occurred_basis: str
    about: str
    editor_type: str | None
    editor_id: str | None
    editor_name: str | None
    actor_type: str | None
    actor_id: str | None
    actor_name: str | None
    events: tuple[Event, ...] = field(repr=False)


def _decoded(text: str | None) -> Mapping[str, JsonValue] | None:
    decoded: Mapping[str, JsonValue] | None = None if text is None else json.loads(text)
    return decoded


def columns_of(row: Any, *leave_out: str) -> dict[str, Any]:
    """Return a dataclass of this module as the members of a JSON object.

    Times become the text of the mirror's columns. Content and data keep every digit.
    """
    import msgspec

    members: dict[str, Any] = {}
    for one in fields(row):
        value = getattr(row, one.name)
        if one.name in leave_out:
            continue
        if one.name.endswith("_json"):
            if value is not None:
                members[one.name.removesuffix("_json")] = msgspec.Raw(value.encode(errors="surrogatepass"))
        else:
            members[one.name] = _plain(value)
    return members


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, (Interval, FieldChange, Event)):
        return columns_of(value)
    return value.value if isinstance(value, StrEnum) else value
