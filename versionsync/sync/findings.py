"""What a run found besides what it wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from versionsync.ledger.ids import RecordId
from versionsync.sync.report import RecordFailure
from versionsync.sync.unexplained import UnexplainedChange

__all__ = ["Findings"]


@dataclass(slots=True)
class Findings:
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

    looked_from: datetime | None = None
    began_at: datetime | None = None
    has_swept: bool = False
    is_complete: bool = True
    is_new_here: bool = False
    changed: int = 0
    precision: int | None = None
    is_unexplained: bool = False
    unexplained: UnexplainedChange | None = None
    schema_is_settled: bool = True
    doubtful: set[RecordId] = field(default_factory=set)
    failures: list[RecordFailure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    blocked_views: Mapping[str, str] | None = None
    would_pull: int | None = None
    would_delete: int | None = None

    @property
    def only_unknown(self) -> bool:
        """Whether nothing is wrong but that records were asked for by id that neither upstream nor the mirror has."""
        return self.is_complete and all(failure.is_unknown for failure in self.failures)

    def fall_short(self, reason: str) -> None:
        """The run is not sure to have seen every change, for this `reason`, which is told."""
        self.is_complete = False
        self.notes.append(reason)
