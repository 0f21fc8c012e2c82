"""The second rung: list all records, and find those whose fingerprint is not the one that the mirror holds.

A listing over all models costs the fewest requests, but stands in upstream's own order (newest update first) and so
moves while editors work. Where it moved, the models are listed one by one in the order of their records' ids, which
no edit changes. Either way every page overlaps the one before it by a record, and a sweep is complete only if as
many different records were seen as upstream counts (invariant 6).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from versionsync import cma
from versionsync.ledger.content import ContentError
from versionsync.ledger.ids import ModelId, RecordId
from versionsync.ledger.records import KnownRecord, SeenRecord
from versionsync.mirror.sweep import SweepMarks
from versionsync.sync.report import Progress, RecordFailure
from versionsync.sync.spool import PullTask, TaskSpool
from versionsync.sync.threads import DatabaseThread
from versionsync.sync.translate import seen_record

__all__ = ["Sweep", "Sweeper", "differs"]

ATTEMPTS = 3


@dataclass(slots=True)
class Sweep:
    """What one sweep saw.

    `began_at` is upstream's clock at its first page, `total` what upstream counts, `youngest` the time of the last edit
    or publication of any record.
    """

    is_complete: bool = False
    began_at: datetime | None = None
    total: int = 0
    youngest: datetime | None = None
    failures: list[RecordFailure] = field(default_factory=list)


class Sweeper:
    """Sweeps one source: marks what it sees, and spools a pull for each record that differs."""

    def __init__(
        self,
        client: cma.Client,
        marks: SweepMarks,
        reading: DatabaseThread,
        tasks: TaskSpool,
        *,
        progress: Progress,
        to_the_end: bool,
    ) -> None:
        self._client = client
        self._marks = marks
        self._reading = reading
        self._tasks = tasks
        self._progress = progress
        self._to_the_end = to_the_end
        self._sweep = Sweep()

    async def sweep(self, models: Sequence[ModelId]) -> Sweep:
        """List everything once more until it stood still, at most three times; `models` are upstream's, without blocks.

        Raises CmaError if a page cannot be had.
        """
        for attempt in range(ATTEMPTS):
            self._sweep = Sweep()
            self._tasks.clear()
            await self._reading.run(self._marks.clear)
            self._progress.counts.records_swept = 0
            pages = self._everything() if attempt == 0 else self._by_model(models)
            try:
                async for page in pages:
                    await self._take(page)
            except cma.PagesMoved:
                continue
            seen = await self._reading.run(self._marks.count)
            if seen == self._sweep.total:
                self._sweep.is_complete = True
                break
        return self._sweep

    async def _everything(self) -> AsyncIterator[cma.Page[cma.Item]]:
        async for page in cma.walk_items(self._client):
            self._sweep.total = page.total
            self._progress.records_total = page.total
            yield page

    async def _by_model(self, models: Sequence[ModelId]) -> AsyncIterator[cma.Page[cma.Item]]:
        moved: cma.PagesMoved | None = None
        for model in models:
            try:
                async for page in cma.walk_items(self._client, model=model, order_by="id_ASC"):
                    yield page
            except cma.PagesMoved as error:
                moved = error  # what the other models have is mirrored all the same
        if moved is not None:
            raise moved
        self._sweep.total = (await self._client.items_page(offset=0, limit=1)).total

    async def _take(self, page: cma.Page[cma.Item]) -> None:
        if self._sweep.began_at is None:
            self._sweep.began_at = page.at
        seen = list(self._readable(page))
        ids = [record.id for record in seen]
        unreadable = [RecordId(entry.id) for entry in page.bad if entry.id]
        known = await self._reading.run(self._marks.mark_and_look_up, [*ids, *unreadable])
        for record in seen:
            times = (self._sweep.youngest, record.updated_at, record.published_at)
            self._sweep.youngest = max((time for time in times if time), default=None)
            if self._to_the_end or differs(record, known):
                self._tasks.add(PullTask(record, known.get(record.id), self._to_the_end))
        self._progress.records_planned = self._tasks.count
        self._progress.counts.records_swept += len(seen)

    def _readable(self, page: cma.Page[cma.Item]) -> Iterable[SeenRecord]:
        for entry in page.bad:
            self._sweep.failures.append(RecordFailure(entry.id or "(without an id)", str(entry.error)))
        for item in page.items:
            try:
                yield seen_record(item)
            except ContentError as error:
                self._sweep.failures.append(RecordFailure(item.id, f"its meta cannot be read: {error}"))


def differs(record: SeenRecord, known: Mapping[RecordId, KnownRecord]) -> bool:
    """Whether the mirror does not hold `record` as it was seen; `known` is what it holds of the records around it."""
    held = known.get(record.id)
    return held is None or held.deleted_at is not None or held.fingerprint != record.fingerprint
