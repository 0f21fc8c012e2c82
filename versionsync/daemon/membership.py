"""The membership of this daemon: its heartbeat, and its claims on sources, in one transaction every ten seconds.

The transaction reads all daemons and all claims, so that each daemon finds by itself which sources are its own
(`assignment`). It takes those that are its own and free, and releases those that are another's and have no run here.

A daemon whose own heartbeat has expired cannot know whether others are dead: the database may have been unavailable to
all of them, or its clock may have been set. It then takes nothing from those that lived when it lived last, until they
had time for a heartbeat.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

from sqlalchemy import Connection
from structlog.typing import FilteringBoundLogger

from versionsync.daemon.assignment import Candidate, balanced, one_for_all
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.listening import can_listen
from versionsync.mirror.engine.thread import DatabaseThread
from versionsync.mirror.errors import MirrorError
from versionsync.mirror.holder import Holder
from versionsync.mirror.tables.daemons import (
    VALID_SECONDS,
    DaemonRow,
    Renewal,
    add_claims,
    claim_rows,
    daemon_rows,
    delete_daemon,
    delete_old_daemons,
    expire_daemons,
    free_claims,
    invalid_cursors,
    limit_validity,
    newest_queued,
    release_claims,
    renew_daemon,
    take_claims,
)
from versionsync.mirror.tables.webhooks import WebhookUpdate, save_webhooks

__all__ = ["Heartbeat", "Membership", "Pace", "Report"]

WEBHOOK_LOCK_SECONDS: Final = 2.0
"""How long to wait for a lock before what is known of webhooks is saved later: heartbeats must not come late."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast daemons react to one another, in seconds.

    Attributes:
        heartbeat: The interval of heartbeats: there are three before others may take over.
        valid: For how long a heartbeat is valid.
        retry: The wait after a heartbeat that failed.
        gather: The wait before a heartbeat that was asked for: several sources are released at once.
        look: How often the tables are read where messages of other daemons do not arrive.
    """

    heartbeat: float = 10.0
    valid: int = VALID_SECONDS
    retry: float = 2.0
    gather: float = 0.2
    look: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a daemon reports with its heartbeat.

    Attributes:
        sources: The names of the sources in its settings.
        running: Those that have jobs or a run here: their claims stay.
        webhooks: What it knows of webhooks and has not saved yet, by source.
    """

    sources: frozenset[str]
    running: Collection[str] = ()
    webhooks: Mapping[str, WebhookUpdate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a heartbeat found and did. Sources are by name.

    Attributes:
        daemon_id: The id of this daemon.
        daemons: How many daemons live.
        held: The sources that this daemon has claimed.
        assigned: The sources that should be its own.
        others: The other daemon that has claimed a source.
        ids: The id of each source.
        complete_as_of: When the last complete check of a source began.
        newest_queued: The newest queued call of a webhook, for sources of this daemon that have any.
        invalid_cursors: When a command has changed the webhook of a source of this daemon.
        can_listen: Whether messages of other daemons reach this one.
        has_saved_webhooks: Whether what was reported of webhooks is saved.
    """

    daemon_id: int
    daemons: int
    held: frozenset[str]
    assigned: frozenset[str]
    others: Mapping[str, Holder]
    ids: Mapping[str, int]
    complete_as_of: Mapping[str, datetime | None]
    newest_queued: Mapping[str, int]
    invalid_cursors: Mapping[str, datetime]
    can_listen: bool
    has_saved_webhooks: bool = True


class Membership:
    """This daemon among all that run on the database.

    Args:
        mirror: The database.
        report: Returns what to report with the next heartbeat.
        apply: Is called with each heartbeat that was written.
        log: The log.
        pace: How often it writes a heartbeat.

    Attributes:
        attempts: Rises with each heartbeat that ended, well or not.
    """

    def __init__(
        self,
        mirror: Mirror,
        *,
        report: Callable[[], Report],
        apply: Callable[[Heartbeat], None],
        log: FilteringBoundLogger,
        pace: Pace,
    ) -> None:
        self.attempts = 0
        self._mirror = mirror
        self._report = report
        self._apply = apply
        self._log = log
        self._pace = pace
        self._me = Holder.of_this_process()
        self._thread = DatabaseThread("daemons")  # of its own: a heartbeat must not wait for the runs
        self._id: int | None = None
        self._added: frozenset[str] = frozenset()
        self._grace: tuple[datetime, float] | None = None
        self._renewed_at = float("-inf")
        self._failed = False
        self._last: Heartbeat | None = None
        self._state: object = None
        self._wanted = asyncio.Event()
        self._turn = asyncio.Lock()

    @property
    def id(self) -> int | None:
        """The id of this daemon; None: it has written no heartbeat yet."""
        return self._id

    @property
    def last(self) -> Heartbeat | None:
        """The last heartbeat that was written."""
        return self._last

    def soon(self) -> None:
        """Write a heartbeat soon: something has changed."""
        self._wanted.set()

    async def run(self) -> None:
        """Write heartbeats until cancelled."""
        while True:
            done = await self.beat()
            try:
                async with asyncio.timeout(self._pace.heartbeat if done else self._pace.retry):
                    await self._wanted.wait()
                    await asyncio.sleep(self._pace.gather)
            except TimeoutError:
                pass

    async def confirm(self) -> None:
        """Write a heartbeat first if the last one is no longer valid: this process may have been suspended."""
        if time.monotonic() - self._renewed_at > self._pace.valid:
            await self.beat(unless_valid=True)

    async def beat(self, *, unless_valid: bool = False) -> bool:
        """Write a heartbeat and apply what it found; return False if the database is unavailable."""
        async with self._turn:
            if unless_valid and time.monotonic() - self._renewed_at <= self._pace.valid:
                return True
            self._wanted.clear()
            began = time.monotonic()
            try:
                done = await self._thread.run(self._beat, self._report())
            except MirrorError as error:
                # Later on the runs report an outage. Before the first heartbeat there are none.
                log = self._log.warning if self._last is None and not self._failed else self._log.debug
                log("daemons.unknown", reason=" ".join(str(error).split()))
                self._failed = True
                return False
            finally:
                self.attempts += 1
            if self._failed and self._last is None:
                self._log.info("daemons.known")
            self._failed, self._renewed_at, self._last = False, began, done
            self._apply(done)
            return True

    async def look(self) -> Mapping[str, int]:
        """Find out without a message whether daemons or claims have changed; then a heartbeat comes soon.

        Returns the newest queued call of a webhook, for sources of this daemon that have any. Raises MirrorError.
        """
        last = self._last
        if last is None or self._id is None:
            return {}
        state, queued = await self._thread.run(self._mirror.query, self._look)
        if state != self._state:
            self._state = state
            self.soon()
        return _by_name(queued, last.ids)

    async def leave(self) -> None:
        """Release all sources and tell the others, in one transaction. Raises MirrorError."""
        try:
            await self._thread.run(self._leave)
        finally:
            await self._thread.close()

    def _beat(self, report: Report) -> Heartbeat:
        """Write a heartbeat, on the thread of the database."""
        if new := report.sources - self._added:
            # Before the heartbeat, so that a daemon that was suspended in the middle of it holds up only new sources.
            self._mirror.transact(lambda tx: add_claims(tx, new))
        done = self._mirror.transact(lambda tx: self._renew(tx, report))
        self._id = done.daemon_id
        updates = {done.ids[name]: update for name, update in report.webhooks.items() if name in done.held}
        return replace(done, has_saved_webhooks=not updates or self._save_webhooks(updates))

    def _save_webhooks(self, updates: Mapping[int, WebhookUpdate]) -> bool:
        """Save what is known of webhooks; return False if that has to wait.

        After the heartbeat, and not in it: a daemon that was suspended while it saved a call keeps a row locked.
        """

        def save(tx: Connection) -> None:
            self._mirror.dialect.set_lock_timeout(tx, WEBHOOK_LOCK_SECONDS)
            save_webhooks(tx, updates)

        try:
            self._mirror.transact(save)
        except MirrorError as error:
            self._log.debug("database.unavailable", error=str(error))
            return False
        return True

    def _renew(self, tx: Connection, report: Report) -> Heartbeat:
        renewal = renew_daemon(tx, self._id, self._me, report.sources, valid_seconds=self._pace.valid)
        daemons, rows = daemon_rows(tx), claim_rows(tx)
        self._added = frozenset(row.name for row in rows if row.has_row)
        living, has_buried = self._living(tx, daemons, renewal)
        by_id = {one.id: one for one in daemons}
        claims = {row.name: row.daemon_id for row in rows if row.daemon_id in living}
        assign = balanced if self._mirror.dialect.divides_sources else one_for_all
        assigned = assign([Candidate(id, by_id[id].sources) for id in sorted(living)], claims)
        mine = {row.name for row in rows if row.daemon_id == renewal.id}
        wanted = {name for name, id in assigned.items() if id == renewal.id}
        free = {row.name: row.source_id for row in rows if row.name in wanted and row.name not in claims}
        taken = take_claims(tx, renewal.id, free.values(), dead=by_id.keys() - living)
        ids = {row.name: row.source_id for row in rows}
        released = mine - wanted - set(report.running)
        release_claims(tx, renewal.id, [ids[name] for name in released])
        has_taken_over = any(row.daemon_id is not None and row.source_id in taken for row in rows)
        if renewal.is_news or released or has_buried or has_taken_over:
            self._mirror.dialect.notify(tx, f"daemons {renewal.id}")
        held = mine - released | {name for name, id in free.items() if id in taken}
        return Heartbeat(
            daemon_id=renewal.id,
            daemons=len(living),
            held=frozenset(held),
            assigned=frozenset(wanted),
            others={name: by_id[id].holder for name, id in claims.items() if id != renewal.id and name not in held},
            ids=ids,
            complete_as_of={row.name: row.complete_as_of for row in rows},
            newest_queued=_by_name(newest_queued(tx, renewal.id), ids),
            invalid_cursors=_by_name(invalid_cursors(tx, renewal.id), ids),
            can_listen=can_listen(tx),
        )

    def _living(self, tx: Connection, daemons: Collection[DaemonRow], renewal: Renewal) -> tuple[set[int], bool]:
        """Return the ids of all living daemons, and whether others have to learn that one is dead."""
        if renewal.expired_at is not None:
            last_alive_at = renewal.expired_at - timedelta(seconds=self._pace.valid)
            self._grace = last_alive_at, time.monotonic() + self._pace.valid
        if self._grace is not None and time.monotonic() > self._grace[1]:
            self._grace = None
        living, dead = set[int](), set[int]()
        for one in daemons:
            if one.id == renewal.id:
                living.add(one.id)
            elif one.holder.is_known_dead():
                if not one.is_expired:
                    dead.add(one.id)
            elif not one.is_expired or (self._grace is not None and one.expires_at > self._grace[0]):
                living.add(one.id)
        if dead:
            expire_daemons(tx, dead)
        if far := [one.id for one in daemons if one.is_far and one.id in living]:
            limit_validity(tx, far)
        if self._grace is None and any(one.is_expired for one in daemons):
            delete_old_daemons(tx)
        return living, bool(dead)

    def _look(self, connection: Connection) -> tuple[object, Mapping[int, int]]:
        assert self._id is not None
        living = frozenset(
            one.id for one in daemon_rows(connection) if not one.is_expired and not one.holder.is_known_dead()
        )
        return (living, free_claims(connection)), newest_queued(connection, self._id)

    def _leave(self) -> None:
        id = self._id
        if id is None:
            return

        def leave(tx: Connection) -> None:
            delete_daemon(tx, id)
            self._mirror.dialect.notify(tx, f"daemons {id}")

        self._mirror.transact(leave)


def _by_name(by_id: Mapping[int, T], ids: Mapping[str, int]) -> dict[str, T]:
    names = {id: name for name, id in ids.items()}
    return {names[id]: value for id, value in by_id.items() if id in names}
