"""A mirror of one record in memory: it applies plans as the writer does, and doubts each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import dropwhile, pairwise

from versionsync.ledger.events import Event, EventType, TimeBasis
from versionsync.ledger.ids import VersionId
from versionsync.ledger.plan import RecordPlan, plan_deletion, plan_record
from versionsync.ledger.records import Change, DeletionEvidence, KnownRecord, SeenVersion, Version
from versionsync.ledger.times import format_time, is_before, same_instant

from .build import Pull

__all__ = ["MemoryMirror", "Replay", "Row"]

CURRENT = {EventType.VERSION_BECAME_CURRENT: True, EventType.VERSION_SUPERSEDED: False}
PUBLISHED = {EventType.VERSION_PUBLISHED: True, EventType.VERSION_UNPUBLISHED: False}
ENDS = (EventType.VERSION_SUPERSEDED, EventType.VERSION_UNPUBLISHED)
ALWAYS_ACCOMPANIED = {
    EventType.VERSION_MISSING,
    EventType.VERSION_RETURNED,
    EventType.VERSION_REWRITTEN,
    EventType.RECORD_CREATED,
    EventType.RECORD_DELETED,
    EventType.RECORD_RETURNED,
}


@dataclass(frozen=True, slots=True)
class Row:
    """An event as written: under the key that it got, and by which look."""

    key: str
    event: Event
    look: int


class MemoryMirror:
    """What the mirror holds of one record. Every applied plan is checked against the invariants of the design."""

    def __init__(self) -> None:
        self.known: KnownRecord | None = None
        self.versions: dict[VersionId, Version] = {}
        self.rows: list[Row] = []
        self.looks = 0
        self.replayed = Replay()

    @property
    def events(self) -> list[Event]:
        """All events, in the order of their ids."""
        return [row.event for row in self.rows]

    def look(self, pull: Pull, observed_at: datetime) -> RecordPlan:
        """Apply what `pull` shows; looking again must change nothing (invariant 10)."""
        plan = plan_record(self.known, self._ordered(), **pull._asdict(), observed_at=observed_at)
        self._apply(plan, observed_at)
        again = plan_record(self.known, self._ordered(), **pull._asdict(), observed_at=observed_at)
        assert (again.changes, again.events) == ((), ()), "planning again gives no change and no event"
        assert again == replace(plan, is_new=False, changes=(), events=())
        return plan

    def find_deleted(self, still_listed: Sequence[SeenVersion], observed_at: datetime) -> RecordPlan:
        """Apply that the record is gone."""
        assert self.known is not None
        before = {id: version.missing_since for id, version in self.versions.items()}
        plan = self._plan_deletion(still_listed, observed_at)
        self._apply(plan, observed_at)
        for id, version in self.versions.items():
            assert version.missing_since in (before.get(id), None), "versions go with their record and are not missing"
        again = self._plan_deletion(still_listed, observed_at)
        assert (again.changes, again.events) == ((), ()), "a tombstone is written once"
        return plan

    def _plan_deletion(self, still_listed: Sequence[SeenVersion], observed_at: datetime) -> RecordPlan:
        assert self.known is not None
        evidence = DeletionEvidence.NOT_FOUND
        return plan_deletion(
            self.known, self._ordered(), still_listed=still_listed, evidence=evidence, observed_at=observed_at
        )

    def _ordered(self) -> list[Version]:
        return sorted(self.versions.values(), key=lambda version: version.ordinal)

    def _apply(self, plan: RecordPlan, observed_at: datetime) -> None:
        self.looks += 1
        self._check_events(plan, observed_at)
        for change in plan.changes:
            assert change.before == self.versions.get(change.after.id), "a change starts from what the mirror holds"
            assert change.before != change.after, "the least that makes the mirror agree"
            self.versions[change.after.id] = change.after
        written = list(self._written(plan))
        self.rows += written
        self._check_versions(plan)
        self.replayed.read(row.event for row in written)
        assert self.replayed.current == {id for id, version in self.versions.items() if version.seen.is_current}
        assert self.replayed.published == {id for id, version in self.versions.items() if version.seen.is_published}
        self.known = self._record_row(plan, observed_at)

    def _written(self, plan: RecordPlan) -> Iterator[Row]:
        """An event whose key is taken was told, unless it is the one that turns a flag: then it is another one."""
        taken = {row.key for row in self.rows}
        last = {(event.type, event.version_id): event for event in plan.events}
        for event in plan.events:
            key, number = event.key, 1
            is_last = last[event.type, event.version_id] is event
            while key in taken and is_last and _turns_a_flag(event, plan.changes):
                number += 1
                key = f"{event.key}#{number}"
            if key not in taken:
                taken.add(key)
                yield Row(key, event, self.looks)

    def _record_row(self, plan: RecordPlan, observed_at: datetime) -> KnownRecord:
        assert plan.is_new == (self.known is None)
        meta = plan.meta or self.known
        assert meta is not None
        return KnownRecord(
            id=meta.id,
            model_id=meta.model_id,
            fingerprint=meta.fingerprint,
            created_at=meta.created_at,
            updated_at=meta.updated_at,
            published_at=meta.published_at,
            first_published_at=meta.first_published_at,
            current_version_id=plan.current_version_id,
            published_version_id=plan.published_version_id,
            version_count=plan.version_count,
            synced_at=observed_at,
            deleted_at=plan.deleted_at,
        )

    def _check_events(self, plan: RecordPlan, observed_at: datetime) -> None:
        keys = [event.key for event in plan.events]
        assert len(set(keys)) == len(keys), "one plan tells each transition once"
        seen_before = format_time(self.known.synced_at) if self.known else None
        for earlier, later in pairwise(_consistent(plan)):
            assert earlier.occurred_at <= later.occurred_at, f"{later.key} happened before {earlier.key}"
        for event in plan.events:
            if event.basis is TimeBasis.OBSERVED:
                if event.occurred_at < observed_at:  # something later has a time
                    assert event.data["before"] == format_time(event.occurred_at)
                assert event.data["after"] == seen_before, "it had not happened when last looked at"
        for change in plan.changes:
            for types, flag in ((CURRENT, "is_current"), (PUBLISHED, "is_published")):
                told = [types[event.type] for event in _about(change, plan.events) if event.type in types]
                before = change.before is not None and getattr(change.before.seen, flag)
                after = getattr(change.after.seen, flag)
                assert before == after or told, f"{flag} of {change.after.id} turned without an event (invariant 3)"
                assert not told or told[-1] == after, f"{flag} of {change.after.id} ends otherwise than told"

    def _check_versions(self, plan: RecordPlan) -> None:
        rows = self._ordered()
        current = [version.id for version in rows if version.seen.is_current]
        published = [version.id for version in rows if version.seen.is_published]
        assert len(current) <= 1, "at most one current version (invariant 2)"
        assert len(published) <= 1, "at most one published version (invariant 2)"
        assert plan.current_version_id == (current[0] if current else None)
        assert plan.published_version_id == (published[0] if published else None)
        assert plan.version_count == sum(version.missing_since is None for version in rows)
        assert len({version.ordinal for version in rows}) == len(rows)


class Replay:
    """Who only reads the events, in order, ends with the mirror's flags, and never sees two at a time."""

    def __init__(self) -> None:
        self.current: set[VersionId] = set()
        self.published: set[VersionId] = set()
        self.ever_published: set[VersionId] = set()

    def read(self, events: Iterable[Event]) -> None:
        """Turn the flags as `events` tell, and doubt each turn."""
        for event in events:
            for types, holders in ((CURRENT, self.current), (PUBLISHED, self.published)):
                if event.type not in types:
                    continue
                assert event.version_id is not None
                if types[event.type]:
                    assert event.version_id not in holders, f"{event.key}: told of one that is so already"
                    holders.add(event.version_id)
                    assert len(holders) == 1, f"{event.key}: two at a time"
                elif event.version_id in holders:
                    holders.remove(event.version_id)
                else:  # before upstream kept such times, a publication began that only its end tells
                    assert types is PUBLISHED, f"{event.key}: told of one that is not so"
                    assert event.version_id not in self.ever_published, f"{event.key}: told of one that is not so"
            self.ever_published |= self.published


