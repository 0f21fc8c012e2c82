"""The interval between heartbeats, after one that arrived and after one that did not."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import structlog
from structlog.testing import CapturingLogger

from tests.unit.daemon.notifications.test_rules import NOW, WELL, state
from versionsync.config import Secret
from versionsync.daemon.notifications import heartbeat
from versionsync.daemon.notifications.heartbeat import EVERY_SECONDS, RETRY_SECONDS, HeartbeatSender


class CountedSender:
    """A sender whose heartbeats are counted. They fail for `reason`; None: they arrive."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds, self.calls = 0.0, 0
        self.reason: str | None = None
        monkeypatch.setattr(heartbeat, "_get", self._get)
        log = structlog.wrap_logger(CapturingLogger(), processors=[])
        self.sender = HeartbeatSender(lambda: {"website": Secret("https://x")}, log=log, clock=lambda: self.seconds)

    async def _get(self, _: Secret) -> str | None:
        self.calls += 1
        return self.reason

    async def after(self, seconds: float) -> int:
        """Return the number of heartbeats after this time and another successful run."""
        self.seconds += seconds
        success = NOW + timedelta(seconds=self.seconds)
        source = state(WELL)
        source.last_success_at = success
        self.sender.check({"website": source}, success)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return self.calls


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> CountedSender:
    """Return a sender without any heartbeat so far."""
    return CountedSender(monkeypatch)


@pytest.mark.parametrize(
    ("reason", "pause"), [(None, EVERY_SECONDS), ("503", RETRY_SECONDS)], ids=["arrived", "did not arrive"]
)
async def test_a_heartbeat_comes_after_the_pause(counted: CountedSender, reason: str | None, pause: float) -> None:
    """A minute after one that arrived, sooner after one that did not."""
    counted.reason = reason
    assert [await counted.after(wait) for wait in (0.0, pause - 0.5, 0.5)] == [1, 1, 2]
