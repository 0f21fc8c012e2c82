"""What a follower keeps in the database besides what the engine writes: that it is there, and what it forgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from versionsync.daemon.notifications.rules import NotificationKind
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.thread import DatabaseThread
from versionsync.mirror.errors import LeaseHeld
from versionsync.mirror.holder import Holder
from versionsync.mirror.tables.daemons import claim_source, release_source, save_next_check
from versionsync.mirror.tables.leases import acquire, release
from versionsync.mirror.tables.notifications import delete_sent, load_sent, save_sent
from versionsync.mirror.tables.runs import delete_old_runs
from versionsync.mirror.tables.sources import Project, SourceRow, load_source
from versionsync.mirror.tables.usage import ProjectUsage, add_requests, project_usage
from versionsync.mirror.tables.webhooks import (
    LogCursor,
    QueuedRecords,
    WebhookUpdate,
    delete_queued,
    is_pending,
    log_cursor,
    queue_record,
    queued_records,
    record_call,
    record_gap,
    save_cursor,
    save_webhook,
)
from versionsync.webhooks.payload import MAX_QUEUED, WebhookPayload, WebhookResult

__all__ = ["SourceStore"]


class SourceStore:
    """Of one source, on a thread of its own. Everything here raises MirrorError.

    Nothing is done for a source that is not in the database yet: its first run puts it there.
    """

    def __init__(self, mirror: Mirror, name: str) -> None:
        self._mirror = mirror
        self._name = name
        self._me = Holder.of_this_process()
        self._source_id: int | None = None
        self._thread = DatabaseThread(f"{name}-books")

    async def claim(self, webhook: WebhookUpdate) -> str | None:
        """Say that this process follows the source, and how its webhook does.

        Returns who else follows it, in whose favour this one stands by.
        """
        return await self._thread.run(self._claim, webhook)

    async def release(self) -> None:
        """Say that it does no longer."""
        await self._thread.run(self._release)

    async def save_next_check(self, at: datetime | None, reason: str | None) -> None:
        """Say when it means to look next."""
        if at is not None:
            await self._thread.run(self._save_next_check, at, reason or "")

    async def delete_old_runs(self, now: datetime) -> int:
        """Forget runs that wrote nothing and are old; returns how many. None, while another process writes."""
        return await self._thread.run(self._delete_old_runs, now)

    async def add_requests(self, day: date, requests: int) -> bool:
        """Note that so many more requests were sent on a UTC day; False: not now, the source is not known yet."""
        return await self._thread.run(self._add_requests, day, requests)

    async def project_usage(self, since: date) -> ProjectUsage:
        """What was sent to the source's project since the beginning of a UTC day, by all of its sources."""
        return await self._thread.run(self._project_usage, since)

    async def save_webhook_call(self, call: WebhookPayload) -> WebhookResult:
        """Keep what a webhook told, if it is about this source."""
        return await self._thread.run(self._save_webhook_call, call)

    async def save_log_page(
        self, calls: Sequence[WebhookPayload], reading: LogCursor, *, is_gap: bool
    ) -> Sequence[WebhookResult]:
        """Keep what a reading of the log of calls told, and how far it came, in one transaction.

        What a receiver has taken already, of whichever daemon, and no run has looked at is TAKEN; what is new is FOUND.

        `is_gap`: it could not prove that no call was missed since the one before.
        """
        return await self._thread.run(self._save_log_page, calls, reading, is_gap=is_gap)

    async def log_cursor(self) -> LogCursor | None:
        """How far the log of calls was read, by whichever daemon; None: never."""
        return await self._thread.run(self._log_cursor)

    async def queued_records(self) -> QueuedRecords | None:
        """What webhooks told and no run has looked at yet; one more than MOST_HINTS at the most."""
        return await self._thread.run(self._queued_records)

    async def sent_notifications(self) -> Mapping[str, NotificationKind]:
        """What was told of the source that is not over, by the place that was told."""
        return await self._thread.run(self._sent_notifications)

    async def save_notifications(self, told: Mapping[str, NotificationKind | None], at: datetime) -> None:
        """This was told of the source to these places; None: that all is well again. Nothing, where it is not known."""
        await self._thread.run(self._save_notifications, told, at)

    async def delete_queued(self, hints: QueuedRecords, *, besides: Set[str] = frozenset()) -> None:
        """A run has mirrored what these hint at, but for the records `besides`."""
        await self._thread.run(self._delete_queued, hints, besides)

    async def complete_as_of(self) -> datetime | None:
        """When the last look at the whole source that succeeded began, whoever looked; None: there was none."""
        return await self._thread.run(self._complete_as_of)

    async def close(self) -> None:
        """End the thread, when what it was given is done."""
        await self._thread.close()

    def _id(self) -> int | None:
        if self._source_id is None:
            known = self._mirror.query(lambda connection: load_source(connection, self._name))
            self._source_id = None if known is None else known.id
        return self._source_id

    def _claim(self, webhook: WebhookUpdate) -> str | None:
        if (id := self._id()) is None:
            return None

        def note(tx: Connection) -> Holder:
            holder = claim_source(tx, id, self._me)
            if holder == self._me:
                save_webhook(tx, id, webhook)
            return holder

        holder = self._mirror.transact(note)
        return None if holder == self._me else str(holder)

    def _release(self) -> None:
        if (id := self._id()) is not None:
            self._mirror.transact(lambda tx: release_source(tx, id, self._me))

    def _save_next_check(self, at: datetime, reason: str) -> None:
        if (id := self._id()) is not None:
            self._mirror.transact(lambda tx: save_next_check(tx, id, self._me, at=at, reason=reason))

    def _add_requests(self, day: date, requests: int) -> bool:
        if (id := self._id()) is None:
            return False
        self._mirror.transact(lambda tx: add_requests(tx, id, day, requests))
        return True

    def _project_usage(self, since: date) -> ProjectUsage:
        if (id := self._id()) is None:
            return ProjectUsage(0, 1)
        return self._mirror.query(lambda connection: project_usage(connection, id, since=since))

    def _save_webhook_call(self, call: WebhookPayload) -> WebhookResult:
        known = self._mirror.query(lambda connection: load_source(connection, self._name))
        if known is None:
            return WebhookResult.ACCEPTED_NO_RECORD
        heard = _meaning(call, known.project)
        if heard is not WebhookResult.OTHER_ENVIRONMENT:
            self._mirror.transact(lambda tx: _keep(tx, known.id, call))
        return heard

    def _save_log_page(
        self, calls: Sequence[WebhookPayload], reading: LogCursor, *, is_gap: bool
    ) -> Sequence[WebhookResult]:
        known = self._mirror.query(lambda connection: load_source(connection, self._name))
        if known is None:
            return ()
        heard = [WebhookResult.OTHER_ENVIRONMENT] * len(calls)

        def keep(tx: Connection) -> None:
            for place, call in enumerate(calls):
                heard[place] = _queue_logged(tx, known, call)
            save_cursor(tx, known.id, reading)
            if is_gap:
                record_gap(tx, known.id, at=datetime.now(UTC))

        self._mirror.transact(keep)
        return heard

    def _log_cursor(self) -> LogCursor | None:
        if (id := self._id()) is None:
            return None
        return self._mirror.query(lambda connection: log_cursor(connection, id))

    def _queued_records(self) -> QueuedRecords | None:
        if (id := self._id()) is None:
            return None
        return self._mirror.query(lambda connection: queued_records(connection, id, limit=MAX_QUEUED + 1))

    def _sent_notifications(self) -> Mapping[str, NotificationKind]:
        if (id := self._id()) is None:
            return {}
        told = self._mirror.query(lambda connection: load_sent(connection, id))
        return {place: NotificationKind(kind) for place, kind in told.items()}

    def _save_notifications(self, told: Mapping[str, NotificationKind | None], at: datetime) -> None:
        if (id := self._id()) is None:
            return

        def keep(tx: Connection) -> None:
            for place, kind in told.items():
                if kind is None:
                    delete_sent(tx, id, place)
                else:
                    save_sent(tx, id, place, kind=kind, at=at)

        self._mirror.transact(keep)

    def _delete_queued(self, hints: QueuedRecords, besides: Set[str]) -> None:
        if (id := self._id()) is not None:
            self._mirror.transact(lambda tx: delete_queued(tx, id, up_to=hints.last_id, besides=besides))

    def _complete_as_of(self) -> datetime | None:
        known = self._mirror.query(lambda connection: load_source(connection, self._name))
        return None if known is None else known.checkpoint.complete_as_of

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


