"""A run that only looks: what a sync would read and what it would look for, with nothing written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection

from versionsync import cma
from versionsync.ledger.ids import ModelId, RecordId
from versionsync.ledger.records import KnownRecord
from versionsync.mirror.known import known_records, live_counts_by_model, oldest_synced
from versionsync.mirror.sources import SourceRow
from versionsync.mirror.sweep import SweepMarks
from versionsync.sync.crew import Crew
from versionsync.sync.desk import Desk
from versionsync.sync.environment import Place
from versionsync.sync.findings import Findings
from versionsync.sync.project import believe_upstream
from versionsync.sync.report import Progress, SourceSpec, SyncOptions
from versionsync.sync.sight import Sight
from versionsync.sync.spool import TaskSpool
from versionsync.sync.sweep import Models, Sweeper, count_records
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
    """Count what a sync would pull, and how many records are not there any more, into `found`.

    Raises CmaError, and OtherProject or TooMuchVanished as the sync would.
    """
    if known is None:
        found.would_pull, found.would_delete = len(options.record_ids), 0
        if not (options.record_ids or options.scrub):
            found.would_pull = await count_records(client, Models.of(await client.schema()).listed)
        return
    schema = await client.schema()
    upstream = await believe_upstream(
        desk, client, known, spec, schema, place=place, believes_all=options.allow_vanish, found=found
    )
    if options.record_ids or options.scrub:
        vanished = await _ask(desk, client, known.id, options, progress=progress, found=found)
    else:
        models = Models.of(upstream.schema)
        vanished = await _list(
            desk, client, known.id, options, models, sight=upstream.sight, progress=progress, found=found
        )
    live = await desk.read(lambda connection: live_counts_by_model(connection, known.id))
    await _doubt(upstream.sight, spec, vanished, live, found=found)


async def _list(
    desk: Desk,
    client: cma.Client,
    source_id: int,
    options: SyncOptions,
    models: Models,
    *,
    sight: Sight,
    progress: Progress,
    found: Findings,
) -> Counter[ModelId]:
    """List all records; returns how many of each model are not listed any more."""
    with TaskSpool() as tasks:
        marks = await desk.reading.run(SweepMarks, desk.mirror, source_id)
        try:
            sweeper = Sweeper(
                client,
                marks,
                desk.reading,
                tasks,
                sight=sight,
                progress=progress,
                to_the_end=options.full,
                now=desk.now,
            )
            sweep = await sweeper.sweep(models)
            found.is_complete = found.is_complete and sweep.is_complete
            found.failures = sweep.failures
            found.would_pull = sum(task.record.model_id in sweep.models for task in tasks)
            if not sweep.is_complete:  # then a sync would not settle what was not listed
                return Counter()
            left_alone = sweep.uncertain - sweep.refused
            return await desk.reading.run(
                lambda: Counter(model for _, model in marks.unseen() if model not in left_alone)
            )
        finally:
            await desk.reading.run(marks.close)


async def _ask(
    desk: Desk, client: cma.Client, source_id: int, options: SyncOptions, *, progress: Progress, found: Findings
) -> Counter[ModelId]:
    """Ask for the records whose histories would be read; returns how many of each model are not there any more."""

    def wanted(connection: Connection) -> dict[RecordId, KnownRecord | None]:
        ids = [RecordId(id) for id in options.record_ids]
        if ids:
            held = known_records(connection, source_id, ids)
            return {id: held.get(id) for id in ids}
        return {record.id: record for record in oldest_synced(connection, source_id, options.scrub, now=desk.now())}

    records = await desk.read(wanted)
    vanished: Counter[ModelId] = Counter()
    found.would_pull = 0

    async def one(id: RecordId) -> None:
        held = records[id]
        try:
            await client.item(id)
        except cma.NotFound:
            if held is None:
                raise
            if held.deleted_at is None:
                vanished[held.model_id] += 1
        else:
            found.would_pull = (found.would_pull or 0) + 1

    progress.enter("checking")
    crew = Crew(lambda: progress.sent(client.usage))
    await crew.each(records, RecordId, one)
    found.failures = crew.failures
    return vanished


async def _doubt(
    sight: Sight, spec: SourceSpec, vanished: Counter[ModelId], live: Mapping[ModelId, int], *, found: Findings
) -> None:
    """Count which of the `vanished` a sync would ask for."""
    for model in await hidden_models(sight, spec, vanished, live):
        sight.count_hidden(model, vanished.pop(model))
    found.would_delete = vanished.total()
    if note := sight.note(spec.name):
        found.fall_short(note)
