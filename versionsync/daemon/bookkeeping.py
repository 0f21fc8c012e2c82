"""What a follower keeps in the database besides what the engine writes: that it is there, and what it forgets."""

from __future__ import annotations

from datetime import date, datetime

from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import LeaseHeld
from versionsync.mirror.followers import follow, leave, note_next_look
from versionsync.mirror.holders import Holder
from versionsync.mirror.leases import acquire, release
from versionsync.mirror.retention import forget_runs
from versionsync.mirror.sources import source
from versionsync.mirror.usage import ProjectUse, add_requests, project_use
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

    async def follow(self) -> str | None:
        """Say that this process follows the source; returns who else does, in whose favour it stands by."""
        return await self._thread.run(self._follow)

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

    async def close(self) -> None:
        """End the thread, when what it was given is done."""
        await self._thread.__aexit__(None, None, None)

    def _id(self) -> int | None:
        if self._source_id is None:
            known = self._mirror.query(lambda connection: source(connection, self._name))
            self._source_id = None if known is None else known.id
        return self._source_id

    def _follow(self) -> str | None:
        if (id := self._id()) is None:
            return None
        holder = self._mirror.transact(lambda tx: follow(tx, id, self._me))
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
