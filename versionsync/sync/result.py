"""What is made of a run when it is over: its outcome, its checkpoint, what is wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from versionsync.errors import ErrorKind, kind_of
from versionsync.ledger.ids import RecordId
from versionsync.sync.beacon import ActiveEnvironment, is_settled
from versionsync.sync.context import Checkpoint
from versionsync.sync.report import Outcome, RecordFailure, RunKind
from versionsync.sync.unexplained import UnexplainedChange

__all__ = [
    "COMPLETE_KINDS",
    "FAILURES_SHOWN",
    "RunResult",
    "checkpoint_of",
    "error_text",
    "kind_of_error",
    "outcome_of",
]


@dataclass(slots=True)
class RunResult:
    """What a run found besides what it wrote.

    Attributes:
        looked_from: When it began to look for changes, by our clock. None: it did not.
        began_at: The same by upstream's clock. None: it did not, or that is not known.
        has_swept: Whether it listed all records.
        is_complete: Whether it is sure to have seen every change.
        is_new_here: Whether another environment was swept last.
        changed: How many records differed from the mirror or were deleted.
        precision: How many decimals of a second upstream's times have. None: that was not seen.
        is_unexplained: Whether upstream reports a change since the last run, and nothing that was found is that change.
        unexplained: What is known of a change that no list shows. None: as before.
        schema_is_settled: Whether no model or field is left to be asked for, and none changed during the list.
        doubtful: The records whose meta and versions did not show the same state when they were last read.
        failures: The records that could not be mirrored.
        notes: What to report besides.
        blocked_views: The typed views that could not follow the schema, and why. None: that was not tried.
        would_pull: How many records a sync would read; set by a dry run only.
        would_delete: How many records a sync would ask for as deleted; set by a dry run only.
    """

    checked_from: datetime | None = None
    began_at: datetime | None = None
    has_swept: bool = False
    is_complete: bool = True
    is_first_sync: bool = False
    changed: int = 0
    precision: int | None = None
    is_unexplained: bool = False
    unexplained: UnexplainedChange | None = None
    schema_is_settled: bool = True
    inconsistent: set[RecordId] = field(default_factory=set)
    failures: list[RecordFailure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    blocked_views: Mapping[str, str] | None = None
    would_pull: int | None = None
    would_delete: int | None = None

    @property
    def only_unknown(self) -> bool:
        """Whether nothing is wrong but that records were asked for by id that neither upstream nor the mirror has."""
        return self.is_complete and all(failure.is_unknown for failure in self.failures)

    def mark_partial(self, reason: str) -> None:
        """The run is not sure to have seen every change, for this `reason`, which is told."""
        self.is_complete = False
        self.notes.append(reason)


FAILURES_SHOWN = 20
"""So many records that could not be mirrored are named, in the run's row and in the log."""

COMPLETE_KINDS = frozenset({RunKind.BACKFILL, RunKind.INCREMENTAL, RunKind.FULL})
"""What such a run began with is the whole source; the others read some histories only."""


def outcome_of(found: RunResult, error: BaseException | None) -> Outcome:
    """How a run ended that was not interrupted (invariant 7)."""
    if error is not None:
        return Outcome.FAILED
    return Outcome.PARTIAL if found.failures or not found.is_complete else Outcome.SUCCEEDED


def kind_of_error(outcome: Outcome, error: BaseException | None, *, only_unknown: bool = False) -> ErrorKind | None:
    """Return why a run did not do everything; None: it did, or it was interrupted, which is not a failure.

    `only_unknown`: it is partial only because some of the ids it was given are unknown.
    """
    if error is not None:
        return kind_of(error)
    if outcome is Outcome.PARTIAL and only_unknown:
        return ErrorKind.UNKNOWN_RECORD
    return ErrorKind.PARTIAL if outcome in (Outcome.PARTIAL, Outcome.FAILED) else None


def error_text(found: RunResult, error: BaseException | None) -> str | None:
    """For the run's row: what ended it, or what it could not do."""
    if error is not None:
        return str(error)
    lines = [f"record {failure.record_id}: {failure.reason}" for failure in found.failures[:FAILURES_SHOWN]]
    if len(found.failures) > FAILURES_SHOWN:
        lines.append(f"and {len(found.failures) - FAILURES_SHOWN} records more")
    if not found.is_complete:
        lines.extend(found.notes[:FAILURES_SHOWN])
    return "\n".join(lines) or None


def checkpoint_of(
    outcome: Outcome,
    found: RunResult,
    place: ActiveEnvironment | None,
    *,
    kind: RunKind,
    started_at: datetime,
    now: datetime,
) -> Checkpoint:
    """How far the mirror has come with this run. A beacon is kept only with everything behind it applied."""
    checkpoint: Checkpoint = {}
    if found.unexplained is not None and found.unexplained.read_at is not None:
        checkpoint["unexplained_read_at"] = found.unexplained.read_at
    if outcome is not Outcome.SUCCEEDED:
        return {**checkpoint, "last_data_change_is_settled": False} if found.checked_from else checkpoint
    checkpoint["last_success_at"] = now
    if found.unexplained is not None:
        checkpoint["unexplained_change_since"] = found.unexplained.since
    if kind is RunKind.SCRUB:
        checkpoint["last_scrub_at"] = now
    if kind in COMPLETE_KINDS:
        checkpoint["complete_as_of"] = started_at
    if found.checked_from and place is not None:
        beacon = place.beacon
        if found.has_swept:
            checkpoint["last_complete_sweep_at"] = found.checked_from
        checkpoint["last_data_change_at"] = beacon.last_data_change_at
        # In another environment older states are believed, so that an old answer is one that only a next look can tell.
        is_sure = found.schema_is_settled and not (found.inconsistent or found.is_first_sync or found.is_unexplained)
        checkpoint["last_data_change_is_settled"] = is_sure and is_settled(beacon, found.began_at)
    return checkpoint