def _consistent(plan: RecordPlan) -> Iterator[Event]:
    """The events whose stated times do not contradict the times at which upstream says that versions were made.

    A publication may have begun before its version was made, since a burst of edits moves the time of that. A record
    may be younger than its versions, since an editor may set its time. Where older versions replace those that were
    there, as those of another environment do, the events that end the latter come first.
    """
    events = list(plan.events)
    if any(_is_replaced_by_older(change, plan) for change in plan.changes):
        events = [event for event in events if event.version_id is not None]
        events = [*dropwhile(lambda event: event.basis is TimeBasis.OBSERVED and event.type in ENDS, events)]
    made_at = {change.after.id: change.after.seen.created_at for change in plan.changes}
    oldest = min(made_at.values(), default=None)
    for event in events:
        if event.type is EventType.RECORD_CREATED:
            contradicts = oldest is not None and event.occurred_at > oldest
        else:
            made = made_at.get(event.version_id) if event.version_id else None
            contradicts = event.basis is TimeBasis.UPSTREAM and made is not None and is_before(event.occurred_at, made)
        if not contradicts:
            yield event


def _is_replaced_by_older(change: Change, plan: RecordPlan) -> bool:
    """Whether a version that was current is missing, and one that is new is not younger."""
    before = change.before
    if before is None or not before.seen.is_current or change.after.missing_since is None:
        return False
    new = [other.after for other in plan.changes if other.before is None]
    return any(
        is_before(version.seen.created_at, before.seen.created_at)
        or (same_instant(version.seen.created_at, before.seen.created_at) and not version.seen.is_current)
        for version in new
    )


def _about(change: Change, events: Sequence[Event]) -> Iterator[Event]:
    return (event for event in events if event.version_id == change.after.id)


def _turns_a_flag(event: Event, changes: Sequence[Change]) -> bool:
    """Whether `event` is the change of a known version's flag, or one that always comes with a change."""
    if event.type in ALWAYS_ACCOMPANIED:
        return True
    for types, flag in ((CURRENT, "is_current"), (PUBLISHED, "is_published")):
        if event.type in types:
            return any(
                change.before is not None
                and getattr(change.before.seen, flag) != getattr(change.after.seen, flag)
                and getattr(change.after.seen, flag) == types[event.type]
                for change in changes
                if change.after.id == event.version_id
            )
    return False
