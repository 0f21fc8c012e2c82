"""What a run found, and what follows from it: its outcome, its checkpoint, its error text. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from versionsync.errors import ErrorKind, kind_of
from versionsync.ledger.ids import ModelId, RecordId
from versionsync.sync.beacon import ActiveEnvironment, is_settled
from versionsync.sync.report import Outcome, RecordFailure, RunKind
from versionsync.sync.unexplained_changes import UnexplainedChange

__all__ = [
    "FAILURES_SHOWN",
    "Checkpoint",
    "RunResult",
    "StageResult",
    "checkpoint_of",
    "error_text",
    "kind_of_error",
    "outcome_of",
    "partial_result",
]

FAILURES_SHOWN = 20
"""How many records that could not be mirrored the run's row and the log name."""

COMPLETE_KINDS = frozenset({RunKind.BACKFILL, RunKind.INCREMENTAL, RunKind.FULL})
"""Runs of these kinds read the state of the whole source. The others read some histories only."""


Checkpoint = dict[str, datetime | bool | None]
"""The fields of a source's `Checkpoint` that the end of a run sets. Those that are left out keep their values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """What one stage found, besides what it wrote. Results of several stages add up.

    Attributes:
        changed: How many records differed from the mirror, or were deleted.
        failures: The records that could not be mirrored.
        missing: Records that were listed, or asked for by id, and were not found when they were read.
        regressed: Records that DatoCMS showed in an older state than the mirror holds.
        inconsistent: Records whose meta and versions did not show the same state.
        consistent: Records of which an earlier stage said so, and that show one state now.
        hidden: How many records were not found and not marked deleted because the role may hide them, by model.
        notes: What else to report.
        is_complete: Whether the stage is certain to have seen every change.
        schema_is_settled: Whether no model or field remains to be checked, and none changed meanwhile.
    """

    changed: int = 0
    failures: tuple[RecordFailure, ...] = ()
    missing: tuple[RecordId, ...] = ()
    regressed: frozenset[RecordId] = frozenset()
    inconsistent: frozenset[RecordId] = frozenset()
    consistent: frozenset[RecordId] = frozenset()
    hidden: Counter[ModelId] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()
    is_complete: bool = True
    schema_is_settled: bool = True

    def __add__(self, later: StageResult) -> StageResult:
        return StageResult(
            changed=self.changed + later.changed,
            failures=self.failures + later.failures,
            missing=self.missing + later.missing,
            regressed=self.regressed | later.regressed,
            inconsistent=(self.inconsistent - later.consistent) | later.inconsistent,
            consistent=self.consistent | later.consistent,
            hidden=self.hidden + later.hidden,
            notes=self.notes + later.notes,
            is_complete=self.is_complete and later.is_complete,
            schema_is_settled=self.schema_is_settled and later.schema_is_settled,
        )


def partial_result(*reasons: str) -> StageResult:
    """Return the result of a stage that may not have seen every change, for these reasons."""
    return StageResult(notes=reasons, is_complete=False)


@dataclass(slots=True)
class RunResult:
    """What a run found, composed of the results of its stages. What is in it stays when a later stage fails.

    Attributes:
        found: The sum of the results of all stages so far.
        failures: The records that could not be mirrored, each once.
        checked_from: When the run began to look for changes, by the local clock. None: it did not.
        began_at: The same by DatoCMS's clock. None: it did not, or DatoCMS did not say.
        has_swept: Whether it listed all records.
        is_first_sync: Whether no earlier run has swept this environment.
        precision: How many decimals of a second DatoCMS's times have. None: no time was seen.
        is_unexplained: Whether DatoCMS reports a change since the last run, and nothing that was found is that change.
        unexplained: What is known about a change that no list shows. None: nothing new.
        unexplained_since: Since when runs search for such a change. None: they do not.
        blocked_views: The typed views that could not follow the schema, and why. None: that was not tried.
        would_pull: How many records a sync would read. Only in a dry run.
        would_delete: How many records a sync would check for deletion. Only in a dry run.
    """

    found: StageResult = field(default_factory=StageResult)
    failures: list[RecordFailure] = field(default_factory=list)
    checked_from: datetime | None = None
    began_at: datetime | None = None
    has_swept: bool = False
    is_first_sync: bool = False
    precision: int | None = None
    is_unexplained: bool = False
    unexplained: UnexplainedChange | None = None
    unexplained_since: datetime | None = None
    blocked_views: Mapping[str, str] | None = None
    would_pull: int | None = None
    would_delete: int | None = None

    @property
    def only_unknown(self) -> bool:
        """Return whether the only failures are ids that neither DatoCMS nor the mirror has."""
        return self.found.is_complete and all(failure.is_unknown for failure in self.failures)

    def add(self, stage: StageResult) -> None:
        self.found += stage

    def note(self, notes: Iterable[str]) -> None:
        self.add(StageResult(notes=tuple(notes)))

    def take_missing(self) -> tuple[RecordId, ...]:
        """Return the missing records, and leave none: the caller confirms them."""
        missing = self.found.missing
        self.found = replace(self.found, missing=())
        return missing

    def take_regressed(self) -> frozenset[RecordId]:
        """Return the regressed records, and leave none: the caller reads them again."""
        regressed = self.found.regressed
        self.found = replace(self.found, regressed=frozenset())
        return regressed

    def collect_failures(self) -> None:
        """Add the failures of all stages to those of the last sweep. Call it once, after the last stage."""
        missing = (RecordFailure(id, "it exists, but its versions are not found") for id in self.found.missing)
        last = {failure.record_id: failure for failure in (*self.found.failures, *missing)}  # some were read twice
        of_sweep = {failure.record_id for failure in self.failures}
        self.failures.extend(failure for id, failure in last.items() if id not in of_sweep)


def outcome_of(result: RunResult, error: BaseException | None) -> Outcome:
    """Return how a run ended that was not interrupted (invariant 7)."""
    if error is not None:
        return Outcome.FAILED
    return Outcome.PARTIAL if result.failures or not result.found.is_complete else Outcome.SUCCEEDED


def kind_of_error(outcome: Outcome, error: BaseException | None, *, only_unknown: bool = False) -> ErrorKind | None:
    """Return why a run did not do everything; None: it did, or it was interrupted, which is not a failure.

    `only_unknown`: it is partial only because some of the ids it was given are unknown.
    """
    if error is not None:
        return kind_of(error)
    if outcome is Outcome.PARTIAL and only_unknown:
        return ErrorKind.UNKNOWN_RECORD
    return ErrorKind.PARTIAL if outcome in (Outcome.PARTIAL, Outcome.FAILED) else None


def error_text(result: RunResult, error: BaseException | None) -> str | None:
    """Return what ended the run, or what it could not do, for the run's row."""
    if error is not None:
        return str(error)
    lines = [f"record {failure.record_id}: {failure.reason}" for failure in result.failures[:FAILURES_SHOWN]]
    if len(result.failures) > FAILURES_SHOWN:
        lines.append(f"and {len(result.failures) - FAILURES_SHOWN} records more")
    if not result.found.is_complete:
        lines.extend(result.found.notes[:FAILURES_SHOWN])
    return "\n".join(lines) or None


