"""Which events a plan writes, and which of them may be known already under their keys. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from versionsync.ledger.events import Event, EventType
from versionsync.ledger.ids import VersionId
from versionsync.ledger.plan import RecordPlan

__all__ = ["DERIVED_ONLY", "FLAG_EVENTS", "PlannedEvent", "planned_events"]


FLAG_EVENTS = {
    EventType.VERSION_BECAME_CURRENT,
    EventType.VERSION_SUPERSEDED,
    EventType.VERSION_PUBLISHED,
    EventType.VERSION_UNPUBLISHED,
}


DERIVED_ONLY = FLAG_EVENTS | {EventType.VERSION_CREATED}


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """An event to write. `may_be_known`: its key may be there; `with_change`: then it happened once more.

    `begins`: the key of the publication that this event makes room for; if that was told before, nothing ended.
    `ends`: the key of the end of this publication; if that was not told before, it began once more.
    """

    event: Event
    may_be_known: bool
    with_change: bool
    begins: str | None = None
    ends: str | None = None


def planned_events(plan: RecordPlan) -> Iterable[PlannedEvent]:
    """The events of `plan`, each with whether a change of a known version's row, or of its record, comes with it."""
    if plan.is_new:  # nothing of it was told before
        yield from (PlannedEvent(event, may_be_known=False, with_change=False) for event in plan.events)
        return
    flagged, begins, ends = _flag_changes(plan), *_neighbours(plan)
    new = {change.after.id for change in plan.changes if change.before is None}
    # Of several publications that one look tells, only the last is the change of the row; the others came before it.
    last = {(event.type, event.version_id): place for place, event in enumerate(plan.events)}
    for place, event in enumerate(plan.events):
        subject = (event.type, event.version_id)
        with_change = event.type not in DERIVED_ONLY or (subject in flagged and last[subject] == place)
        key = event.key
        may_be_known = event.version_id not in new  # a version has its row as soon as something is told of it
        yield PlannedEvent(
            event, may_be_known=may_be_known, with_change=with_change, begins=begins.get(key), ends=ends.get(key)
        )


def _flag_changes(plan: RecordPlan) -> set[tuple[EventType, VersionId | None]]:
    found: set[tuple[EventType, VersionId | None]] = set()
    for change in plan.changes:
        before, after = change.before, change.after
        if before is None:
            continue
        if before.seen.is_current != after.seen.is_current:
            turned = EventType.VERSION_BECAME_CURRENT if after.seen.is_current else EventType.VERSION_SUPERSEDED
            found.add((turned, after.id))
        if before.seen.is_published != after.seen.is_published:
            turned = EventType.VERSION_PUBLISHED if after.seen.is_published else EventType.VERSION_UNPUBLISHED
            found.add((turned, after.id))
    return found


def _neighbours(plan: RecordPlan) -> tuple[dict[str, str], dict[str, str]]:
    """Of an end that is told since a publication follows: the key of that. Of other publications: that of their end."""
    was_live = {change.after.id for change in plan.changes if change.before and change.before.seen.is_published}
    begins, ends = {}, {}
    before: dict[VersionId | None, Event] = {}
    for event in plan.events:
        if event.type not in (EventType.VERSION_PUBLISHED, EventType.VERSION_UNPUBLISHED):
            continue
        last = before.get(event.version_id)
        before[event.version_id] = event
        if last is None or last.type is event.type:
            continue
        if event.type is EventType.VERSION_PUBLISHED:
            begins[last.key] = event.key
        elif event.version_id not in was_live:
            ends[last.key] = event.key
    return begins, ends
