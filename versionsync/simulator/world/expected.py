"""What a perfect mirror of one environment would hold: derived from the journal alone.

Nothing here looks at the state that serves requests, so the two can be compared; and nothing is shared with any mirror,
so a misunderstanding there cannot hide here. The transitions are named like the events that a mirror writes, but carry
the true time even where upstream does not tell it.

Conventions, where there is a choice:

- A deleted record's versions keep their flags, and the one that was live its open interval: upstream says nothing more.
- When a record returns under its old id, its earlier versions go (`version.missing`), and lose their flags first.
- What happened keeps its true time: a version that a burst rewrote was created when it was first saved, though upstream
  now says otherwise; a record that claims another time (`meta.created_at`) was created when it was made.
- Records of a model that became a block model stay as they are until it is turned back.
- A fork's past is its source's past, with the version ids that it has in the fork.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import msgspec

from versionsync.simulator.world import event_log as facts
from versionsync.simulator.world.event_log import Cause, Content, EditorRef, Fact, read_content

__all__ = ["ExpectedHistory", "ExpectedRecord", "ExpectedVersion", "Transition", "TransitionType", "expected_history"]

Interval = tuple[datetime, datetime | None]


class TransitionType(StrEnum):
    """What can happen to a record or version."""

    RECORD_CREATED = "record.created"
    RECORD_DELETED = "record.deleted"
    RECORD_RETURNED = "record.returned"
    VERSION_CREATED = "version.created"
    VERSION_BECAME_CURRENT = "version.became_current"
    VERSION_SUPERSEDED = "version.superseded"
    VERSION_PUBLISHED = "version.published"
    VERSION_UNPUBLISHED = "version.unpublished"
    VERSION_REWRITTEN = "version.rewritten"
    VERSION_MISSING = "version.missing"


@dataclass(frozen=True, slots=True)
class Transition:
    """One of them. *cause*: why a version was rewritten."""

    type: TransitionType
    record_id: str
    version_id: str | None
    at: datetime
    cause: Cause | None = None


@dataclass(slots=True)
class ExpectedVersion:
    """A version, as it is or last was."""

    id: str
    record_id: str
    model_id: str
    editor: EditorRef
    created_at: datetime
    contents: list[Content]
    """Every content it ever had, the latest last."""
    is_current: bool = False
    is_published: bool = False
    live: list[Interval] = field(default_factory=list)
    """Every interval in which it was live, also those that upstream has forgotten."""
    is_listed: bool = True
    """Whether its record, if alive, still lists it."""

    @property
    def content(self) -> bytes:
        """The attributes as JSON text, with whole blocks, as of the latest rewrite."""
        return read_content(self.contents[-1])

    @property
    def all_contents(self) -> list[bytes]:
        """Every content it ever had, the latest last."""
        return [read_content(content) for content in self.contents]


@dataclass(slots=True)
class ExpectedRecord:
    """A record, alive or not."""

    id: str
    model_id: str
    created_at: datetime
    creator: EditorRef
    alive: bool = True
    deletions: list[datetime] = field(default_factory=list)
    returns: list[datetime] = field(default_factory=list)
    version_ids: list[str] = field(default_factory=list)
    """All of its versions in the order in which they were made, those of earlier lives and those not kept included."""
    current_id: str | None = None
    """The version that is, or was when the record went, current."""
    published_id: str | None = None
    """The version that is, or was when the record went, live."""


@dataclass(slots=True)
class ExpectedHistory:
    """All of one environment, and everything that happened in it, in order."""

    environment: str
    versions: dict[str, ExpectedVersion] = field(default_factory=dict)
    records: dict[str, ExpectedRecord] = field(default_factory=dict)
    transitions: list[Transition] = field(default_factory=list)
    block_models: set[str] = field(default_factory=set)
    """Models that became block models: their records are served as blocks, so a mirror cannot follow them."""

    def current_version(self, record_id: str) -> ExpectedVersion | None:
        """The version of a record that is (or, when it was deleted, was) current."""
        current_id = self.records[record_id].current_id
        return None if current_id is None else self.versions[current_id]

    def published_version(self, record_id: str) -> ExpectedVersion | None:
        """The version of a record that is (or was) live."""
        published_id = self.records[record_id].published_id
        return None if published_id is None else self.versions[published_id]

    def listed_versions(self, record_id: str) -> list[ExpectedVersion]:
        """The versions that upstream lists, oldest first; none of a deleted record."""
        record = self.records[record_id]
        versions = (self.versions[version_id] for version_id in record.version_ids)
        return [version for version in versions if version.is_listed] if record.alive else []

    def to_json(self) -> bytes:
        """Everything, for another program; contents as JSON values."""
        return msgspec.json.encode(
            {
                "environment": self.environment,
                "versions": [_version_as_json(version) for version in self.versions.values()],
                "records": list(self.records.values()),
                "transitions": self.transitions,
            }
        )

    def _emit(self, type: TransitionType, at: datetime, record_id: str, version_id: str | None = None) -> None:
        self.transitions.append(Transition(type, record_id, version_id, at))

    def _end_publication(self, version: ExpectedVersion, at: datetime) -> None:
        version.is_published = False
        self.records[version.record_id].published_id = None
        version.live[-1] = (version.live[-1][0], at)
        self._emit(TransitionType.VERSION_UNPUBLISHED, at, version.record_id, version.id)

    def _lose(self, version: ExpectedVersion, at: datetime) -> None:
        """*version* is listed no more."""
        if version.is_published:
            self._end_publication(version, at)
        if version.is_current:
            version.is_current = False
            self.records[version.record_id].current_id = None
            self._emit(TransitionType.VERSION_SUPERSEDED, at, version.record_id, version.id)
        version.is_listed = False
        self._emit(TransitionType.VERSION_MISSING, at, version.record_id, version.id)

    def _apply(self, fact: Fact) -> None:
        """Let *fact*, which happened in this environment, have happened."""
        at = fact.at
        match fact:
            case facts.RecordMade():
                self._record_made(fact)
            case facts.RecordDeleted(record_id=record_id):
                record = self.records[record_id]
                record.alive = False
                record.deletions.append(at)
                self._emit(TransitionType.RECORD_DELETED, at, record_id)
            case facts.VersionMade():
                self._version_made(fact)
            case facts.VersionRewritten(version_id=version_id):
                version = self.versions[version_id]
                version.contents.append(fact.content)
                version.created_at = fact.created_at or version.created_at
                self.transitions.append(
                    Transition(TransitionType.VERSION_REWRITTEN, version.record_id, version_id, at, fact.cause)
                )
            case facts.VersionDropped(version_id=version_id):
                self._lose(self.versions[version_id], at)
            case facts.PublicationBegan(version_id=version_id):
                version = self.versions[version_id]
                version.is_published = True
                self.records[version.record_id].published_id = version_id
                version.live.append((at, None))
                self._emit(TransitionType.VERSION_PUBLISHED, at, version.record_id, version_id)
            case facts.PublicationEnded(version_id=version_id):
                self._end_publication(self.versions[version_id], at)
            case facts.ModelTurned(model_id=model_id, is_block=is_block):
                (self.block_models.add if is_block else self.block_models.discard)(model_id)
            case _:
                pass  # the schema has no part in the truth about versions

    def _record_made(self, fact: facts.RecordMade) -> None:
        record = self.records.get(fact.record_id)
        if record is None:
            self.records[fact.record_id] = ExpectedRecord(fact.record_id, fact.model_id, fact.created_at, fact.creator)
            self._emit(TransitionType.RECORD_CREATED, fact.at, fact.record_id)
            return
        record.alive = True
        record.model_id, record.created_at, record.creator = fact.model_id, fact.created_at, fact.creator
        record.returns.append(fact.at)
        self._emit(TransitionType.RECORD_RETURNED, fact.at, fact.record_id)
        for version_id in record.version_ids:
            if self.versions[version_id].is_listed:
                self._lose(self.versions[version_id], fact.at)

    def _version_made(self, fact: facts.VersionMade) -> None:
        at, record = fact.at, self.records[fact.record_id]
        version = ExpectedVersion(fact.version_id, fact.record_id, fact.model_id, fact.editor, at, [fact.content])
        before = self.current_version(fact.record_id) if fact.is_current else None
        record.version_ids.append(version.id)
        self.versions[version.id] = version
        self._emit(TransitionType.VERSION_CREATED, at, record.id, version.id)
        if before is not None:
            before.is_current = False
            self._emit(TransitionType.VERSION_SUPERSEDED, at, record.id, before.id)
        if fact.is_current:
            version.is_current = True
            record.current_id = version.id
            self._emit(TransitionType.VERSION_BECAME_CURRENT, at, record.id, version.id)
        if fact.replaces is not None:
            self._lose(self.versions[fact.replaces], at)

    def _fork(self, fact: facts.EnvironmentForked) -> ExpectedHistory:
        """A copy of this truth as the past of another environment."""
        names = fact.version_ids or {}
        forked = ExpectedHistory(fact.environment, block_models=set(self.block_models))
        for record in self.records.values():
            if record.alive:
                copied = copy(record)
                copied.deletions, copied.returns = list(record.deletions), list(record.returns)
                copied.version_ids = [names.get(id, id) for id in record.version_ids if self.versions[id].is_listed]
                copied.current_id = record.current_id and names.get(record.current_id, record.current_id)
                copied.published_id = record.published_id and names.get(record.published_id, record.published_id)
                forked.records[record.id] = copied
        for version in self.versions.values():
            if version.record_id in forked.records and version.is_listed:
                twin = copy(version)
                twin.id = names.get(version.id, version.id)
                twin.contents, twin.live = list(version.contents), list(version.live)
                forked.versions[twin.id] = twin
        listed = {id for id, version in self.versions.items() if version.is_listed}
        forked.transitions = [
            Transition(
                one.type, one.record_id, one.version_id and names.get(one.version_id, one.version_id), one.at, one.cause
            )
            for one in self.transitions
            if one.record_id in forked.records and (one.version_id is None or one.version_id in listed)
        ]
        return forked


def expected_history(journal: Iterable[Fact], environment: str) -> ExpectedHistory:
    """The truth about *environment* by the end of *journal*. Raises KeyError when there is none of that name by then.

    Transitions come in the order of their time, and within one instant in the order in which they happened.
    """
    worlds: dict[str, ExpectedHistory] = {}
    for fact in journal:
        match fact:
            case facts.EnvironmentMade(environment=name):
                worlds[name] = ExpectedHistory(name)
            case facts.EnvironmentForked(environment=name, source=source):
                worlds[name] = worlds[source]._fork(fact)
            case facts.EnvironmentRenamed(environment=name, old_name=old_name):
                worlds[name] = worlds.pop(old_name)
                worlds[name].environment = name
            case facts.EnvironmentDestroyed(environment=name):
                del worlds[name]
            case facts.EnvironmentPromoted():
                pass
            case _:
                worlds[fact.environment]._apply(fact)
    found = worlds[environment]
    found.transitions.sort(key=lambda transition: transition.at)
    return found


def _version_as_json(version: ExpectedVersion) -> dict[str, object]:
    return {
        "id": version.id,
        "record_id": version.record_id,
        "model_id": version.model_id,
        "editor": version.editor,
        "created_at": version.created_at,
        "content": msgspec.Raw(version.content),
        "all_contents": [msgspec.Raw(content) for content in version.all_contents],
        "is_current": version.is_current,
        "is_published": version.is_published,
        "live": version.live,
        "is_listed": version.is_listed,
    }
