"""The transitions of one version between what the mirror holds and what upstream shows, as events in time.

Two facts make this exact. Only the current version can be published (or a mixture of it and what is live, which is
listed after it), so within one instant a version's publication comes before its successor is made. And upstream
states a version's last interval of being live, so that an interval that came and went between two looks is told all
the same; of several, only the last is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

from versionsync.ledger.events import Basis, Event, EventType, JsonValue
from versionsync.ledger.ids import RecordId, VersionId
from versionsync.ledger.times import format_time
from versionsync.ledger.versions import Change, Version

__all__ = ["Look", "Moment", "Rank", "transitions"]


class Rank(IntEnum):
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
class Moment:
    """A place in the order of a record's transitions: the time, then which version's doing it was, then its rank."""

    at: datetime
    place: int
    rank: Rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What all versions of one record share in one look at it.

    `order` holds the versions after the look, oldest first; `places` where each stands in it; `current_place` where
    the current one stands (None: there is none). `starts` is each version's time in that order, never falling; `new`
    are those that were not mirrored before. `moved_from` is the time that the current one had at the last look, where
    it was that then and has a later one now. `seen_before` is when the record was last looked at, `published_before`
    its last publication as known then. `is_reborn`: the record was deleted and made again since, perhaps many times.
    """

    record_id: RecordId
    observed_at: datetime
    seen_before: datetime | None
    published_at: datetime | None
    published_before: datetime | None
    order: tuple[Version, ...]
    starts: tuple[datetime, ...]
    places: Mapping[VersionId, int]
    new: frozenset[VersionId]
    current_place: int | None
    moved_from: datetime | None
    is_reborn: bool

    def successor(self, version: Version) -> Version | None:
        """The version by whose making `version` was superseded (None: it was not so that it happened).

        For one that was current at the last look this is a new one: a known one in between never became current.
        """
        later = self.order[self.places[version.id] + 1 :]
        return next((other for other in later if version.id in self.new or other.id in self.new), None)

    def began(self, version: Version) -> datetime | None:
        """When the last publication of `version` began; an interval that is not told takes the record's time."""
        return version.published_from or (self.published_at if version.is_published else None)

    def taken_over_by(self, version: Version, at: datetime | None) -> Version | None:
        """The version whose publication ended that of `version` (at the time `at`, None: unknown).

        A later one took over if it began then: at its publication it was current, and `version` was so before. The
        first one that did ended it, since publications follow one another as versions do. Only a mixture is followed
        by an earlier one, too: by the current version, when that is published whole.
        """
        place = self.places[version.id]
        for other in self.order[place + 1 :]:
            began = self.began(other)
            if began is not None and at in (None, began):
                return other
        if at is None:
            return None
        return next((other for other in reversed(self.order[:place]) if self._lives_on(other, at)), None)

    def mixture_before(self, version: Version, at: datetime) -> Version | None:
        """The later version that was live until `version` was published at the time `at`: a mixture."""
        later = self.order[self.places[version.id] + 1 :]
        return next(
            (o for o in reversed(later) if o.published_until == at and self.taken_over_by(o, at) is version), None
        )

    def _lives_on(self, version: Version, at: datetime) -> bool:
        """Whether `version` went live at the time `at`, and for longer than that moment."""
        return self.began(version) == at and (version.published_until is None or version.published_until > at)


def transitions(change: Change, look: Look) -> Iterator[tuple[Moment, Event]]:
    """Every transition that `change` tells, each with its place in time."""
    yield from _existence(change, look)
    yield from _currency(change, look)
    yield from _publication(change, look)


def _existence(change: Change, look: Look) -> Iterator[tuple[Moment, Event]]:
    before, after = change.before, change.after
    place = look.places[after.id]
    if before is None:
        moment = Moment(look.starts[place], place, Rank.CREATED)
        yield moment, _stated(EventType.VERSION_CREATED, after, look, at=after.created_at, key=after.id)
        return
    if change.is_rewrite:
        yield _seen(
            EventType.VERSION_REWRITTEN,
            after,
            look,
            data={
                "previous_hash": before.content_hash.hex(),
                "hash": after.content_hash.hex(),
                "previous_created_at": format_time(before.created_at),
            },
        )
    if before.missing_since is None and after.missing_since is not None:
        yield _seen(EventType.VERSION_MISSING, after, look)
    if before.missing_since is not None and after.missing_since is None:
        yield _seen(EventType.VERSION_RETURNED, after, look)


def _currency(change: Change, look: Look) -> Iterator[tuple[Moment, Event]]:
    before, after = change.before, change.after
    place = look.places[after.id]
    was_current = before is not None and before.is_current
    # A version made before the current one was current in its time; one listed after it (a published mixture) never.
    # Nor was a mixture that the current one has passed: with an edit merged into it, it moves to the end of the list.
    is_before = look.current_place is None or place < look.current_place
    is_overtaken = look.moved_from is not None and after.created_at >= look.moved_from
    passed = before is None and (after.is_current or (is_before and not is_overtaken))
    if passed:
        moment = Moment(look.starts[place], place, Rank.BECAME_CURRENT)
        yield moment, _stated(EventType.VERSION_BECAME_CURRENT, after, look, at=after.created_at, key=after.id)
    elif after.is_current and not was_current:
        yield _seen(EventType.VERSION_BECAME_CURRENT, after, look, rank=Rank.BECAME_CURRENT)
    if (passed or was_current) and not after.is_current:
        successor = look.successor(after)
        if successor is None:
            yield _seen(EventType.VERSION_SUPERSEDED, after, look, rank=Rank.PREDECESSOR_SUPERSEDED)
            return
        place = look.places[successor.id]
        moment = Moment(look.starts[place], place, Rank.PREDECESSOR_SUPERSEDED)
        if was_current and look.is_reborn and after.missing_since is not None:
            # It went with an earlier life of its record: who followed it in that one cannot be seen any more.
            _, event = _seen(EventType.VERSION_SUPERSEDED, after, look)
        else:
            key = f"{after.id}:{successor.id}"
            event = _stated(EventType.VERSION_SUPERSEDED, after, look, at=successor.created_at, key=key)
        yield moment, event


