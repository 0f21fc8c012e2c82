"""The transitions of one version between what the mirror holds and what upstream shows, as events in time.

Two facts make this exact. Only the current version can be published (or a mixture of it and what is live, which is
listed after it), so within one instant a version's publication comes before its successor is made. And upstream
states a version's last interval of being live, so that an interval that came and went between two looks is told all
the same; of several, only the last is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from itertools import accumulate

from versionsync.ledger.events import Event, EventType, JsonValue, TimeBasis
from versionsync.ledger.ids import RecordId, VersionId
from versionsync.ledger.order import VersionPair
from versionsync.ledger.records import Change, KnownRecord, Version
from versionsync.ledger.times import format_time, is_before, same_instant

__all__ = ["EventPosition", "EventRank", "Observation", "observe", "transitions"]


class EventRank(IntEnum):
    """What comes first of what happens to one version within one instant."""

    CREATED = 0
    PREDECESSOR_SUPERSEDED = 1
    BECAME_CURRENT = 2
    PREDECESSOR_UNPUBLISHED = 3
    PUBLISHED = 4
    UNPUBLISHED = 5
    PUBLISHED_OVER_MIXTURE = 6
    OBSERVED = 7


@dataclass(frozen=True, slots=True, order=True)
class EventPosition:
    """A place in the order of a record's transitions: the time, then which version's doing it was, then its rank."""

    at: datetime
    position: int
    rank: EventRank


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What all versions of one record share in one look at it.

    `order` holds the versions after the look, oldest first; `places` where each stands in it; `current_place` where
    the current one stands (None: there is none). `starts` is each version's time in that order, never falling; `new`
    are those that were not mirrored before. `moved_from` is the time that the current one had at the last look, where
    it was that then and has a later one now. `seen_before` is when the record was last looked at, `published_before`
    its last publication as known then. `is_reborn`: the record was deleted and made again since, perhaps many times.
    `is_elsewhere`: these are the versions of another environment, and those that are missing went with the last one.
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
        """Before anything that the versions of this look tell."""
        return EventPosition(self.starts[0], -1, EventRank.CREATED)

    def left_with_previous_environment(self, version: Version) -> bool:
        """Whether `version` is missing because another environment's versions took the place of all of its own."""
        return self.is_other_environment and version.missing_since is not None

    def successor(self, version: Version) -> Version | None:
        """The version by whose making `version` was superseded (None: it was not so that it happened).

        For one that was current at the last look this is a new one: a known one in between never became current.
        """
        later = self._after(self.positions[version.id])
        return next((other for other in later if version.id in self.new or other.id in self.new), None)

    def _after(self, place: int) -> Iterator[Version]:
        """The versions that came after the one at `place`, where that one was made."""
        return (other for other in self.versions[place + 1 :] if not self.left_with_previous_environment(other))

    def started_at(self, version: Version) -> datetime | None:
        """When the last publication of `version` began; an interval that is not told takes the record's time."""
        return version.seen.published_from or (self.published_at if version.seen.is_published else None)

    def replaced_by(self, version: Version, at: datetime | None) -> Version | None:
        """The version whose publication ended that of `version` (at the time `at`, None: unknown).

        A later one took over if it began then: at its publication it was current, and `version` was so before. The
        first one that did ended it, since publications follow one another as versions do. Only a mixture is followed
        by an earlier one, too: by the current version, when that is published whole.
        """
        place = self.positions[version.id]
        for other in self._after(place):
            began = self.started_at(other)
            if began is not None and (at is None or same_instant(at, began)):
                return other
        if at is None:
            return None
        return next((other for other in reversed(self.versions[:place]) if self._still_live(other, at)), None)

    def selective_publication_before(self, version: Version, at: datetime) -> Version | None:
        """The later version that was live until `version` was published at the time `at`: a mixture."""
        later = self.versions[self.positions[version.id] + 1 :]
        return next(
            (
                other
                for other in reversed(later)
                if same_instant(other.seen.published_until, at) and self.replaced_by(other, at) is version
            ),
            None,
        )

    def selective_publication_between(self, version: Version) -> Version | None:
        """The first version that was new and went live before `version` did so again: a mixture."""
        again = self.started_at(version)
        went_live = [
            (began, other)
            for other in self._after(self.positions[version.id])
            if other.id in self.new and again and (began := self.started_at(other)) and is_before(began, again)
        ]
        return min(went_live, key=lambda one: one[0])[1] if went_live else None

    def _still_live(self, version: Version, at: datetime) -> bool:
        """Whether `version` went live at the time `at`, and for longer than that moment."""
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
    is_reborn: bool,
) -> Observation:
    """A look at the versions of a record: `slots` in their order, and what they are `after` it."""
    return Observation(
        record_id=record_id,
        observed_at=observed_at,
        seen_before=known.synced_at if known else None,
        published_at=published_at,
        published_before=known.published_at if known else None,
        versions=after,
        starts=tuple(accumulate((version.seen.created_at for version in after), max)),
        positions={version.id: place for place, version in enumerate(after)},
        new=frozenset(version.id for slot, version in zip(slots, after, strict=True) if slot.known is None),
        current_position=next((place for place, version in enumerate(after) if version.seen.is_current), None),
        previous_time=_previous_time(slots, after),
        is_recreated=is_reborn,
        is_other_environment=_is_other_environment(slots, after),
    )


