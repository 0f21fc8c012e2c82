"""What was sent outlives the daemon that sent it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from structlog.testing import CapturingLogger

from tests.unit.daemon.notifications.test_rules import FAILING, NOW, WELL, state
from versionsync.config import Secret
from versionsync.daemon.notifications.notifier import Notifier, Subscription
from versionsync.daemon.notifications.persistence import RETRY_SECONDS, NotificationStore
from versionsync.daemon.notifications.rules import NotificationKind, Rule
from versionsync.daemon.notifications.text import Notification
from versionsync.daemon.worker_state import WorkerStatus
from versionsync.mirror.errors import DatabaseUnavailable


class Backend:
    """The database, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, NotificationKind] = {}
        self.is_unavailable = False
        self.writes = 0

    async def sent_notifications(self) -> Mapping[str, NotificationKind]:
        if self.is_unavailable:
            raise DatabaseUnavailable("unavailable")
        return dict(self.rows)

    async def save_notifications(self, sent: Mapping[str, NotificationKind | None], at: datetime) -> None:
        if self.is_unavailable:
            raise DatabaseUnavailable("unavailable")
        self.writes += 1
        self.rows = {channel: kind for channel, kind in (self.rows | dict(sent)).items() if kind is not None}


class Daemon:
    """One start of a daemon with one source and one channel; all share `sent`."""

    def __init__(self, backend: Backend, sent: list[Notification], *, url: str = "json://host/secret") -> None:
        log = structlog.wrap_logger(CapturingLogger(), processors=[])
        self.clock = 0.0
        self.subscription = Subscription(channel="notifications[0]", url=Secret(url), rule=Rule(), send=sent.append)
        store = NotificationStore(lambda _: backend, log=log)  # type: ignore[arg-type, return-value]
        self.notifier = Notifier(
            lambda: [self.subscription], log=log, redact=str, store=store, clock=lambda: self.clock
        )

    async def sees(self, seen: Any, checks: int = 4) -> None:
        """Show it a source in this state a few times: reading, sending and writing take one check each."""
        for _ in range(checks):
            self.notifier.check({"website": seen}, NOW)
            await asyncio.sleep(0.05)


def titles(sent: list[Notification]) -> list[str]:
    return [notification.title.removeprefix("versionsync: website: ") for notification in sent]


async def test_a_problem_is_sent_once_over_any_number_of_starts() -> None:
    """And the recovery once, by the daemon that sees it."""
    backend, sent = Backend(), list[Notification]()
    await Daemon(backend, sent).sees(state(FAILING))
    assert titles(sent) == ["failing (3 in a row)"]
    for _ in range(2):
        await Daemon(backend, sent).sees(state(FAILING))
    assert len(sent) == 1
    await Daemon(backend, sent).sees(state(WELL))
    await Daemon(backend, sent).sees(state(WELL))
    assert titles(sent) == ["failing (3 in a row)", "recovered"]
    assert backend.rows == {}


async def test_nothing_is_written_if_nothing_was_sent() -> None:
    backend = Backend()
    daemon = Daemon(backend, [])
    await daemon.sees(state(WELL), checks=10)
    assert backend.writes == 0


async def test_a_standby_that_takes_over_knows_what_was_sent() -> None:
    """It had read the database before the other daemon sent anything."""
    backend, sent = Backend(), list[Notification]()
    second = Daemon(backend, sent)
    await second.sees(state(WELL))
    await second.sees(replace(state(WELL), status=WorkerStatus.STANDBY))
    await Daemon(backend, sent).sees(state(FAILING))
    await second.sees(replace(state(WELL), status=WorkerStatus.STANDBY))
    await second.sees(state(FAILING))
    assert len(sent) == 1
    await second.sees(state(WELL))
    assert titles(sent) == ["failing (3 in a row)", "recovered"]


async def test_a_database_that_is_unavailable_keeps_nobody_from_being_told() -> None:
    """It may be the very thing to tell; and what was sent meanwhile is kept when it is back."""
    backend, sent = Backend(), list[Notification]()
    backend.is_unavailable = True
    daemon = Daemon(backend, sent)
    await daemon.sees(state(FAILING))
    assert len(sent) == 1
    backend.is_unavailable, daemon.clock = False, RETRY_SECONDS
    await daemon.sees(state(FAILING))
    assert list(backend.rows.values()) == [NotificationKind.FAILING]
    assert len(sent) == 1


async def test_another_address_is_another_channel() -> None:
    """The new one gets everything; the former one gets no recovery."""
    backend, sent = Backend(), list[Notification]()
    await Daemon(backend, sent).sees(state(FAILING))
    await Daemon(backend, sent, url="json://host/other").sees(state(FAILING))
    assert len(sent) == 2
    await Daemon(backend, sent, url="json://host/other").sees(state(WELL))
    assert len(sent) == 3
    assert backend.rows == {}


async def test_a_key_reveals_no_address() -> None:
    """Four digits are too few to guess an address, or a password in it."""
    backend = Backend()
    await Daemon(backend, [], url="mailtos://user:password@example.com").sees(state(FAILING))
    (channel,) = backend.rows
    scheme, _, digits = channel.partition("-")
    assert (scheme, len(digits)) == ("mailtos", 4)
