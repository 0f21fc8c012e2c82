"""Plan what was read, and apply it in batches, off the event loop.

The queue is bounded by bytes, of this run and of all runs of the process together. So a slow database slows the
reading instead of filling the memory. A batch is one transaction: versions, events, records, fingerprints.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy import Connection

from versionsync.ledger.content import ContentError, content_hash
from versionsync.ledger.erasure import Erasures
from versionsync.ledger.ids import RecordId, VersionId
from versionsync.ledger.plan import InconsistentHistory, RecordPlan, plan_deletion, plan_record
from versionsync.ledger.records import KnownRecord, SeenVersion, Version
from versionsync.ledger.safeguards import (
    are_contents_stale,
    are_versions_stale,
    is_recreated,
    lacks_newest,
    lacks_publication,
    rewritten,
)
from versionsync.ledger.sameness import ContentFields, Sameness, compare_contents
from versionsync.ledger.upload_ids import upload_ids_in
from versionsync.mirror.apply import Applied, apply
from versionsync.mirror.errors import ContentRejected
from versionsync.mirror.tables.erasures import load_erasures
from versionsync.mirror.tables.models import content_fields
from versionsync.mirror.tables.records import load_records
from versionsync.mirror.tables.runs import Counts, update_run
from versionsync.mirror.tables.uploads import insert_upload_ids
from versionsync.mirror.tables.versions import StoredContent, former_texts, load_versions, stored_contents, stored_texts
from versionsync.sync.context import RunContext
from versionsync.sync.pull import FetchedRecord
from versionsync.sync.report import RecordFailure
from versionsync.sync.stage_results import StageResult
from versionsync.sync.temporary_files import ContentSpool

__all__ = ["Writer", "writing"]

TIME_ZONE = "time_zone"  # the cause of a rewrite, in the data of its event


class _Contents(Mapping[VersionId, bytes]):
    """The contents of a batch, each read from its record's spool when it is written."""

    def __init__(self, spools: Iterable[ContentSpool]) -> None:
        self._spools = {id: spool for spool in spools for id in spool}

    def __getitem__(self, id: VersionId) -> bytes:
        return self._spools[id][id]

    def __iter__(self) -> Iterator[VersionId]:
        return iter(self._spools)

    def __len__(self) -> int:
        return len(self._spools)


