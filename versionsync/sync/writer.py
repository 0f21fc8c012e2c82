"""The one writer of a run: takes what was read, plans it, and applies it in batches, off the event loop.

Its queue is bounded by bytes, so that a slow database slows the reading instead of filling the memory. Everything in
one batch is one transaction: versions, events, records, fingerprints.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import Enum

from sqlalchemy import Connection

from versionsync import cma
from versionsync.ledger.content import ContentError, content_hash
from versionsync.ledger.ids import RecordId, VersionId
from versionsync.ledger.order import oldest_first
from versionsync.ledger.plan import FetchedHistory, InconsistentHistory, RecordPlan, plan_deletion, plan_record
from versionsync.ledger.records import DeletionEvidence, KnownRecord, SeenVersion, Version
from versionsync.ledger.safeguards import (
    are_contents_stale,
    are_versions_stale,
    is_recreated,
    lacks_newest,
    lacks_publication,
    rewritten,
)
from versionsync.ledger.sameness import Sameness, compare_contents
from versionsync.mirror.apply import Applied, apply
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.thread import DatabaseThread
from versionsync.mirror.errors import ContentRejected
from versionsync.mirror.tables.leases import Lease
from versionsync.mirror.tables.models import content_fields
from versionsync.mirror.tables.records import load_records
from versionsync.mirror.tables.runs import update_run
from versionsync.mirror.tables.versions import former_texts, load_versions, stored_contents, stored_texts
from versionsync.sync.pull import PulledRecord
from versionsync.sync.report import Counts, Progress, RecordFailure
from versionsync.sync.spool import ContentSpool
from versionsync.sync.translate import seen_version

__all__ = ["FetchedRecord", "Writer"]

BATCH_RECORDS = 256
BATCH_BYTES = 8 * 1024 * 1024
QUEUE_BYTES = 16 * 1024 * 1024
VERSION_BYTES = 2048  # about what a version takes in memory besides its content, with all that is made of it
LINGER_SECONDS = 0.2
TIME_ZONE = "time_zone"  # why a version was rewritten, in the data of its event


@dataclass(frozen=True, slots=True)
class FetchedRecord:
    """One record's versions as they were read; where the record itself is gone, `evidence` says how we know."""

    fetched: PulledRecord
    evidence: DeletionEvidence | None = None

    @property
    def record_id(self) -> RecordId:
        """Whose versions they are."""
        return self.fetched.id

    @property
    def size(self) -> int:
        """Bytes of memory, about: the contents, and as many small objects as there are versions."""
        return self.fetched.contents.size + VERSION_BYTES * len(self.fetched.listed)


@dataclass(frozen=True, slots=True)
class HashedRecord:
    """An arrival that can be planned: every version with the hash of its content, oldest first."""

    record: FetchedRecord
    versions: Sequence[SeenVersion]


class _Flush(Enum):
    """What stands in the queue between arrivals."""

    WRITE_NOW = "write what is there"
    END = "nothing more will come"


