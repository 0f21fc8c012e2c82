"""The transitions of one version between what the mirror holds and what upstream shows, as events in time.

Two facts make this exact. First, only the current version can be published, or a selective publication: a mixture of
it and the live version, which is listed after it. So within one instant a version's publication comes before its
successor is made. Second, upstream states the last interval in which a version was live. So an interval between two
checks has its events too; of several, only the last is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate

from versionsync.ledger.event_order import EventPosition, EventRank
from versionsync.ledger.events import Event, EventType, JsonValue, observed_event, upstream_event
from versionsync.ledger.ids import RecordId, VersionId
from versionsync.ledger.records import Change, KnownRecord, Version
from versionsync.ledger.times import format_time, is_before, same_instant
from versionsync.ledger.version_order import VersionPair

__all__ = ["Observation", "observe", "transitions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one check of a record shows of all of its versions.

    `versions` are those after the check, oldest first, `positions` their indexes, and `current_position` that of the
    current one (None: there is none). `starts` has each version's time in that order, never falling. `new` are those
    that were not mirrored before. `previous_time` is the time of the current version at the previous check, if it was
    current then and has a later time now. `seen_before` is when the record was last checked, `published_before` its
    last publication as known then. `is_recreated`: the record was deleted and made again since, perhaps many times.
    `is_other_environment`: these are versions of another environment, and the missing ones belong to the previous one.
    """

    record_id: RecordId
    observed_at: datetime
    seen_before: datetime | None
    published_at: datetime | None
    published_before: datetime | None
    versions: tuple[Version, ...]
    starts: tuple[datetime, ...]
    positions: Mapping[VersionId, int]
    new: frozenset[VersionId]
    current_position: int | None
    previous_time: datetime | None
    is_recreated: bool
    is_other_environment: bool

    @property
    def start(self) -> EventPosition:
        """Return the position before all transitions of this check."""
        return EventPosition(self.starts[0], -1, EventRank.CREATED)

    def left_with_previous_environment(self, version: Version) -> bool:
        """Return whether `version` is missing because another environment replaced its own."""
        return self.is_other_environment and version.missing_since is not None

    def successor(self, version: Version) -> Version | None:
        """Return the version that superseded `version` when it was made, or None.

        For a version that was current at the previous check it is a new one: a known one in between never became
        current.
        """
        is_new = version.id in self.new
        for other in self._after(self.positions[version.id]):
            if is_new or other.id in self.new:
                return other
        return None

    def _after(self, index: int) -> Iterator[Version]:
        """Yield the versions after the one at `index` in its own environment."""
        later = map(self.versions.__getitem__, range(index + 1, len(self.versions)))  # no copy of a long history
        if not self.is_other_environment:
            return later
        return (other for other in later if not self.left_with_previous_environment(other))

    def started_at(self, version: Version) -> datetime | None:
        """Return when the last publication of `version` began. Without an interval that is the record's time."""
        return version.seen.published_from or (self.published_at if version.seen.is_published else None)

    def replaced_by(self, version: Version, at: datetime | None) -> Version | None:
        """Return the version whose publication ended that of `version`, at the time `at` (None: unknown).

        It is the first later version whose publication began then, since publications are in the order of their
        versions: each was current when it was published. Only a selective publication can also end with an earlier one:
        the complete publication of the current version.
        """
        index = self.positions[version.id]
        for other in self._after(index):
            began = self.started_at(other)
            if began is not None and (at is None or same_instant(at, began)):
                return other
        if at is None:
            return None
        earlier = map(self.versions.__getitem__, range(index - 1, -1, -1))
        return next((other for other in earlier if self._still_live(other, at)), None)

    def selective_publication_before(self, version: Version, at: datetime) -> Version | None:
        """Return the selective publication that was live until `version` was published at the time `at`."""
        latest_first = range(len(self.versions) - 1, self.positions[version.id], -1)
        return next(
            (
                other
                for other in map(self.versions.__getitem__, latest_first)
                if same_instant(other.seen.published_until, at) and self.replaced_by(other, at) is version
            ),
            None,
        )

    def selective_publication_between(self, version: Version) -> Version | None:
        """Return the first selective publication that is new and went live before `version` did again."""
        again = self.started_at(version)
        went_live = [
            (began, other)
            for other in self._after(self.positions[version.id])
            if other.id in self.new and again and (began := self.started_at(other)) and is_before(began, again)
        ]
        return min(went_live, key=lambda one: one[0])[1] if went_live else None

    def _still_live(self, version: Version, at: datetime) -> bool:
        """Return whether `version` went live at the time `at`, and for longer than that instant."""
        until = version.seen.published_until
        return same_instant(self.started_at(version), at) and (until is None or is_before(at, until))


