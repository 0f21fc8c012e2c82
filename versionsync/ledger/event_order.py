"""The order of the events of one record, also within one instant. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

__all__ = ["EventPosition", "EventRank"]


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


@dataclass(frozen=True, slots=True, order=True)
class EventPosition:
    """A position in the order of a record's transitions: the time, then the version that caused it, then the rank."""

    at: datetime
    position: int
    rank: EventRank
