"""Write plans: the versions and events of many records, in the caller's transaction.

`apply` never opens, commits or retries a transaction. The constraints decide the order of its steps: editors, models
and records come before the versions that refer to them; a flag is taken from one version before another gets it
(invariant 2); a record points to its versions once they exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from versionsync.ledger.event_keys import planned_events
from versionsync.ledger.ids import VersionId
from versionsync.ledger.plan import RecordPlan
from versionsync.ledger.records import Editor
from versionsync.mirror import schema
from versionsync.mirror.engine.dialects import dialect_of
from versionsync.mirror.tables.editors import upsert_editor_ids
from versionsync.mirror.tables.events import insert_new_events
from versionsync.mirror.tables.leases import Lease, assert_and_renew
from versionsync.mirror.tables.models import upsert_models
from versionsync.mirror.tables.projection_cursors import mark_reordered
from versionsync.mirror.tables.records import insert_records, update_records
from versionsync.mirror.tables.versions import (
    archive_rewritten,
    clear_flags,
    insert_versions,
    update_contents,
    update_versions,
)

__all__ = ["Applied", "apply"]


@dataclass(frozen=True, slots=True)
class Applied:
    """How many rows were written. A rewritten version counts as changed too."""

    versions_inserted: int = 0
    versions_changed: int = 0
    versions_rewritten: int = 0
    events_written: int = 0


def apply(
    tx: Connection,
    lease: Lease,
    plans: Sequence[RecordPlan],
    contents: Mapping[VersionId, bytes],
    *,
    observed_at: datetime,
    run_id: int | None,
) -> Applied:
    """Write `plans` (invariants 3, 4 and 8).

    Args:
        tx: The transaction. Roll it back if this raises.
        lease: The right to write.
        plans: At most one for each record.
        contents: The JSON text of every version that is new or rewritten. Each is read once.
        observed_at: When the check observed them.
        run_id: The run that writes.

    Returns:
        How many rows were written.

    Raises:
        LeaseLost: Another process has the lease.
        ContentRejected: The database does not accept a row.
    """
    if len({plan.record_id for plan in plans}) != len(plans):
        raise ValueError("two plans for one record: the second does not know the changes of the first")
    assert_and_renew(tx, lease)
    source_id = lease.source_id
    new = [(plan.record_id, change.after) for plan in plans for change in plan.changes if change.before is None]
    changed = [change for plan in plans for change in plan.changes if change.before is not None]
    rewritten = [change.after for change in changed if change.is_rewrite]

    upsert_editor_ids(tx, source_id, _editors_of(plans))
    upsert_models(
        tx,
        source_id,
        {plan.model_id for plan in plans} | {version.seen.model_id for _, version in new},
        observed_at=observed_at,
    )
    insert_records(tx, source_id, plans, observed_at=observed_at)
    clear_flags(tx, source_id, changed)
    archive_rewritten(tx, source_id, rewritten, observed_at=observed_at, run_id=run_id)
    inserted = insert_versions(tx, source_id, new, contents, observed_at=observed_at)
    if inserted:  # before the events, each of which refers to a version
        dialect_of(tx).analyze_new(tx, schema.versions, schema.records, schema.editors, schema.models)
    update_contents(tx, source_id, rewritten, contents)
    update_versions(tx, source_id, [change.after for change in changed], observed_at=observed_at)
    update_records(tx, source_id, plans, observed_at=observed_at)
    mark_reordered(tx, source_id, [plan.record_id for plan in plans if _is_reordered(plan)])
    planned = [event for plan in plans for event in planned_events(plan)]
    written = insert_new_events(tx, source_id, planned, observed_at=observed_at, run_id=run_id)
    if written:
        dialect_of(tx).analyze_new(tx, schema.events)
    return Applied(
        versions_inserted=inserted,
        versions_changed=len(changed),
        versions_rewritten=len(rewritten),
        events_written=written,
    )


def _editors_of(plans: Sequence[RecordPlan]) -> Iterator[Editor]:
    for plan in plans:
        if plan.meta is not None and plan.meta.creator is not None:
            yield plan.meta.creator
        for change in plan.changes:
            if change.after.seen.editor is not None:
                yield change.after.seen.editor


def _is_reordered(plan: RecordPlan) -> bool:
    """Return whether versions changed their order or their times, and no event says so."""
    return any(
        change.before is not None
        and (
            change.before.ordinal != change.after.ordinal
            or (change.before.seen.created_at != change.after.seen.created_at and not change.is_rewrite)
        )
        for change in plan.changes
    )
