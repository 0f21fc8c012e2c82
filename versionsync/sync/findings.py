"""What a run found besides what it wrote."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from versionsync.ledger.ids import RecordId
from versionsync.sync.report import RecordFailure
from versionsync.sync.unexplained import UnexplainedChange

__all__ = ["Findings"]


@dataclass(slots=True)
class Findings:
    """What a run found besides what it wrote.

    `looked_from` and `began_at` are our clock and upstream's when it began to look for changes (None: it did not, or it
    cannot be told), `has_swept` whether it listed all records, `is_complete` whether it is sure to have seen every
    change, `is_new_here` whether another environment was swept last, `schema_is_settled` whether no model or field is
    left to be asked for and none changed while records were listed, `changed` how many records differed from the mirror
    or were deleted, `unexplained` what is known of a change that no list shows (None: as before), `doubtful` holds the
    records of which two answers did not tell the same state when they were last read.
    The last two are set by a rehearsal only.
    """

    looked_from: datetime | None = None
    began_at: datetime | None = None
    has_swept: bool = False
    is_complete: bool = True
    is_new_here: bool = False
    changed: int = 0
    unexplained: UnexplainedChange | None = None
    schema_is_settled: bool = True
    doubtful: set[RecordId] = field(default_factory=set)
    failures: list[RecordFailure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
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
