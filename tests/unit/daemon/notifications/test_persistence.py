"""What places were told outlives the daemon that told it."""

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
from versionsync.daemon.state import WorkerStatus
from versionsync.mirror.errors import DatabaseUnavailable


class Book:
    """The database's part, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, NotificationKind] = {}
        self.is_away = False
        self.writes = 0

    async def notices_told(self) -> Mapping[str, NotificationKind]:
        if self.is_away:
            raise DatabaseUnavailable("away")
        return dict(self.rows)

    async def keep_notices(self, told: Mapping[str, NotificationKind | None], at: datetime) -> None:
        if self.is_away:
            raise DatabaseUnavailable("away")
        self.writes += 1
        self.rows = {place: kind for place, kind in (self.rows | dict(told)).items() if kind is not None}


class Daemon:
    """One start of a daemon that follows one source and tells one place; `sent` is shared by all of them."""

    def __init__(self, book: Book, sent: list[Notification], *, url: str = "json://host/secret") -> None:
        log = structlog.wrap_logger(CapturingLogger(), processors=[])
        self.clock = 0.0
        self.place = Subscription(channel="notices[0]", url=Secret(url), rule=Rule(), send=sent.append)
        recall = NotificationStore(lambda: {"website": book}, log=log)
        self.herald = Notifier(lambda: [self.place], log=log, redact=str, recall=recall, clock=lambda: self.clock)

    async def sees(self, seen: Any, looks: int = 4) -> None:
        """Look a few times at a source that stands so: reading, telling and writing each take one."""
        for _ in range(looks):
            self.herald.check({"website": seen}, NOW)
            await asyncio.sleep(0.05)


def titles(sent: list[Notification]) -> list[str]:
    return [notice.title.removeprefix("versionsync: website: ") for notice in sent]


async def test_a_trouble_is_told_once_over_any_number_of_starts() -> None:
    """And that it has passed, once, by whichever of them sees it."""
    book, sent = Book(), list[Notification]()
    await Daemon(book, sent).sees(state(FAILING))
    assert titles(sent) == ["failing (3 in a row)"]
    for _ in range(2):
        await Daemon(book, sent).sees(state(FAILING))
    assert len(sent) == 1
    await Daemon(book, sent).sees(state(WELL))
    await Daemon(book, sent).sees(state(WELL))
    assert titles(sent) == ["failing (3 in a row)", "well again"]
    assert book.rows == {}


async def test_nothing_is_written_where_nothing_was_told() -> None:
    book = Book()
    daemon = Daemon(book, [])
    await daemon.sees(state(WELL), looks=10)
    assert book.writes == 0


async def test_one_that_takes_over_knows_what_the_other_one_told() -> None:
    """It had looked into the book before that one told anything."""
    book, sent = Book(), list[Notification]()
    second = Daemon(book, sent)
    await second.sees(state(WELL))
    await second.sees(replace(state(WELL), stance=WorkerStatus.STANDBY))
    await Daemon(book, sent).sees(state(FAILING))
    await second.sees(replace(state(WELL), stance=WorkerStatus.STANDBY))
    await second.sees(state(FAILING))
    assert len(sent) == 1
    await second.sees(state(WELL))
    assert titles(sent) == ["failing (3 in a row)", "well again"]


async def test_a_database_that_is_away_keeps_nobody_from_being_told() -> None:
    """It may be the very thing to tell; and what was told meanwhile is kept when it is back."""
    book, sent = Book(), list[Notification]()
    book.is_away = True
    daemon = Daemon(book, sent)
    await daemon.sees(state(FAILING))
    assert len(sent) == 1
    book.is_away, daemon.clock = False, RETRY_SECONDS
    await daemon.sees(state(FAILING))
    assert list(book.rows.values()) == [NotificationKind.FAILING]
    assert len(sent) == 1


async def test_another_address_is_another_place() -> None:
    """Whoever is told from now on has heard of nothing; the former one is owed nothing more."""
    book, sent = Book(), list[Notification]()
    await Daemon(book, sent).sees(state(FAILING))
    await Daemon(book, sent, url="json://host/other").sees(state(FAILING))
    assert len(sent) == 2
    await Daemon(book, sent, url="json://host/other").sees(state(WELL))
    assert len(sent) == 3
    assert book.rows == {}


async def test_a_place_gives_no_address_away() -> None:
    """Four digits are too few to find one by, or a password in it."""
    book = Book()
    await Daemon(book, [], url="mailtos://user:password@example.com").sees(state(FAILING))
    (place,) = book.rows
    scheme, _, digits = place.partition("-")
    assert (scheme, len(digits)) == ("mailtos", 4)
