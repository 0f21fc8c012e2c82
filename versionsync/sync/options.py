"""What a run should do: the source's settings, and the options of this run."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from versionsync.ledger.safeguards import MassDeleteLimit
from versionsync.sync.beacon import BEACON_TRUST
from versionsync.sync.unexplained_changes import ReadLimit

__all__ = ["SourceSpec", "SyncOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """One configured source, as far as the engine needs it.

    Attributes:
        name: Its name in the settings.
        base_url: The URL of the API.
        environment: The environment to mirror. None: the primary one, through promotions.
        mass_delete_limit: How many records one run may mark deleted.
        unexplained: How many requests may search for a change that no list shows.
    """

    name: str
    base_url: str
    environment: str | None = None
    mass_delete_limit: MassDeleteLimit = field(default_factory=MassDeleteLimit)
    unexplained: ReadLimit = field(default_factory=ReadLimit)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """What this run should do besides the usual.

    Attributes:
        full: Sweep whatever the beacon says, and read every history to its end.
        record_ids: Sync only these records.
        scrub: Read again the whole histories of this many records: those that were not read for longest.
        dry_run: Count what a sync would do, and write nothing.
        allow_mass_delete: Allow this run to mark more records deleted than the limit.
        wait_until_settled: If DatoCMS has only just changed, wait up to two seconds before the sweep. Then the next
            run needs one request to see that nothing changed since.
        quick_check_from: From how many records on a run tries the quick check before it lists all records.
        wait_seconds: How long to wait for a lease that another process holds.
        stall_seconds: End the run, as failed, after this long without progress. None: never.
        max_requests: End the run after this many requests. None: never.
        beacon_trust: How long after a complete sweep the beacon is trusted.
        trigger: What started the run: one of the values of `runs.trigger`.
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