class ByteSemaphore:
    """Bytes that may wait at once; one arrival larger than all of the room may wait alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._freed = asyncio.Condition()
        self.used = 0

    async def acquire(self, size: int) -> None:
        async with self._freed:
            await self._freed.wait_for(lambda: self.used == 0 or self.used + size <= self._limit)
            self.used += size

    async def release(self, size: int) -> None:
        async with self._freed:
            self.used -= size
            self._freed.notify_all()


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
    """Applies what arrives until it is told that nothing more will come.

    `put` may be called by any number of readers, `run` is the one that writes. A record that cannot be planned or
    that the database refuses is a failure of its own, and stops no other (invariant 13). One that goes back in time is
    not written but listed in `suspects`, to be asked for again, unless the writer `believes` what arrives: that may be
    changed while nothing waits to be written.
    """

    def __init__(
        self,
        mirror: Mirror,
        writing: DatabaseThread,
        lease: Lease,
        *,
        run_id: int,
        progress: Progress,
        now: Callable[[], datetime],
        believes: bool,
    ) -> None:
        self.accept_regressions = believes
        self._mirror = mirror
        self._writing = writing
        self._lease = lease
        self._run_id = run_id
        self._progress = progress
        self._counts = progress.counts
        self._now = now
        self._queue: asyncio.Queue[FetchedRecord | _Flush] = asyncio.Queue()
        self._room = ByteSemaphore(QUEUE_BYTES)
        self._failures: dict[RecordId, str] = {}
        self.regressed: set[RecordId] = set()

    @property
    def failures(self) -> list[RecordFailure]:
        """The records that could not be written so far."""
        return [RecordFailure(id, reason) for id, reason in self._failures.items()]

    async def put(self, arrival: FetchedRecord) -> None:
        """Give one record to the writer; waits while too much is waiting already."""
        await self._room.acquire(arrival.size)
        self._progress.queued_bytes = self._room.used
        self._queue.put_nowait(arrival)

    async def flush(self) -> None:
        """Wait until all that came is written."""
        self._queue.put_nowait(_Flush.WRITE_NOW)
        await self._queue.join()

    def close(self) -> None:
        """Nothing more will come: `run` returns when all that did is written."""
        self._queue.put_nowait(_Flush.END)

    async def run(self) -> None:
        """Write until `close`. Raises LeaseLost and DatabaseUnavailable; what was committed stays."""
        is_open = True
        while is_open:
            batch, is_open = await self._batch()
            if batch:
                await self._writing.run(self._write, batch)
                self._counts.records_pulled += len(batch)
            for arrival in batch:
                await self._room.release(arrival.size)
                self._progress.queued_bytes = self._room.used
                arrival.fetched.contents.close()
                self._queue.task_done()

    async def _batch(self) -> tuple[list[FetchedRecord], bool]:
        """What is written next, and whether more may come. Waits a moment for company, since a transaction costs."""
        batch: list[FetchedRecord] = []
        size = 0
        deadline: float | None = None
        while len(batch) < BATCH_RECORDS and size < BATCH_BYTES:
            try:
                async with asyncio.timeout_at(deadline):
                    arrival = await self._queue.get()
            except TimeoutError:
                break
            if isinstance(arrival, _Flush):
                self._queue.task_done()
                return batch, arrival is not _Flush.END
            batch.append(arrival)
            size += arrival.size
            deadline = deadline or asyncio.get_running_loop().time() + LINGER_SECONDS
        return batch, True

    def _write(self, batch: Sequence[FetchedRecord]) -> None:
        hashed = [ready for arrival in batch if (ready := self._hash(arrival))]
        try:
            self._apply(hashed)
        except ContentRejected as refusal:
            if len(hashed) == 1:
                self._fail(hashed[0].record, str(refusal))
                return
            for ready in hashed:
                self._write([ready.record])

    def _hash(self, arrival: FetchedRecord) -> HashedRecord | None:
        pulled = arrival.fetched
        try:
            listed = [_hashed(version, pulled.contents) for version in pulled.listed]
            retrieved = [_hashed(version, pulled.contents) for version in pulled.retrieved]
        except ContentError as error:
            self._fail(arrival, f"the content of one of its versions cannot be read: {error}")
            return None
        return HashedRecord(arrival, (*retrieved, *oldest_first(listed)))

    def _apply(self, batch: Sequence[HashedRecord]) -> None:
        """One transaction: what the mirror holds, what that makes of what was read, and the writing of it."""
        now = self._now()
        contents = _Contents(ready.record.fetched.contents for ready in batch)

        def work(tx: Connection) -> tuple[Applied, list[RecordPlan]]:
            plans = self._plan(tx, batch, now)
            applied = apply(tx, self._lease, plans, contents, observed_at=now, run_id=self._run_id)
            so_far = self._counts + Counts(records_pulled=len(batch), **asdict(applied))  # it may be killed after this
            update_run(tx, self._lease, self._run_id, asdict(so_far))
            return applied, plans

        applied, plans = self._mirror.transact(work)
        for plan in plans:
            for change in plan.changes:
                if change.before is None:
                    self._progress.lag.observe((now - change.after.seen.created_at).total_seconds())
        self._counts.versions_inserted += applied.versions_inserted
        self._counts.versions_changed += applied.versions_changed
        self._counts.versions_rewritten += applied.versions_rewritten
        self._counts.events_written += applied.events_written

    def _plan(self, tx: Connection, batch: Sequence[HashedRecord], now: datetime) -> list[RecordPlan]:
        ids = [ready.record.record_id for ready in batch]
        records = load_records(tx, self._lease.source_id, ids)
        versions = load_versions(tx, self._lease.source_id, list(records))
        batch = self._match_contents(tx, batch, versions)
        suspected = set() if self.accept_regressions else self._find_regressed(tx, batch, records, versions)
        self.regressed |= suspected
        plans: dict[RecordId, RecordPlan] = {}
        for ready in batch:
            id = ready.record.record_id
            if id in suspected:
                continue
            try:
                plan = _plan_one(ready, records.get(id), versions.get(id, ()), now)
            except InconsistentHistory as contradiction:
                self._fail(ready.record, f"upstream contradicts itself: {contradiction}")
            else:
                if plan is not None and id not in plans:
                    plans[id] = plan
        return list(plans.values())

    def _match_contents(
        self, tx: Connection, batch: Sequence[HashedRecord], known: Mapping[RecordId, Sequence[Version]]
    ) -> Sequence[HashedRecord]:
        """`batch`, where each version that says the same as in the mirror in other words has the mirror's hash."""
        changed = {
            id: (ready, version)
            for ready in batch
            for id, version in _other_contents(ready, known.get(ready.record.record_id, ()))
        }
        if not changed:
            return batch
        fields = content_fields(tx, self._lease.source_id)
        settled: dict[VersionId, SeenVersion] = {}
        for stored in stored_texts(tx, self._lease.source_id, changed):
            ready, version = changed[stored.version_id]
            seen = ready.record.fetched.contents[version.id]
            sameness = compare_contents(stored.text, seen, fields, version.model_id, stored_by=stored.stored_by)
            if sameness is Sameness.SAME:
                settled[version.id] = replace(version, content_hash=stored.hash)
            elif sameness is Sameness.MOVED:
                settled[version.id] = replace(version, rewrite_cause=TIME_ZONE)
        return [
            HashedRecord(ready.record, [settled.get(version.id, version) for version in ready.versions])
            for ready in batch
        ]

    def _match_former_contents(
        self, tx: Connection, batch: Sequence[HashedRecord], former: Mapping[VersionId, set[bytes]]
    ) -> None:
        """Add to the hashes of `former` contents those of `batch` that say the same in other words."""
        if not former:
            return
        fields = content_fields(tx, self._lease.source_id)
        for ready in batch:
            for version in ready.versions:
                if version.content_hash in former.get(version.id, {version.content_hash}):
                    continue  # it was never rewritten, or is recognised already
                seen = ready.record.fetched.contents[version.id]
                for stored in former_texts(tx, self._lease.source_id, version.id):
                    sameness = compare_contents(stored.text, seen, fields, version.model_id, stored_by=stored.stored_by)
                    if sameness is Sameness.SAME:
                        former[version.id].add(version.content_hash)
                        break

    def _find_regressed(
        self,
        tx: Connection,
        batch: Sequence[HashedRecord],
        records: Mapping[RecordId, KnownRecord],
        known: Mapping[RecordId, Sequence[Version]],
    ) -> set[RecordId]:
        """The records of these that are shown as they were before."""
        changed = [id for ready in batch for id in rewritten(known.get(ready.record.record_id, ()), ready.versions)]
        former = stored_contents(tx, self._lease.source_id, changed)
        self._match_former_contents(tx, batch, former)
        suspected: set[RecordId] = set()
        for ready in batch:
            id = ready.record.record_id
            before, after = known.get(id, ()), ready.versions
            if (
                is_recreated(records.get(id), ready.record.fetched.record)
                or are_versions_stale(before, after)
                or are_contents_stale(former, after)
                or (_is_complete(ready.record.fetched, records.get(id)) and lacks_newest(before, after))
                or lacks_publication(records.get(id), ready.record.fetched.record, before, after)
            ):
                suspected.add(id)
        return suspected

    def _fail(self, arrival: FetchedRecord, reason: str) -> None:
        self._failures[arrival.record_id] = reason


