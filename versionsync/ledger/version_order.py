"""In which order a record's versions came, and the ordinals that keep it.

Upstream lists the newest first and gives whole seconds in many projects: within a second only the list tells the
order. A list that breaks its promise is put in order by time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from versionsync.ledger.records import SeenVersion, Version
from versionsync.ledger.times import is_before

__all__ = ["ORDINAL_STEP", "VersionPair", "is_newest_first", "merge", "number", "oldest_first"]

ORDINAL_STEP = 1024


@dataclass(frozen=True, slots=True)
class VersionPair:
    """One version in the order of its record: as known, as seen, or both."""

    known: Version | None
    seen: SeenVersion | None


def is_newest_first(listed: Sequence[SeenVersion]) -> bool:
    """Return whether the start of a list is in upstream's order: times do not rise, the current one comes first.

    A selective publication may precede the current version, so the current one may be anywhere in `listed`.
    """
    return any(version.is_current for version in listed) and _falls(listed)


def oldest_first(listed: Sequence[SeenVersion]) -> tuple[SeenVersion, ...]:
    """Return the versions of a list in upstream's order, or of its start, in the order in which they were made."""
    rises = all(earlier.created_at <= later.created_at for earlier, later in pairwise(listed))
    if _falls(listed) and not (rises and len(listed) > 1 and listed[-1].is_current):
        return tuple(reversed(listed))
    if rises:
        return tuple(listed)
    by_time = list(reversed(listed))
    by_time.sort(key=lambda version: (version.created_at, version.is_current))
    return tuple(by_time)


def merge(known: Sequence[Version], seen: Sequence[SeenVersion]) -> list[VersionPair]:
    """Return all versions of a record, oldest first: `known` by its ordinals, `seen` as upstream has it now.

    If both have a version, `seen` decides. A known version that was not seen keeps its position between its neighbours.
    A new one comes after those that are no younger than itself, the current one after all of them.
    """
    by_id = {version.id: version for version in known}
    seen_ids = {version.id for version in seen}
    unseen = [version for version in sorted(known, key=lambda version: version.ordinal) if version.id not in seen_ids]
    slots: list[VersionPair] = []
    waiting = 0
    for version in seen:
        before = by_id.get(version.id)
        while waiting < len(unseen) and (
            unseen[waiting].ordinal < before.ordinal
            if before
            else version.is_current or not is_before(version.created_at, unseen[waiting].seen.created_at)
        ):
            slots.append(VersionPair(unseen[waiting], None))
            waiting += 1
        slots.append(VersionPair(before, version))
    return slots + [VersionPair(version, None) for version in unseen[waiting:]]


def number(slots: Sequence[VersionPair]) -> list[int]:
    """Return a rising ordinal for each slot. Known ones stay if they rise and leave room for the new ones."""
    ordinals = list(_fill(slots))
    if all(earlier < later for earlier, later in pairwise(ordinals)):
        return ordinals
    return [(index + 1) * ORDINAL_STEP for index in range(len(slots))]


def _falls(listed: Sequence[SeenVersion]) -> bool:
    return all(earlier.created_at >= later.created_at for earlier, later in pairwise(listed))


def _fill(slots: Sequence[VersionPair]) -> Iterator[int]:
    last, new = 0, 0
    for slot in slots:
        if slot.known is None:
            new += 1
            continue
        room = slot.known.ordinal - last
        yield from (last + room * index // (new + 1) for index in range(1, new + 1))
        yield slot.known.ordinal
        last, new = slot.known.ordinal, 0
    yield from (last + ORDINAL_STEP * index for index in range(1, new + 1))