def observe(
    record_id: RecordId,
    slots: Sequence[VersionPair],
    after: tuple[Version, ...],
    known: KnownRecord | None,
    *,
    published_at: datetime | None,
    observed_at: datetime,
    is_recreated: bool,
) -> Observation:
    """Return the observation of a record.

    Args:
        slots: Its versions as known and as seen, oldest first.
        after: The same versions after the check.
        known: What the mirror holds of the record.
        published_at: Its last publication.
        observed_at: When it was checked.
        is_recreated: Whether it was deleted and made again.
    """
    return Observation(
        record_id=record_id,
        observed_at=observed_at,
        seen_before=known.synced_at if known else None,
        published_at=published_at,
        published_before=known.published_at if known else None,
        versions=after,
        starts=tuple(accumulate((version.seen.created_at for version in after), max)),
        positions={version.id: index for index, version in enumerate(after)},
        new=frozenset(version.id for slot, version in zip(slots, after, strict=True) if slot.known is None),
        current_position=next((index for index, version in enumerate(after) if version.seen.is_current), None),
        previous_time=_previous_time(slots, after),
        is_recreated=is_recreated,
        is_other_environment=_is_other_environment(slots, after),
    )


def _previous_time(slots: Sequence[VersionPair], after: Sequence[Version]) -> datetime | None:
    """Return the current version's time at the previous check, if it was current then and has a later time now."""
    pairs = ((slot.known.seen, version.seen) for slot, version in zip(slots, after, strict=True) if slot.known)
    was_current = (pair for pair in pairs if pair[0].is_current and pair[1].is_current)
    return next((before.created_at for before, now in was_current if before.created_at < now.created_at), None)


def _is_other_environment(slots: Sequence[VersionPair], after: Sequence[Version]) -> bool:
    """Return whether the former current version is missing and older ones are new: another environment's."""
    both = list(zip(slots, after, strict=True))
    former = next((now for slot, now in both if slot.known and slot.known.seen.is_current and now.missing_since), None)
    if former is None:
        return False
    # A current one of the same second may have replaced it, as when an edit is merged under another id.
    return any(
        slot.known is None
        and (
            is_before(now.seen.created_at, former.seen.created_at)
            or (same_instant(now.seen.created_at, former.seen.created_at) and not now.seen.is_current)
        )
        for slot, now in both
    )


def transitions(change: Change, check: Observation) -> Iterator[tuple[EventPosition, Event]]:
    """Yield every transition in `change`, each with its position in time."""
    yield from _existence(change, check)
    yield from _currency(change, check)
    yield from _publication(change, check)


def _existence(change: Change, check: Observation) -> Iterator[tuple[EventPosition, Event]]:
    before, after = change.before, change.after
    index = check.positions[after.id]
    if before is None:
        position = EventPosition(check.starts[index], index, EventRank.CREATED)
        yield position, _upstream_event(EventType.VERSION_CREATED, after, check, at=after.seen.created_at, key=after.id)
        return
    if change.is_rewrite:
        yield _seen_event(
            EventType.VERSION_REWRITTEN,
            after,
            check,
            data={
                "previous_hash": before.seen.content_hash.hex(),
                "hash": after.seen.content_hash.hex(),
                "previous_created_at": format_time(before.seen.created_at),
                **({"cause": after.seen.rewrite_cause} if after.seen.rewrite_cause else {}),
            },
        )
    if before.missing_since is None and after.missing_since is not None:
        yield _seen_event(EventType.VERSION_MISSING, after, check)
    if before.missing_since is not None and after.missing_since is None:
        yield _seen_event(EventType.VERSION_RETURNED, after, check)


