"""What a worker stores in the database besides the mirror: its next check, its usage, webhooks and notifications."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from datetime import UTC, date, datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from versionsync.daemon.notifications.rules import NotificationKind
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import LeaseHeld
from versionsync.mirror.holder import Holder
from versionsync.mirror.tables.daemons import save_next_check
from versionsync.mirror.tables.leases import acquire, release
from versionsync.mirror.tables.notifications import delete_sent, load_sent, save_sent
from versionsync.mirror.tables.runs import delete_old_runs
from versionsync.mirror.tables.sources import Project, SourceRow, load_source, source_id
from versionsync.mirror.tables.usage import ProjectUsage, add_requests, project_usage
from versionsync.mirror.tables.webhooks import (
    LogCursor,
    QueuedRecords,
    delete_queued,
    is_pending,
    log_cursor,
    queue_record,
    queued_records,
    record_call,
    record_gap,
    save_cursor,
)
from versionsync.webhooks.payload import MAX_QUEUED, WebhookPayload, WebhookResult

__all__ = ["WorkerDatabase"]

T = TypeVar("T")


class WorkerDatabase:
    """The stored data of one source, used one query at a time, off the event loop. Every method raises MirrorError.

    A source that is not in the database yet has no data. Its first claim adds it, before any request is sent.
    """

    def __init__(self, mirror: Mirror, name: str) -> None:
        self._mirror = mirror
        self._name = name
        self._me = Holder.of_this_process()
        self._source_id: int | None = None
        self._thread = mirror.lane(f"{name}-store")

    async def save_next_check(
        self, at: datetime | None, reason: str | None, daemon_id: int, *, day: date, requests: int
    ) -> bool:
        """Save when the next check is planned, and requests that were sent on a UTC day, in one transaction.

        The time is saved only if this daemon still has the source. False: the source is not in the database yet.
        """

        def save(tx: Connection, id: int) -> bool:
            if requests:
                add_requests(tx, id, day, requests)
            if at is not None:
                save_next_check(tx, id, daemon_id, at=at, reason=reason or "")
            return True

        return await self._write(save) or False

    async def delete_old_runs(self, now: datetime) -> int:
        """Delete old runs that wrote nothing, unless another process writes; return how many."""
        return await self._thread.run(self._delete_old_runs, now)

    async def add_requests(self, day: date, requests: int) -> bool:
        """Add requests that were sent on a UTC day. False: the source is not in the database yet."""

        def add(tx: Connection, id: int) -> bool:
            add_requests(tx, id, day, requests)
            return True

        return await self._write(add) or False

    async def project_usage(self, since: date) -> ProjectUsage:
        """Return what all sources of the project have sent since the start of a UTC day."""
        return await self._read(partial(project_usage, since=since)) or ProjectUsage(0, 1)

    async def save_webhook_call(self, call: WebhookPayload, *, is_held: bool) -> WebhookResult:
        """Save what a webhook reported, if it is about this source.

        If this daemon does not hold it, the message goes to the one that does. A call that names no record is then
        queued too: the other daemon may not hear the message.
        """
        known = await self._thread.run(self._known)
        if known is None:
            return WebhookResult.ACCEPTED_NO_RECORD
        result = _classify(call, known.project)
        if result is not WebhookResult.OTHER_ENVIRONMENT:
            await self._write(partial(_queue if is_held else self._queue_for_another, call=call))
        return result

    def _queue_for_another(self, tx: Connection, source_id: int, call: WebhookPayload) -> None:
        _queue(tx, source_id, call)
        if call.record_id is None:
            queue_record(tx, source_id, None, event_type=call.event_type, received_at=datetime.now(UTC))
        self._mirror.dialect.notify(tx, f"webhook {source_id}")

    async def save_log_page(
        self, calls: Sequence[WebhookPayload], cursor: LogCursor, *, is_gap: bool
    ) -> Sequence[WebhookResult]:
        """Save the calls of a page of the log together with the cursor, in one transaction.

        A call that a receiver of any daemon has already queued, and that no run has checked, is ACCEPTED. A new one is
        RECOVERED. `is_gap` is whether calls may be missing since the poll before.
        """
        known = await self._thread.run(self._known)
        if known is None:
            return ()

        def save(tx: Connection) -> Sequence[WebhookResult]:
            results = [_queue_logged(tx, known, call) for call in calls]
            save_cursor(tx, known.id, cursor)
            if is_gap:
                record_gap(tx, known.id, at=datetime.now(UTC))
            return results

        return await self._thread.run(self._mirror.transact, save)

    async def log_cursor(self) -> LogCursor | None:
        """Return how far any daemon has read the log of calls; None: never."""
        return await self._read(log_cursor)

    async def queued_records(self) -> QueuedRecords | None:
        """Return at most MAX_QUEUED records that webhooks named and no run has checked."""
        return await self._read(partial(queued_records, limit=MAX_QUEUED))

    async def sent_notifications(self) -> Mapping[str, NotificationKind]:
        """Return the open notifications about the source, by channel."""
        sent = await self._read(load_sent) or {}
        return {channel: NotificationKind(kind) for channel, kind in sent.items()}

    async def save_notifications(self, sent: Mapping[str, NotificationKind | None], at: datetime) -> None:
        """Save what was sent to these channels; None: the problem has passed."""

        def save(tx: Connection, id: int) -> None:
            for channel, kind in sent.items():
                if kind is None:
                    delete_sent(tx, id, channel)
                else:
                    save_sent(tx, id, channel, kind=kind, at=at)

        await self._write(save)

    async def delete_queued(self, queued: QueuedRecords, *, besides: Set[str] = frozenset()) -> None:
        """Delete these queued records after a run has mirrored them, except the records `besides`."""
        await self._write(partial(delete_queued, up_to=queued.last_id, besides=besides))

    async def complete_as_of(self) -> datetime | None:
        """Return when the last complete check of any process began; None: there was none."""
        known = await self._thread.run(self._known)
        return None if known is None else known.checkpoint.complete_as_of

    async def close(self) -> None:
        """Wait for the last query."""
        await self._thread.close()

    async def _read(self, query: Callable[[Connection, int], T]) -> T | None:
        """Return what `query` finds for the id of the source; None: the source is not in the database yet."""

        def read() -> T | None:
            id = self._id()
            return None if id is None else self._mirror.query(lambda connection: query(connection, id))

        return await self._thread.run(read)

    async def _write(self, change: Callable[[Connection, int], T]) -> T | None:
        """Do the same with `change` in a transaction."""

        def write() -> T | None:
            id = self._id()
            return None if id is None else self._mirror.transact(lambda tx: change(tx, id))

        return await self._thread.run(write)

    def _known(self) -> SourceRow | None:
        return self._mirror.query(lambda connection: load_source(connection, self._name))

    def _id(self) -> int | None:
        if self._source_id is None:
            self._source_id = self._mirror.query(lambda connection: source_id(connection, self._name))
        return self._source_id

    def _delete_old_runs(self, now: datetime) -> int:
        if (id := self._id()) is None:
            return 0
        try:
            lease = acquire(self._mirror, id, self._me)
        except LeaseHeld:
            return 0
        try:
            return self._mirror.transact(lambda tx: delete_old_runs(tx, lease, now=now))
        finally:
            release(self._mirror, lease)


def _classify(call: WebhookPayload, project: Project) -> WebhookResult:
    """Return whether a call is about a record of the project's source, about something else in it, or not about it."""
    if call.environment not in (None, project.environment) or str(call.site_id or project.id) != project.id:
        return WebhookResult.OTHER_ENVIRONMENT
    return WebhookResult.ACCEPTED_NO_RECORD if call.record_id is None else WebhookResult.ACCEPTED


def _queue_logged(tx: Connection, known: SourceRow, call: WebhookPayload) -> WebhookResult:
    """Queue a call from the log, and return what became of it."""
    result = _classify(call, known.project)
    if result is WebhookResult.ACCEPTED:
        assert call.record_id is not None
        if not is_pending(tx, known.id, call.record_id, event_type=call.event_type):
            result = WebhookResult.RECOVERED
    if result is WebhookResult.ACCEPTED:
        record_call(tx, known.id, at=datetime.now(UTC))
    elif result is not WebhookResult.OTHER_ENVIRONMENT:
        _queue(tx, known.id, call)
    return result


def _queue(tx: Connection, source_id: int, call: WebhookPayload) -> None:
    """Record a call that reports a change, and queue the record that it names."""
    now = datetime.now(UTC)
    record_call(tx, source_id, at=now)
    if call.record_id is not None:
        queue_record(tx, source_id, call.record_id, event_type=call.event_type, received_at=now)
