"""A dry run: count what a sync would read and what it would check for deletion, and write nothing."""

from __future__ import annotations

from collections import Counter

from versionsync import cma
from versionsync.ledger.ids import ModelId, RecordId
from versionsync.mirror.tables.records import live_counts_by_model, load_records, oldest_synced
from versionsync.sync.api_to_ledger import schema_of
from versionsync.sync.context import RunContext, Upstream
from versionsync.sync.deletions import hidden_models
from versionsync.sync.options import SyncOptions
from versionsync.sync.project_update import check_upstream, find_hidden_models
from versionsync.sync.role_visibility import ListedModels
from versionsync.sync.stage_results import RunResult, StageResult, partial_result
from versionsync.sync.sweep import count_records, sweep

__all__ = ["count_of_new_source", "dry_run"]


async def count_of_new_source(client: cma.Client, options: SyncOptions) -> int:
    """Return how many records a sync would read of a source that was never synced. Raises CmaError."""
    if options.record_ids or options.scrub:
        return len(options.record_ids)
    return await count_records(client, ListedModels.of(schema_of(await client.schema())).listed)


async def dry_run(ctx: RunContext, result: RunResult) -> None:
    """Count what a sync would read and check for deletion, into `result`.

    Raises CmaError, and WrongProject or MassDeletionError as the sync would.
    """
    checked = await check_upstream(ctx, await ctx.client.schema())
    result.add(checked.result)
    await find_hidden_models(ctx, checked)  # hidden ones count as existing from here on
    upstream = checked.upstream
    if ctx.options.record_ids or ctx.options.scrub:
        missing = await _ask_for_records(ctx, result)
    else:
        missing = await _list_records(ctx, upstream, result)
    live = await ctx.read(live_counts_by_model)
    hidden = await hidden_models(upstream.visibility, ctx.spec, missing, live)
    counts = {model: missing.pop(model) for model in hidden}
    result.would_delete = missing.total()
    if warning := upstream.visibility.warning(ctx.spec.name, counts):
        result.add(partial_result(warning))


async def _list_records(ctx: RunContext, upstream: Upstream, result: RunResult) -> Counter[ModelId]:
    """List all records, and return how many of each model are not listed any more."""
    async with sweep(ctx, upstream, to_the_end=ctx.options.full) as swept:
        result.add(StageResult(is_complete=swept.is_complete))
        result.failures = swept.failures
        result.would_pull = sum(1 for _ in swept.changed_records())
        if not swept.is_complete:  # a sync would not check what was not listed
            return Counter()
        ignored = swept.uncertain - swept.refused
        return await ctx.database.reading.run(
            lambda: Counter(model for _, model in swept.listed.not_listed() if model not in ignored)
        )


async def _ask_for_records(ctx: RunContext, result: RunResult) -> Counter[ModelId]:
    """Ask for the records whose histories would be read, and return how many of each model do not exist any more."""

    if ids := [RecordId(id) for id in ctx.options.record_ids]:
        known = await ctx.read(load_records, ids)
        records = {id: known.get(id) for id in ids}
    else:
        records = {record.id: record for record in await ctx.read(oldest_synced, ctx.options.scrub, now=ctx.now())}
    missing: Counter[ModelId] = Counter()
    found = 0

    async def ask(id: RecordId) -> None:
        nonlocal found
        record = records[id]
        try:
            await ctx.client.item(id)
        except cma.NotFound:
            if record is None:
                raise
            if record.deleted_at is None:
                missing[record.model_id] += 1
        else:
            found += 1

    ctx.progress.set_phase("checking")
    done = await ctx.workers.map(records, RecordId, ask)
    result.would_pull, result.failures = found, list(done.failures)
    return missing