def _is_complete(pulled: PulledRecord, known: KnownRecord | None) -> bool:
    """Whether all versions were read of a record that is alive, and was when it was last read."""
    return pulled.is_complete and pulled.record is not None and known is not None and known.deleted_at is None


def _plan_one(
    ready: HashedRecord, known: KnownRecord | None, versions: Sequence[Version], now: datetime
) -> RecordPlan | None:
    pulled, evidence = ready.record.fetched, ready.record.evidence
    if pulled.record is not None:
        pull = FetchedHistory(record=pulled.record, versions=ready.versions, is_complete=pulled.is_complete)
        return plan_record(known, versions, pull, observed_at=now)
    if known is None or known.deleted_at is not None or evidence is None:
        return None  # never mirrored, or told already
    return plan_deletion(known, versions, still_listed=ready.versions, evidence=evidence, observed_at=now)


def _other_contents(ready: HashedRecord, known: Sequence[Version]) -> Iterator[tuple[VersionId, SeenVersion]]:
    """The versions whose content has another hash than in the mirror."""
    changed = set(rewritten(known, ready.versions))
    return ((version.id, version) for version in ready.versions if version.id in changed)


def _hashed(version: cma.ItemVersion, contents: ContentSpool) -> SeenVersion:
    return seen_version(version, content_hash(contents[VersionId(version.id)]))