class Writer:
    """Writes fetched records until `close`.

    `put` may be called by any number of workers; `run` is the one that writes. A record that cannot be planned, or
    that the database refuses, is a failure of its own and stops no other (invariant 13). A record in an older state
    than the mirror's is not written but reported as regressed, unless the writer accepts regressions.

    Attributes:
        erasures: What was erased on request, and must not be put into it. An erasure needs the lease that this run
            holds, so none is added meanwhile.
    """

    def __init__(self, ctx: RunContext, *, erasures: Erasures, accept_regressions: bool) -> None:
        self._ctx = ctx
        self.erasures = erasures
        self.accept_regressions = accept_regressions
        self._counts = ctx.progress.counts
        self._queue: asyncio.Queue[FetchedRecord | None] = asyncio.Queue()
        self._held = 0
        self._failures: dict[RecordId, str] = {}
        self._regressed: set[RecordId] = set()
        self._uploads: set[str] = set()  # those that this run has noted

    @property
    def result(self) -> StageResult:
        """Return the records that could not be written so far."""
        return StageResult(
            failures=tuple(RecordFailure(id, reason) for id, reason in self._failures.items()),
            regressed=frozenset(self._regressed),
        )

    async def put(self, record: FetchedRecord) -> None:
        """Queue one record, which was read within `ctx.memory.reading()`. Waits while the queue is full."""
        await self._ctx.memory.queue(record.size)
        self._held += record.size
        self._queue.put_nowait(record)

    def close(self) -> None:
        """Let `run` return when everything in the queue is written."""
        self._queue.put_nowait(None)

    async def run(self) -> None:
        """Write until `close`. Raises LeaseLost and DatabaseUnavailable. What was committed stays."""
        is_open = True
        while is_open:
            batch, is_open = await self._batch()
            if batch:
                await self._ctx.database.writing.run(self._write, batch)
                self._counts.records_pulled += len(batch)
            for record in batch:
                self._release(record.size)
                record.contents.close()

    def drop(self) -> None:
        """Give back the memory of what was not written, after `run` was stopped."""
        self._release(self._held)

    def _release(self, size: int) -> None:
        self._held -= size
        self._ctx.memory.written(size)

    async def _batch(self) -> tuple[list[FetchedRecord], bool]:
        """Return the next batch, and whether more may come. Waits a moment for more records to share a transaction."""
        limits, batch, size = self._ctx.limits, list[FetchedRecord](), 0
        deadline: float | None = None
        while len(batch) < limits.batch_records and size < limits.batch_bytes:
            try:
                async with asyncio.timeout_at(deadline):
                    record = await self._queue.get()
            except TimeoutError:
                break
            if record is None:
                return batch, False
            batch.append(record)
            size += record.size
            deadline = deadline or asyncio.get_running_loop().time() + self._ctx.timings.fill_batch
        return batch, True

    def _write(self, batch: Sequence[FetchedRecord]) -> None:
        hashed = [record for fetched in batch if (record := self._with_hashes(fetched))]
        try:
            self._apply(hashed)
        except ContentRejected as error:
            if len(hashed) == 1:
                self._failures[hashed[0].id] = str(error)
                return
            for record in hashed:
                self._write([record])

    def _with_hashes(self, record: FetchedRecord) -> FetchedRecord | None:
        try:
            versions = [
                replace(version, content_hash=content_hash(record.contents[version.id])) for version in record.versions
            ]
        except ContentError as error:
            self._failures[record.id] = f"the content of one of its versions cannot be read: {error}"
            return None
        return replace(record, versions=versions)

    def _apply(self, batch: Sequence[FetchedRecord]) -> None:
        """Read what the mirror holds, plan, and write, in one transaction."""
        ctx, now = self._ctx, self._ctx.now()
        contents = _Contents(record.contents for record in batch)

        def work(tx: Connection) -> tuple[Applied, list[RecordPlan], set[str]]:
            plans = self._plan(tx, batch, now)
            applied = apply(tx, ctx.lease, plans, contents, observed_at=now, run_id=ctx.run_id)
            uploads = _uploads_in(plans, contents) - self._uploads
            insert_upload_ids(tx, ctx.source.id, uploads, observed_at=now)
            counts = self._counts + Counts(records_pulled=len(batch), **asdict(applied))
            update_run(tx, ctx.lease, ctx.run_id, asdict(counts))  # the run may be killed after this commit
            return applied, plans, uploads

        applied, plans, uploads = ctx.database.mirror.transact(work)
        self._uploads |= uploads
        for plan in plans:
            for change in plan.changes:
                if change.before is None:
                    ctx.progress.lag.observe((now - change.after.seen.created_at).total_seconds())
        self._counts.versions_inserted += applied.versions_inserted
        self._counts.versions_changed += applied.versions_changed
        self._counts.versions_rewritten += applied.versions_rewritten
        self._counts.events_written += applied.events_written

    def _plan(self, tx: Connection, batch: Sequence[FetchedRecord], now: datetime) -> list[RecordPlan]:
        records = load_records(tx, self._ctx.source.id, [record.id for record in batch])
        versions = load_versions(tx, self._ctx.source.id, list(records))
        batch = self._match_contents(tx, batch, versions)
        if not self.accept_regressions:
            regressed = self._find_regressed(tx, batch, records, versions)
            self._regressed |= regressed
            batch = [record for record in batch if record.id not in regressed]
        plans: dict[RecordId, RecordPlan] = {}
        for record in batch:
            try:
                plan = _plan_one(record, records.get(record.id), versions.get(record.id, ()), now)
            except InconsistentHistory as error:
                self._failures[record.id] = f"upstream contradicts itself: {error}"
            else:
                if plan is not None:
                    plans.setdefault(record.id, plan)
        return list(plans.values())

    def _match_contents(
        self, tx: Connection, batch: Sequence[FetchedRecord], known: Mapping[RecordId, Sequence[Version]]
    ) -> Sequence[FetchedRecord]:
        """Return `batch` with the mirror's hash for each version whose content is the same in another spelling."""
        changed = {
            version.id: (record, version)
            for record in batch
            for version in rewritten(known.get(record.id, ()), record.versions)
        }
        if not changed:
            return batch
        fields = content_fields(tx, self._ctx.source.id)
        matched: dict[VersionId, SeenVersion] = {}
        for stored in stored_texts(tx, self._ctx.source.id, changed):
            record, version = changed[stored.version_id]
            sameness = _compare(stored, record, version, fields)
            if sameness is Sameness.SAME:
                matched[version.id] = replace(version, content_hash=stored.hash)
            elif sameness is Sameness.MOVED:
                matched[version.id] = replace(version, rewrite_cause=TIME_ZONE)
        return [
            replace(record, versions=[matched.get(version.id, version) for version in record.versions])
            for record in batch
        ]

    def _match_former_contents(
        self, tx: Connection, batch: Sequence[FetchedRecord], former: Mapping[VersionId, set[bytes]]
    ) -> None:
        """Add to the hashes of `former` contents those of the same contents in another spelling."""
        if not former:
            return
        fields = content_fields(tx, self._ctx.source.id)
        for record in batch:
            for version in record.versions:
                if version.content_hash in former.get(version.id, {version.content_hash}):
                    continue  # it was never rewritten, or its hash is known already
                stored = former_texts(tx, self._ctx.source.id, version.id)
                if any(_compare(text, record, version, fields) is Sameness.SAME for text in stored):
                    former[version.id].add(version.content_hash)

    def _find_regressed(
        self,
        tx: Connection,
        batch: Sequence[FetchedRecord],
        records: Mapping[RecordId, KnownRecord],
        known: Mapping[RecordId, Sequence[Version]],
    ) -> set[RecordId]:
        """Return the records that DatoCMS shows in an older state than the mirror holds."""
        changed = [version.id for each in batch for version in rewritten(known.get(each.id, ()), each.versions)]
        former = stored_contents(tx, self._ctx.source.id, changed)
        self._match_former_contents(tx, batch, former)
        return {each.id for each in batch if _is_regressed(each, records.get(each.id), known.get(each.id, ()), former)}