def _previous_time(slots: Sequence[VersionPair], after: Sequence[Version]) -> datetime | None:
    """The time that the current version had when it was last looked at, if it was current then and has moved since."""
    for slot, version in zip(slots, after, strict=True):
        before = slot.known
        if (
            before
            and before.seen.is_current
            and version.seen.is_current
            and before.seen.created_at < version.seen.created_at
        ):
            return before.seen.created_at
    return None


def _is_other_environment(slots: Sequence[VersionPair], after: Sequence[Version]) -> bool:
    """Whether the version that was current is missing, and older ones are new: another environment's."""
    both = list(zip(slots, after, strict=True))
    former = next((now for slot, now in both if slot.known and slot.known.seen.is_current and now.missing_since), None)
    if former is None:
        return False
    # One of the same second that is current may have taken its place, as where an edit is merged under another id.
    return any(
        slot.known is None
        and (
            is_before(now.seen.created_at, former.seen.created_at)
            or (same_instant(now.seen.created_at, former.seen.created_at) and not now.seen.is_current)
        )
        for slot, now in both
    )


def transitions(change: Change, look: Observation) -> Iterator[tuple[EventPosition, Event]]:
    """Every transition that `change` tells, each with its place in time."""
    yield from _existence(change, look)
    yield from _currency(change, look)
    yield from _publication(change, look)


def _existence(change: Change, look: Observation) -> Iterator[tuple[EventPosition, Event]]:
    before, after = change.before, change.after
    place = look.positions[after.id]
    if before is None:
        moment = EventPosition(look.starts[place], place, EventRank.CREATED)
        yield moment, _upstream_event(EventType.VERSION_CREATED, after, look, at=after.seen.created_at, key=after.id)
        return
    if change.is_rewrite:
        yield _seen_event(
            EventType.VERSION_REWRITTEN,
            after,
            look,
            data={
                "previous_hash": before.seen.content_hash.hex(),
                "hash": after.seen.content_hash.hex(),
                "previous_created_at": format_time(before.seen.created_at),
                **({"cause": after.seen.rewrite_cause} if after.seen.rewrite_cause else {}),
            },
        )
    if before.missing_since is None and after.missing_since is not None:
        yield _seen_event(EventType.VERSION_MISSING, after, look)
    if before.missing_since is not None and after.missing_since is None:
        yield _seen_event(EventType.VERSION_RETURNED, after, look)