def _meaning(call: WebhookPayload, project: Project) -> WebhookResult:
    """What a call is to the source of `project`: about one of its records, about something else of it, or elsewhere."""
    if call.environment not in (None, project.environment) or str(call.site_id or project.id) != project.id:
        return WebhookResult.OTHER_ENVIRONMENT
    return WebhookResult.ACCEPTED_NO_RECORD if call.record_id is None else WebhookResult.ACCEPTED


def _queue_logged(tx: Connection, known: SourceRow, call: WebhookPayload) -> WebhookResult:
    """Keep what a call in the log told; what became of it."""
    meaning = _meaning(call, known.project)
    if meaning is WebhookResult.ACCEPTED:
        assert call.record_id is not None
        if not is_pending(tx, known.id, call.record_id, event_type=call.event_type):
            meaning = WebhookResult.RECOVERED
    if meaning is WebhookResult.ACCEPTED:
        record_call(tx, known.id, at=datetime.now(UTC))
    elif meaning is not WebhookResult.OTHER_ENVIRONMENT:
        _keep(tx, known.id, call)
    return meaning


def _keep(tx: Connection, source_id: int, call: WebhookPayload) -> None:
    """A call that tells of a change: that it came, and the record that it names."""
    now = datetime.now(UTC)
    record_call(tx, source_id, at=now)
    if call.record_id is not None:
        queue_record(tx, source_id, call.record_id, event_type=call.event_type, received_at=now)
