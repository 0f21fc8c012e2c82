"""Plan an erasure, carry it out in one transaction, and lift it again.

The transaction holds the lease of the source: a run that had read the content before would otherwise write it back.
The same goes for the filling of projections, which drops its batch when the lease had another holder since.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import Connection

from versionsync.erasure.errors import CannotErase, PlanIsRunning, UnknownErasure
from versionsync.erasure.target import Target, content_eraser, find_field
from versionsync.history.names import find_record
from versionsync.history.projections.filling import FillState, ProjectionFiller
from versionsync.history.scope import Scope
from versionsync.ledger.events import EventType, observed_event
from versionsync.ledger.ids import ModelId, RecordId
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.engine.full_text import full_text_of
from versionsync.mirror.erasable import (
    PLACES,
    EraseContent,
    Found,
    empty_plans,
    erase_contents,
    erase_derived,
    erase_hashes,
    find_contents,
    records_naming,
)
from versionsync.mirror.errors import LeaseHeld, MirrorError
from versionsync.mirror.holder import this_user
from versionsync.mirror.tables.erasures import (
    ErasureRow,
    find_erasure,
    insert_erasure,
    lift_erasure,
    lift_upload_erasure,
    list_erasures,
    mark_cleaned,
)
from versionsync.mirror.tables.events import write_events
from versionsync.mirror.tables.leases import Holder, Lease, acquire, assert_and_renew, release, release_in
from versionsync.mirror.tables.restores import holder_of_plan

__all__ = ["ErasePlan", "Erased", "clean", "erase", "erase_record", "lift", "plan_erasure", "under_lease"]

POLL_SECONDS: Final = 0.5
"""How often to try for the lease."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasePlan:
    """What an erasure would do.

    Attributes:
        target: What is erased.
        found: What was found of it.
        covered_by: The erasure in force that covers it. None: this one makes a new mark.
    """

    target: Target
    found: Found
    covered_by: ErasureRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was erased. `erasure_id` names the mark that keeps syncs from bringing it back."""

    erasure_id: int
    found: Found


def plan_erasure(
    mirror: Mirror, sources: tuple[str, ...], record: str, *, field: str | None = None, locale: str | None = None
) -> ErasePlan:
    """Return what erasing a record, or a field of it, would do. It changes nothing.

    Args:
        mirror: The database.
        sources: The names of the sources to search. Empty: all.
        record: The record, as `find_record` takes it.
        field: Only this field, as `find_field` takes it.
        locale: Only this locale of the field.

    Raises:
        HistoryError: No record has this name, or several have.
        CannotErase: There is no such field, or it has no such locale.
    """

    def plan(connection: Connection) -> ErasePlan:
        scope = Scope.load(connection, sources)
        found = find_record(connection, scope, record)
        target = Target(record=found)
        if field is not None:
            target = Target(record=found, field=find_field(connection, found, field), locale=locale)
        contents = find_contents(connection, found.source_id, found.record_id, content_eraser(connection, target))
        locales = scope.source(found.source_id).project.locales
        if target.field is not None and locale is not None:
            if not target.field.is_localized:
                raise CannotErase(f"the field {target.field.api_key} is not localized", hint="Leave out --locale.")
            if locale not in locales and not contents.versions:
                raise CannotErase(f"no version has the locale {locale}", hint=f"There are {', '.join(locales)}.")
        covered = find_erasure(connection, found.source_id, found.record_id, target.field_id, target.locale)
        return ErasePlan(target=target, found=contents, covered_by=covered)

    return mirror.query(plan)


def erase(
    mirror: Mirror, target: Target, *, reason: str | None, now: Callable[[], datetime], wait_seconds: float
) -> Erased:
    """Erase content in one transaction. What it erases is found again in that transaction.

    Args:
        mirror: The database.
        target: What to erase.
        reason: Why. It is kept.
        now: The clock.
        wait_seconds: How long to wait if another process writes to the source.

    Raises:
        LeaseHeld: Another process still writes to the source.
        PlanIsRunning: A plan of `restore` that names the record is being carried out.
        MirrorError: The database cannot be written.
    """
    source_id, record_id = target.record.source_id, target.record.record_id

    def work(tx: Connection, lease: Lease) -> Erased:
        at = now()
        dialect_of(tx).overwrite_deleted(tx)
        erase_one = content_eraser(tx, target)
        found = find_contents(tx, source_id, record_id, erase_one)
        covered = find_erasure(tx, source_id, record_id, target.field_id, target.locale)
        is_done = covered is not None and not found.versions and not found.rewrites
        erase_record(tx, source_id, record_id, erase_one, found, at=at, is_done=is_done)
        if covered is not None and is_done:
            return Erased(erasure_id=covered.id, found=found)
        id = (
            covered.id
            if covered is not None
            else insert_erasure(
                tx,
                source_id,
                record_id,
                field_id=target.field_id,
                locale=target.locale,
                at=at,
                by=this_user(),
                reason=reason,
            )
        )
        event = observed_event(
            EventType.RECORD_ERASED,
            record_id,
            at,
            seen_before=None,
            record_id=RecordId(record_id),
            model_id=ModelId(target.record.model_id),
            data={"erasure": id, "field": target.field_id, "locale": target.locale},
        )
        write_events(tx, lease, [event], observed_at=at, run_id=None)
        return Erased(erasure_id=id, found=found)

    return under_lease(mirror, source_id, work, wait_seconds=wait_seconds)


def erase_record(
    tx: Connection,
    source_id: int,
    record_id: str,
    erase_one: EraseContent,
    found: Found,
    *,
    at: datetime,
    is_done: bool = False,
) -> None:
    """Erase what was found of a record, in all tables. The caller writes the event.

    Args:
        tx: The transaction.
        source_id: The source.
        record_id: The record.
        erase_one: Returns what is left of a content.
        found: What was found, in this transaction.
        at: The time.
        is_done: All was erased before: what is derived stays as it is.

    Raises:
        PlanIsRunning: A plan of `restore` that names the record is being carried out.
    """
    for plan_id in found.plans:
        if (holder := holder_of_plan(tx, source_id, plan_id)) is not None:
            raise PlanIsRunning(
                f"the restore plan {plan_id} names this record and is being carried out by {holder}",
                hint="Wait until it ends, or stop that process.",
            )
    erase_contents(tx, source_id, record_id, erase_one, at=at)
    erase_hashes(tx, source_id, record_id)
    empty_plans(tx, source_id, record_id)
    if not is_done:
        erase_derived(tx, source_id, record_id)


def lift(
    mirror: Mirror, source_ids: list[int], id: int, *, now: Callable[[], datetime], wait_seconds: float
) -> ErasureRow:
    """Lift an erasure, and return it as it was. Later versions are mirrored whole again.

    Raises:
        UnknownErasure: There is none of this number in these sources, or it is lifted already.
        LeaseHeld: Another process still writes to the source.
    """
    rows = mirror.query(lambda connection: list_erasures(connection, source_ids))
    row = next((one for one in rows if one.id == id), None)
    if row is None or row.lifted_at is not None:
        known = ", ".join(str(one.id) for one in rows if one.lifted_at is None)
        raise UnknownErasure(
            f"there is no erasure {id}" if row is None else f"the erasure {id} is lifted already",
            hint=f"In force: {known or 'none'}.",
        )
    source_id = row.source_id

    def work(tx: Connection, _: Lease) -> None:
        if row.upload_id is None:
            lift_erasure(tx, source_id, id, at=now(), by=this_user())
        else:
            naming = records_naming(tx, source_id, row.upload_id)
            lift_upload_erasure(tx, source_id, row, naming, at=now(), by=this_user())

    under_lease(mirror, source_id, work, wait_seconds=wait_seconds)
    return row


def clean(mirror: Mirror, source_id: int, *, now: Callable[[], datetime]) -> bool:
    """Fill the projections again, and free the files of the database of what was erased; return whether all is gone.

    Raises:
        MirrorError: There is no room for it, or another process holds a lock. What was erased stays erased, and
            another call can do the rest.
    """
    began = now()
    filler = ProjectionFiller(mirror, source_id)
    while filler.fill_batch().state is FillState.MORE:
        pass
    mirror.transact(lambda tx: full_text_of(tx).fill_again(tx))
    if not mirror.clean(*(place.table for place in PLACES)):
        return False
    mirror.transact(lambda tx: mark_cleaned(tx, source_id, before=began, at=now()))
    return True


def under_lease(mirror: Mirror, source_id: int, work: Callable[[Connection, Lease], T], *, wait_seconds: float) -> T:
    """Return what `work` returns in a transaction that has the lease of the source, and gives it up.

    Raises:
        LeaseHeld: Another process still writes to the source after `wait_seconds`.
    """
    lease = _acquire(mirror, source_id, wait_seconds)

    def whole(tx: Connection) -> T:
        assert_and_renew(tx, lease)
        result = work(tx, lease)
        release_in(tx, lease)
        return result

    try:
        return mirror.transact(whole)
    except BaseException:
        with suppress(MirrorError):  # the lease then expires by itself
            release(mirror, lease)
        raise


def _acquire(mirror: Mirror, source_id: int, wait_seconds: float) -> Lease:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return acquire(mirror, source_id, Holder.of_this_process())
        except LeaseHeld as held:
            if time.monotonic() >= deadline:
                held.hint = "A daemon is free between two runs: wait longer with --wait SECONDS, or stop it."
                raise
            time.sleep(POLL_SECONDS)