def _currency(change: Change, look: Observation) -> Iterator[tuple[EventPosition, Event]]:
    before, after = change.before, change.after
    place = look.positions[after.id]
    was_current = before is not None and before.seen.is_current
    # A version made before the current one was current in its time; one listed after it (a published mixture) never.
    # Nor was a mixture that the current one has passed: with an edit merged into it, it moves to the end of the list.
    came_before = look.current_position is None or place < look.current_position
    is_overtaken = look.previous_time is not None and not is_before(after.seen.created_at, look.previous_time)
    passed = before is None and (after.seen.is_current or (came_before and not is_overtaken))
    if passed:
        moment = EventPosition(look.starts[place], place, EventRank.BECAME_CURRENT)
        yield (
            moment,
            _upstream_event(EventType.VERSION_BECAME_CURRENT, after, look, at=after.seen.created_at, key=after.id),
        )
    elif after.seen.is_current and not was_current:
        yield _seen_event(EventType.VERSION_BECAME_CURRENT, after, look, rank=EventRank.BECAME_CURRENT)
    if (passed or was_current) and not after.seen.is_current:
        if was_current and look.left_with_previous_environment(after):
            yield look.start, _observed_event(EventType.VERSION_SUPERSEDED, after, look)
            return
        successor = look.successor(after)
        if successor is None:
            yield _seen_event(EventType.VERSION_SUPERSEDED, after, look, rank=EventRank.PREDECESSOR_SUPERSEDED)
            return
        place = look.positions[successor.id]
        moment = EventPosition(look.starts[place], place, EventRank.PREDECESSOR_SUPERSEDED)
        if was_current and look.is_recreated and after.missing_since is not None:
            # It went with an earlier life of its record: who followed it in that one cannot be seen any more.
            event = _observed_event(EventType.VERSION_SUPERSEDED, after, look)
        else:
            key = f"{after.id}:{successor.id}"
            event = _upstream_event(EventType.VERSION_SUPERSEDED, after, look, at=successor.seen.created_at, key=key)
        yield moment, event


def _publication(change: Change, look: Observation) -> Iterator[tuple[EventPosition, Event]]:
    before, after = change.before, change.after
    if before is None:
        if after.seen.is_published or after.seen.published_from is not None:
            yield _published(after, look)
        if not after.seen.is_published and (
            after.seen.published_from is not None or after.seen.published_until is not None
        ):
            yield _unpublished(after, look)
        return
    if _is_another_publication(before, after, look):
        if before.seen.is_published:
            yield _unpublished_between(before, after, look)
        yield _published(after, look)
        if not after.seen.is_published:
            yield _unpublished(after, look)
    elif before.seen.is_published and not after.seen.is_published:
        if look.left_with_previous_environment(after):
            yield look.start, _observed_event(EventType.VERSION_UNPUBLISHED, after, look)
            return
        yield _unpublished(after, look)
    elif after.seen.is_published and not before.seen.is_published:
        yield _published(after, look)
    elif _ended_later(before, after):
        yield _published(after, look, again=True)
        yield _unpublished(after, look)


def _is_another_publication(before: Version, after: Version, look: Observation) -> bool:
    if after.seen.published_from is None or after.seen.published_from == before.seen.published_from:
        return False
    if before.seen.published_from is None and before.seen.is_published:
        # Live before and now with a start: the same publication, unless it began after the last one known then.
        return look.published_before is not None and is_before(look.published_before, after.seen.published_from)
    return True


def _ended_later(before: Version, after: Version) -> bool:
    """Whether a version, published and unpublished before, was so again within the second in which it had been."""
    return (
        not after.seen.is_published
        and before.seen.published_until is not None
        and after.seen.published_until is not None
        and after.seen.published_from == before.seen.published_from
        and after.seen.published_until > before.seen.published_until
    )


