"""Plan how one check of a record changes the mirror. Pure: no I/O, no clock, no SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from versionsync.errors import VersionsyncError
from versionsync.ledger.event_order import in_order
from versionsync.ledger.events import Event, EventType, observed_event, upstream_event
from versionsync.ledger.ids import ModelId, RecordId, VersionId
from versionsync.ledger.records import Change, DeletionEvidence, KnownRecord, SeenRecord, SeenVersion, Version
from versionsync.ledger.sameness import keep_record_times, keep_version_times
from versionsync.ledger.times import format_time, is_before
from versionsync.ledger.transitions import Observation, observe, transitions
from versionsync.ledger.version_order import VersionPair, merge, number

__all__ = ["InconsistentHistory", "RecordPlan", "plan_deletion", "plan_record"]


class InconsistentHistory(VersionsyncError):
    """Upstream's answer contradicts itself: two current versions, two published ones, or one id twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPlan:
    """What one transaction writes for one record. `changes` and `events` are in the order in which they happened.

    `meta` is None if only the tombstone changes. `is_new`: the record has no row yet.
    """

    record_id: RecordId
    model_id: ModelId
    is_new: bool
    meta: SeenRecord | None
    current_version_id: VersionId | None
    published_version_id: VersionId | None
    version_count: int
    deleted_at: datetime | None
    deletion_evidence: DeletionEvidence | None
    changes: tuple[Change, ...]
    events: tuple[Event, ...]


def plan_record(
    known: KnownRecord | None,
    versions: Sequence[Version],
    record: SeenRecord,
    seen: Sequence[SeenVersion],
    *,
    is_complete: bool,
    observed_at: datetime,
) -> RecordPlan:
    """Return the smallest plan that makes the mirror agree with what was read of a record.

    At most one version gets each flag (invariant 2). A version that was not seen is missing only if all were read. Each
    changed flag has its event (invariant 3). A second plan has no change and no event (invariant 10); neither has the
    same instant in another precision.

    Args:
        known: What the mirror holds of the record, or None.
        versions: What the mirror holds of its versions.
        record: The record's meta.
        seen: Its versions in the order in which they were made.
        is_complete: Whether every version that upstream has is among them. If not, they are the newest part of the
            list, perhaps with single older ones before it.
        observed_at: When they were read.

    Raises:
        InconsistentHistory: The versions contradict each other.
    """
    _check(seen)
    record, seen = keep_record_times(known, record), _with_known_times(versions, seen)
    slots = merge(versions, seen)
    after = tuple(_after(slots, seen, observed_at, is_complete=is_complete))
    changes = _changes(slots, after)
    was_deleted, is_younger = known is not None and known.deleted_at is not None, _is_younger(known, record)
    # Deleted and made again between two checks. A later `created_at` is not enough, since an update may set it: none of
    # the old versions may be listed either.
    is_new_to_us = {version.id for version in seen}.isdisjoint(version.id for version in versions)
    is_replaced = is_younger and not was_deleted and is_complete and is_new_to_us
    check = observe(
        record.id,
        slots,
        after,
        known,
        published_at=record.published_at,
        observed_at=observed_at,
        is_recreated=is_replaced or (is_younger and was_deleted),
    )
    return RecordPlan(
        record_id=record.id,
        model_id=record.model_id,
        is_new=known is None,
        meta=record,
        current_version_id=_with_flag(after, lambda seen: seen.is_current),
        published_version_id=_with_flag(after, lambda seen: seen.is_published),
        version_count=sum(version.missing_since is None for version in after),
        deleted_at=None,
        deletion_evidence=None,
        changes=changes,
        events=_events(
            changes,
            check,
            own=tuple(_record_events(known, record, observed_at, is_replaced=is_replaced)),
            since=_since(known, record),
        ),
    )


def plan_deletion(
    known: KnownRecord,
    versions: Sequence[Version],
    *,
    still_listed: Sequence[SeenVersion],
    evidence: DeletionEvidence,
    observed_at: datetime,
) -> RecordPlan:
    """Return the plan that marks a record as deleted.

    The flags of its versions stay as last seen. None of them is missing: they were deleted with the record. A record
    that is marked already gets no second event.

    Args:
        known: What the mirror holds of the record.
        versions: What the mirror holds of its versions.
        still_listed: The versions that could still be read, oldest first.
        evidence: How we know that it was deleted.
        observed_at: When we learned it.
    """
    _check(still_listed)
    still_listed = _with_known_times(versions, still_listed)
    slots = merge(versions, still_listed)
    after = tuple(_after(slots, still_listed, observed_at, is_complete=False))
    if not any(version.is_current for version in still_listed):
        after = tuple(_as_before_deletion(slots, after))
    changes = _changes(slots, after)
    check = observe(
        known.id, slots, after, known, published_at=known.published_at, observed_at=observed_at, is_recreated=False
    )
    deleted = () if known.deleted_at else (_observed_event(EventType.RECORD_DELETED, known, observed_at),)
    return RecordPlan(
        record_id=known.id,
        model_id=known.model_id,
        is_new=False,
        meta=None,
        current_version_id=_with_flag(after, lambda seen: seen.is_current),
        published_version_id=_with_flag(after, lambda seen: seen.is_published),
        version_count=sum(version.missing_since is None for version in after),
        deleted_at=known.deleted_at or observed_at,
        deletion_evidence=evidence,
        changes=changes,
        events=_events(changes, check, last=deleted),
    )