def _currency(change: Change, check: Observation) -> Iterator[tuple[EventPosition, Event]]:
    before, after = change.before, change.after
    index = check.positions[after.id]
    was_current = before is not None and before.seen.is_current
    # A version made before the current one was current in its time; one after it (a selective publication) never.
    # Nor was one that the current version has passed: with an edit merged into it, that moves to the end of the list.
    came_before = check.current_position is None or index < check.current_position
    is_overtaken = check.previous_time is not None and not is_before(after.seen.created_at, check.previous_time)
    was_reached = before is None and (after.seen.is_current or (came_before and not is_overtaken))
    if was_reached:
        position = EventPosition(check.starts[index], index, EventRank.BECAME_CURRENT)
        yield (
            position,
            _upstream_event(EventType.VERSION_BECAME_CURRENT, after, check, at=after.seen.created_at, key=after.id),
        )
    elif after.seen.is_current and not was_current:
        yield _seen_event(EventType.VERSION_BECAME_CURRENT, after, check, rank=EventRank.BECAME_CURRENT)
    if (was_reached or was_current) and not after.seen.is_current:
        if was_current and check.left_with_previous_environment(after):
            yield check.start, _observed_event(EventType.VERSION_SUPERSEDED, after, check)
            return
        successor = check.successor(after)
        if successor is None:
            yield _seen_event(EventType.VERSION_SUPERSEDED, after, check, rank=EventRank.PREDECESSOR_SUPERSEDED)
            return
        index = check.positions[successor.id]
        position = EventPosition(check.starts[index], index, EventRank.PREDECESSOR_SUPERSEDED)
        if was_current and check.is_recreated and after.missing_since is not None:
            # It belonged to the record before it was made again: its successor then is not known any more.
            event = _observed_event(EventType.VERSION_SUPERSEDED, after, check)
        else:
            key = f"{after.id}:{successor.id}"
            event = _upstream_event(EventType.VERSION_SUPERSEDED, after, check, at=successor.seen.created_at, key=key)
        yield position, event


def _publication(change: Change, check: Observation) -> Iterator[tuple[EventPosition, Event]]:
    before, after = change.before, change.after
    if before is None:
        if after.seen.is_published or after.seen.published_from is not None:
            yield _published(after, check)
        if not after.seen.is_published and (
            after.seen.published_from is not None or after.seen.published_until is not None
        ):
            yield _unpublished(after, check)
        return
    if _is_another_publication(before, after, check):
        if before.seen.is_published:
            yield _unpublished_between(before, after, check)
        yield _published(after, check)
        if not after.seen.is_published:
            yield _unpublished(after, check)
    elif before.seen.is_published and not after.seen.is_published:
        if check.left_with_previous_environment(after):
            yield check.start, _observed_event(EventType.VERSION_UNPUBLISHED, after, check)
            return
        yield _unpublished(after, check)
    elif after.seen.is_published and not before.seen.is_published:
        yield _published(after, check)
    elif _ended_later(before, after):
        yield _published(after, check, again=True)
        yield _unpublished(after, check)


def _is_another_publication(before: Version, after: Version, check: Observation) -> bool:
    if after.seen.published_from is None or after.seen.published_from == before.seen.published_from:
        return False
    if before.seen.published_from is None and before.seen.is_published:
        # Live before and now with a start: the same publication, unless it began after the last one known then.
        return check.published_before is not None and is_before(check.published_before, after.seen.published_from)
    return True


