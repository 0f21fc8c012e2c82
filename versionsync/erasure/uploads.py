"""Plan and carry out the erasure of an upload: what the mirror knows of it, and what contents say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from versionsync.erasure.carry_out import erase_record, under_lease
from versionsync.erasure.errors import CannotErase
from versionsync.history.model import UsageTarget
from versionsync.history.questions.usage import find_target
from versionsync.history.scope import Scope
from versionsync.ledger.erasure import Erasure, erase_content
from versionsync.ledger.events import EventType, observed_event
from versionsync.ledger.ids import ModelId, RecordId
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.erasable import EraseContent, Found, find_contents, records_naming
from versionsync.mirror.holder import this_user
from versionsync.mirror.schema import records
from versionsync.mirror.tables.erasures import ErasureRow, find_upload_erasure, insert_erasure
from versionsync.mirror.tables.events import write_events
from versionsync.mirror.tables.leases import Lease
from versionsync.mirror.tables.links import UPLOAD
from versionsync.mirror.tables.uploads import count_details, erase_upload

__all__ = ["FoundUpload", "UploadErased", "UploadPlan", "erase_known_upload", "plan_upload_erasure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundUpload:
    """What an erasure finds of an upload.

    Attributes:
        details: How many rows of `uploads` have details of it: 1 or 0.
        changes: How many rows of `upload_changes` have former ones.
        records: What is found in each record whose contents say something of it.
    """

    details: int
    changes: int
    records: Mapping[str, Found]

    @property
    def versions(self) -> int:
        """How many versions say something of it."""
        return sum(found.versions for found in self.records.values())

    @property
    def rewrites(self) -> int:
        """How many former contents of versions do."""
        return sum(found.rewrites for found in self.records.values())

    @property
    def plans(self) -> tuple[str, ...]:
        """The plans of `restore` that are emptied."""
        return tuple(sorted({plan for found in self.records.values() for plan in found.plans}))


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPlan:
    """What an erasure would do. `covered_by`: the erasure in force that covers it; None: this one makes a new mark."""

    target: UsageTarget
    found: FoundUpload
    covered_by: ErasureRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadErased:
    """What was erased. `erasure_id` names the mark that keeps syncs from bringing it back."""

    erasure_id: int
    found: FoundUpload


def plan_upload_erasure(mirror: Mirror, sources: tuple[str, ...], upload: str) -> UploadPlan:
    """Return what erasing an upload would do. It changes nothing.

    Args:
        mirror: The database.
        sources: The names of the sources to search. Empty: all.
        upload: The upload: its id, the beginning of one, its file name or its URL.

    Raises:
        HistoryError: No upload has this name, or several have.
        CannotErase: It is the name of a record.
    """

    def plan(connection: Connection) -> UploadPlan:
        target = find_target(connection, Scope.load(connection, sources), upload)
        if target.target_kind != UPLOAD:
            raise CannotErase(f"no file is called “{upload}”, but a record is", hint="Leave out --upload.")
        return UploadPlan(
            target=target,
            found=_find(connection, target.source_id, target.target_id),
            covered_by=find_upload_erasure(connection, target.source_id, target.target_id),
        )

    return mirror.query(plan)


def erase_known_upload(
    mirror: Mirror, target: UsageTarget, *, reason: str | None, now: Callable[[], datetime], wait_seconds: float
) -> UploadErased:
    """Erase an upload in one transaction. What it erases is found again in that transaction.

    Args:
        mirror: The database.
        target: The upload.
        reason: Why. It is kept.
        now: The clock.
        wait_seconds: How long to wait if another process writes to the source.

    Raises:
        LeaseHeld: Another process still writes to the source.
        PlanIsRunning: A plan of `restore` that names one of the records is being carried out.
        MirrorError: The database cannot be written.
    """
    source_id, upload_id = target.source_id, target.target_id
    erase_one = _eraser(upload_id)

    def work(tx: Connection, lease: Lease) -> UploadErased:
        at = now()
        dialect_of(tx).overwrite_deleted(tx)
        found = _find(tx, source_id, upload_id)
        covered = find_upload_erasure(tx, source_id, upload_id)
        id = (
            covered.id
            if covered is not None
            else insert_erasure(tx, source_id, None, upload_id=upload_id, at=at, by=this_user(), reason=reason)
        )
        if found.details or found.changes:
            erase_upload(tx, source_id, upload_id, at=at)
        for record_id, of_record in found.records.items():
            erase_record(tx, source_id, record_id, erase_one, of_record, at=at)
        models = _models_of(tx, source_id, list(found.records))
        events = [
            observed_event(
                EventType.RECORD_ERASED,
                record_id,
                at,
                seen_before=None,
                record_id=RecordId(record_id),
                model_id=ModelId(models[record_id]),
                data={"erasure": id, "field": None, "locale": None, "upload": upload_id},
            )
            for record_id in found.records
        ]
        write_events(tx, lease, events, observed_at=at, run_id=None)
        return UploadErased(erasure_id=id, found=found)

    return under_lease(mirror, source_id, work, wait_seconds=wait_seconds)


def _find(connection: Connection, source_id: int, upload_id: str) -> FoundUpload:
    details, changes = count_details(connection, source_id, upload_id)
    erase_one = _eraser(upload_id)
    found = {
        record_id: find_contents(connection, source_id, record_id, erase_one)
        for record_id in records_naming(connection, source_id, upload_id)
    }
    touched = {record_id: one for record_id, one in found.items() if one.versions or one.rewrites}
    return FoundUpload(details=details, changes=changes, records=touched)


def _eraser(upload_id: str) -> EraseContent:
    erasure, no_field = Erasure(None, upload_id=upload_id), ModelId("")
    return lambda content, _: erase_content(content, no_field, [erasure])


def _models_of(connection: Connection, source_id: int, record_ids: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for chunk in chunked(record_ids):
        query = select(records.c.id, records.c.model_id).where(
            records.c.source_id == source_id, records.c.id.in_(chunk)
        )
        found |= {row.id: row.model_id for row in connection.execute(query)}
    return found
