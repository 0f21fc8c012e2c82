"""A run that only looks: what a sync would read and what it would look for, with nothing written."""

from __future__ import annotations

from versionsync import cma
from versionsync.ledger.ids import ModelId
from versionsync.mirror.sources import SourceRow, refuse_another
from versionsync.mirror.sweep import SweepMarks
from versionsync.sync.desk import Desk
from versionsync.sync.environment import Place
from versionsync.sync.findings import Findings
from versionsync.sync.project import project_of
from versionsync.sync.report import Progress, SourceSpec, SyncOptions
from versionsync.sync.spool import TaskSpool
from versionsync.sync.sweep import Sweeper

__all__ = ["rehearse"]


async def rehearse(
    desk: Desk,
    client: cma.Client,
    known: SourceRow | None,
    spec: SourceSpec,
    options: SyncOptions,
    *,
    place: Place,
    progress: Progress,
    found: Findings,
) -> None:
    """Count what a sync would pull, and how many records are not listed any more, into `found`.

    Raises CmaError, and OtherProject as the sync would.
    """
    if known is None:
        found.would_pull, found.would_delete = (await client.items_page(offset=0, limit=1)).total, 0
        return
    schema = await client.schema()
    refuse_another(known, project_of(schema.site, spec, place))
    models = [ModelId(model.id) for model in schema.item_types if not model.modular_block]
    with TaskSpool() as tasks:
        marks = await desk.reading.run(SweepMarks, desk.mirror, known.id)
        try:
            sweeper = Sweeper(client, marks, desk.reading, tasks, progress=progress, to_the_end=options.full)
            sweep = await sweeper.sweep(models)
            found.is_complete = sweep.is_complete
            found.failures = sweep.failures
            found.would_pull = tasks.count
            found.would_delete = await desk.reading.run(lambda: sum(1 for _ in marks.unseen()))
        finally:
            await desk.reading.run(marks.close)