def _published(version: Version, look: Observation, *, again: bool = False) -> tuple[EventPosition, Event]:
    at = look.started_at(version)
    if at is None:
        return _seen_event(EventType.VERSION_PUBLISHED, version, look, rank=EventRank.PUBLISHED)
    interval = "" if version.seen.published_from else ":"  # of the record's time another publication may be, too
    until = f":{format_time(version.seen.published_until)}" if again and version.seen.published_until else ""
    key = f"{version.id}:{interval}{format_time(at)}{until}"
    return _publishing_moment(version, look, at), _upstream_event(
        EventType.VERSION_PUBLISHED, version, look, at=at, key=key
    )


def _unpublished(version: Version, look: Observation) -> tuple[EventPosition, Event]:
    until = version.seen.published_until
    successor = look.replaced_by(version, until)
    if until is None:
        event = _observed_event(EventType.VERSION_UNPUBLISHED, version, look)
        return _unpublishing_moment(version, look, look.observed_at, successor), event
    began = format_time(version.seen.published_from) if version.seen.published_from else ""
    key = f"{version.id}:{began}:{format_time(until)}"
    event = _upstream_event(EventType.VERSION_UNPUBLISHED, version, look, at=until, key=key)
    return _unpublishing_moment(version, look, until, successor), event


def _unpublished_between(before: Version, after: Version, look: Observation) -> tuple[EventPosition, Event]:
    """The end of a publication that upstream has overwritten with the next one of the same version."""
    assert after.seen.published_from is not None
    began = format_time(after.seen.published_from)
    event = _observed_event(EventType.VERSION_UNPUBLISHED, before, look, data={"before": began})
    event = replace(event, key=f"{event.type}:{before.id}:before:{began}")
    mixture = look.selective_publication_between(after)
    return _unpublishing_moment(after, look, after.seen.published_from, mixture or after), event


def _publishing_moment(version: Version, look: Observation, at: datetime) -> EventPosition:
    place = look.positions[version.id]
    if mixture := look.selective_publication_before(version, at):
        place = look.positions[mixture.id]
        return EventPosition(max(at, look.starts[place]), place, EventRank.PUBLISHED_OVER_MIXTURE)
    return EventPosition(max(at, look.starts[place]), place, EventRank.PUBLISHED)


def _unpublishing_moment(version: Version, look: Observation, at: datetime, successor: Version | None) -> EventPosition:
    place = look.positions[version.id]
    began = look.started_at(successor) if successor else None
    if successor is None or began is None or look.positions[successor.id] < place:
        return EventPosition(max(at, look.starts[place]), place, EventRank.UNPUBLISHED)
    begins = _publishing_moment(successor, look, began)
    return EventPosition(begins.at, begins.position, EventRank.PREDECESSOR_UNPUBLISHED)


def _upstream_event(type: EventType, version: Version, look: Observation, *, at: datetime, key: str) -> Event:
    return Event(
        type=type,
        key=f"{type}:{key}",
        occurred_at=at,
        basis=TimeBasis.UPSTREAM,
        record_id=look.record_id,
        version_id=version.id,
        model_id=version.seen.model_id,
    )


def _seen_event(
    type: EventType,
    version: Version,
    look: Observation,
    *,
    data: Mapping[str, JsonValue] | None = None,
    rank: EventRank = EventRank.OBSERVED,
) -> tuple[EventPosition, Event]:
    moment = EventPosition(max(look.observed_at, look.starts[-1]), len(look.versions), rank)
    return moment, _observed_event(type, version, look, data=data)


def _observed_event(
    type: EventType, version: Version, look: Observation, *, data: Mapping[str, JsonValue] | None = None
) -> Event:
    after = format_time(look.seen_before) if look.seen_before else None
    return Event(
        type=type,
        key=f"{type}:{version.id}:observed:{format_time(look.observed_at)}",
        occurred_at=look.observed_at,
        basis=TimeBasis.OBSERVED,
        record_id=look.record_id,
        version_id=version.id,
        model_id=version.seen.model_id,
        data={"after": after, **(data or {})},
    )
