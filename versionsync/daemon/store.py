"""What a follower keeps in the database besides what the engine writes: that it is there, and what it forgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from versionsync.daemon.notifications.rules import NoticeKind
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
from versionsync.webhooks.payload import MOST_HINTS, Call, Heard

__all__ = ["Bookkeeping"]


class Bookkeeping:
    """Of one source, on a thread of its own. Everything here raises MirrorError.

    Nothing is done for a source that is not in the database yet: its first run puts it there.
    """

    def __init__(self, mirror: Mirror, name: str) -> None:
        self._mirror = mirror
        self._name = name
        self._me = Holder.of_this_process()
        self._source_id: int | None = None
        self._thread = DatabaseThread(f"{name}-books")

    async def follow(self, webhook: WebhookUpdate) -> str | None:
        """Say that this process follows the source, and how its webhook does.

        Returns who else follows it, in whose favour this one stands by.
        """
        return await self._thread.run(self._follow, webhook)

    async def leave(self) -> None:
        """Say that it does no longer."""
        await self._thread.run(self._leave)

    async def note_next_look(self, at: datetime | None, reason: str | None) -> None:
        """Say when it means to look next."""
        if at is not None:
            await self._thread.run(self._note_next_look, at, reason or "")

    async def forget_runs(self, now: datetime) -> int:
        """Forget runs that wrote nothing and are old; returns how many. None, while another process writes."""
        return await self._thread.run(self._forget_runs, now)

    async def add_requests(self, day: date, requests: int) -> bool:
        """Note that so many more requests were sent on a UTC day; False: not now, the source is not known yet."""
        return await self._thread.run(self._add_requests, day, requests)

    async def project_use(self, since: date) -> ProjectUsage:
        """What was sent to the source's project since the beginning of a UTC day, by all of its sources."""
        return await self._thread.run(self._project_use, since)

    async def hear(self, call: Call) -> Heard:
        """Keep what a webhook told, if it is about this source."""
        return await self._thread.run(self._hear, call)

    async def hear_log(self, calls: Sequence[Call], reading: LogCursor, *, is_gap: bool) -> Sequence[Heard]:
        """Keep what a reading of the log of calls told, and how far it came, in one transaction.

        What a receiver has taken already, of whichever daemon, and no run has looked at is TAKEN; what is new is FOUND.

        `is_gap`: it could not prove that no call was missed since the one before.
        """
        return await self._thread.run(self._hear_log, calls, reading, is_gap=is_gap)

    async def log_read_up_to(self) -> LogCursor | None:
        """How far the log of calls was read, by whichever daemon; None: never."""
        return await self._thread.run(self._log_read_up_to)

    async def hints(self) -> QueuedRecords | None:
        """What webhooks told and no run has looked at yet; one more than MOST_HINTS at the most."""
        return await self._thread.run(self._hints)

    async def notices_told(self) -> Mapping[str, NoticeKind]:
        """What was told of the source that is not over, by the place that was told."""
        return await self._thread.run(self._notices_told)

    async def keep_notices(self, told: Mapping[str, NoticeKind | None], at: datetime) -> None:
        """This was told of the source to these places; None: that all is well again. Nothing, where it is not known."""
        await self._thread.run(self._keep_notices, told, at)

    async def forget_hints(self, hints: QueuedRecords, *, besides: Set[str] = frozenset()) -> None:
        """A run has mirrored what these hint at, but for the records `besides`."""
        await self._thread.run(self._forget_hints, hints, besides)

    async def whole_as_of(self) -> datetime | None:
        """When the last look at the whole source that succeeded began, whoever looked; None: there was none."""
        return await self._thread.run(self._whole_as_of)

    async def close(self) -> None:
        """End the thread, when what it was given is done."""
        await self._thread.close()

    def _id(self) -> int | None:
        if self._source_id is None:
            known = self._mirror.query(lambda connection: load_source(connection, self._name))
            self._source_id = None if known is None else known.id
        return self._source_id

    def _follow(self, webhook: WebhookUpdate) -> str | None:
        if (id := self._id()) is None:
            return None

        def note(tx: Connection) -> Holder:
            holder = claim_source(tx, id, self._me)
            if holder == self._me:
                save_webhook(tx, id, webhook)
            return holder

        holder = self._mirror.transact(note)
        return None if holder == self._me else str(holder)

    def _leave(self) -> None:
        if (id := self._id()) is not None:
            self._mirror.transact(lambda tx: release_source(tx, id, self._me))

    def _note_next_look(self, at: datetime, reason: str) -> None:
        if (id := self._id()) is not None:
            self._mirror.transact(lambda tx: save_next_check(tx, id, self._me, at=at, reason=reason))

    def _add_requests(self, day: date, requests: int) -> bool:
        if (id := self._id()) is None:
            return False
        self._mirror.transact(lambda tx: add_requests(tx, id, day, requests))
        return True

    def _project_use(self, since: date) -> ProjectUsage:
        if (id := self._id()) is None:
            return ProjectUsage(0, 1)
        return self._mirror.query(lambda connection: project_usage(connection, id, since=since))

    def _hear(self, call: Call) -> Heard:
        known = self._mirror.query(lambda connection: load_source(connection, self._name))
        if known is None:
            return Heard.NOTED
        heard = _meaning(call, known.project)
        if heard is not Heard.ELSEWHERE:
            self._mirror.transact(lambda tx: _keep(tx, known.id, call))
        return heard

    def _hear_log(self, calls: Sequence[Call], reading: LogCursor, *, is_gap: bool) -> Sequence[Heard]:
        known = self._mirror.query(lambda connection: load_source(connection, self._name))
        if known is None:
            return ()
        heard = [Heard.ELSEWHERE] * len(calls)

        def keep(tx: Connection) -> None:
            for place, call in enumerate(calls):
                heard[place] = _take_from_log(tx, known, call)
            save_cursor(tx, known.id, reading)
            if is_gap:
                record_gap(tx, known.id, at=datetime.now(UTC))

        self._mirror.transact(keep)
        return heard

    def _log_read_up_to(self) -> LogCursor | None:
        if (id := self._id()) is None:
            return None
        return self._mirror.query(lambda connection: log_cursor(connection, id))

    def _hints(self) -> QueuedRecords | None:
        if (id := self._id()) is None:
            return None
        return self._mirror.query(lambda connection: queued_records(connection, id, limit=MOST_HINTS + 1))

    def _notices_told(self) -> Mapping[str, NoticeKind]:
        if (id := self._id()) is None:
            return {}
        told = self._mirror.query(lambda connection: load_sent(connection, id))
        return {place: NoticeKind(kind) for place, kind in told.items()}

    def _keep_notices(self, told: Mapping[str, NoticeKind | None], at: datetime) -> None:
        if (id := self._id()) is None:
            return

        def keep(tx: Connection) -> None:
            for place, kind in told.items():
                if kind is None:
                    delete_sent(tx, id, place)
                else:
                    save_sent(tx, id, place, told=kind, at=at)

        self._mirror.transact(keep)

    def _forget_hints(self, hints: QueuedRecords, besides: Set[str]) -> None:
        if (id := self._id()) is not None:
            self._mirror.transact(lambda tx: delete_queued(tx, id, up_to=hints.last_id, besides=besides))

    def _whole_as_of(self) -> datetime | None:
        known = self._mirror.query(lambda connection: load_source(connection, self._name))
        return None if known is None else known.checkpoint.whole_as_of

    def _forget_runs(self, now: datetime) -> int:
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


def _meaning(call: Call, project: Project) -> Heard:
    """What a call is to the source of `project`: about one of its records, about something else of it, or elsewhere."""
    if call.environment not in (None, project.environment) or str(call.site_id or project.id) != project.id:
        return Heard.ELSEWHERE
    return Heard.NOTED if call.record_id is None else Heard.TAKEN


def _take_from_log(tx: Connection, known: SourceRow, call: Call) -> Heard:
    """Keep what a call in the log told; what became of it."""
    meaning = _meaning(call, known.project)
    if meaning is Heard.TAKEN:
        assert call.record_id is not None
        if not is_pending(tx, known.id, call.record_id, event_type=call.event_type):
            meaning = Heard.FOUND
    if meaning is Heard.TAKEN:
        record_call(tx, known.id, at=datetime.now(UTC))
    elif meaning is not Heard.ELSEWHERE:
        _keep(tx, known.id, call)
    return meaning


def _keep(tx: Connection, source_id: int, call: Call) -> None:
    """A call that tells of a change: that it came, and the record that it names."""
    now = datetime.now(UTC)
    record_call(tx, source_id, at=now)
    if call.record_id is not None:
        queue_record(tx, source_id, call.record_id, event_type=call.event_type, received_at=now)
