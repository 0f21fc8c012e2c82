"""What a follower keeps in the database besides what the engine writes: that it is there, and what it forgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from versionsync.daemon.hints import MOST_HINTS, Call, Heard
from versionsync.daemon.notices import NoticeKind
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import LeaseHeld
from versionsync.mirror.followers import follow, leave, note_next_look
from versionsync.mirror.hints import Hints, add_hint, forget_hints, is_hinted, waiting_hints
from versionsync.mirror.holders import Holder
from versionsync.mirror.leases import acquire, release
from versionsync.mirror.notices import forget_notice, keep_notice, notices_told
from versionsync.mirror.retention import forget_runs
from versionsync.mirror.sources import Project, SourceRow, source
from versionsync.mirror.usage import ProjectUse, add_requests, project_use
from versionsync.mirror.webhook_logs import ReadUpTo, note_reading, read_up_to
from versionsync.mirror.webhooks import WebhookNews, note_call, note_gap, note_webhook
from versionsync.sync.threads import DatabaseThread

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

    async def follow(self, webhook: WebhookNews) -> str | None:
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

    async def project_use(self, since: date) -> ProjectUse:
        """What was sent to the source's project since the beginning of a UTC day, by all of its sources."""
        return await self._thread.run(self._project_use, since)

    async def hear(self, call: Call) -> Heard:
        """Keep what a webhook told, if it is about this source."""
        return await self._thread.run(self._hear, call)

    async def hear_log(self, calls: Sequence[Call], reading: ReadUpTo, *, is_gap: bool) -> Sequence[Heard]:
        """Keep what a reading of the log of calls told, and how far it came, in one transaction.

        What a receiver has taken already, of whichever daemon, and no run has looked at is TAKEN; what is new is FOUND.

        `is_gap`: it could not prove that no call was missed since the one before.
        """
        return await self._thread.run(self._hear_log, calls, reading, is_gap=is_gap)

    async def log_read_up_to(self) -> ReadUpTo | None:
        """How far the log of calls was read, by whichever daemon; None: never."""
        return await self._thread.run(self._log_read_up_to)

    async def hints(self) -> Hints | None:
        """What webhooks told and no run has looked at yet; one more than MOST_HINTS at the most."""
        return await self._thread.run(self._hints)

    async def notices_told(self) -> Mapping[str, NoticeKind]:
        """What was told of the source that is not over, by the place that was told."""
        return await self._thread.run(self._notices_told)

    async def keep_notices(self, told: Mapping[str, NoticeKind | None], at: datetime) -> None:
        """This was told of the source to these places; None: that all is well again. Nothing, where it is not known."""
        await self._thread.run(self._keep_notices, told, at)

    async def forget_hints(self, hints: Hints, *, besides: Set[str] = frozenset()) -> None:
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
            known = self._mirror.query(lambda connection: source(connection, self._name))
            self._source_id = None if known is None else known.id
        return self._source_id

    def _follow(self, webhook: WebhookNews) -> str | None:
        if (id := self._id()) is None:
            return None

        def note(tx: Connection) -> Holder:
            holder = follow(tx, id, self._me)
            if holder == self._me:
                note_webhook(tx, id, webhook)
            return holder

        holder = self._mirror.transact(note)
        return None if holder == self._me else str(holder)

    def _leave(self) -> None:
        if (id := self._id()) is not None:
            self._mirror.transact(lambda tx: leave(tx, id, self._me))

    def _note_next_look(self, at: datetime, reason: str) -> None:
        if (id := self._id()) is not None:
            self._mirror.transact(lambda tx: note_next_look(tx, id, self._me, at=at, reason=reason))

    def _add_requests(self, day: date, requests: int) -> bool:
        if (id := self._id()) is None:
            return False
        self._mirror.transact(lambda tx: add_requests(tx, id, day, requests))
        return True

    def _project_use(self, since: date) -> ProjectUse:
        if (id := self._id()) is None:
            return ProjectUse(0, 1)
        return self._mirror.query(lambda connection: project_use(connection, id, since=since))

    def _hear(self, call: Call) -> Heard:
        known = self._mirror.query(lambda connection: source(connection, self._name))
        if known is None:
            return Heard.NOTED
        heard = _meaning(call, known.project)
        if heard is not Heard.ELSEWHERE:
            self._mirror.transact(lambda tx: _keep(tx, known.id, call))
        return heard

    def _hear_log(self, calls: Sequence[Call], reading: ReadUpTo, *, is_gap: bool) -> Sequence[Heard]:
        known = self._mirror.query(lambda connection: source(connection, self._name))
        if known is None:
            return ()
        heard = [Heard.ELSEWHERE] * len(calls)

        def keep(tx: Connection) -> None:
            for place, call in enumerate(calls):
                heard[place] = _take_from_log(tx, known, call)
            note_reading(tx, known.id, reading)
            if is_gap:
                note_gap(tx, known.id, at=datetime.now(UTC))

        self._mirror.transact(keep)
        return heard

    def _log_read_up_to(self) -> ReadUpTo | None:
        if (id := self._id()) is None:
            return None
        return self._mirror.query(lambda connection: read_up_to(connection, id))

    def _hints(self) -> Hints | None:
        if (id := self._id()) is None:
            return None
        return self._mirror.query(lambda connection: waiting_hints(connection, id, limit=MOST_HINTS + 1))

    def _notices_told(self) -> Mapping[str, NoticeKind]:
        if (id := self._id()) is None:
            return {}
        told = self._mirror.query(lambda connection: notices_told(connection, id))
        return {place: NoticeKind(kind) for place, kind in told.items()}

    def _keep_notices(self, told: Mapping[str, NoticeKind | None], at: datetime) -> None:
        if (id := self._id()) is None:
            return

        def keep(tx: Connection) -> None:
            for place, kind in told.items():
                if kind is None:
                    forget_notice(tx, id, place)
                else:
                    keep_notice(tx, id, place, told=kind, at=at)

        self._mirror.transact(keep)

    def _forget_hints(self, hints: Hints, besides: Set[str]) -> None:
        if (id := self._id()) is not None:
            self._mirror.transact(lambda tx: forget_hints(tx, id, up_to=hints.last_id, besides=besides))

    def _whole_as_of(self) -> datetime | None:
        known = self._mirror.query(lambda connection: source(connection, self._name))
        return None if known is None else known.checkpoint.whole_as_of

    def _forget_runs(self, now: datetime) -> int:
        if (id := self._id()) is None:
            return 0
        try:
            lease = acquire(self._mirror, id, self._me)
        except LeaseHeld:
            return 0
        try:
            return self._mirror.transact(lambda tx: forget_runs(tx, lease, now=now))
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
        if not is_hinted(tx, known.id, call.record_id, event_type=call.event_type):
            meaning = Heard.FOUND
    if meaning is Heard.TAKEN:
        note_call(tx, known.id, at=datetime.now(UTC))
    elif meaning is not Heard.ELSEWHERE:
        _keep(tx, known.id, call)
    return meaning


def _keep(tx: Connection, source_id: int, call: Call) -> None:
    """A call that tells of a change: that it came, and the record that it names."""
    now = datetime.now(UTC)
    note_call(tx, source_id, at=now)
    if call.record_id is not None:
        add_hint(tx, source_id, call.record_id, event_type=call.event_type, received_at=now)
