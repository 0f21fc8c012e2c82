"""What is told of several sources waits a moment for the others."""

from __future__ import annotations

import asyncio

import structlog
from structlog.testing import CapturingLogger

from tests.unit.daemon.notifications.test_rules import FAILING, NOW, WELL, state
from versionsync.config import Secret
from versionsync.daemon.notifications.notifier import (
    GROUP_WAIT_SECONDS,
    MAX_RETRY_SECONDS,
    RETRY_SECONDS,
    Notifier,
    Subscription,
    _Channel,
)
from versionsync.daemon.notifications.rules import Rule
from versionsync.daemon.notifications.text import Notification


def test_a_notice_that_does_not_arrive_is_tried_later_each_time() -> None:
    """After a minute, two, four, and at most a quarter of an hour."""
    place, waits = _Channel(), list[float]()
    for _ in range(9):
        place.back_off(1000.0)
        waits.append(place.not_before - 1000.0)
    assert waits == [min(RETRY_SECONDS * 2**doublings, MAX_RETRY_SECONDS) for doublings in range(9)]
    assert (waits[0], waits[-1]) == (RETRY_SECONDS, MAX_RETRY_SECONDS)


async def test_what_fails_within_moments_is_one_notice() -> None:
    """Not the first one alone, and nothing is lost by waiting."""
    clock, sent = [0.0], list[Notification]()
    place = Subscription(channel="notices[0]", url=Secret("x"), rule=Rule(), send=sent.append)
    log = structlog.wrap_logger(CapturingLogger(), processors=[])
    herald = Notifier(lambda: [place], log=log, redact=str, host="mirror1", clock=lambda: clock[0])
    both = {"website": state(FAILING), "shop": state(WELL, name="shop")}
    herald.check(both, NOW)
    both["shop"] = state(FAILING, name="shop")
    for clock[0] in (GROUP_WAIT_SECONDS / 2, GROUP_WAIT_SECONDS):
        await asyncio.sleep(0.1)
        assert sent == []
        herald.check(both, NOW)
    await asyncio.sleep(0.1)
    assert [notice.title for notice in sent] == ["versionsync: failing: website, shop"]
