"""Changes that no list shows. Pure decisions.

Publishing again may leave a record's meta as it was, for instance when other locales are published: only its versions
show it. Then upstream's time of the last change has moved, and nothing that a run found explains that. So the
histories of the records that may have been published are read: those with a draft newer than their live version
first, then those that were published lately. A limit keeps that from becoming a second backfill.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from versionsync.ledger.records import KnownRecord

__all__ = ["RECENTLY", "RESERVED_REQUESTS", "ReadLimit", "UnexplainedChange", "requests_for", "within"]

RECENTLY: Final = timedelta(days=7)
"""A record without a newer draft is a candidate if it was published at most this long before the change."""

RESERVED_REQUESTS: Final = 10
"""A run that found nothing else reads histories once it may send this many requests: the schema costs one of them."""

VERSIONS_PAGE: Final = 50
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ReadLimit:
    """How many requests may look for one change: `at_once` in one run, and `per_hour` on average after that."""

    at_once: int = 60
    per_hour: int = 60

    def allowance(self, last_read_at: datetime | None, now: datetime) -> int:
        """Return how many requests may be sent now, if histories were last read for this at `last_read_at`."""
        if last_read_at is None or now < last_read_at:
            return self.at_once
        return min(self.at_once, int((now - last_read_at) / HOUR * self.per_hour))

    @property
    def least(self) -> int:
        """For fewer requests than these, a run that rests does not begin to read."""
        return max(min(RESERVED_REQUESTS, self.at_once), 1)

    def at_most(self, per_hour: int) -> ReadLimit:
        """Return this limit, lowered to what a budget leaves for an hour."""
        return ReadLimit(min(self.at_once, per_hour), min(self.per_hour, per_hour))


@dataclass(frozen=True, slots=True)
class UnexplainedChange:
    """A change that no list shows: since when (None: it is no longer looked for), and when histories were last read."""

    since: datetime | None
    read_at: datetime | None


def requests_for(record: KnownRecord) -> int:
    """Return how many requests it takes to read the record and its whole history."""
    return 1 + max(1, -(-(record.version_count + 1) // VERSIONS_PAGE))


def within(requests: int, candidates: Iterable[KnownRecord]) -> Iterator[KnownRecord]:
    """Yield the first of the candidates whose histories take at most `requests` requests together."""
    for record in candidates:
        requests -= requests_for(record)
        if requests < 0:
            return
        yield record
