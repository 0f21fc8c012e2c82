"""Changes that no list shows, and how many requests may search for them. Pure.

Publishing again may leave a record's meta as it was, for instance if other locales are published. Only its versions
show it. Then DatoCMS's time of the last change has moved, and nothing that the run found explains it. So the run reads
the histories of records that may have been published: first those with a draft newer than the published version, then
those published recently. A limit keeps that from becoming a second backfill.
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
"""A run without other work reads histories only if it may send this many requests. The schema costs one of them."""

VERSIONS_PAGE: Final = 50
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ReadLimit:
    """How many requests may search for one change: `at_once` in one run, then `per_hour` on average."""

    at_once: int = 60
    per_hour: int = 60

    def allowance(self, last_read_at: datetime | None, now: datetime) -> int:
        """Return how many requests may be sent now, if histories were last read for this at `last_read_at`."""
        if last_read_at is None or now < last_read_at:
            return self.at_once
        return min(self.at_once, int((now - last_read_at) / HOUR * self.per_hour))

    @property
    def least(self) -> int:
        """Return how many requests a run without other work must be allowed before it begins to read."""
        return max(min(RESERVED_REQUESTS, self.at_once), 1)

    def at_most(self, per_hour: int) -> ReadLimit:
        """Return this limit, lowered to what a budget leaves for an hour."""
        return ReadLimit(min(self.at_once, per_hour), min(self.per_hour, per_hour))


@dataclass(frozen=True, slots=True)
class UnexplainedChange:
    """A change that no list shows.

    `since` is when it was noticed (None: the search is over), `read_at` when histories were last read for it.
    """

    since: datetime | None
    read_at: datetime | None


def requests_for(record: KnownRecord) -> int:
    """Return how many requests it takes to read the record and its whole history."""
    return 1 + max(1, -(-(record.version_count + 1) // VERSIONS_PAGE))


def within(requests: int, candidates: Iterable[KnownRecord]) -> Iterator[KnownRecord]:
    """Yield the first candidates whose histories take at most `requests` requests together."""
    for record in candidates:
        requests -= requests_for(record)
        if requests < 0:
            return
        yield record
