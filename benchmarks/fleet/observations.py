"""What was seen of several daemons, and what follows from it: who held what when, and what overlapped. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil

__all__ = ["Sample", "Span", "ended_by_kill", "held_at", "longest_pause", "overlapping", "settled_after"]


@dataclass(frozen=True, slots=True)
class Sample:
    """How many sources each living daemon held at a time, by the daemon's number."""

    at: float
    held: Mapping[int, int]

    def is_settled(self, *, sources: int, daemons: int) -> bool:
        """Return whether every source is held, and no daemon has more than one above its share, rounded up."""
        most = max(self.held.values(), default=0)
        return sum(self.held.values()) == sources and most <= ceil(sources / daemons) + 1


@dataclass(frozen=True, slots=True)
class Span:
    """A run or a request: the source, the number of the daemon, its begin and its end."""

    source: int
    daemon: int
    began: float
    ended: float


def settled_after(samples: Sequence[Sample], since: float, *, sources: int, daemons: int) -> float | None:
    """Return the seconds from `since` until the work was divided and stayed so. None: it is not at the end."""
    settled_at = None
    for sample in samples:
        if sample.at < since:
            continue
        if not sample.is_settled(sources=sources, daemons=daemons):
            settled_at = None
        elif settled_at is None:
            settled_at = sample.at
    return None if settled_at is None else settled_at - since


def held_at(samples: Sequence[Sample], at: float) -> Mapping[int, int] | None:
    """Return what each daemon held in the last sample until `at`. None: there is no such sample."""
    return next((sample.held for sample in reversed(samples) if sample.at <= at), None)


def longest_pause(runs: Iterable[Span], since: float, until: float) -> float | None:
    """Return the longest time in which a source was not checked, of all pauses that ended after `since`.

    A pause is the time between the beginnings of two runs of a source, or from the last one to `until`.
    """
    begins: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        if run.began <= until:
            begins[run.source].append(run.began)
    pauses = []
    for times in begins.values():
        times = [*sorted(times), until]
        pauses += [after - before for before, after in pairwise(times) if after >= since]
    return max(pauses, default=None)


def overlapping(spans: Iterable[Span], since: float = 0.0) -> int:
    """Return how many spans began, after `since`, while one of another daemon for the same source was in progress."""
    found = 0
    ends: dict[int, dict[int, float]] = defaultdict(dict)
    for span in sorted(spans, key=lambda span: span.began):
        of_source = ends[span.source]
        others = (end for daemon, end in of_source.items() if daemon != span.daemon)
        found += span.began >= since and any(end > span.began for end in others)
        of_source[span.daemon] = max(span.ended, of_source.get(span.daemon, 0.0))
    return found


def ended_by_kill(runs: Iterable[Span], killed: Mapping[int, float]) -> list[Span]:
    """Return the runs with those of killed processes cut off at their end: the database hears of it later.

    Args:
        runs: The runs; `daemon` is the process id here.
        killed: When each killed process ended, by its id.
    """
    return [replace(run, ended=min(run.ended, killed.get(run.daemon, run.ended))) for run in runs]
