"""Read and write events: each transition once, however often it is derived.

A key names a transition within its source. If it exists already, there are two cases. The transition was written before
and is derived again from what upstream still shows: then it is dropped. Or the event comes with a change of a row that
is written now: then it happened once more, and its key gets a number (`…#2`).

Keys contain times in full precision, and upstream may print a time in another precision later. So the key of a
publication or of its end also counts as existing if one exists that differs only in the precision of its times.

The events of a version's publications alternate between start and end. That holds even if upstream returns to a
publication that was written before, as it does with another environment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, desc, func, select, update

from versionsync.ledger.event_keys import (
    PlannedEvent,
)
from versionsync.ledger.events import Event, EventType
from versionsync.ledger.times import parse_time, same_instant
from versionsync.mirror.engine.bulk import chunked, field_names
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.schema import events, runs, sources
from versionsync.mirror.tables.leases import Lease, assert_and_renew

__all__ = [
    "OF_RECORD",
    "WITHOUT_RECORD",
    "EventFilter",
    "EventRow",
    "HistoryEvent",
    "SchemaEvent",
    "events_after",
    "history_events_after",
    "history_events_of",
    "insert_new_events",
    "last_event_id",
    "last_events",
    "schema_events",
    "write_events",
]


# Hints for SQLite: without statistics, it prefers an index whose order saves a sort, and reads all events of a source.
OF_RECORD = "INDEXED BY events_of_record"
WITHOUT_RECORD = "INDEXED BY events_without_record"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event as the database has it, with its source's name. `data` is a JSON object as text."""

    id: int
    source: str
    type: str
    record_id: str | None
    version_id: str | None
    model_id: str | None
    occurred_at: datetime
    occurred_basis: str
    observed_at: datetime
    run_id: int | None
    data: str
    actor_type: str | None
    actor_id: str | None
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events: those that satisfy all that is given. Empty: any.

    `since` and `until` limit `occurred_at`: [since, until).
    """

    types: Sequence[str] = ()
    record_id: str | None = None
    model_ids: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None

    def narrow(self, query: Select[Any]) -> Select[Any]:
        """Return `query` for these events only. It reads no other record's events if a record is given."""
        index = "INDEXED BY events_in_order" if self.record_id is None else OF_RECORD
        query = query.with_hint(events, index, "sqlite")
        if self.types:
            query = query.where(events.c.type.in_(self.types))
        if self.record_id is not None:
            query = query.where(events.c.record_id == self.record_id)
        if self.model_ids:
            query = query.where(events.c.model_id.in_(self.model_ids))
        if self.since is not None:
            query = query.where(events.c.occurred_at >= self.since)
        return query if self.until is None else query.where(events.c.occurred_at < self.until)


ANY_EVENT = EventFilter()


def events_after(
    connection: Connection, source_id: int, id: int, *, wanted: EventFilter = ANY_EVENT, limit: int = 1000
) -> list[EventRow]:
    """Return at most `limit` wanted events of a source after that id. Over several sources, ids are in no safe order.

    If they are wanted since a time, those that were observed a day before it are passed over: `occurred_at` has no
    index, and an upstream clock may be ahead of our clock, but not by a day.
    """
    if wanted.since is not None:
        id = max(id, _last_observed_before(connection, source_id, wanted.since - CLOCKS_APART))
    query = wanted.narrow(_events(source_id)).where(events.c.id > id).order_by(events.c.id).limit(limit)
    return _rows(connection, query)


def last_events(
    connection: Connection, source_id: int, *, wanted: EventFilter = ANY_EVENT, limit: int = 1000
) -> list[EventRow]:
    """Return the newest `limit` wanted events of a source, oldest first."""
    query = wanted.narrow(_events(source_id)).order_by(desc(events.c.id)).limit(limit)
    if wanted.since is not None:
        query = query.where(events.c.id > _last_observed_before(connection, source_id, wanted.since - CLOCKS_APART))
    return _rows(connection, query)[::-1]


def last_event_id(connection: Connection, source_id: int | None = None) -> int:
    """Return the id of the newest event of a source, or of all (None); 0 without any."""
    query = select(func.max(events.c.id))
    if source_id is not None:
        query = query.where(events.c.source_id == source_id)
    return connection.scalar(query) or 0


