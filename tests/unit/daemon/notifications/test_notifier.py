"""A notification about several sources waits a moment for the others."""

from __future__ import annotations

import asyncio

import structlog
from structlog.testing import CapturingLogger

from tests.unit.daemon.notifications.test_rules import FAILING, NOW, WELL, state
from versionsync.config import Secret
from versionsync.daemon.notifications.notifier import (
    GROUP_WAIT_SECONDS,
    RETRY,
    Notifier,
    Subscription,
    _Channel,
)
from versionsync.daemon.notifications.rules import Rule
from versionsync.daemon.notifications.text import Notification


def test_a_notice_that_does_not_arrive_is_tried_later_each_time() -> None:
    """After a minute, two, four, and at most a quarter of an hour."""
    channel, waits = _Channel(), list[float]()
    for _ in range(9):
        channel.back_off(1000.0)
        waits.append(channel.not_before - 1000.0)
    assert waits == [min(60 * 2**doublings, 900) for doublings in range(9)]
    assert (waits[0], waits[-1]) == (RETRY.first, RETRY.maximum)


async def test_failures_within_moments_are_one_notification() -> None:
    """Not about the first source alone, and nothing is lost by waiting."""
    clock, sent = [0.0], list[Notification]()
    subscription = Subscription(channel="notifications[0]", url=Secret("x"), rule=Rule(), send=sent.append)
    log = structlog.wrap_logger(CapturingLogger(), processors=[])
    notifier = Notifier(lambda: [subscription], log=log, redact=str, host="mirror1", clock=lambda: clock[0])
    both = {"website": state(FAILING), "shop": state(WELL, name="shop")}
    notifier.check(both, NOW)
    both["shop"] = state(FAILING, name="shop")
    for clock[0] in (GROUP_WAIT_SECONDS / 2, GROUP_WAIT_SECONDS):
        await asyncio.sleep(0.1)
        assert sent == []
        notifier.check(both, NOW)
    await asyncio.sleep(0.1)
    assert [notification.title for notification in sent] == ["versionsync: failing: website, shop"]