def checkpoint_of(
    outcome: Outcome,
    result: RunResult,
    environment: ActiveEnvironment | None,
    *,
    kind: RunKind,
    started_at: datetime,
    now: datetime,
) -> Checkpoint:
    """Return how far the mirror has come with this run. A beacon is saved only if everything before it is applied.

    Args:
        outcome: How the run ended.
        result: What it found.
        environment: What it synced. None: it did not get that far.
        kind: What the run did.
        started_at: When it began.
        now: The local time.
    """
    checkpoint: Checkpoint = {}
    if result.unexplained is not None and result.unexplained.read_at is not None:
        checkpoint["unexplained_read_at"] = result.unexplained.read_at
    if outcome is not Outcome.SUCCEEDED:
        return {**checkpoint, "last_data_change_is_settled": False} if result.checked_from else checkpoint
    checkpoint["last_success_at"] = now
    if result.unexplained is not None:
        checkpoint["unexplained_change_since"] = result.unexplained.since
    if kind is RunKind.SCRUB:
        checkpoint["last_scrub_at"] = now
    if kind in COMPLETE_KINDS:
        checkpoint["complete_as_of"] = started_at
    if result.checked_from and environment is not None:
        if result.has_swept:
            checkpoint["last_complete_sweep_at"] = result.checked_from
        checkpoint["last_data_change_at"] = environment.beacon.last_data_change_at
        # The first sync of an environment accepts older states, so only the next run can find out an old answer.
        found = result.found
        is_certain = found.schema_is_settled and not (
            found.inconsistent or result.is_first_sync or result.is_unexplained
        )
        checkpoint["last_data_change_is_settled"] = is_certain and is_settled(environment.beacon, result.began_at)
    return checkpoint
