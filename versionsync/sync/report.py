"""The progress of a run, and its report."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from versionsync.cma import Usage
from versionsync.mirror.tables.runs import Counts

__all__ = [
    "LAG_SECONDS",
    "LagHistogram",
    "LeaseInfo",
    "Outcome",
    "Progress",
    "RecordFailure",
    "RunKind",
    "RunReport",
]

LAG_SECONDS: Final = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 6 * 3600.0, 86_400.0)
"""The upper bounds of the buckets of `LagHistogram`. One more bucket has everything above them."""


@dataclass(slots=True)
class LagHistogram:
    """How long it took from the creation of versions in DatoCMS to their insertion.

    `counts` has the number of versions in each bucket. Clocks may differ, so a negative lag counts as zero.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(LAG_SECONDS) + 1))
    seconds: float = 0.0

    def observe(self, seconds: float) -> None:
        seconds = max(seconds, 0.0)
        self.counts[bisect_left(LAG_SECONDS, seconds)] += 1
        self.seconds += seconds

    def add(self, other: LagHistogram) -> None:
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.seconds += other.seconds


class Outcome(StrEnum):
    """How a run ended. The values are those of `runs.outcome`."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class RunKind(StrEnum):
    """What a run does. The values are those of `runs.kind`."""

    BACKFILL = "backfill"
    INCREMENTAL = "incremental"
    FULL = "full"
    RECORDS = "records"
    SCRUB = "scrub"


@dataclass(slots=True)
class LeaseInfo:
    """The lease of a run: its epoch, and until when it is valid at least, by the monotonic clock."""

    epoch: int
    until: float


@dataclass(slots=True)
class Progress:
    """The progress of a run. The engine writes it; the progress bar, the daemon and the metrics read it.

    Attributes:
        phase: One of waiting, connecting, sweeping, pulling, checking, finished.
        records_total: How many records DatoCMS has. None until the first page.
        records_planned: How many of the records seen so far need a pull.
        queued_bytes: How many bytes wait to be written.
        waits_for_others: Whether the run can only go on when other runs free some memory.
        lease: The lease that the run holds.
        lag: The lag of the versions that were inserted.
        counts: The counts of the run so far.
        on_phase: Called at the start of each phase.
    """

    source: str
    phase: str = "connecting"
    records_total: int | None = None
    records_planned: int = 0
    queued_bytes: int = 0
    waits_for_others: bool = False
    lease: LeaseInfo | None = None
    lag: LagHistogram = field(default_factory=LagHistogram)
    counts: Counts = field(default_factory=Counts)
    on_phase: Callable[[str], None] | None = field(default=None, repr=False, compare=False)

    def set_phase(self, phase: str) -> None:
        self.phase = phase
        if self.on_phase is not None:
            self.on_phase(phase)

    def count_usage(self, usage: Usage) -> Counts:
        """Take over the client's counts of requests, and return all counts."""
        counts = self.counts
        counts.requests, counts.throttled, counts.bytes_received = usage.requests, usage.throttled, usage.bytes_received
        return counts


@dataclass(frozen=True, slots=True)
class RecordFailure:
    """A record that this run could not mirror, and why. The next run tries again (invariant 13).

    `is_unknown`: it was asked for by id, and neither DatoCMS nor the mirror has it.
    """

    record_id: str
    reason: str
    is_unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """The result of one run.

    Attributes:
        kind: What the run did.
        outcome: How it ended.
        counts: What it read and wrote.
        run_id: The id of its row. None: nothing was recorded, as in a dry run.
        project_name: The project's name, if the source was synced before.
        environment: The environment that was synced. None: the run did not get that far.
        error: What ended a failed run.
        failures: The records that could not be mirrored.
        notes: What else the user should know.
        would_pull: How many records a sync would read. Only in a dry run.
        would_delete: How many records a sync would check for deletion. Only in a dry run.
        unexplained_change_since: Since when runs search for a change that no list shows. None: they do not.
        blocked_views: The typed views that could not follow the schema, and why. None: that was not tried.
        upstream_changed_at: When something last changed in DatoCMS. None: it does not say, or the run did not get that
            far.
    """

    source: str
    kind: RunKind
    outcome: Outcome
    counts: Counts
    run_id: int | None = None
    project_name: str | None = None
    environment: str | None = None
    error: BaseException | None = None
    failures: Sequence[RecordFailure] = ()
    notes: Sequence[str] = ()
    would_pull: int | None = None
    would_delete: int | None = None
    unexplained_change_since: datetime | None = None
    blocked_views: Mapping[str, str] | None = None
    upstream_changed_at: datetime | None = None

    @classmethod
    def failed(cls, source: str, error: BaseException, counts: Counts) -> RunReport:
        """Return the report of a run that an error ended outside the engine."""
        return cls(source=source, kind=RunKind.INCREMENTAL, outcome=Outcome.FAILED, counts=counts, error=error)