def _ended_later(before: Version, after: Version) -> bool:
    """Return whether a version was published and unpublished again within the same second as before."""
    return (
        not after.seen.is_published
        and before.seen.published_until is not None
        and after.seen.published_until is not None
        and after.seen.published_from == before.seen.published_from
        and after.seen.published_until > before.seen.published_until
    )


def _published(version: Version, check: Observation, *, again: bool = False) -> tuple[EventPosition, Event]:
    at = check.started_at(version)
    if at is None:
        return _seen_event(EventType.VERSION_PUBLISHED, version, check, rank=EventRank.PUBLISHED)
    interval = "" if version.seen.published_from else ":"  # another publication may have the record's time, too
    until = f":{format_time(version.seen.published_until)}" if again and version.seen.published_until else ""
    key = f"{version.id}:{interval}{format_time(at)}{until}"
    return _publishing_position(version, check, at), _upstream_event(
        EventType.VERSION_PUBLISHED, version, check, at=at, key=key
    )


def _unpublished(version: Version, check: Observation) -> tuple[EventPosition, Event]:
    until = version.seen.published_until
    successor = check.replaced_by(version, until)
    if until is None:
        event = _observed_event(EventType.VERSION_UNPUBLISHED, version, check)
        return _unpublishing_position(version, check, check.observed_at, successor), event
    began = format_time(version.seen.published_from) if version.seen.published_from else ""
    key = f"{version.id}:{began}:{format_time(until)}"
    event = _upstream_event(EventType.VERSION_UNPUBLISHED, version, check, at=until, key=key)
    return _unpublishing_position(version, check, until, successor), event


def _unpublished_between(before: Version, after: Version, check: Observation) -> tuple[EventPosition, Event]:
    """Return the end of a publication that upstream replaced with the next one of the same version."""
    assert after.seen.published_from is not None
    began = format_time(after.seen.published_from)
    event = _observed_event(EventType.VERSION_UNPUBLISHED, before, check, data={"before": began})
    event = replace(event, key=f"{event.type}:{before.id}:before:{began}")
    selective = check.selective_publication_between(after)
    return _unpublishing_position(after, check, after.seen.published_from, selective or after), event


def _publishing_position(version: Version, check: Observation, at: datetime) -> EventPosition:
    index = check.positions[version.id]
    if selective := check.selective_publication_before(version, at):
        index = check.positions[selective.id]
        return EventPosition(max(at, check.starts[index]), index, EventRank.PUBLISHED_OVER_MIXTURE)
    return EventPosition(max(at, check.starts[index]), index, EventRank.PUBLISHED)


def _unpublishing_position(
    version: Version, check: Observation, at: datetime, successor: Version | None
) -> EventPosition:
    index = check.positions[version.id]
    began = check.started_at(successor) if successor else None
    if successor is None or began is None or check.positions[successor.id] < index:
        return EventPosition(max(at, check.starts[index]), index, EventRank.UNPUBLISHED)
    begins = _publishing_position(successor, check, began)
    return EventPosition(begins.at, begins.position, EventRank.PREDECESSOR_UNPUBLISHED)


def _upstream_event(type: EventType, version: Version, check: Observation, *, at: datetime, key: str) -> Event:
    return upstream_event(
        type, key, at, record_id=check.record_id, version_id=version.id, model_id=version.seen.model_id
    )


def _seen_event(
    type: EventType,
    version: Version,
    check: Observation,
    *,
    data: Mapping[str, JsonValue] | None = None,
    rank: EventRank = EventRank.OBSERVED,
) -> tuple[EventPosition, Event]:
    position = EventPosition(max(check.observed_at, check.starts[-1]), len(check.versions), rank)
    return position, _observed_event(type, version, check, data=data)


def _observed_event(
    type: EventType, version: Version, check: Observation, *, data: Mapping[str, JsonValue] | None = None
) -> Event:
    return observed_event(
        type,
        version.id,
        check.observed_at,
        seen_before=check.seen_before,
        record_id=check.record_id,
        version_id=version.id,
        model_id=version.seen.model_id,
        data=data,
    )