def _last_observed_before(connection: Connection, source_id: int, time: datetime) -> int:
    """Return an id up to which all events of a source were observed before `time`. It bisects: ids rise with time."""
    low, high = 0, last_event_id(connection, source_id)
    nearest = select(events.c.id, events.c.observed_at).where(events.c.source_id == source_id)
    while low < high:
        middle = (low + high + 1) // 2
        row = connection.execute(nearest.where(events.c.id >= middle).order_by(events.c.id).limit(1)).one()
        if row.observed_at < time:
            low = row.id
        else:
            high = middle - 1
    return low


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """An event with what projections need of it. Only those of the schema or the project have no record."""

    id: int
    type: str
    record_id: str | None
    version_id: str | None
    model_id: str | None
    occurred_at: datetime
    observed_at: datetime


HISTORY = field_names(HistoryEvent)
_history = select(*(events.c[name] for name in HISTORY))


def history_events_after(connection: Connection, source_id: int, id: int, *, limit: int) -> list[HistoryEvent]:
    """Return the next `limit` events of a source after that id."""
    query = _history.where(events.c.source_id == source_id, events.c.id > id).order_by(events.c.id).limit(limit)
    return [HistoryEvent(*row) for row in connection.execute(query)]


def history_events_of(
    connection: Connection, source_id: int, record_ids: Iterable[str], types: Sequence[str]
) -> dict[str, list[HistoryEvent]]:
    """Return the events of these types of each record, in the order of their ids."""
    found: dict[str, list[HistoryEvent]] = {}
    for chunk in chunked(record_ids):
        query = _history.where(
            events.c.source_id == source_id, events.c.record_id.in_(chunk), events.c.type.in_(types)
        ).order_by(events.c.record_id, events.c.id)
        for row in connection.execute(query.with_hint(events, OF_RECORD, "sqlite")):
            found.setdefault(row.record_id, []).append(HistoryEvent(*row))
    return found


@dataclass(frozen=True, slots=True)
class SchemaEvent:
    """An event of a model or a field. `data` is its JSON object."""

    id: int
    type: str
    model_id: str
    data: dict[str, Any]


def schema_events(connection: Connection, source_id: int) -> list[SchemaEvent]:
    """Return all events of models and fields of a source, in the order of their ids."""
    query = (
        select(events.c.id, events.c.type, events.c.model_id, events.c.data)
        .where(
            events.c.source_id == source_id,
            events.c.record_id.is_(None),  # for the index: few events are about no record
            events.c.type.in_(SCHEMA_TYPES),
        )
        .with_hint(events, WITHOUT_RECORD, "sqlite")
        .order_by(events.c.id)
    )
    rows = connection.execute(query)
    return [SchemaEvent(id, type, model_id or "", json.loads(data)) for id, type, model_id, data in rows]


def _events(source_id: int) -> Select[Any]:
    columns = (sources.c.name.label(name) if name == "source" else events.c[name] for name in field_names(EventRow))
    joined = select(*columns).select_from(events).join(sources, sources.c.id == events.c.source_id)
    return joined.where(events.c.source_id == source_id)


def _rows(connection: Connection, query: Select[Any]) -> list[EventRow]:
    return [EventRow(**row._asdict()) for row in connection.execute(query)]


CLOCKS_APART = timedelta(days=1)
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
SCHEMA_TYPES = [type.value for type in EventType if type.startswith(("model.", "field."))]
# The keys of these contain upstream's times.
TIMED = {EventType.VERSION_PUBLISHED, EventType.VERSION_UNPUBLISHED}
OBSERVED = ":observed:"  # before a time by our clock, which has one form
_TIME_IN_KEY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
SECOND_WIDTH = len("2026-03-01T10:00:00")


def write_events(
    tx: Connection, lease: Lease, happened: Sequence[Event], *, observed_at: datetime, run_id: int | None
) -> int:
    """Write events that each come with a change in this transaction; return how many were written."""
    assert_and_renew(tx, lease)
    planned = [PlannedEvent(event, may_be_known=True, with_change=True) for event in happened]
    written = insert_new_events(tx, lease.source_id, planned, observed_at=observed_at, run_id=run_id)
    if written:  # also if the run is killed before it saves its counts
        tx.execute(update(runs).where(runs.c.id == run_id).values(events_written=runs.c.events_written + written))
    return written


