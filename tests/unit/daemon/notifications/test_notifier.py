"""What is told of several sources waits a moment for the others."""

from __future__ import annotations

import asyncio

import structlog
from structlog.testing import CapturingLogger

from tests.unit.daemon.notifications.test_rules import FAILING, NOW, WELL, state
from versionsync.config import Secret
from versionsync.daemon.notifications.notifier import (
    GATHER_SECONDS,
    MOST_RETRY_SECONDS,
    RETRY_SECONDS,
    Herald,
    Subscription,
    _Place,
)
from versionsync.daemon.notifications.rules import Rule
from versionsync.daemon.notifications.text import Notice


def test_a_notice_that_does_not_arrive_is_tried_later_each_time() -> None:
    """After a minute, two, four, and at most a quarter of an hour."""
    place, waits = _Place(), list[float]()
    for _ in range(9):
        place.put_off(1000.0)
        waits.append(place.not_before - 1000.0)
    assert waits == [min(RETRY_SECONDS * 2**doublings, MOST_RETRY_SECONDS) for doublings in range(9)]
    assert (waits[0], waits[-1]) == (RETRY_SECONDS, MOST_RETRY_SECONDS)


async def test_what_fails_within_moments_is_one_notice() -> None:
    """Not the first one alone, and nothing is lost by waiting."""
    clock, sent = [0.0], list[Notice]()
    place = Subscription(where="notices[0]", url=Secret("x"), rule=Rule(), send=sent.append)
    log = structlog.wrap_logger(CapturingLogger(), processors=[])
    herald = Herald(lambda: [place], log=log, redact=str, host="mirror1", clock=lambda: clock[0])
    both = {"website": state(FAILING), "shop": state(WELL, name="shop")}
    herald.look(both, NOW)
    both["shop"] = state(FAILING, name="shop")
    for clock[0] in (GATHER_SECONDS / 2, GATHER_SECONDS):
        await asyncio.sleep(0.1)
        assert sent == []
        herald.look(both, NOW)
    await asyncio.sleep(0.1)
    assert [notice.title for notice in sent] == ["versionsync: failing: website, shop"]
