"""Writing events: each transition once, however often it is derived.

A key names a transition within its source. Where it is there already, either the transition was told before, and is
derived again from what upstream still shows: then it is dropped. Or the event comes with a change of a row that is
written now: then it happened once more, and its key is numbered (`…#2`).

Keys hold times in full precision, and upstream may print a time in another precision the next time. So the key of a
publication or of its end is there, too, if one is there that differs from it only in how precise its times are.

What one look tells of the publications of a version is told so that a beginning and an end take turns, also where
upstream goes back to a publication that was told, as another environment does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, select

from versionsync.ledger.events import Event, EventType
from versionsync.ledger.ids import VersionId
from versionsync.ledger.plan import RecordPlan
from versionsync.ledger.times import parse_time, same_instant
from versionsync.mirror.bulk import chunked, insert_many
from versionsync.mirror.jsonb import stored_json
from versionsync.mirror.leases import Lease, hold
from versionsync.mirror.tables import events

__all__ = ["Told", "tell", "told_by", "write_events"]

COLUMNS = (
    "source_id",
    "type",
    "record_id",
    "version_id",
    "model_id",
    "occurred_at",
    "occurred_basis",
    "observed_at",
    "run_id",
    "data",
    "key",
)
FLAG_EVENTS = {
    EventType.VERSION_BECAME_CURRENT,
    EventType.VERSION_SUPERSEDED,
    EventType.VERSION_PUBLISHED,
    EventType.VERSION_UNPUBLISHED,
}
DERIVED_ONLY = FLAG_EVENTS | {EventType.VERSION_CREATED}
# Their keys hold times of upstream's.
TIMED = {EventType.VERSION_PUBLISHED, EventType.VERSION_UNPUBLISHED}
OBSERVED = ":observed:"  # before a time of ours, which has one form
_TIME_IN_KEY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
SECOND_WIDTH = len("2026-03-01T10:00:00")


@dataclass(frozen=True, slots=True)
class Told:
    """An event to write. `may_be_known`: its key may be there; `with_change`: then it happened once more.

    `begins`: the key of the publication that this event makes room for; if that was told before, nothing ended.
    `ends`: the key of the end of this publication; if that was not told before, it began once more.
    """

    event: Event
    may_be_known: bool
    with_change: bool
    begins: str | None = None
    ends: str | None = None


def write_events(
    tx: Connection, lease: Lease, happened: Sequence[Event], *, observed_at: datetime, run_id: int | None
) -> int:
    """Write events that each come with a change made in this transaction; returns how many were written."""
    hold(tx, lease)
    told = [Told(event, may_be_known=True, with_change=True) for event in happened]
    return tell(tx, lease.source_id, told, observed_at=observed_at, run_id=run_id)


def told_by(plan: RecordPlan) -> Iterable[Told]:
    """The events of `plan`, each with whether a change of a known version's row, or of its record, comes with it."""
    if plan.is_new:  # nothing of it was told before
        yield from (Told(event, may_be_known=False, with_change=False) for event in plan.events)
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
        yield Told(
            event, may_be_known=may_be_known, with_change=with_change, begins=begins.get(key), ends=ends.get(key)
        )


def tell(tx: Connection, source_id: int, told: Sequence[Told], *, observed_at: datetime, run_id: int | None) -> int:
    """Write `told` in its order; returns how many were written."""
    taken = _taken_keys(tx, source_id, [each.event for each in told if each.may_be_known])
    rows = []
    for each in told:
        event, key = each.event, each.event.key
        if each.begins is not None and taken.find(each.begins):
            continue
        if each.may_be_known and (known := taken.find(key)):
            if not each.with_change and (each.ends is None or taken.find(each.ends)):
                continue
            key = _next_key(tx, source_id, known, taken)
        if each.may_be_known:
            taken.add(key)
        rows.append(
            (
                source_id,
                event.type.value,
                event.record_id,
                event.version_id,
                event.model_id,
                event.occurred_at,
                event.basis.value,
                observed_at,
                run_id,
                stored_json(tx, json.dumps(dict(event.data))) if event.data else "{}",
                key,
            )
        )
    return insert_many(tx, events, COLUMNS, rows)


def _flag_changes(plan: RecordPlan) -> set[tuple[EventType, VersionId | None]]:
    found: set[tuple[EventType, VersionId | None]] = set()
    for change in plan.changes:
        before, after = change.before, change.after
        if before is None:
            continue
        if before.is_current != after.is_current:
            turned = EventType.VERSION_BECAME_CURRENT if after.is_current else EventType.VERSION_SUPERSEDED
            found.add((turned, after.id))
        if before.is_published != after.is_published:
            turned = EventType.VERSION_PUBLISHED if after.is_published else EventType.VERSION_UNPUBLISHED
            found.add((turned, after.id))
    return found


def _neighbours(plan: RecordPlan) -> tuple[dict[str, str], dict[str, str]]:
    """Of an end that is told since a publication follows: the key of that. Of other publications: that of their end."""
    was_live = {change.after.id for change in plan.changes if change.before and change.before.is_published}
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


@dataclass(slots=True)
class _Keys:
    """Keys of events that are written, found by another key of the same transition."""

    _all: set[str] = field(default_factory=set)
    _timed: dict[str, list[str]] = field(default_factory=dict)

    def add(self, key: str) -> None:
        """Add a key that is taken."""
        self._all.add(key)
        if (by_second := _to_the_second(key)) != key:
            self._timed.setdefault(by_second, []).append(key)

    def find(self, key: str) -> str | None:
        """Return `key` if it is taken, else one whose times are the same instants, else None."""
        if key in self._all:
            return key
        return next((other for other in self._timed.get(_to_the_second(key), ()) if _same_times(key, other)), None)


def _to_the_second(key: str) -> str:
    """`key` with its times cut to whole seconds; a key with a time of ours as it is."""
    return key if OBSERVED in key else _TIME_IN_KEY.sub(lambda time: time[0][:SECOND_WIDTH], key)


def _same_times(one: str, other: str) -> bool:
    pairs = zip(_TIME_IN_KEY.findall(one), _TIME_IN_KEY.findall(other), strict=True)
    return all(same_instant(parse_time(time), parse_time(again)) for time, again in pairs)


def _taken_keys(tx: Connection, source_id: int, happened: Sequence[Event]) -> _Keys:
    """The keys that are taken of those of `happened`, in any precision of their times."""
    found = _Keys()
    exact, timed = [], []
    for event in happened:
        if event.type in TIMED and event.version_id is not None and OBSERVED not in event.key:
            timed.append(event)
        else:
            exact.append(event.key)
    for chunk in chunked(exact):
        for key in tx.scalars(select(events.c.key).where(events.c.source_id == source_id, events.c.key.in_(chunk))):
            found.add(key)
    versions = sorted({event.version_id for event in timed if event.version_id is not None})
    types = {event.type.value for event in timed}
    for some in chunked(versions):
        query = select(events.c.key).where(
            events.c.source_id == source_id, events.c.version_id.in_(some), events.c.type.in_(types)
        )
        for key in tx.scalars(query):
            found.add(key)
    return found


def _next_key(tx: Connection, source_id: int, key: str, taken: _Keys) -> str:
    """`key` with the first number that is not taken."""
    # "$" is the character after "#": between them lie the numbered keys, whatever follows.
    numbered = set(
        tx.scalars(
            select(events.c.key).where(
                events.c.source_id == source_id, events.c.key > f"{key}#", events.c.key < f"{key}$"
            )
        )
    )
    number = 2
    while (candidate := f"{key}#{number}") in numbered or taken.find(candidate) == candidate:
        number += 1
    return candidate