def _publication(change: Change, look: Look) -> Iterator[tuple[Moment, Event]]:
    before, after = change.before, change.after
    if before is None:
        if after.is_published or after.published_from is not None:
            yield _published(after, look)
        if not after.is_published and (after.published_from is not None or after.published_until is not None):
            yield _unpublished(after, look)
        return
    if _is_another_publication(before, after, look):
        if before.is_published:
            yield _unpublished_meanwhile(before, after, look)
        yield _published(after, look)
        if not after.is_published:
            yield _unpublished(after, look)
    elif before.is_published and not after.is_published:
        yield _unpublished(after, look)
    elif after.is_published and not before.is_published:
        yield _published(after, look)
    elif _ended_later(before, after):
        yield _published(after, look, again=True)
        yield _unpublished(after, look)


def _is_another_publication(before: Version, after: Version, look: Look) -> bool:
    if after.published_from is None or after.published_from == before.published_from:
        return False
    if before.published_from is None and before.is_published:
        # Live before and now with a start: the same publication, unless it began after the last one known then.
        return look.published_before is not None and after.published_from > look.published_before
    return True


def _ended_later(before: Version, after: Version) -> bool:
    """Whether a version, published and unpublished before, was so again within the second in which it had been."""
    return (
        not after.is_published
        and before.published_until is not None
        and after.published_until is not None
        and after.published_from == before.published_from
        and after.published_until > before.published_until
    )


def _published(version: Version, look: Look, *, again: bool = False) -> tuple[Moment, Event]:
    at = look.began(version)
    if at is None:
        return _seen(EventType.VERSION_PUBLISHED, version, look, rank=Rank.PUBLISHED)
    interval = "" if version.published_from else ":"  # of the record's time another publication may be, too
    until = f":{format_time(version.published_until)}" if again and version.published_until else ""
    key = f"{version.id}:{interval}{format_time(at)}{until}"
    return _publishing_moment(version, look, at), _stated(EventType.VERSION_PUBLISHED, version, look, at=at, key=key)


def _unpublished(version: Version, look: Look) -> tuple[Moment, Event]:
    until = version.published_until
    successor = look.taken_over_by(version, until)
    if until is None:
        _, event = _seen(EventType.VERSION_UNPUBLISHED, version, look)
        return _unpublishing_moment(version, look, look.observed_at, successor), event
    began = format_time(version.published_from) if version.published_from else ""
    key = f"{version.id}:{began}:{format_time(until)}"
    event = _stated(EventType.VERSION_UNPUBLISHED, version, look, at=until, key=key)
    return _unpublishing_moment(version, look, until, successor), event


def _unpublished_meanwhile(before: Version, after: Version, look: Look) -> tuple[Moment, Event]:
    """The end of a publication that upstream has overwritten with the next one of the same version."""
    assert after.published_from is not None
    began = format_time(after.published_from)
    _, event = _seen(EventType.VERSION_UNPUBLISHED, before, look, data={"before": began})
    event = replace(event, key=f"{event.type}:{before.id}:before:{began}")
    return _unpublishing_moment(after, look, after.published_from, after), event


def _publishing_moment(version: Version, look: Look, at: datetime) -> Moment:
    place = look.places[version.id]
    if mixture := look.mixture_before(version, at):
        place = look.places[mixture.id]
        return Moment(max(at, look.starts[place]), place, Rank.PUBLISHED_OVER_MIXTURE)
    return Moment(max(at, look.starts[place]), place, Rank.PUBLISHED)


def _unpublishing_moment(version: Version, look: Look, at: datetime, successor: Version | None) -> Moment:
    place = look.places[version.id]
    began = look.began(successor) if successor else None
    if successor is None or began is None or look.places[successor.id] < place:
        return Moment(max(at, look.starts[place]), place, Rank.UNPUBLISHED)
    begins = _publishing_moment(successor, look, began)
    return Moment(begins.at, begins.place, Rank.PREDECESSOR_UNPUBLISHED)


def _stated(type: EventType, version: Version, look: Look, *, at: datetime, key: str) -> Event:
    return Event(
        type=type,
        key=f"{type}:{key}",
        occurred_at=at,
        basis=Basis.UPSTREAM,
        record_id=look.record_id,
        version_id=version.id,
        model_id=version.model_id,
    )


def _seen(
    type: EventType,
    version: Version,
    look: Look,
    *,
    data: Mapping[str, JsonValue] | None = None,
    rank: Rank = Rank.OBSERVED,
) -> tuple[Moment, Event]:
    after = format_time(look.seen_before) if look.seen_before else None
    event = Event(
        type=type,
        key=f"{type}:{version.id}:observed:{format_time(look.observed_at)}",
        occurred_at=look.observed_at,
        basis=Basis.OBSERVED,
        record_id=look.record_id,
        version_id=version.id,
        model_id=version.model_id,
        data={"after": after, **(data or {})},
    )
    return Moment(max(look.observed_at, look.starts[-1]), len(look.order), rank), event
