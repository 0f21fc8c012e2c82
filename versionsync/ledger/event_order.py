"""The order of the events of one record, also within one instant. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple

from versionsync.ledger.events import Event, JsonValue, TimeBasis
from versionsync.ledger.times import cut, format_time, precision

__all__ = ["EventPosition", "EventRank", "in_order"]


class EventRank(IntEnum):
    """The order of what happens to one version within one instant."""

    CREATED = 0
    PREDECESSOR_SUPERSEDED = 1
    BECAME_CURRENT = 2
    PREDECESSOR_UNPUBLISHED = 3
    PUBLISHED = 4
    UNPUBLISHED = 5
    PUBLISHED_OVER_MIXTURE = 6
    OBSERVED = 7


class EventPosition(NamedTuple):
    """A position in the order of a record's transitions: the time, then the version that caused it, then the rank."""

    at: datetime
    position: int
    rank: EventRank


def in_order(
    dated: Sequence[tuple[EventPosition, Event]],
    *,
    start: EventPosition | None,
    own: Sequence[Event] = (),
    since: datetime | None = None,
    last: Sequence[Event] = (),
) -> tuple[Event, ...]:
    """Return all events of one check in the order of their ids, which is that of their times.

    Times of different precision are compared at the coarsest one; within that, the order of the versions counts.
    Upstream states no time for what was only observed: that had happened by the next event that has one.

    Args:
        dated: The events of the versions.
        start: The position before all of them. When another environment becomes the primary one, the versions of the
            previous one end there. The past events of their replacements follow.
        own: The record's own events. They come after everything that upstream dates before `since`.
        since: None: `own` comes first.
        last: The events that come after all others.
    """
    unit = precision(at for position, event in dated for at in (position.at, event.occurred_at))
    ordered = sorted(dated, key=lambda one: (cut(one[0].at, unit), one[0].position, one[0].rank))
    count = sum(position == start for position, _ in ordered)
    ended, events = [event for _, event in ordered[:count]], [event for _, event in ordered[count:]]
    if ended:
        return (*own, *ended, *_rising([*events, *last], unit))
    earlier = [
        index
        for index, event in enumerate(events, start=1)
        if since is not None and event.basis is TimeBasis.UPSTREAM and event.occurred_at < since
    ]
    split = max(earlier, default=0)
    return tuple(_rising([*events[:split], *own, *events[split:], *last], unit))


def _rising(events: Sequence[Event], unit: int) -> list[Event]:
    """Return `events` with times that do not fall, as far as upstream does not state that they do.

    What was only observed takes the time of the next event that has one, if that is earlier than the observation;
    `before` in its data says so. It takes that of the event before it where our clock is behind upstream's. A stated
    time takes that of the event before it only if they are one instant at the precision `unit`, the coarsest of all.
    """
    if all(
        one.basis is TimeBasis.UPSTREAM and one.occurred_at <= other.occurred_at for one, other in pairwise(events)
    ) and (not events or events[-1].basis is TimeBasis.UPSTREAM):
        return [*events]  # the usual case
    latest_possible: list[datetime] = []
    next_stated: datetime | None = None
    for event in reversed(events):
        at = event.occurred_at
        if next_stated is not None:
            at = min(at, next_stated)
        if event.basis is TimeBasis.UPSTREAM:
            next_stated = at
        latest_possible.append(at)
    found: list[Event] = []
    latest: datetime | None = None
    for event, at in zip(events, reversed(latest_possible), strict=True):
        if event.basis is TimeBasis.OBSERVED:
            at = at if latest is None else max(at, latest)
            found.append(event if at == event.occurred_at else _by(event, at))
        elif latest is not None and cut(event.occurred_at, unit) == cut(latest, unit):
            found.append(replace(event, occurred_at=max(event.occurred_at, latest)))
        else:
            found.append(event)
        latest = found[-1].occurred_at if latest is None else max(latest, found[-1].occurred_at)
    return found


def _by(event: Event, at: datetime) -> Event:
    """Return an observed event that had happened by the time `at`."""
    before: dict[str, JsonValue] = {"before": format_time(at)} if at < event.occurred_at else {}
    return replace(event, occurred_at=at, data={**event.data, **before})
