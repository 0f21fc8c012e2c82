"""Answers that go back in time. Pure.

What a version was once seen to be, it stays or outlives: a publication that began does not begin earlier, one that
ended does not go on, the current version is followed only by a newer one, one that had gone is not current in its
place, versions go from the oldest on, a deleted record stays deleted, and rewritten content does not return. An answer
that says otherwise is probably an old one, from a cache or a replica that lags. It may be true all the same (another
environment was promoted; two publications lay within one second; a field got its old name back), so it is a reason to
ask again, not to refuse.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from versionsync.ledger.ids import ModelId, VersionId
from versionsync.ledger.records import KnownRecord, SeenRecord, SeenVersion, Version
from versionsync.ledger.sameness import keep_version_times
from versionsync.ledger.times import is_before, same_instant

__all__ = [
    "MassDeleteLimit",
    "Missing",
    "are_contents_stale",
    "are_versions_stale",
    "exceeds_mass_delete_limit",
    "is_meta_stale",
    "is_recreated",
    "lacks_newest",
    "lacks_publication",
    "rewritten",
]

MODEL_FLOOR = 10


@dataclass(frozen=True, slots=True)
class MassDeleteLimit:
    """How much may vanish in one run: more than `share` of a source's records, at least `number` of them, stops it."""

    fraction: float = 0.2
    count: int = 10


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a run stopped: how many of how many records were gone, of one model or of the whole source (None)."""

    model_id: ModelId | None
    missing: int
    total: int


def exceeds_mass_delete_limit(
    limit: MassDeleteLimit,
    vanished: Mapping[ModelId, int],
    live: Mapping[ModelId, int],
    *,
    deleted_models: frozenset[ModelId] = frozenset(),
) -> Missing | None:
    """Whether this many records gone at once stop the run (invariant 5), and what was seen.

    `live` counts the mirror's live records of each model before this run, `vanished` those of them that a complete
    sweep did not list. A model that upstream itself no longer has may take its records along; the share of the whole
    source is watched all the same.
    """
    gone, of = sum(vanished.values()), sum(live.values())
    if gone >= limit.count and gone > limit.fraction * of:
        return Missing(None, gone, of)
    for model_id, count in vanished.items():
        if count >= MODEL_FLOOR and count >= live.get(model_id, 0) and model_id not in deleted_models:
            return Missing(model_id, count, live.get(model_id, 0))
    return None


NEVER_PUBLISHED = (False, None, None)


def is_meta_stale(known: KnownRecord | None, seen: SeenRecord) -> bool:
    """Whether a record's meta is older than what the mirror holds of it."""
    if known is None or known.deleted_at is not None:
        return False
    was_updated_later = known.updated_at and seen.updated_at and is_before(seen.updated_at, known.updated_at)
    was_published_later = known.published_at and seen.published_at and is_before(seen.published_at, known.published_at)
    return bool(was_updated_later or was_published_later)


def is_recreated(known: KnownRecord | None, seen: SeenRecord | None, versions: Iterable[SeenVersion] = ()) -> bool:
    """Return whether a deleted record is shown again as it was.

    One that was made again is younger, or claims to be as old as before: then a version of it is younger.
    """
    if known is None or known.deleted_at is None or seen is None:
        return False
    deleted_at = known.deleted_at
    if any(version.created_at > deleted_at for version in versions):
        return False
    return known.created_at is None or seen.created_at is None or seen.created_at <= known.created_at


def are_versions_stale(known: Sequence[Version], seen: Sequence[SeenVersion]) -> bool:
    """Return whether upstream shows older states of a record's versions than the mirror holds."""
    by_id = {version.id: version for version in known}
    if any(_is_publication_stale(by_id[version.id].seen, version) for version in seen if version.id in by_id):
        return True
    before = next((version for version in known if version.seen.is_current), None)
    after = next((version for version in seen if version.is_current), None)
    if before is None or after is None or after.id not in by_id:
        return False
    if all(version.id != before.id for version in seen):
        # It was merged or made again. But a version that was missing does not return alone.
        return by_id[after.id].missing_since is not None
    return by_id[after.id].ordinal < before.ordinal


def lacks_newest(known: Sequence[Version], seen: Sequence[SeenVersion]) -> bool:
    """Return whether a version is not listed any more, and every one that is, is older; `seen` is the whole list.

    The versions that upstream really drops are old ones, and one that was merged is followed by another.
    """
    listed = {version.id for version in seen}
    missing = [one.seen.created_at for one in known if one.missing_since is None and one.id not in listed]
    return bool(missing and listed) and max(missing) >= max(version.created_at for version in seen)


def lacks_publication(
    known: KnownRecord | None, seen: SeenRecord | None, before: Sequence[Version], after: Iterable[SeenVersion]
) -> bool:
    """Return whether the times of a record's publications changed, but no version was published or unpublished.

    Then its versions are older than its meta, or one was published again or for no time, which leaves no other trace.
    """
    if known is None or known.deleted_at is not None or seen is None:
        return False
    if same_instant(known.published_at, seen.published_at) and same_instant(
        known.first_published_at, seen.first_published_at
    ):
        return False
    by_id = {version.id: version.seen for version in before}
    return all(_was_equally_live(by_id.get(version.id), version) for version in after)


def rewritten(known: Sequence[Version], seen: Iterable[SeenVersion]) -> list[SeenVersion]:
    """Return the versions of a record whose content differs from the mirror's."""
    hashes = {version.id: version.seen.content_hash for version in known}
    return [version for version in seen if hashes.get(version.id, version.content_hash) != version.content_hash]


def are_contents_stale(former: Mapping[VersionId, Collection[bytes]], seen: Iterable[SeenVersion]) -> bool:
    """Return whether a version has former content again; `former` has the hashes of rewritten contents."""
    return any(version.content_hash in former.get(version.id, ()) for version in seen)


def _was_equally_live(known: SeenVersion | None, seen: SeenVersion) -> bool:
    if known is None:
        return _liveness(seen) == NEVER_PUBLISHED
    return _liveness(known) == _liveness(keep_version_times(known, seen))


def _liveness(version: SeenVersion) -> tuple[bool, datetime | None, datetime | None]:
    return version.is_published, version.published_from, version.published_until


def _is_publication_stale(known: SeenVersion, seen: SeenVersion) -> bool:
    if known.published_from is None:
        return False
    if seen.published_from is None or is_before(seen.published_from, known.published_from):
        return True
    if is_before(known.published_from, seen.published_from) or known.published_until is None:
        return False
    return seen.published_until is None or is_before(seen.published_until, known.published_until)
