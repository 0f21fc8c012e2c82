"""Which runs are kept: all that wrote something, and for a while those that did not.

A daemon looks a thousand times a day and mostly finds nothing. What is mirrored is never touched by this (invariant 1).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, exists, func, select

from versionsync.mirror.leases import Lease, hold
from versionsync.mirror.tables import events, runs, version_rewrites

__all__ = ["KEEP_FAILED", "KEEP_IDLE", "forget_runs"]

KEEP_IDLE = timedelta(days=7)
KEEP_FAILED = timedelta(days=90)
RUNS_AT_ONCE = 1000


def forget_runs(tx: Connection, lease: Lease, *, now: datetime) -> int:
    """Delete runs of the lease's source that wrote nothing, a thousand at the most; returns how many.

    Those that succeeded go after KEEP_IDLE, the others after KEEP_FAILED. The last run stays, and the running one.
    """
    hold(tx, lease)
    mine = runs.c.source_id == lease.source_id
    keep_for = {"succeeded": KEEP_IDLE, "partial": KEEP_FAILED, "failed": KEEP_FAILED, "interrupted": KEEP_FAILED}
    newest = tx.scalar(select(func.max(runs.c.id)).where(mine)) or 0
    forgotten = 0
    for outcome, age in keep_for.items():
        old = (
            select(runs.c.id)
            .where(
                mine,
                runs.c.id < newest,
                runs.c.outcome == outcome,
                runs.c.finished_at < now - age,
                runs.c.versions_inserted + runs.c.versions_changed + runs.c.events_written == 0,
                ~exists().where(events.c.run_id == runs.c.id, events.c.source_id == runs.c.source_id),
                ~exists().where(
                    version_rewrites.c.run_id == runs.c.id, version_rewrites.c.source_id == runs.c.source_id
                ),
            )
            .order_by(runs.c.id)
            .limit(RUNS_AT_ONCE - forgotten)
        )
        ids = tx.scalars(old).all()
        if ids:
            forgotten += tx.execute(delete(runs).where(runs.c.id.in_(ids))).rowcount
    return forgotten
