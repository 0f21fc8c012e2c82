"""One look at a record's versions: what its transitions have in common, and the places that they take in time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from itertools import accumulate

from versionsync.ledger.ids import RecordId, VersionId
from versionsync.ledger.order import Slot
from versionsync.ledger.records import KnownRecord
from versionsync.ledger.times import is_before, same_instant
from versionsync.ledger.versions import Version

__all__ = ["Look", "Moment", "Rank", "look_at"]


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
    `is_elsewhere`: these are the versions of another environment, and those that are missing went with the last one.
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
    is_elsewhere: bool

    @property
    def beginning(self) -> Moment:
        """Before anything that the versions of this look tell."""
        return Moment(self.starts[0], -1, Rank.CREATED)

    def went_with_the_last(self, version: Version) -> bool:
        """Whether `version` is missing because another environment's versions took the place of all of its own."""
        return self.is_elsewhere and version.missing_since is not None

    def successor(self, version: Version) -> Version | None:
        """The version by whose making `version` was superseded (None: it was not so that it happened).

        For one that was current at the last look this is a new one: a known one in between never became current.
        """
        later = self._after(self.places[version.id])
        return next((other for other in later if version.id in self.new or other.id in self.new), None)

    def _after(self, place: int) -> Iterator[Version]:
        """The versions that came after the one at `place`, where that one was made."""
        return (other for other in self.order[place + 1 :] if not self.went_with_the_last(other))

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
        for other in self._after(place):
            began = self.began(other)
            if began is not None and (at is None or same_instant(at, began)):
                return other
        if at is None:
            return None
        return next((other for other in reversed(self.order[:place]) if self._lives_on(other, at)), None)

    def mixture_before(self, version: Version, at: datetime) -> Version | None:
        """The later version that was live until `version` was published at the time `at`: a mixture."""
        later = self.order[self.places[version.id] + 1 :]
        return next(
            (
                other
                for other in reversed(later)
                if same_instant(other.published_until, at) and self.taken_over_by(other, at) is version
            ),
            None,
        )

    def mixture_between(self, version: Version) -> Version | None:
        """The first version that was new and went live before `version` did so again: a mixture."""
        again = self.began(version)
        went_live = [
            (began, other)
            for other in self._after(self.places[version.id])
            if other.id in self.new and again and (began := self.began(other)) and is_before(began, again)
        ]
        return min(went_live, key=lambda one: one[0])[1] if went_live else None

    def _lives_on(self, version: Version, at: datetime) -> bool:
        """Whether `version` went live at the time `at`, and for longer than that moment."""
        until = version.published_until
        return same_instant(self.began(version), at) and (until is None or is_before(at, until))


def look_at(
    record_id: RecordId,
    slots: Sequence[Slot],
    after: tuple[Version, ...],
    known: KnownRecord | None,
    *,
    published_at: datetime | None,
    observed_at: datetime,
    is_reborn: bool,
) -> Look:
    """A look at the versions of a record: `slots` in their order, and what they are `after` it."""
    return Look(
        record_id=record_id,
        observed_at=observed_at,
        seen_before=known.synced_at if known else None,
        published_at=published_at,
        published_before=known.published_at if known else None,
        order=after,
        starts=tuple(accumulate((version.created_at for version in after), max)),
        places={version.id: place for place, version in enumerate(after)},
        new=frozenset(version.id for slot, version in zip(slots, after, strict=True) if slot.known is None),
        current_place=next((place for place, version in enumerate(after) if version.is_current), None),
        moved_from=_moved_from(slots, after),
        is_reborn=is_reborn,
        is_elsewhere=_is_elsewhere(slots, after),
    )


def _moved_from(slots: Sequence[Slot], after: Sequence[Version]) -> datetime | None:
    """The time that the current version had when it was last looked at, if it was current then and has moved since."""
    for slot, version in zip(slots, after, strict=True):
        before = slot.known
        if before and before.is_current and version.is_current and before.created_at < version.created_at:
            return before.created_at
    return None


def _is_elsewhere(slots: Sequence[Slot], after: Sequence[Version]) -> bool:
    """Whether the version that was current is missing, and older ones are new: another environment's."""
    both = list(zip(slots, after, strict=True))
    former = next((now for slot, now in both if slot.known and slot.known.is_current and now.missing_since), None)
    if former is None:
        return False
    # One of the same second that is current may have taken its place, as where an edit is merged under another id.
    return any(
        slot.known is None
        and (
            is_before(now.created_at, former.created_at)
            or (same_instant(now.created_at, former.created_at) and not now.is_current)
        )
        for slot, now in both
    )
