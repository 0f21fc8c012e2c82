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
from versionsync.mirror.known import (
    known_records,
    live_counts_by_status,
    live_record_count,
    oldest_synced,
    publication_candidates,
)
from versionsync.mirror.sweep import SweepMarks
from versionsync.sync.beacon import is_explained
from versionsync.sync.crew import Crew
from versionsync.sync.desk import Desk, Tenure
from versionsync.sync.findings import Findings
from versionsync.sync.glance import Tally, glance
from versionsync.sync.pull import IsBlock, RecordGone, pull_record
from versionsync.sync.report import Progress, RecordFailure, SourceSpec, SyncOptions
from versionsync.sync.settling import Settler
from versionsync.sync.sight import Sight
from versionsync.sync.spool import PullTask, TaskSpool
from versionsync.sync.sweep import Models, Sweep, Sweeper, differs, is_unknown
from versionsync.sync.translate import seen_record
from versionsync.sync.unexplained import RECENTLY, UnexplainedChange, within
from versionsync.sync.writing import Arrival, Writer

__all__ = ["Climb"]

TIMES_ASKED_AGAIN = 6
ASK_AGAIN_SECONDS = 0.5


class Climb:
    """Sweeps and pulls for one run, while it holds its source's lease. What it finds goes into `found`.

    `believes`: versions may go back behind what the mirror holds, as in another environment than the last run's.
    """

    def __init__(
        self,
        desk: Desk,
        client: cma.Client,
        tenure: Tenure,
        spec: SourceSpec,
        options: SyncOptions,
        *,
        progress: Progress,
        found: Findings,
        schema: cma.Schema,
        sight: Sight,
        believes: bool,
    ) -> None:
        self._desk = desk
        self._client = client
        self._source_id = tenure.lease.source_id
        self._spec = spec
        self._options = options
        self._progress = progress
        self._found = found
        self._models = Models.of(schema)
        self._crew = Crew(lambda: self._progress.sent(client.usage))
        self._writer = Writer(
            desk.mirror,
            desk.writing,
            tenure.lease,
            run_id=tenure.run_id,
            progress=progress,
            now=desk.now,
            believes=believes,
        )
        self._sight = sight
        self._settler = Settler(
            desk, client, self._source_id, spec, crew=self._crew, writer=self._writer, sight=self._sight, found=found
        )

    async def everything(self, *, last: datetime | None, stamp: datetime | None, trusts: bool) -> bool:
        """Pull each record that differs, and settle those that are not listed any more.

        Args:
            last: Upstream's time of its last change as the last run in this environment knew it.
            stamp: The same as this run knows it.
            trusts: Whether only what came after `last` can be new.

        Returns:
            Whether what was found explains that `stamp` is not `last`.

        Raises:
            TooMuchVanished, CmaError, MirrorError: Perhaps in a group.
        """
        self._progress.enter("sweeping")
        self._found.looked_from = self._desk.now()
        explained = True
        async with self._writing():
            if not (trusts and await self._glance(last, stamp)):
                sweep = await self._sweep(to_the_end=self._options.full)
                # A run that is sure to be followed by another one need not read the list again itself.
                is_sure = sweep.is_complete and not self._sight.hidden
                explained = not is_sure or is_explained(stamp, sweep.youngest, last=last)
                if not explained:
                    await asyncio.sleep(ASK_AGAIN_SECONDS)
                    if not await self._glance(last, stamp, explains=False):
                        sweep = await self._sweep(to_the_end=False)
                        explained = is_explained(stamp, sweep.youngest, last=last)
        failures = self._found.failures or self._crew.failures or self._writer.failures
        return explained or self._options.full or self._found.changed > 0 or bool(failures)

    async def read_candidates(self, since: datetime, requests: int) -> None:
        """Read the histories of records that may have been published without a trace, with at most these requests.

        `since` is when the change was noticed: a history that was read later shows it. Raises as `everything`.
        """
        query = partial(
            publication_candidates, source_id=self._source_id, since=since, published_after=since - RECENTLY
        )
        found = await self._desk.read(partial(query, limit=max(requests, 1)))
        some = [record.id for record in within(requests, found)]
        if some:
            await self.single(some)
        is_over = not await self._desk.read(partial(query, limit=1))
        self._found.unexplained = UnexplainedChange(None if is_over else since, self._desk.now() if some else None)

    async def _glance(self, since: datetime | None, stamp: datetime | None, *, explains: bool = True) -> bool:
        """Whether all that changed could be told, and proven, without a sweep; `explains` as in `glance`."""
        if since is None or stamp is None:
            return False
        live = await self._desk.read(lambda connection: live_record_count(connection, self._source_id))
        if live < self._options.glance_from or self._options.full:
            return False
        models = self._models.listed
        seen = await glance(self._client, models, since=since, stamp=stamp, explains=explains)
        if seen is None:
            return False
        known = await self._known([record.id for record in seen.changed])
        has_unknown = any(is_unknown(record, known) for record in seen.changed)
        if has_unknown and Models.of(await self._client.schema()).listed != models:
            return False  # what looks like a new record may be a block now
        changed = [record for record in seen.changed if differs(record, known)]
        self._found.changed += len(changed)
        precision = finest_precision(record.fingerprint for record in seen.changed)
        self._found.precision = self._found.precision if precision is None else precision
        self._progress.records_total = seen.tally.total
        self._progress.enter("pulling")
        await self._pull(PullTask(record, known.get(record.id)) for record in changed)
        await self._settler.settle_gone()
        await self._ask_suspects_again()
        counts = await self._desk.read(lambda connection: live_counts_by_status(connection, self._source_id))
        tally = Tally(sum(counts.values()), counts.get("published", 0), counts.get("updated", 0))
        if tally != seen.tally:
            return False
        self._found.began_at = seen.began_at
        return True

    async def _sweep(self, *, to_the_end: bool) -> Sweep:
        self._progress.enter("sweeping")
        with TaskSpool() as tasks:
            marks = await self._desk.reading.run(SweepMarks, self._desk.mirror, self._source_id)
            try:
                sweeper = Sweeper(
                    self._client,
                    marks,
                    self._desk.reading,
                    tasks,
                    sight=self._sight,
                    progress=self._progress,
                    to_the_end=to_the_end,
                    now=self._desk.now,
                )
                sweep = await sweeper.sweep(self._models)
                self._note_sweep(sweep)
                self._progress.enter("pulling")
                await self._pull(task for task in tasks if task.record.model_id in sweep.models)
                self._progress.enter("checking")
                if sweep.is_complete:
                    await self._settler.settle_unlisted(marks, sweep)
                await self._settler.settle_gone()
                await self._ask_suspects_again()
            finally:
                await self._desk.reading.run(marks.close)
        return sweep

    def _note_sweep(self, sweep: Sweep) -> None:
        found = self._found
        found.has_swept = True
        found.began_at = sweep.began_at
        found.failures = list(sweep.failures)  # another sweep of this run listed all of them again
        found.changed += sweep.changed
        found.precision = sweep.precision
        found.schema_is_settled &= not sweep.is_schema_changed
        if not sweep.is_complete:
            found.fall_short("the list of records moved while it was read: what is not listed was not looked for")

    async def single(self, ids: Sequence[RecordId]) -> None:
        """These records, their histories to the end; one that is gone is told. Raises as `everything`."""
        known = await self._known(ids)
        self._progress.enter("pulling")
        self._progress.records_planned = len(ids)
        async with self._writing():
            await self._crew.each(ids, RecordId, partial(self._read_to_the_end, known))
            await self._settler.settle_gone()
            await self._ask_suspects_again()

    async def scrub(self, count: int) -> None:
        """Read the histories of `count` records again to the end, those that were not read for the longest time."""
        known = await self._desk.read(
            lambda connection: oldest_synced(connection, self._source_id, count, now=self._desk.now())
        )
        await self.single([record.id for record in known])

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
        await self._crew.each(tasks, lambda task: task.record.id, self._pull_one)

    async def _pull_one(self, task: PullTask) -> None:
        if self._writer.believes:  # then what the mirror holds is no measure of what is read, nor of how far
            task = PullTask(task.record, None, to_the_end=True)
        pulled = await pull_record(self._client, task)
        if pulled.is_doubtful:
            self._found.doubtful.add(task.record.id)
        else:  # it may have been read before in this run
            self._found.doubtful.discard(task.record.id)
        await self._writer.put(Arrival(pulled))

    async def _ask_suspects_again(self) -> None:
        """What went back in time: asked for again a few times, and believed if it insists. All is written then."""
        believed = self._writer.believes
        for times in range(1, TIMES_ASKED_AGAIN + 1):
            await self._writer.flush()
            ids, self._writer.suspects = sorted(self._writer.suspects), set()
            if not ids:
                break
            await asyncio.sleep(ASK_AGAIN_SECONDS)
            self._writer.believes = believed or times == TIMES_ASKED_AGAIN
            known = await self._known(ids)
            await self._crew.each(ids, RecordId, partial(self._read_to_the_end, known))
            await self._settler.settle_gone()
        await self._writer.flush()
        self._writer.believes = believed

    async def _read_to_the_end(self, known: Mapping[RecordId, KnownRecord], id: RecordId) -> None:
        try:
            item = await self._client.item(id)
        except cma.NotFound as error:
            if id in known:
                raise RecordGone(id) from None
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
        return await self._desk.read(lambda connection: known_records(connection, self._source_id, ids))

    def conclude(self) -> None:
        """Add what went wrong with single records to what was found. To be called once, at the end."""
        found = self._found
        if note := self._sight.note(self._spec.name):
            found.fall_short(note)
        of_single = [
            *self._crew.failures,
            *(RecordFailure(id, "it exists, but its versions are not found") for id in self._crew.gone),
            *self._writer.failures,
            *(
                RecordFailure(id, "upstream shows an older state of it than before")
                for id in sorted(self._writer.suspects)
            ),
        ]
        named = {failure.record_id for failure in found.failures}
        last = {failure.record_id: failure for failure in of_single}  # one that was read again may have failed again
        found.failures.extend(failure for id, failure in last.items() if id not in named)
        self._progress.counts.records_failed = len(found.failures)