def _check(versions: Sequence[SeenVersion]) -> None:
    if len({version.id for version in versions}) != len(versions):
        raise InconsistentHistory("one version is listed twice")
    if sum(version.is_current for version in versions) > 1:
        raise InconsistentHistory("more than one version is current")
    if sum(version.is_published for version in versions) > 1:
        raise InconsistentHistory("more than one version is published")


def _with_known_times(known: Iterable[Version], seen: Sequence[SeenVersion]) -> Sequence[SeenVersion]:
    by_id = {version.id: version.seen for version in known}
    return [keep_version_times(by_id[version.id], version) if version.id in by_id else version for version in seen]


def _after(
    slots: Sequence[VersionPair], seen: Sequence[SeenVersion], observed_at: datetime, *, is_complete: bool
) -> Iterator[Version]:
    current_is_known = is_complete or any(version.is_current for version in seen)
    published_is_known = is_complete or any(version.is_published for version in seen)
    last_to_go_live = max((index for index, slot in enumerate(slots) if _went_live(slot)), default=-1)
    for index, (slot, ordinal) in enumerate(zip(slots, number(slots), strict=True)):
        if slot.seen is not None:
            yield Version(seen=slot.seen, ordinal=ordinal)
        elif slot.known is not None:
            missing_since = slot.known.missing_since or (observed_at if is_complete else None)
            flags = replace(
                slot.known.seen,
                is_current=slot.known.seen.is_current and not current_is_known,
                is_published=slot.known.seen.is_published and not published_is_known and index > last_to_go_live,
            )
            yield Version(seen=flags, ordinal=ordinal, missing_since=missing_since)


def _as_before_deletion(slots: Sequence[VersionPair], after: Sequence[Version]) -> Iterator[Version]:
    """Yield `after` with the flags from before the deletion: as last seen, or of what was made or published since."""
    made_since = [version.id for slot, version in zip(slots, after, strict=True) if slot.known is None]
    known = (slot.known for slot in slots if slot.known)
    current = made_since[-1] if made_since else _with_flag(known, lambda seen: seen.is_current)
    live = _last_live(slots, after)
    for version in after:
        flags = replace(version.seen, is_current=version.id == current, is_published=version.id == live)
        yield replace(version, seen=flags)


def _last_live(slots: Sequence[VersionPair], after: Sequence[Version]) -> VersionId | None:
    """Return the version that was live at the deletion. Publications are in the order of their versions."""
    for slot, version in zip(reversed(slots), reversed(after), strict=True):
        if version.seen.is_published or (slot.known and slot.known.seen.is_published):
            return version.id
        if _went_live(slot):
            return version.id if version.seen.published_until is None else None
    return None


def _went_live(slot: VersionPair) -> bool:
    """Return whether this version was published since the previous check: that ended any earlier publication."""
    before = slot.known.seen.published_from if slot.known else None
    return slot.seen is not None and slot.seen.published_from not in (None, before)


def _changes(slots: Sequence[VersionPair], after: Sequence[Version]) -> tuple[Change, ...]:
    return tuple(
        Change(slot.known, version) for slot, version in zip(slots, after, strict=True) if slot.known != version
    )


def _events(
    changes: Iterable[Change],
    check: Observation,
    *,
    own: Sequence[Event] = (),
    since: datetime | None = None,
    last: Sequence[Event] = (),
) -> tuple[Event, ...]:
    """Return the events of `changes` and the record's other ones; see `in_order`."""
    dated = [transition for change in changes for transition in transitions(change, check)]
    return in_order(dated, start=check.start if dated else None, own=own, since=since, last=last)


def _with_flag(versions: Iterable[Version], flag: Callable[[SeenVersion], bool]) -> VersionId | None:
    return next((version.id for version in versions if flag(version.seen)), None)


def _is_younger(known: KnownRecord | None, record: SeenRecord) -> bool:
    """Return whether the record was made later than the mirror's record with this id."""
    if known is None or known.created_at is None or record.created_at is None:
        return False
    return is_before(known.created_at, record.created_at)


def _since(known: KnownRecord | None, record: SeenRecord) -> datetime | None:
    """Return the earliest time at which a record can have returned."""
    if known is None:
        return None
    return record.created_at if _is_younger(known, record) else known.deleted_at


def _record_events(
    known: KnownRecord | None, record: SeenRecord, observed_at: datetime, *, is_replaced: bool
) -> Iterator[Event]:
    """Yield the events of the record itself."""

    def began(type: EventType, key: str, at: datetime) -> Event:
        return upstream_event(type, key, at, record_id=record.id, model_id=record.model_id)

    if known is None:
        if record.created_at is None:
            yield _observed_event(EventType.RECORD_CREATED, record, observed_at)
        else:
            yield began(EventType.RECORD_CREATED, record.id, record.created_at)
        return
    if is_replaced:
        yield _observed_event(EventType.RECORD_DELETED, known, observed_at)
    elif known.deleted_at is None:
        return
    if record.created_at is not None and _is_younger(known, record):
        key = f"{record.id}:{format_time(record.created_at)}"
        yield began(EventType.RECORD_RETURNED, key, record.created_at)
    else:
        yield _observed_event(EventType.RECORD_RETURNED, known, observed_at)


def _observed_event(type: EventType, record: KnownRecord | SeenRecord, observed_at: datetime) -> Event:
    seen_before = record.synced_at if isinstance(record, KnownRecord) else None
    return observed_event(
        type, record.id, observed_at, seen_before=seen_before, record_id=record.id, model_id=record.model_id
    )
