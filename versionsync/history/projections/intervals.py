"""When each version of a record was current, and when it was live, from the record's events. Pure.

The ends are those of the views `version_timeline` and `publications`. But the views say all that is known of each
version, and two versions can claim the same time: another environment became the primary one, or upstream's clock
differs from ours. Here at most one version has each instant: the one that began last. When it ends, the one before it
goes on in a row of its own, if it has not ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Final

from versionsync.ledger.events import EventType
from versionsync.mirror.tables.events import HistoryEvent
from versionsync.mirror.tables.intervals import CURRENT, PUBLISHED, IntervalRow

__all__ = ["INTERVAL_EVENTS", "intervals_of"]

_BECAME: Final = EventType.VERSION_BECAME_CURRENT.value
_SUPERSEDED: Final = EventType.VERSION_SUPERSEDED.value
_PUBLISHED: Final = EventType.VERSION_PUBLISHED.value
_UNPUBLISHED: Final = EventType.VERSION_UNPUBLISHED.value
_DELETED: Final = EventType.RECORD_DELETED.value
_RETURNED: Final = EventType.RECORD_RETURNED.value

INTERVAL_EVENTS: Final = (_BECAME, _SUPERSEDED, _PUBLISHED, _UNPUBLISHED, _DELETED, _RETURNED)
"""The types of events that intervals are made of."""


@dataclass(frozen=True, slots=True)
class _Span:
    """The time of one version: [start, end), and when the mirror knew of each. `event_id` is that of its start."""

    version_id: str
    model_id: str
    event_id: int
    start: datetime
    start_known: datetime
    end: datetime | None = None
    end_known: datetime | None = None

    def ended(self, at: datetime, known: datetime) -> _Span:
        """Return the span with this end, but no end before its start."""
        return replace(self, end=max(at, self.start), end_known=known)


@dataclass(frozen=True, slots=True)
class _Absence:
    """The time in which the record was deleted: from an observation until its return, or None."""

    event_id: int
    start: datetime
    start_known: datetime
    end: datetime | None
    end_known: datetime | None


def intervals_of(record_id: str, events: Sequence[HistoryEvent]) -> list[IntervalRow]:
    """Return the intervals of a record from its events of INTERVAL_EVENTS, in the order of their ids.

    The rows are in the order of kind, time and number.
    """
    return [*_rows(CURRENT, record_id, _current(events)), *_rows(PUBLISHED, record_id, _published(events))]


def _current(events: Sequence[HistoryEvent]) -> list[_Span]:
    spans: list[tuple[_Span, int | None]] = []
    began: dict[str, _Span] = {}
    for event in events:
        if event.version_id is None:
            continue
        if event.type == _BECAME:
            began[event.version_id] = _start(event)
        elif event.type == _SUPERSEDED and event.version_id in began:
            span = began.pop(event.version_id)
            spans.append((span.ended(event.occurred_at, event.observed_at), event.id))
    spans += ((span, None) for span in began.values())
    absences = list(_absences(events))
    if not absences:
        return [span for span, _ in spans]
    return [part for span, ended_by in spans for part in _without(span, ended_by, absences)]


def _start(event: HistoryEvent) -> _Span:
    assert event.version_id is not None
    return _Span(event.version_id, event.model_id or "", event.id, event.occurred_at, event.observed_at)


def _absences(events: Sequence[HistoryEvent]) -> Iterator[_Absence]:
    """Yield when the record was deleted. Its deletion counts from its observation, as `records.deleted_at` says."""
    deleted: HistoryEvent | None = None
    for event in events:
        if event.type == _DELETED:
            deleted = event
        elif event.type == _RETURNED and deleted is not None:
            start = min(deleted.observed_at, event.occurred_at)
            yield _Absence(deleted.id, start, deleted.observed_at, event.occurred_at, event.observed_at)
            deleted = None
    if deleted is not None:
        yield _Absence(deleted.id, deleted.observed_at, deleted.observed_at, None, None)


def _without(span: _Span, ended_by: int | None, absences: Sequence[_Absence]) -> Iterator[_Span]:
    """Yield the parts of a span that are not in one of the absences. `ended_by` is the event that ended it."""
    for absence in absences:
        if absence.event_id < span.event_id or (ended_by is not None and ended_by < absence.event_id):
            continue
        if span.end is not None and span.end <= absence.start:
            # It ended before, which was found out only when the record returned: that it had ended was known then.
            span = replace(span, end_known=min(span.end_known or absence.start_known, absence.start_known))
            break
        yield span.ended(absence.start, absence.start_known)
        if absence.end is None or absence.end_known is None or (span.end is not None and span.end <= absence.end):
            return
        span = replace(span, start=max(absence.end, span.start), start_known=absence.end_known)
    yield span


def _published(events: Sequence[HistoryEvent]) -> list[_Span]:
    """Return the publications as the view says: see its comments for why."""
    flags = [event for event in events if event.type in (_PUBLISHED, _UNPUBLISHED, _DELETED, _RETURNED)]
    if not flags:
        return []
    rows = sorted([*_adjusted(flags), *_live_again(flags)], key=lambda event: (event.occurred_at, event.id))
    last_started = {event.version_id: event.id for event in sorted(rows, key=_id) if event.type == _PUBLISHED}
    live = _live_versions(flags)
    spans = []
    replaced: HistoryEvent | None = None
    unpublished: dict[str | None, HistoryEvent] = {}
    for event in reversed(rows):
        if event.type == _PUBLISHED:
            span = _start(event)
            if event.version_id not in live or last_started[event.version_id] != event.id:
                ended = unpublished.get(event.version_id)
                if ended is None or (replaced is not None and replaced.occurred_at < ended.occurred_at):
                    ended = replaced or event
                span = span.ended(ended.occurred_at, ended.observed_at)
            spans.append(span)
        if event.type in (_PUBLISHED, _DELETED):
            replaced = event
        else:
            unpublished[event.version_id] = event
    spans.reverse()
    return spans


def _id(event: HistoryEvent) -> int:
    return event.id


def _adjusted(flags: Sequence[HistoryEvent]) -> Iterator[HistoryEvent]:
    """Yield all but the returns: an end that was only observed is no later than what followed it."""
    published: dict[str | None, datetime] = {}
    returned: datetime | None = None
    for event in reversed(flags):
        at = event.occurred_at
        if event.type == _RETURNED:
            returned = at if returned is None else min(at, returned)
            continue
        if event.type == _PUBLISHED:
            published[event.version_id] = min(at, published.get(event.version_id, at))
        later = published.get(event.version_id) if event.type == _UNPUBLISHED else None
        if event.type == _DELETED:
            later = returned
        yield event if later is None or later >= at else replace(event, occurred_at=later)


def _live_again(flags: Sequence[HistoryEvent]) -> Iterator[HistoryEvent]:
    """Yield the start of the publication that a deletion interrupted, if nothing else happened to it at the return."""
    last: HistoryEvent | None = None
    for index, event in enumerate(flags):
        if event.type in (_PUBLISHED, _UNPUBLISHED):
            last = event
        elif event.type == _RETURNED and last is not None and last.type == _PUBLISHED:
            later = (one for one in flags[index + 1 :] if one.type in (_PUBLISHED, _UNPUBLISHED))
            if not any(one.observed_at == event.observed_at for one in later):
                yield replace(event, type=_PUBLISHED, version_id=last.version_id, model_id=last.model_id)


def _live_versions(flags: Sequence[HistoryEvent]) -> set[str | None]:
    """Return the versions that are live now: at most one, and none of a record that is deleted."""
    live: set[str | None] = set()
    is_deleted = False
    for event in flags:
        if event.type == _PUBLISHED:
            live.add(event.version_id)
        elif event.type == _UNPUBLISHED:
            live.discard(event.version_id)
        else:
            is_deleted = event.type == _DELETED
    return set() if is_deleted else live


def _rows(kind: str, record_id: str, spans: Sequence[_Span]) -> list[IntervalRow]:
    ordered = sorted(spans, key=lambda span: (span.start, span.event_id))
    if any(one.end is None or one.end > other.start for one, other in pairwise(ordered)):
        ordered = sorted(_without_overlaps(ordered), key=lambda span: span.start)
    counts: Counter[datetime] = Counter()
    rows = []
    for span in ordered:
        counts[span.start] += 1
        rows.append(
            IntervalRow(
                kind=kind,
                record_id=record_id,
                valid_from=span.start,
                number=counts[span.start],
                version_id=span.version_id,
                model_id=span.model_id,
                valid_until=span.end,
                known_from=span.start_known,
                known_until=span.end_known,
            )
        )
    return rows


def _without_overlaps(spans: Sequence[_Span]) -> Iterator[_Span]:
    """Yield the parts of `spans` in which no later one goes on. `spans` are in the order of their starts."""
    waiting: list[_Span] = []
    for span in spans:
        yield from _until(waiting, span.start)
        if waiting and waiting[-1].start < span.start:
            under = waiting[-1]
            yield replace(under, end=span.start, end_known=span.start_known)
            waiting[-1] = replace(under, start=span.start, start_known=max(under.start_known, span.start_known))
        if span.end == span.start:
            yield span  # what it interrupted goes on in the same instant, with a higher number
        else:
            waiting.append(span)
    yield from _until(waiting, None)


def _until(waiting: list[_Span], at: datetime | None) -> Iterator[_Span]:
    """Yield, and remove, what ends by the time `at` (None: ever, or goes on)."""
    while waiting and (at is None or ((end := waiting[-1].end) is not None and end <= at)):
        span = waiting.pop()
        yield span
        if span.end is None or span.end_known is None:
            return  # what it covers never comes back
        while waiting and (end := waiting[-1].end) is not None and end <= span.end:
            waiting.pop()  # it ended while it was covered
        if waiting:
            under = waiting[-1]
            waiting[-1] = replace(
                under, start=max(under.start, span.end), start_known=max(under.start_known, span.end_known)
            )
