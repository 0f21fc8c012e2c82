"""Write what was planned: versions, records and events of many records, in the caller's transaction.

It is given a transaction, and never opens, commits or retries one. The order of its steps is that of the constraints:
editors, models and records come before the versions that name them, a flag is taken from one version before it is
given to another (invariant 2), and a record points to its versions when they are there.
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
from versionsync.mirror.engine.analyze import analyze_new
from versionsync.mirror.tables.editors import upsert_editor_ids
from versionsync.mirror.tables.events import insert_new_events
from versionsync.mirror.tables.leases import Lease, assert_and_renew
from versionsync.mirror.tables.models import upsert_models
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
    """How much was written. A rewritten version counts as changed too."""

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
    """Write `plans`, one for a record, in the transaction `tx` (invariants 3, 4 and 8).

    `contents` holds the JSON text of every version that is new or rewritten; each is fetched once, and let go soon.
    Raises LeaseLost, and ContentRejected for rows that the database will not take: then `tx` must be rolled back.
    """
    if len({plan.record_id for plan in plans}) != len(plans):
        raise ValueError("two plans for one record: the second does not know what the first changes")
    assert_and_renew(tx, lease)
    source_id = lease.source_id
    new = [(plan.record_id, change.after) for plan in plans for change in plan.changes if change.before is None]
    changed = [change for plan in plans for change in plan.changes if change.before is not None]
    rewritten = [change.after for change in changed if change.is_rewrite]

    upsert_editor_ids(tx, source_id, _editors_of(plans))
    upsert_models(
        tx,
        source_id,
        {plan.model_id for plan in plans} | {version.model_id for _, version in new},
        observed_at=observed_at,
    )
    insert_records(tx, source_id, plans, observed_at=observed_at)
    clear_flags(tx, source_id, changed)
    archive_rewritten(tx, source_id, rewritten, observed_at=observed_at, run_id=run_id)
    inserted = insert_versions(tx, source_id, new, contents, observed_at=observed_at)
    if inserted:  # before the events, each of which refers to a version
        analyze_new(tx, schema.versions, schema.records, schema.editors, schema.models)
    update_contents(tx, source_id, rewritten, contents)
    update_versions(tx, source_id, [change.after for change in changed], observed_at=observed_at)
    update_records(tx, source_id, plans, observed_at=observed_at)
    told = [each for plan in plans for each in planned_events(plan)]
    written = insert_new_events(tx, source_id, told, observed_at=observed_at, run_id=run_id)
    if written:
        analyze_new(tx, schema.events)
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
            if change.after.editor is not None:
                yield change.after.editor
