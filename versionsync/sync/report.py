"""What is asked of a run, how it is going, and what came of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from versionsync.cma import Usage
from versionsync.ledger.safeguards import MassDeleteLimit
from versionsync.sync.beacon import BEACON_TRUST
from versionsync.sync.unexplained import ReadLimit

__all__ = [
    "LAG_SECONDS",
    "Counts",
    "LagHistogram",
    "LeaseInfo",
    "Outcome",
    "Progress",
    "RecordFailure",
    "RunKind",
    "RunReport",
    "SourceSpec",
    "SyncOptions",
]

LAG_SECONDS: Final = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 6 * 3600.0, 86_400.0)
"""The upper ends of its classes; what took longer is in one more."""


@dataclass(slots=True)
class LagHistogram:
    """`numbers`: how many versions are in each class. Clocks may differ: less than nothing counts as nothing."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LAG_SECONDS) + 1))
    seconds: float = 0.0

    def observe(self, seconds: float) -> None:
        """One more version, that took so long."""
        seconds = max(seconds, 0.0)
        self.counts[bisect_left(LAG_SECONDS, seconds)] += 1
        self.seconds += seconds

    def add(self, other: LagHistogram) -> None:
        """Count what the other one has counted."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.seconds += other.seconds


class Outcome(StrEnum):
    """How a run ended; the values are those of `runs.outcome`."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class RunKind(StrEnum):
    """What a run set out to do; the values are those of `runs.kind`."""

    BACKFILL = "backfill"
    INCREMENTAL = "incremental"
    FULL = "full"
    RECORDS = "records"
    SCRUB = "scrub"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """One configured source, as far as the engine needs it.

    `environment` is None where it follows the primary one, `unexplained` limits the search for a change that no list
    shows.
    """

    name: str
    base_url: str
    environment: str | None = None
    mass_delete_limit: MassDeleteLimit = field(default_factory=MassDeleteLimit)
    unexplained: ReadLimit = field(default_factory=ReadLimit)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """What this run shall do besides the usual.

    `full`: sweep whatever the beacon says, and read every history to its end. `record_ids`: these records only.
    `scrub`: re-read the histories of that many records, the longest unread first. `allow_mass_delete`: the mass-vanish
    brake is off for this run. `settle`: wait up to two seconds where upstream has only just changed, so that the next
    run can tell by one request that nothing did since. `glance_from`: from how many records on changes are asked for
    before all records are listed. `wait_seconds`: how long to wait for another process's lease. `stall_seconds`: the
    run is ended, as failed, when nothing moves for so long (None: it never is). `max_requests`: it is ended when it has
    sent so many. `beacon_trust`: for so long after a complete sweep upstream's stamp of the last change is believed.
    """

    full: bool = False
    record_ids: tuple[str, ...] = ()
    scrub: int = 0
    dry_run: bool = False
    allow_mass_delete: bool = False
    wait_until_settled: bool = True
    quick_check_from: int = 2000
    wait_seconds: float = 0.0
    stall_seconds: float | None = None
    max_requests: int | None = None
    beacon_trust: timedelta = BEACON_TRUST
    trigger: str = "cli"


@dataclass(slots=True)
class Counts:
    """The counts of `runs`, rising while a run goes on."""

    requests: int = 0
    throttled: int = 0
    bytes_received: int = 0
    records_swept: int = 0
    records_pulled: int = 0
    records_failed: int = 0
    versions_inserted: int = 0
    versions_changed: int = 0
    versions_rewritten: int = 0
    events_written: int = 0

    def __add__(self, more: Counts) -> Counts:
        """Both together."""
        return Counts(**{each.name: getattr(self, each.name) + getattr(more, each.name) for each in fields(self)})


@dataclass(slots=True)
class LeaseInfo:
    """The lease that a run holds: its epoch, and until when it is ours at least, by the clock that never jumps."""

    epoch: int
    until: float


@dataclass(slots=True)
class Progress:
    """How a run is going; written by the engine, read by whoever draws it. `on_phase` is told of each phase.

    `phase` is one of waiting, connecting, sweeping, pulling, checking, finished. `records_total` is how many records
    upstream has (None until the first page), `records_planned` how many of those seen so far need a pull.
    `queued_bytes` wait to be written; `lag` is that of the versions that were inserted.
    """

    source: str
    phase: str = "connecting"
    records_total: int | None = None
    records_planned: int = 0
    queued_bytes: int = 0
    lease: LeaseInfo | None = None
    lag: LagHistogram = field(default_factory=LagHistogram)
    counts: Counts = field(default_factory=Counts)
    on_phase: Callable[[str], None] | None = field(default=None, repr=False, compare=False)

    def set_phase(self, phase: str) -> None:
        """Another phase begins."""
        self.phase = phase
        if self.on_phase is not None:
            self.on_phase(phase)

    def sent(self, usage: Usage) -> Counts:
        """The counts, now that so much was sent and received."""
        counts = self.counts
        counts.requests, counts.throttled, counts.bytes_received = usage.requests, usage.throttled, usage.bytes_received
        return counts


@dataclass(frozen=True, slots=True)
class RecordFailure:
    """A record that could not be mirrored in this run, and why. It is tried again by the next one (invariant 13).

    `is_unknown`: it was asked for by its id, and neither upstream nor the mirror knows it.
    """

    record_id: str
    reason: str
    is_unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What came of one run.

    `error` ended a failed one; `run_id` is None if nothing was recorded (a dry run). `unexplained_change_since`: the
    search for a change that no list shows is under way since then. `blocked_views`: the typed views that could not
    follow the schema, and why; None: that was not tried.
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
