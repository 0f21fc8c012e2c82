"""The upper rungs of one run: find the records that differ, read them, write them, and ask for what is not listed.

Reading and writing go on side by side; the writer's queue is what holds the readers back. When reading ends early,
what was read is still written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial

from versionsync import cma
from versionsync.ledger.formats import finest_precision
from versionsync.ledger.ids import RecordId
from versionsync.ledger.records import KnownRecord
from versionsync.mirror.listed_ids import ListedIds
from versionsync.mirror.tables.records import (
    live_counts_by_status,
    live_record_count,
    load_records,
    oldest_synced,
    publication_candidates,
)
from versionsync.sync.beacon import is_explained
from versionsync.sync.context import Context
from versionsync.sync.deletions import DeletionCheck
from versionsync.sync.lease import LeaseKeeper
from versionsync.sync.pull import IsBlock, RecordMissing, pull_record
from versionsync.sync.quick_check import StatusCounts, quick_check
from versionsync.sync.report import Progress, RecordFailure, SourceSpec, SyncOptions
from versionsync.sync.result import RunResult
from versionsync.sync.spool import PullTask, TaskSpool
from versionsync.sync.sweep import ListedModels, Sweep, SweepReader, has_changed, is_unknown
from versionsync.sync.translate import seen_record
from versionsync.sync.unexplained import RECENTLY, UnexplainedChange, within
from versionsync.sync.visibility import Visibility
from versionsync.sync.workers import Workers
from versionsync.sync.writer import FetchedRecord, Writer

__all__ = ["Pipeline"]

ATTEMPTS = 6
ASK_AGAIN_SECONDS = 0.5


class Pipeline:
    """Sweeps and pulls for one run, while it holds its source's lease. What it finds goes into `found`.

    `believes`: versions may go back behind what the mirror holds, as in another environment than the last run's.
    """

    def __init__(
        self,
        desk: Context,
        client: cma.Client,
        tenure: LeaseKeeper,
        spec: SourceSpec,
        options: SyncOptions,
        *,
        progress: Progress,
        found: RunResult,
        schema: cma.Schema,
        sight: Visibility,
        believes: bool,
    ) -> None:
        self._context = desk
        self._client = client
        self._source_id = tenure.lease.source_id
        self._spec = spec
        self._options = options
        self._progress = progress
        self._result = found
        self._models = ListedModels.group_of(schema)
        self._workers = Workers(lambda: self._progress.sent(client.usage))
        self._writer = Writer(
            desk.mirror,
            desk.writing,
            tenure.lease,
            run_id=tenure.run_id,
            progress=progress,
            now=desk.now,
            believes=believes,
        )
        self._visibility = sight
        self._deletions = DeletionCheck(
            desk,
            client,
            self._source_id,
            spec,
            crew=self._workers,
            writer=self._writer,
            sight=self._visibility,
            found=found,
        )

    async def sync_all(self, *, last: datetime | None, stamp: datetime | None, trusts: bool) -> bool:
        """Pull each record that differs, and settle those that are not listed any more.

        Args:
            last: Upstream's time of its last change as the last run in this environment knew it.
            stamp: The same as this run knows it.
            trusts: Whether only what came after `last` can be new.

        Returns:
            Whether what was found explains that `stamp` is not `last`.

        Raises:
            MassDeletionError, CmaError, MirrorError: Perhaps in a group.
        """
        self._progress.set_phase("sweeping")
        self._result.checked_from = self._context.now()
        explained = True
        async with self._writing():
            if not (trusts and await self._quick_check(last, stamp)):
                sweep = await self._sweep(to_the_end=self._options.full)
                # A run that is sure to be followed by another one need not read the list again itself.
                is_sure = sweep.is_complete and not self._visibility.hidden
                explained = not is_sure or is_explained(stamp, sweep.newest_update, last=last)
                if not explained:
                    await asyncio.sleep(ASK_AGAIN_SECONDS)
                    if not await self._quick_check(last, stamp, explains=False):
                        sweep = await self._sweep(to_the_end=False)
                        explained = is_explained(stamp, sweep.newest_update, last=last)
        failures = self._result.failures or self._workers.failures or self._writer.failures
        return explained or self._options.full or self._result.changed > 0 or bool(failures)

    async def read_candidates(self, since: datetime, requests: int) -> None:
        """Read the histories of records that may have been published without a trace, with at most these requests.

        `since` is when the change was noticed: a history that was read later shows it. Raises as `everything`.
        """
        query = partial(
            publication_candidates, source_id=self._source_id, since=since, published_after=since - RECENTLY
        )
        found = await self._context.read(partial(query, limit=max(requests, 1)))
        some = [record.id for record in within(requests, found)]
        if some:
            await self.sync_records(some)
        is_over = not await self._context.read(partial(query, limit=1))
        self._result.unexplained = UnexplainedChange(None if is_over else since, self._context.now() if some else None)

    async def _quick_check(self, since: datetime | None, stamp: datetime | None, *, explains: bool = True) -> bool:
        """Whether all that changed could be told, and proven, without a sweep; `explains` as in `glance`."""
        if since is None or stamp is None:
            return False
        live = await self._context.read(lambda connection: live_record_count(connection, self._source_id))
        if live < self._options.quick_check_from or self._options.full:
            return False
        models = self._models.listed
        seen = await quick_check(self._client, models, since=since, stamp=stamp, explains=explains)
        if seen is None:
            return False
        known = await self._known([record.id for record in seen.changed])
        has_unknown = any(is_unknown(record, known) for record in seen.changed)
        if has_unknown and ListedModels.group_of(await self._client.schema()).listed != models:
            return False  # what looks like a new record may be a block now
        changed = [record for record in seen.changed if has_changed(record, known)]
        self._result.changed += len(changed)
        precision = finest_precision(record.fingerprint for record in seen.changed)
        self._result.precision = self._result.precision if precision is None else precision
        self._progress.records_total = seen.tally.total
        self._progress.set_phase("pulling")
        await self._pull(PullTask(record, known.get(record.id)) for record in changed)
        await self._deletions.confirm_missing()
        await self._retry_regressed()
        counts = await self._context.read(lambda connection: live_counts_by_status(connection, self._source_id))
        tally = StatusCounts(sum(counts.values()), counts.get("published", 0), counts.get("updated", 0))
        if tally != seen.tally:
            return False
        self._result.began_at = seen.began_at
        return True

    async def _sweep(self, *, to_the_end: bool) -> Sweep:
        self._progress.set_phase("sweeping")
        with TaskSpool() as tasks:
            marks = await self._context.reading.run(ListedIds, self._context.mirror, self._source_id)
            try:
                sweeper = SweepReader(
                    self._client,
                    marks,
                    self._context.reading,
                    tasks,
                    sight=self._visibility,
                    progress=self._progress,
                    to_the_end=to_the_end,
                    now=self._context.now,
                )
                sweep = await sweeper.sweep(self._models)
                self._save_sweep(sweep)
                self._progress.set_phase("pulling")
                await self._pull(task for task in tasks if task.record.model_id in sweep.models)
                self._progress.set_phase("checking")
                if sweep.is_complete:
                    await self._deletions.confirm_unlisted(marks, sweep)
                await self._deletions.confirm_missing()
                await self._retry_regressed()
            finally:
                await self._context.reading.run(marks.close)
        return sweep

    def _save_sweep(self, sweep: Sweep) -> None:
        found = self._result
        found.has_swept = True
        found.began_at = sweep.began_at
        found.failures = list(sweep.failures)  # another sweep of this run listed all of them again
        found.changed += sweep.changed
        found.precision = sweep.precision
        found.schema_is_settled &= not sweep.is_schema_changed
        if not sweep.is_complete:
            found.mark_partial("the list of records moved while it was read: what is not listed was not looked for")

    async def sync_records(self, ids: Sequence[RecordId]) -> None:
        """These records, their histories to the end; one that is gone is told. Raises as `everything`."""
        known = await self._known(ids)
        self._progress.set_phase("pulling")
        self._progress.records_planned = len(ids)
        async with self._writing():
            await self._workers.map(ids, RecordId, partial(self._refetch_completely, known))
            await self._deletions.confirm_missing()
            await self._retry_regressed()

    async def scrub(self, count: int) -> None:
        """Read the histories of `count` records again to the end, those that were not read for the longest time."""
        known = await self._context.read(
            lambda connection: oldest_synced(connection, self._source_id, count, now=self._context.now())
        )
        await self.sync_records([record.id for record in known])

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """The writer at work; what was read when the block ends, by a fault too, is still written."""
        fault: Exception | None = None
        async with asyncio.TaskGroup() as group:
            group.create_task(self._writer.run())
            try:
                yield
            except Exception as error:  # whatever it is, it waits for the writer, and is raised below
                fault = error
            self._writer.close()
        self._progress.sent(self._client.usage)
        if fault is not None:
            raise fault

    async def _pull(self, tasks: Iterable[PullTask]) -> None:
        await self._workers.map(tasks, lambda task: task.record.id, self._pull_one)

    async def _pull_one(self, task: PullTask) -> None:
        if self._writer.accept_regressions:  # then what the mirror holds is no measure of what is read, nor of how far
            task = PullTask(task.record, None, to_the_end=True)
        pulled = await pull_record(self._client, task)
        if pulled.is_inconsistent:
            self._result.inconsistent.add(task.record.id)
        else:  # it may have been read before in this run
            self._result.inconsistent.discard(task.record.id)
        await self._writer.put(FetchedRecord(pulled))

    async def _retry_regressed(self) -> None:
        """What went back in time: asked for again a few times, and believed if it insists. All is written then."""
        believed = self._writer.accept_regressions
        for times in range(1, ATTEMPTS + 1):
            await self._writer.flush()
            ids, self._writer.regressed = sorted(self._writer.regressed), set()
            if not ids:
                break
            await asyncio.sleep(ASK_AGAIN_SECONDS)
            self._writer.accept_regressions = believed or times == ATTEMPTS
            known = await self._known(ids)
            await self._workers.map(ids, RecordId, partial(self._refetch_completely, known))
            await self._deletions.confirm_missing()
        await self._writer.flush()
        self._writer.accept_regressions = believed

    async def _refetch_completely(self, known: Mapping[RecordId, KnownRecord], id: RecordId) -> None:
        try:
            item = await self._client.item(id)
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
        if record.model_id in self._models.blocks:
            raise IsBlock(id)
        await self._pull_one(PullTask(record, known.get(id), to_the_end=True))

    async def _known(self, ids: Sequence[RecordId]) -> dict[RecordId, KnownRecord]:
        return await self._context.read(lambda connection: load_records(connection, self._source_id, ids))

    def collect_failures(self) -> None:
        """Add what went wrong with single records to what was found. To be called once, at the end."""
        found = self._result
        if note := self._visibility.warning(self._spec.name):
            found.mark_partial(note)
        of_single = [
            *self._workers.failures,
            *(RecordFailure(id, "it exists, but its versions are not found") for id in self._workers.missing),
            *self._writer.failures,
            *(
                RecordFailure(id, "upstream shows an older state of it than before")
                for id in sorted(self._writer.regressed)
            ),
        ]
        named = {failure.record_id for failure in found.failures}
        last = {failure.record_id: failure for failure in of_single}  # one that was read again may have failed again
        found.failures.extend(failure for id, failure in last.items() if id not in named)
        self._progress.counts.records_failed = len(found.failures)
