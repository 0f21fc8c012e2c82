"""The daemon's books in memory: of one daemon that nobody else is beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from datetime import date, datetime

from versionsync.mirror.tables.usage import ProjectUsage
from versionsync.mirror.tables.webhooks import LogCursor, QueuedRecords, WebhookUpdate
from versionsync.webhooks.payload import MAX_QUEUED, WebhookPayload, WebhookResult

__all__ = ["Books"]


class Books:
    """As `versionsync.daemon.store.Bookkeeping`; every call is about a record of the source."""

    def __init__(self) -> None:
        self._use: Counter[date] = Counter()
        self._hints: dict[int, str] = {}
        self._last_hint = 0
        self._read_up_to: LogCursor | None = None

    async def follow(self, webhook: WebhookUpdate) -> str | None:
        """Nobody else follows."""
        return None

    async def leave(self) -> None:
        """Nobody waits for it."""

    async def close(self) -> None:
        """There is nothing to close."""

    async def note_next_look(self, at: datetime | None, reason: str | None) -> None:
        """Nobody asks for it."""

    async def forget_runs(self, now: datetime) -> int:
        """None are kept."""
        return 0

    async def add_requests(self, day: date, requests: int) -> bool:
        """So many more were sent on a UTC day."""
        self._use[day] += requests
        return True

    async def project_use(self, since: date) -> ProjectUsage:
        """What was sent since the beginning of a UTC day."""
        return ProjectUsage(sum(requests for day, requests in self._use.items() if day >= since), 1)

    async def hear(self, call: WebhookPayload) -> WebhookResult:
        """Keep what a webhook told."""
        self._last_hint += 1
        self._hints[self._last_hint] = call.record_id or ""
        return WebhookResult.ACCEPTED

    async def hear_log(
        self, calls: Sequence[WebhookPayload], reading: LogCursor, *, is_gap: bool
    ) -> Sequence[WebhookResult]:
        """Keep what a reading of the log of calls told."""
        self._read_up_to = reading
        return [await self.hear(call) for call in calls]

    async def log_read_up_to(self) -> LogCursor | None:
        """How far it was read."""
        return self._read_up_to

    async def hints(self) -> QueuedRecords | None:
        """What no run has looked at yet."""
        kept = sorted(self._hints)[: MAX_QUEUED + 1]
        return QueuedRecords(tuple(dict.fromkeys(self._hints[id] for id in kept)), kept[-1]) if kept else None

    async def forget_hints(self, hints: QueuedRecords, *, besides: Set[str] = frozenset()) -> None:
        """A run has mirrored what these hint at."""
        self._hints = {id: record for id, record in self._hints.items() if id > hints.last_id or record in besides}

    async def complete_as_of(self) -> datetime | None:
        """No other daemon has looked before."""
        return None
