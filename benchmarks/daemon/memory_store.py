"""The daemon's store in memory, for one daemon without a standby."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from datetime import date, datetime

from versionsync.mirror.tables.usage import ProjectUsage
from versionsync.mirror.tables.webhooks import LogCursor, QueuedRecords
from versionsync.webhooks.payload import MAX_QUEUED, WebhookPayload, WebhookResult

__all__ = ["MemoryStore"]


class MemoryStore:
    """As `versionsync.daemon.worker_database.WorkerDatabase`; every call is about a record of the source."""

    def __init__(self) -> None:
        self._usage: Counter[date] = Counter()
        self._queue: dict[int, str] = {}
        self._last_id = 0
        self._cursor: LogCursor | None = None

    async def close(self) -> None:
        """Do nothing: there is no thread."""

    async def save_next_check(
        self, at: datetime | None, reason: str | None, daemon_id: int, *, day: date, requests: int
    ) -> bool:
        """Add requests that were sent on a UTC day. No process reads when the next check is."""
        return await self.add_requests(day, requests)

    async def delete_old_runs(self, now: datetime) -> int:
        """Return 0: there are no runs."""
        return 0

    async def add_requests(self, day: date, requests: int) -> bool:
        """Add requests that were sent on a UTC day."""
        self._usage[day] += requests
        return True

    async def project_usage(self, since: date) -> ProjectUsage:
        """Return what was sent since the start of a UTC day."""
        return ProjectUsage(sum(requests for day, requests in self._usage.items() if day >= since), 1)

    async def save_webhook_call(self, call: WebhookPayload, *, is_held: bool) -> WebhookResult:
        """Queue the record that a webhook named."""
        self._last_id += 1
        self._queue[self._last_id] = call.record_id or ""
        return WebhookResult.ACCEPTED

    async def save_log_page(
        self, calls: Sequence[WebhookPayload], cursor: LogCursor, *, is_gap: bool
    ) -> Sequence[WebhookResult]:
        """Queue the calls of a page of the log."""
        self._cursor = cursor
        return [await self.save_webhook_call(call, is_held=True) for call in calls]

    async def log_cursor(self) -> LogCursor | None:
        """Return how far the log was read."""
        return self._cursor

    async def queued_records(self) -> QueuedRecords | None:
        """Return the records that no run has checked yet; if there are too many, the next check is a complete one."""
        ids = sorted(self._queue)
        named = tuple(dict.fromkeys(self._queue[id] for id in ids[:MAX_QUEUED]))
        return QueuedRecords(named, ids[-1], needs_check=len(ids) > MAX_QUEUED) if ids else None

    async def delete_queued(self, queued: QueuedRecords, *, besides: Set[str] = frozenset()) -> None:
        """Delete these records from the queue, except `besides`."""
        self._queue = {id: record for id, record in self._queue.items() if id > queued.last_id or record in besides}

    async def complete_as_of(self) -> datetime | None:
        """Return None: no other daemon has checked before."""
        return None
