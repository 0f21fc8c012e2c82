"""A run that only looks: what a sync would read and what it would look for, with nothing written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection

from versionsync import cma
from versionsync.ledger.ids import ModelId, RecordId
from versionsync.ledger.records import KnownRecord
from versionsync.mirror.listed_ids import ListedIds
from versionsync.mirror.tables.records import live_counts_by_model, load_records, oldest_synced
from versionsync.mirror.tables.sources import SourceRow
from versionsync.sync.beacon import ActiveEnvironment
from versionsync.sync.context import Context
from versionsync.sync.deletions import hidden_models
from versionsync.sync.project import check_upstream
from versionsync.sync.report import Progress, SourceSpec, SyncOptions
from versionsync.sync.result import RunResult
from versionsync.sync.spool import TaskSpool
from versionsync.sync.sweep import ListedModels, SweepReader, count_records
from versionsync.sync.visibility import Visibility
from versionsync.sync.workers import Workers

__all__ = ["dry_run"]


async def dry_run(
    desk: Context,
    client: cma.Client,
    known: SourceRow | None,
    spec: SourceSpec,
    options: SyncOptions,
    *,
    place: ActiveEnvironment,
    progress: Progress,
    found: RunResult,
) -> None:
    """Count what a sync would pull, and how many records are not there any more, into `found`.

    Raises CmaError, and WrongProject or MassDeletionError as the sync would.
    """
    if known is None:
        found.would_pull, found.would_delete = len(options.record_ids), 0
        if not (options.record_ids or options.scrub):
            found.would_pull = await count_records(client, ListedModels.group_of(await client.schema()).listed)
        return
    schema = await client.schema()
    upstream = await check_upstream(
        desk, client, known, spec, schema, place=place, believes_all=options.allow_mass_delete, found=found
    )
    if options.record_ids or options.scrub:
        vanished = await _fetch(desk, client, known.id, options, progress=progress, found=found)
    else:
        models = ListedModels.group_of(upstream.schema)
        vanished = await _list(
            desk, client, known.id, options, models, sight=upstream.visibility, progress=progress, found=found
        )
    live = await desk.read(lambda connection: live_counts_by_model(connection, known.id))
    await _check_limit(upstream.visibility, spec, vanished, live, found=found)


async def _list(
    desk: Context,
    client: cma.Client,
    source_id: int,
    options: SyncOptions,
    models: ListedModels,
    *,
    sight: Visibility,
    progress: Progress,
    found: RunResult,
) -> Counter[ModelId]:
    """List all records; returns how many of each model are not listed any more."""
    with TaskSpool() as tasks:
        marks = await desk.reading.run(ListedIds, desk.mirror, source_id)
        try:
            sweeper = SweepReader(
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
                lambda: Counter(model for _, model in marks.not_listed() if model not in left_alone)
            )
        finally:
            await desk.reading.run(marks.close)


async def _fetch(
    desk: Context, client: cma.Client, source_id: int, options: SyncOptions, *, progress: Progress, found: RunResult
) -> Counter[ModelId]:
    """Ask for the records whose histories would be read; returns how many of each model are not there any more."""

    def wanted(connection: Connection) -> dict[RecordId, KnownRecord | None]:
        ids = [RecordId(id) for id in options.record_ids]
        if ids:
            held = load_records(connection, source_id, ids)
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

    progress.set_phase("checking")
    crew = Workers(lambda: progress.sent(client.usage))
    await crew.map(records, RecordId, one)
    found.failures = crew.failures
    return vanished


async def _check_limit(
    sight: Visibility, spec: SourceSpec, vanished: Counter[ModelId], live: Mapping[ModelId, int], *, found: RunResult
) -> None:
    """Count which of the `vanished` a sync would ask for."""
    for model in await hidden_models(sight, spec, vanished, live):
        sight.count_hidden(model, vanished.pop(model))
    found.would_delete = vanished.total()
    if note := sight.warning(spec.name):
        found.mark_partial(note)