@asynccontextmanager
async def writing(ctx: RunContext, *, accept_regressions: bool = False) -> AsyncIterator[Writer]:
    """Write what the block puts into the writer. What was read is still written if the block raises an error.

    In the first sync of an environment the writer accepts regressions: the mirror's state says nothing about it.
    """
    erasures = await ctx.read(load_erasures)
    writer = Writer(ctx, erasures=erasures, accept_regressions=accept_regressions or ctx.is_first_sync)
    error: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.run())
            try:
                yield writer
            except Exception as raised:  # any error waits for the writer, and is raised below
                error = raised
            writer.close()
    finally:
        writer.drop()
    ctx.progress.count_usage(ctx.client.usage)
    if error is not None:
        raise error


def _is_regressed(
    fetched: FetchedRecord,
    known: KnownRecord | None,
    versions: Sequence[Version],
    former: Mapping[VersionId, Collection[bytes]],
) -> bool:
    """Return whether DatoCMS shows a record in an older state than the mirror holds.

    Args:
        fetched: The record as it was read.
        known: What the mirror holds of it.
        versions: What the mirror holds of its versions.
        former: The hashes of the contents that versions had before they were rewritten.
    """
    seen = fetched.versions
    is_alive = fetched.record is not None and known is not None and known.deleted_at is None
    return (
        is_recreated(known, fetched.record, seen)
        or are_versions_stale(versions, seen)
        or are_contents_stale(former, seen)
        or (is_alive and fetched.is_complete and lacks_newest(versions, seen))
        or lacks_publication(known, fetched.record, versions, seen)
    )


def _plan_one(
    fetched: FetchedRecord, known: KnownRecord | None, versions: Sequence[Version], now: datetime
) -> RecordPlan | None:
    seen, evidence = fetched.versions, fetched.evidence
    if fetched.record is not None:
        return plan_record(known, versions, fetched.record, seen, is_complete=fetched.is_complete, observed_at=now)
    if known is None or known.deleted_at is not None or evidence is None:
        return None  # never mirrored, or marked deleted already
    return plan_deletion(known, versions, still_listed=seen, evidence=evidence, observed_at=now)


def _uploads_in(plans: Iterable[RecordPlan], contents: Mapping[VersionId, bytes]) -> set[str]:
    """Return the uploads that new and rewritten versions name."""
    return {
        id
        for plan in plans
        for change in plan.changes
        if change.before is None or change.is_rewrite
        for id in upload_ids_in(contents[change.after.seen.id])
    }


def _compare(stored: StoredContent, fetched: FetchedRecord, version: SeenVersion, fields: ContentFields) -> Sameness:
    seen = fetched.contents[version.id]
    return compare_contents(stored.text, seen, fields, version.model_id, stored_by=stored.stored_by)
