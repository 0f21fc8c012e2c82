"""Which events a plan writes, and which of them may exist already under their keys. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from versionsync.ledger.events import Event, EventType
from versionsync.ledger.ids import VersionId
from versionsync.ledger.plan import RecordPlan

__all__ = ["PlannedEvent", "planned_events"]


FLAG_EVENTS = {
    EventType.VERSION_BECAME_CURRENT,
    EventType.VERSION_SUPERSEDED,
    EventType.VERSION_PUBLISHED,
    EventType.VERSION_UNPUBLISHED,
}


DERIVED_ONLY = FLAG_EVENTS | {EventType.VERSION_CREATED}


class PlannedEvent(NamedTuple):
    """An event to write. `may_be_known`: its key may exist. `with_change`: if so, it happened once more.

    `begins`: the key of the publication that follows this end. If that exists already, nothing ended.
    `ends`: the key of the end of this publication. If that does not exist yet, the publication began once more.
    """

    event: Event
    may_be_known: bool
    with_change: bool
    begins: str | None = None
    ends: str | None = None


def planned_events(plan: RecordPlan) -> Iterable[PlannedEvent]:
    """Yield the events of `plan`, each with whether the row of its version or record changes too."""
    if plan.is_new:  # none of its events exist
        yield from (PlannedEvent(event, may_be_known=False, with_change=False) for event in plan.events)
        return
    flagged, begins, ends = _flag_changes(plan), *_neighbours(plan)
    new = {change.after.id for change in plan.changes if change.before is None}
    # Of several publications in one check, only the last changes the row. The others came before it.
    last = {(event.type, event.version_id): index for index, event in enumerate(plan.events)}
    for index, event in enumerate(plan.events):
        subject = (event.type, event.version_id)
        with_change = event.type not in DERIVED_ONLY or (subject in flagged and last[subject] == index)
        key = event.key
        may_be_known = event.version_id not in new  # a version has a row as soon as it has an event
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
    """Return the key of the publication that follows each end, and the key of the end of each other publication."""
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
