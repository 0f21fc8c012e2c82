"""How fast a run goes, and how long it will take. Pure: time is an argument."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from versionsync.sync.report import Progress

__all__ = ["Pace", "Sample", "sample_of"]

WINDOW_SECONDS: Final = 20.0
MIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """How far a run is.

    Attributes:
        settled: Records that need nothing more.
        total: All records. None: not known yet.
        versions: Versions that were added.
        requests: Requests that were sent.
        pulled: Records that were read.
        ahead: Records still to read, estimated from those that were listed.
    """

    settled: int
    total: int | None
    versions: int
    requests: int
    pulled: int = 0
    ahead: float = 0.0


def sample_of(progress: Progress) -> Sample:
    """Return the state of `progress`. A record is settled if it was listed and is unchanged, or was pulled."""
    counts = progress.counts
    done = counts.records_pulled + counts.records_failed
    waiting = max(progress.records_planned - done, 0)
    total = progress.records_total
    settled = max(counts.records_swept - waiting, 0) if total is not None else done
    if total is None and progress.records_planned:
        total = progress.records_planned
    unlisted = max((progress.records_total or 0) - counts.records_swept, 0)
    ahead = waiting + unlisted * progress.records_planned / max(counts.records_swept, 1)
    return Sample(settled, total, counts.versions_inserted, counts.requests, done, ahead)


class Pace:
    """Measures the speed over the last twenty seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Sample]] = deque()

    def add(self, state: Sample, now: float) -> None:
        """Add the `state` at `now`, in seconds of a monotonic clock."""
        self._seen.append((now, state))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()

    @property
    def requests_per_second(self) -> float | None:
        """Requests a second. None: too early to say."""
        span = self._span()
        return None if span is None else (self._seen[-1][1].requests - self._seen[0][1].requests) / span

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end. None: too early to say, or the total is not known."""
        span, last = self._span(), self._seen[-1][1] if self._seen else None
        if span is None or last is None or last.total is None:
            return None
        # Unchanged records settle by the page, five hundred at once: that says nothing about how long pulls take.
        if (pulled := last.pulled - self._seen[0][1].pulled) > 0:
            return last.ahead * span / pulled
        settled = last.settled - self._seen[0][1].settled
        return (last.total - last.settled) * span / settled if settled > 0 else None

    def _span(self) -> float | None:
        span = self._seen[-1][0] - self._seen[0][0] if self._seen else 0.0
        return span if span >= MIN_SECONDS else None