def insert_new_events(
    tx: Connection, source_id: int, planned: Sequence[PlannedEvent], *, observed_at: datetime, run_id: int | None
) -> int:
    """Write the new ones of `planned` in their order; return how many were written."""
    taken = _taken_keys(tx, source_id, [one.event for one in planned if one.may_be_known])
    dialect = dialect_of(tx)
    rows = []
    for one in planned:
        event, key = one.event, one.event.key
        if one.begins is not None and taken.find(one.begins):
            continue
        if one.may_be_known and (known := taken.find(key)):
            if not one.with_change and (one.ends is None or taken.find(one.ends)):
                continue
            key = _next_key(tx, source_id, event.record_id, known, taken)
        if one.may_be_known:
            taken.add(key)
        rows.append(
            (
                source_id,
                str(event.type),  # an exact str, in a tenth of the time of `.value`
                event.record_id,
                event.version_id,
                event.model_id,
                event.occurred_at,
                str(event.basis),
                observed_at,
                run_id,
                dialect.storable_json_text(json.dumps(dict(event.data))) if event.data else "{}",
                key,
            )
        )
    return dialect.insert_many(tx, events, COLUMNS, rows)


@dataclass(slots=True)
class _Keys:
    """The keys of existing events, which can be found by another key of the same transition."""

    _all: set[str] = field(default_factory=set)
    _timed: dict[str, list[str]] = field(default_factory=dict)

    def add(self, key: str) -> None:
        """Add an existing key."""
        self._all.add(key)
        if (by_second := _to_the_second(key)) != key:
            self._timed.setdefault(by_second, []).append(key)

    def find(self, key: str) -> str | None:
        """Return `key` if it is taken, else one whose times are the same instants, else None."""
        if key in self._all:
            return key
        return next((other for other in self._timed.get(_to_the_second(key), ()) if _same_times(key, other)), None)


def _to_the_second(key: str) -> str:
    """Return `key` with upstream's times cut to whole seconds."""
    return key if OBSERVED in key else _TIME_IN_KEY.sub(lambda time: time[0][:SECOND_WIDTH], key)


def _same_times(one: str, other: str) -> bool:
    pairs = zip(_TIME_IN_KEY.findall(one), _TIME_IN_KEY.findall(other), strict=True)
    return all(same_instant(parse_time(time), parse_time(again)) for time, again in pairs)


def _taken_keys(tx: Connection, source_id: int, happened: Sequence[Event]) -> _Keys:
    """Return the existing keys of the events `happened`, in any precision of their times."""
    found = _Keys()
    wanted: set[str] = set()
    subjects: set[tuple[str, str]] = set()
    for event in happened:
        if event.type in TIMED and event.version_id is not None and OBSERVED not in event.key:
            subjects.add((str(event.type), event.version_id))
        else:
            wanted.add(event.key)
    of_source = select(events.c.key).where(events.c.source_id == source_id)
    # All keys of a record lie side by side in an index: to read them takes less time than to seek some of them.
    for records in chunked(sorted({event.record_id for event in happened if event.record_id is not None})):
        for key in tx.scalars(of_source.where(events.c.record_id.in_(records))):
            if key in wanted or tuple(key.split(":", 2)[:2]) in subjects:
                found.add(key)
    for keys in chunked(event.key for event in happened if event.record_id is None):
        for key in tx.scalars(of_source.where(events.c.record_id.is_(None), events.c.key.in_(keys))):
            found.add(key)
    return found


def _next_key(tx: Connection, source_id: int, record_id: str | None, key: str, taken: _Keys) -> str:
    """Return `key` with the first number that is free."""
    # "$" is the character after "#": between them lie the numbered keys, whatever follows.
    numbered = set(
        tx.scalars(
            select(events.c.key).where(
                events.c.source_id == source_id,
                events.c.record_id == record_id,
                events.c.key > f"{key}#",
                events.c.key < f"{key}$",
            )
        )
    )
    number = 2
    while (candidate := f"{key}#{number}") in numbered or taken.find(candidate) == candidate:
        number += 1
    return candidate
