"""The stages of one run, in their order.

Each stage takes the frozen context and returns what it found. Only the functions here add that to the run's result, so
that it is complete up to the last stage that ended. Within a stage, reading and writing overlap: the writer's bounded
queue slows the readers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from versionsync import cma
from versionsync.ledger.ids import RecordId
from versionsync.ledger.records import KnownRecord
from versionsync.ledger.time_formats import finest_precision
from versionsync.mirror.schema.typed_views import rebuild_typed_views
from versionsync.mirror.tables.leases import assert_and_renew
from versionsync.mirror.tables.records import (
    has_due_schedule,
    live_counts_by_model,
    live_counts_by_status,
    load_records,
    oldest_synced,
    publication_candidates,
)
from versionsync.mirror.tables.runs import has_written_since
from versionsync.sync.api_to_ledger import schema_of, seen_record
from versionsync.sync.beacon import is_explained, is_other_environment, is_trusted, settling_seconds
from versionsync.sync.context import RunContext, Upstream
from versionsync.sync.deletions import confirm_missing, confirm_unlisted, explain_refused
from versionsync.sync.editors import save_editors
from versionsync.sync.project_update import (
    check_upstream,
    find_hidden_models,
    save_retention,
    save_time_format,
    save_upstream,
)
from versionsync.sync.pull import IsBlock, RecordMissing, pull_record
from versionsync.sync.quick_check import StatusCounts, quick_check
from versionsync.sync.role_visibility import ListedModels
from versionsync.sync.stage_results import RunResult, StageResult, partial_result
from versionsync.sync.sweep import Sweep, has_changed, is_unknown, sweep
from versionsync.sync.temporary_files import PullTask
from versionsync.sync.unexplained_changes import RECENTLY, RESERVED_REQUESTS, UnexplainedChange, within
from versionsync.sync.uploads import save_uploads
from versionsync.sync.writer import writing

__all__ = ["can_skip", "run_pipeline"]

ATTEMPTS = 6
T = TypeVar("T")
UNEXPLAINED = (
    "upstream reports a change that no list shows, such as a publication of single locales: "
    "the histories of records that may have been published are read, in this run and the next ones"
)


async def run_pipeline(ctx: RunContext, schema: cma.Schema | None, result: RunResult) -> None:
    """Do all stages of a run.

    Args:
        schema: The schema, if it was read already.
        result: Gets what each stage finds.

    Raises:
        WrongProject, MassDeletionError, CmaError, MirrorError: What ends the run. Perhaps in a group.
    """
    pending = result.unexplained_since = ctx.source.checkpoint.unexplained_change_since
    is_unchanged = await can_skip(ctx)
    requests = ctx.spec.unexplained.allowance(ctx.source.checkpoint.unexplained_read_at, ctx.now())
    if is_unchanged and (pending is None or _within_budget(ctx, requests) < ctx.spec.unexplained.least):
        result.blocked_views = {}
        if ctx.source.blocked_views:
            await _rebuild_views(ctx, result)
        return
    checked = await check_upstream(ctx, schema or await ctx.client.schema())
    upstream = checked.upstream
    result.add(checked.result)
    is_project_changed = await save_upstream(ctx, checked, await find_hidden_models(ctx, checked))
    await _rebuild_views(ctx, result)  # after the events, which have the former names of fields
    result.is_first_sync = ctx.is_first_sync
    if ctx.options.record_ids:
        await _sync_records(ctx, upstream, result, [RecordId(id) for id in ctx.options.record_ids])
    elif ctx.options.scrub:
        oldest = await ctx.read(oldest_synced, ctx.options.scrub, now=ctx.now())
        await _sync_records(ctx, upstream, result, [record.id for record in oldest])
    else:
        if not is_unchanged:
            is_explained = await _sync_all(ctx, upstream, result)
            pending = await _judge_beacon(ctx, result, pending, is_explained=is_explained or is_project_changed)
        if pending is not None and result.found.is_complete and not result.found.hidden:
            requests -= 1 if is_unchanged else 0  # the schema was read for this alone
            await _search_unexplained(ctx, upstream, result, pending, _within_budget(ctx, requests))
        if result.unexplained is not None:
            result.unexplained_since = result.unexplained.since
            result.note([UNEXPLAINED] if result.unexplained_since is not None else [])
        result.add(await save_time_format(ctx, upstream, result.precision))
        await save_retention(ctx)
    if warning := upstream.visibility.warning(ctx.spec.name, result.found.hidden):
        result.add(partial_result(warning))
    result.collect_failures()
    ctx.progress.counts.records_failed = len(result.failures)
    result.add(await save_editors(ctx))
    limit = ctx.options.max_requests
    result.add(await save_uploads(ctx, requests=None if limit is None else _within_budget(ctx, limit)))


async def _rebuild_views(ctx: RunContext, result: RunResult) -> None:
    """Make the typed views fit the schema. They are a convenience: one that cannot be changed fails no run."""

    def rebuild(tx: Connection) -> Mapping[str, str]:
        assert_and_renew(tx, ctx.lease)
        return rebuild_typed_views(tx, ctx.source.id).blocked

    result.blocked_views = blocked = await ctx.write(rebuild)
    if blocked:
        ctx.log.info("views.blocked", views=blocked)
    result.note(
        f"the view {name} could not follow the schema and stays as it was: {obstacle}"
        for name, obstacle in blocked.items()
    )


async def can_skip(ctx: RunContext) -> bool:
    """Return whether the beacon shows that nothing changed since the last run."""
    if ctx.options.full or ctx.options.record_ids or ctx.options.scrub or not _is_beacon_trusted(ctx):
        return False
    last, now = ctx.source.checkpoint.last_data_change_at, ctx.environment.beacon.at
    if last is None or now is None or last != ctx.environment.beacon.last_data_change_at:
        return False
    # DatoCMS carries out schedules by its clock. That need not move the stamp of the last change.
    return not await ctx.read(has_due_schedule, after=last, until=now)


def _is_beacon_trusted(ctx: RunContext) -> bool:
    """Return whether the mirror has everything up to the stamp of the last run."""
    if is_other_environment(ctx.source.project, ctx.environment):
        return False
    return is_trusted(
        was_settled=ctx.source.checkpoint.last_data_change_is_settled,
        last_complete_sweep_at=ctx.source.checkpoint.last_complete_sweep_at,
        now=ctx.now(),
        trust=ctx.options.beacon_trust,
    )


def _last_stamp(ctx: RunContext) -> datetime | None:
    """Return the time of the last change in this environment as the last run knew it."""
    is_other = is_other_environment(ctx.source.project, ctx.environment)
    return None if is_other else ctx.source.checkpoint.last_data_change_at


async def _sync_all(ctx: RunContext, upstream: Upstream, result: RunResult) -> bool:
    """Pull all records that changed, check those that are not listed, and return whether that explains the beacon.

    An old list may not show the change that moved the beacon. Then the records are listed once more.
    """
    beacon, last = ctx.environment.beacon, _last_stamp(ctx)
    if ctx.options.wait_until_settled:
        await asyncio.sleep(settling_seconds(beacon))
    ctx.progress.set_phase("sweeping")
    is_beacon_trusted, result.checked_from = _is_beacon_trusted(ctx), ctx.now()
    if is_beacon_trusted and await _sync_quickly(ctx, upstream, result, must_explain=True):
        return True
    listed = await _sync_listed(ctx, upstream, result, to_the_end=ctx.options.full)
    if not listed.is_complete or result.found.hidden:
        return True  # another run follows, and lists the records again
    explained = is_explained(beacon.last_data_change_at, listed.newest_update, last=last)
    if not explained:
        await asyncio.sleep(ctx.timings.retry)
        if not await _sync_quickly(ctx, upstream, result, must_explain=False):
            listed = await _sync_listed(ctx, upstream, result, to_the_end=False)
            explained = is_explained(beacon.last_data_change_at, listed.newest_update, last=last)
    found = result.found
    return explained or ctx.options.full or found.changed > 0 or bool(result.failures or found.failures)


async def _sync_listed(ctx: RunContext, upstream: Upstream, result: RunResult, *, to_the_end: bool) -> Sweep:
    """List all records, pull those that changed, and check those that are not listed."""
    ctx.progress.set_phase("sweeping")
    async with sweep(ctx, upstream, to_the_end=to_the_end) as listed:
        result.has_swept, result.began_at, result.precision = True, listed.began_at, listed.precision
        result.failures = list(listed.failures)  # an earlier sweep of this run has named the same
        result.add(StageResult(changed=listed.changed, schema_is_settled=not listed.is_schema_changed))
        if not listed.is_complete:
            result.add(
                partial_result("the list of records moved while it was read: what is not listed was not looked for")
            )
        ctx.progress.set_phase("pulling")
        result.add(await pull_and_write(ctx, listed.changed_records(), doubted=result.found.inconsistent))
        ctx.progress.set_phase("checking")
        if listed.is_complete:
            result.add(await explain_refused(ctx, upstream, listed))
            result.add(await confirm_unlisted(ctx, upstream, listed))
        await _confirm_and_retry(ctx, upstream, result)
    return listed


async def _sync_quickly(ctx: RunContext, upstream: Upstream, result: RunResult, *, must_explain: bool) -> bool:
    """Pull what a quick check finds, and return whether the counts prove that it was everything."""
    since, stamp = _last_stamp(ctx), ctx.environment.beacon.last_data_change_at
    if since is None or stamp is None or ctx.options.full:
        return False
    live = await ctx.read(live_counts_by_model)
    if sum(live.values()) < ctx.options.quick_check_from:
        return False
    models = upstream.models.listed
    check = await quick_check(ctx.client, models, since=since, stamp=stamp, must_explain=must_explain)
    if check is None:
        return False
    known = await ctx.read(load_records, [r.id for r in check.changed])
    has_unknown = any(is_unknown(record, known) for record in check.changed)
    if has_unknown and ListedModels.of(schema_of(await ctx.client.schema())).listed != models:
        return False  # what looks like a new record may be a block now
    changed = [record for record in check.changed if has_changed(record, known)]
    result.add(StageResult(changed=len(changed)))
    precision = finest_precision(record.fingerprint for record in check.changed)
    result.precision = result.precision if precision is None else precision
    ctx.progress.records_total = check.counts.total
    ctx.progress.set_phase("pulling")
    tasks = [PullTask(record, known.get(record.id)) for record in changed]
    result.add(await pull_and_write(ctx, tasks, doubted=result.found.inconsistent))
    await _confirm_and_retry(ctx, upstream, result)
    counts = await ctx.read(live_counts_by_status)
    mirrored = StatusCounts(sum(counts.values()), counts.get("published", 0), counts.get("updated", 0))
    if mirrored != check.counts:
        return False
    result.began_at = check.began_at
    return True


async def _sync_records(ctx: RunContext, upstream: Upstream, result: RunResult, ids: Sequence[RecordId]) -> None:
    """Read the whole histories of these records."""
    ctx.progress.set_phase("pulling")
    ctx.progress.records_planned = len(ids)
    result.add(await refetch(ctx, upstream, ids, doubted=result.found.inconsistent))
    await _confirm_and_retry(ctx, upstream, result)


async def _confirm_and_retry(ctx: RunContext, upstream: Upstream, result: RunResult) -> None:
    """Check the missing records, and read those again that DatoCMS showed in an older state.

    If DatoCMS still shows the older state at the last attempt, it is written.
    """
    result.add(await confirm_missing(ctx, upstream, result.take_missing()))
    for attempt in range(1, ATTEMPTS + 1):
        regressed, accept = sorted(result.take_regressed()), attempt == ATTEMPTS
        if not regressed:
            return
        await asyncio.sleep(ctx.timings.retry)
        doubted = result.found.inconsistent
        result.add(await refetch(ctx, upstream, regressed, doubted=doubted, accept_regressions=accept))
        result.add(await confirm_missing(ctx, upstream, result.take_missing(), accept_regressions=accept))


async def pull_and_write(ctx: RunContext, tasks: Iterable[PullTask], *, doubted: Set[RecordId]) -> StageResult:
    """Read the versions of many records, and write them.

    Args:
        tasks: The records to read.
        doubted: Records that an earlier stage found inconsistent.
    """

    async def given(task: PullTask) -> PullTask:
        return task

    return await _pull_and_write(ctx, tasks, lambda task: task.record.id, given, doubted, accept_regressions=False)


async def refetch(
    ctx: RunContext,
    upstream: Upstream,
    ids: Sequence[RecordId],
    *,
    doubted: Set[RecordId],
    accept_regressions: bool = False,
) -> StageResult:
    """Read the whole histories of records by their ids, and write them.

    Args:
        ids: The records to read.
        doubted: Records that an earlier stage found inconsistent.
        accept_regressions: Whether to write older states than the mirror's.
    """
    known = await ctx.read(load_records, ids)

    async def find(id: RecordId) -> PullTask:
        try:
            item = await ctx.client.item(id)
        except cma.NotFound as error:
            if id in known:
                raise RecordMissing(id) from None
            raise cma.NotFound(
                "no record has this id, or the token may not see it; a block is part of a record and has no id to sync",
                request=error.request,
                status=error.status,
                code=error.code,
                request_id=error.request_id,
            ) from None
        record = seen_record(item)
        if record.model_id in upstream.models.blocks:
            raise IsBlock(id)
        return PullTask(record, known.get(id), to_the_end=True)

    return await _pull_and_write(ctx, ids, RecordId, find, doubted, accept_regressions=accept_regressions)


async def _pull_and_write(
    ctx: RunContext,
    things: Iterable[T],
    id_of: Callable[[T], RecordId],
    task_of: Callable[[T], Awaitable[PullTask]],
    doubted: Set[RecordId],
    *,
    accept_regressions: bool,
) -> StageResult:
    inconsistent, consistent = set[RecordId](), set[RecordId]()
    async with writing(ctx, accept_regressions=accept_regressions) as writer:

        async def pull(thing: T) -> None:
            async with ctx.memory.reading():
                task = await task_of(thing)
                if writer.accept_regressions:  # the mirror's state does not limit what is read
                    task = PullTask(task.record, None, to_the_end=True)
                pulled = await pull_record(ctx.client, task, erasures=writer.erasures, retry_seconds=ctx.timings.retry)
                if pulled.is_inconsistent:
                    inconsistent.add(pulled.id)
                elif pulled.id in doubted:
                    consistent.add(pulled.id)
                await writer.put(pulled)

        done = await ctx.workers.map(things, id_of, pull)
    return done + StageResult(inconsistent=frozenset(inconsistent), consistent=frozenset(consistent)) + writer.result


async def _judge_beacon(
    ctx: RunContext, result: RunResult, pending: datetime | None, *, is_explained: bool
) -> datetime | None:
    """Return since when a change is searched for that no list shows: `pending`, or from now on, or None.

    If another run has written since the last complete one, such as one of single records, that explains the beacon.
    """
    last, stamp = _last_stamp(ctx), ctx.environment.beacon.last_data_change_at
    since = ctx.source.checkpoint.complete_as_of
    if not is_explained and last is not None and stamp not in (None, last) and since is not None:
        result.is_unexplained = not await ctx.read(has_written_since, since=since, besides=ctx.run_id)
    if result.is_unexplained:
        return result.checked_from  # a history that was read later than this shows the change
    if ctx.options.full or result.is_first_sync:
        result.unexplained = UnexplainedChange(None, None)
        return None
    return pending


async def _search_unexplained(
    ctx: RunContext, upstream: Upstream, result: RunResult, since: datetime, requests: int
) -> None:
    """Read the histories of records that may have been published without a trace.

    Args:
        result: Gets what the stages find.
        since: When the change was noticed. A history that was read later shows it.
        requests: How many requests may be sent.
    """

    async def candidates(limit: int) -> Sequence[KnownRecord]:
        return await ctx.read(publication_candidates, since=since, published_after=since - RECENTLY, limit=limit)

    ids = [record.id for record in within(requests, await candidates(max(requests, 1)))]
    if ids:
        await _sync_records(ctx, upstream, result, ids)
    is_over = not await candidates(1)
    result.unexplained = UnexplainedChange(None if is_over else since, ctx.now() if ids else None)


def _within_budget(ctx: RunContext, requests: int) -> int:
    """Return how many of these requests the run may send without using up its last ones."""
    if ctx.options.max_requests is None:
        return requests
    return max(min(requests, ctx.options.max_requests - ctx.client.usage.requests - RESERVED_REQUESTS), 0)
