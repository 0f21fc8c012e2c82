"""What a perfect mirror of one environment holds: derived from the event log alone.

Nothing here uses the state that serves requests, so tests can compare the two. Nothing is shared with a mirror, so both
cannot have the same bug. The transitions have the names of a mirror's events, but always the real time, even if
upstream does not show it.

Conventions:

- A deleted record's versions keep their flags, and the published one its open interval: upstream reports nothing more.
- When a record returns under its old id, its earlier versions lose their flags and become `version.missing`.
- Everything keeps its real time. A version that a burst rewrote was created when it was first saved, even if upstream
  now reports another time. A record that claims another time (`meta.created_at`) was created when it was made.
- Records of a model that became a block model stay unchanged until it becomes a model again.
- The past of a fork is the past of its source, with the version ids of the fork.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum

import msgspec

from versionsync.simulator.world import event_log as facts
from versionsync.simulator.world.event_log import Cause, Content, EditorRef, Fact, read_content

__all__ = ["ExpectedHistory", "ExpectedRecord", "ExpectedVersion", "Transition", "TransitionType", "expected_history"]

Interval = tuple[datetime, datetime | None]


class TransitionType(StrEnum):
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
    """A change of a record or version. *cause*: why a version was rewritten."""

    type: TransitionType
    record_id: str
    version_id: str | None
    at: datetime
    cause: Cause | None = None


@dataclass(slots=True)
class ExpectedVersion:
    """A version in its current or last state."""

    id: str
    record_id: str
    model_id: str
    editor: EditorRef
    created_at: datetime
    contents: list[Content]
    """All of its contents, the latest last."""
    is_current: bool = False
    is_published: bool = False
    live: list[Interval] = field(default_factory=list)
    """All intervals in which it was published, also those that upstream does not keep."""
    is_listed: bool = True
    """Whether its record, if it exists, still lists it."""

    @property
    def content(self) -> bytes:
        """The latest attributes as JSON text, with complete blocks."""
        return read_content(self.contents[-1])

    @property
    def all_contents(self) -> list[bytes]:
        """All of its contents, the latest last."""
        return [read_content(content) for content in self.contents]


@dataclass(slots=True)
class ExpectedRecord:
    """A record, deleted or not."""

    id: str
    model_id: str
    created_at: datetime
    creator: EditorRef
    alive: bool = True
    deletions: list[datetime] = field(default_factory=list)
    returns: list[datetime] = field(default_factory=list)
    version_ids: list[str] = field(default_factory=list)
    """All of its versions in the order of creation, with those before a deletion and those not kept."""
    current_id: str | None = None
    """The current version, or the last one before the deletion."""
    published_id: str | None = None
    """The published version, or the last one before the deletion."""


@dataclass(slots=True)
class ExpectedHistory:
    """The contents of an environment, and everything that happened in it, in order."""

    environment: str
    versions: dict[str, ExpectedVersion] = field(default_factory=dict)
    records: dict[str, ExpectedRecord] = field(default_factory=dict)
    transitions: list[Transition] = field(default_factory=list)
    block_models: set[str] = field(default_factory=set)
    """Models that became block models: their records are served as blocks, so a mirror does not see them."""

    def current_version(self, record_id: str) -> ExpectedVersion | None:
        """Return the current version of a record, or the last one before its deletion."""
        return self.versions.get(self.records[record_id].current_id or "")

    def published_version(self, record_id: str) -> ExpectedVersion | None:
        """Return the published version of a record, or the last one before its deletion."""
        return self.versions.get(self.records[record_id].published_id or "")

    def listed_versions(self, record_id: str) -> list[ExpectedVersion]:
        """Return the versions that upstream lists, oldest first; none of a deleted record."""
        record = self.records[record_id]
        versions = (self.versions[version_id] for version_id in record.version_ids)
        return [version for version in versions if version.is_listed] if record.alive else []

    def to_json(self) -> bytes:
        """Return everything as JSON for another program."""
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

    def _remove_version(self, version: ExpectedVersion, at: datetime) -> None:
        if version.is_published:
            self._end_publication(version, at)
        if version.is_current:
            version.is_current = False
            self.records[version.record_id].current_id = None
            self._emit(TransitionType.VERSION_SUPERSEDED, at, version.record_id, version.id)
        version.is_listed = False
        self._emit(TransitionType.VERSION_MISSING, at, version.record_id, version.id)

    def _apply(self, fact: Fact) -> None:
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
                self._remove_version(self.versions[version_id], at)
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
                pass  # the schema does not affect versions

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
                self._remove_version(self.versions[version_id], fact.at)

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
            self._remove_version(self.versions[fact.replaces], at)

    def _fork(self, fact: facts.EnvironmentForked) -> ExpectedHistory:
        """Return a copy as the past of another environment."""
        names = fact.version_ids or {}

        def renamed(version_id: str | None) -> str | None:
            return None if version_id is None else names.get(version_id, version_id)

        forked = ExpectedHistory(fact.environment, block_models=set(self.block_models))
        for record in self.records.values():
            if record.alive:
                forked.records[record.id] = replace(
                    record,
                    deletions=list(record.deletions),
                    returns=list(record.returns),
                    version_ids=[names.get(id, id) for id in record.version_ids if self.versions[id].is_listed],
                    current_id=renamed(record.current_id),
                    published_id=renamed(record.published_id),
                )
        for id, version in self.versions.items():
            if version.record_id in forked.records and version.is_listed:
                new_id, contents, live = names.get(id, id), list(version.contents), list(version.live)
                forked.versions[new_id] = replace(version, id=new_id, contents=contents, live=live)
        listed = {None, *(id for id, version in self.versions.items() if version.is_listed)}
        forked.transitions = [
            replace(one, version_id=renamed(one.version_id))
            for one in self.transitions
            if one.record_id in forked.records and one.version_id in listed
        ]
        return forked


def expected_history(event_log: Iterable[Fact], environment: str) -> ExpectedHistory:
    """Return the history of *environment* at the end of *event_log*. Raise KeyError if it does not exist then.

    The transitions are in the order of their time, and at the same time in the order in which they happened.
    """
    histories: dict[str, ExpectedHistory] = {}
    for fact in event_log:
        match fact:
            case facts.EnvironmentMade(environment=name):
                histories[name] = ExpectedHistory(name)
            case facts.EnvironmentForked(environment=name, source=source):
                histories[name] = histories[source]._fork(fact)
            case facts.EnvironmentRenamed(environment=name, old_name=old_name):
                histories[name] = histories.pop(old_name)
                histories[name].environment = name
            case facts.EnvironmentDestroyed(environment=name):
                del histories[name]
            case facts.EnvironmentPromoted():
                pass
            case _:
                histories[fact.environment]._apply(fact)
    found = histories[environment]
    found.transitions.sort(key=lambda transition: transition.at)
    return found


def _version_as_json(version: ExpectedVersion) -> dict[str, object]:
    return {
        **{one.name: getattr(version, one.name) for one in fields(version) if one.name != "contents"},
        "content": msgspec.Raw(version.content),
        "all_contents": [msgspec.Raw(content) for content in version.all_contents],
    }
