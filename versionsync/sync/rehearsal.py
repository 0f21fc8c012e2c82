"""A run that only looks: what a sync would read and what it would look for, with nothing written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from versionsync import cma
from versionsync.ledger.ids import ModelId
from versionsync.mirror.known import live_counts_by_model
from versionsync.mirror.sources import SourceRow
from versionsync.mirror.sweep import SweepMarks
from versionsync.sync.desk import Desk
from versionsync.sync.environment import Place
from versionsync.sync.findings import Findings
from versionsync.sync.project import doubt_upstream, project_of
from versionsync.sync.report import Progress, SourceSpec, SyncOptions
from versionsync.sync.sight import Sight, names_of
from versionsync.sync.spool import TaskSpool
from versionsync.sync.sweep import Sweeper
from versionsync.sync.vanish import hidden_models

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

    Raises CmaError, and OtherProject or TooMuchVanished as the sync would.
    """
    if known is None:
        found.would_pull, found.would_delete = (await client.items_page(offset=0, limit=1)).total, 0
        return
    schema = await client.schema()
    project = project_of(schema.site, spec, place)
    await doubt_upstream(desk, client, known, spec, schema, project, allow_vanish=options.allow_vanish)
    models = [ModelId(model.id) for model in schema.item_types if not model.modular_block]
    with TaskSpool() as tasks:
        marks = await desk.reading.run(SweepMarks, desk.mirror, known.id)
        try:
            sweeper = Sweeper(client, marks, desk.reading, tasks, progress=progress, to_the_end=options.full)
            sweep = await sweeper.sweep(models)
            found.is_complete = sweep.is_complete
            found.failures = sweep.failures
            found.would_pull = tasks.count
            vanished = await desk.reading.run(lambda: Counter(model for _, model in marks.unseen()))
        finally:
            await desk.reading.run(marks.close)
    if not sweep.is_complete:  # then a sync would not settle what was not listed
        vanished.clear()
    live = await desk.read(lambda connection: live_counts_by_model(connection, known.id))
    sight = Sight(client, names_of(schema), believes_all=options.allow_vanish)
    await _doubt(sight, spec, vanished, live, found=found)


async def _doubt(
    sight: Sight, spec: SourceSpec, vanished: Counter[ModelId], live: Mapping[ModelId, int], *, found: Findings
) -> None:
    """Count which of the `vanished` a sync would ask for."""
    for model in await hidden_models(sight, spec, vanished, live):
        sight.count_hidden(model, vanished.pop(model))
    found.would_delete = vanished.total()
    if note := sight.note(spec.name):
        found.fall_short(note)
