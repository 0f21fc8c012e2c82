"""What is made of a run when it is over: its outcome, its checkpoint, what is wrong with it. Pure."""

from __future__ import annotations

from datetime import datetime

from versionsync.sync.beacon import is_settled
from versionsync.sync.desk import Checkpoint
from versionsync.sync.environment import Place
from versionsync.sync.findings import Findings
from versionsync.sync.report import Outcome, RunKind

__all__ = ["FAILURES_TOLD", "LOOKS_AT_ALL", "checkpoint_of", "outcome_of", "wrongs_of"]

FAILURES_TOLD = 20
"""So many records that could not be mirrored are named, in the run's row and in the log."""

LOOKS_AT_ALL = frozenset({RunKind.BACKFILL, RunKind.INCREMENTAL, RunKind.FULL})
"""What such a run began with is the whole source; the others read some histories only."""


def outcome_of(found: Findings, error: BaseException | None) -> Outcome:
    """How a run ended that was not interrupted (invariant 7)."""
    if error is not None:
        return Outcome.FAILED
    return Outcome.PARTIAL if found.failures or not found.is_complete else Outcome.SUCCEEDED


def wrongs_of(found: Findings, error: BaseException | None) -> str | None:
    """For the run's row: what ended it, or what it could not do."""
    if error is not None:
        return str(error)
    lines = [f"record {failure.record_id}: {failure.reason}" for failure in found.failures[:FAILURES_TOLD]]
    if len(found.failures) > FAILURES_TOLD:
        lines.append(f"and {len(found.failures) - FAILURES_TOLD} records more")
    if not found.is_complete:
        lines.extend(found.notes[:FAILURES_TOLD])
    return "\n".join(lines) or None


def checkpoint_of(
    outcome: Outcome, found: Findings, place: Place | None, *, kind: RunKind, started_at: datetime, now: datetime
) -> Checkpoint:
    """How far the mirror has come with this run. A beacon is kept only with everything behind it applied."""
    checkpoint: Checkpoint = {}
    if found.unexplained is not None and found.unexplained.read_at is not None:
        checkpoint["unexplained_read_at"] = found.unexplained.read_at
    if outcome is not Outcome.SUCCEEDED:
        return {**checkpoint, "beacon_is_settled": False} if found.looked_from else checkpoint
    checkpoint["last_success_at"] = now
    if found.unexplained is not None:
        checkpoint["unexplained_change_since"] = found.unexplained.since
    if kind is RunKind.SCRUB:
        checkpoint["last_scrub_at"] = now
    if kind in LOOKS_AT_ALL:
        checkpoint["whole_as_of"] = started_at
    if found.looked_from and place is not None:
        beacon = place.beacon
        if found.has_swept:
            checkpoint["last_complete_sweep_at"] = found.looked_from
        checkpoint["last_data_change_at"] = beacon.last_data_change_at
        # In another environment older states are believed, so that an old answer is one that only a next look can tell.
        is_sure = found.schema_is_settled and not (found.doubtful or found.is_new_here or found.is_unexplained)
        checkpoint["beacon_is_settled"] = is_sure and is_settled(beacon, found.began_at)
    return checkpoint
