"""What a heartbeat means for workers, and what the log says about it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from structlog.testing import CapturingLogger

from versionsync.daemon.held_sources import LOGGED_BY_NAME, HeldSources
from versionsync.daemon.membership import Heartbeat
from versionsync.daemon.source_worker import SourceWorker
from versionsync.mirror.holder import Holder
from versionsync.mirror.tables.webhooks import WebhookUpdate

OTHER = Holder(host="elsewhere", pid=7)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class FakeWorker:
    """A worker whose run ends when the test says so."""

    def __init__(self, name: str) -> None:
        self.name, self.is_held, self.polled_at = name, False, NOW
        self.state = SimpleNamespace(other_holder=None)
        self.heard_calls: list[int | None] = []
        self.run = asyncio.Event()
        self.run.set()

    def begin(self, daemon_id: int, *, complete_as_of: datetime | None) -> None:
        self.is_held, self.state.other_holder = True, None

    def stand_by(self, other: str, *, complete_as_of: datetime | None) -> None:
        self.state.other_holder = other

    async def hand_over(self) -> None:
        await self.run.wait()

    def heard(self, newest: int | None) -> None:
        self.heard_calls.append(newest)

    def webhook_update(self) -> WebhookUpdate:
        return WebhookUpdate(receives=True, log_state="active", log_read_at=self.polled_at, undelivered_changes=0)


class Sources:
    """Sources of a daemon, and what was called and logged."""

    def __init__(self, number: int) -> None:
        self.workers = {f"source-{n}": FakeWorker(f"source-{n}") for n in range(number)}
        self.released, self.changes, self.logger = asyncio.Event(), list[frozenset[str]](), CapturingLogger()
        self.held = HeldSources(
            cast(dict[str, SourceWorker], self.workers),
            released=self.released.set,
            changed=self.changes.append,
            log=structlog.wrap_logger(self.logger, processors=[]),
        )

    def apply(self, held: set[str], assigned: set[str] | None = None, **more: Any) -> None:
        """Apply a heartbeat after which the others are another daemon's."""
        self.held.apply(
            Heartbeat(
                daemon_id=1,
                daemons=2,
                held=frozenset(held),
                assigned=frozenset(held if assigned is None else assigned),
                others={name: OTHER for name in self.workers if name not in held},
                ids={name: number for number, name in enumerate(self.workers)},
                complete_as_of={},
                newest_queued=more.get("newest_queued", {}),
                invalid_cursors={},
                can_listen=True,
                has_saved_webhooks=more.get("has_saved_webhooks", True),
            )
        )

    def logged(self) -> list[dict[str, Any]]:
        """Return the lines since the last call."""
        lines = [call.kwargs for call in self.logger.calls]
        self.logger.calls.clear()
        return lines


async def test_one_line_says_that_many_sources_have_moved() -> None:
    """However many there are; the usual start of the only daemon needs none."""
    some = Sources(1000)
    everything = set(some.workers)
    some.apply(everything)
    assert some.logged() == []
    kept = set(sorted(everything)[:500])
    some.apply(everything, kept)
    await some.released.wait()
    some.apply(kept)
    assert some.logged() == [
        {"event": "sources.assigned", "held": 500, "taken": 0, "given_away": 500, "daemons": 2},
    ]
    assert some.changes == [frozenset(everything), frozenset(kept)]
    await some.held.close()


async def test_few_sources_are_named() -> None:
    """A standby that takes over says instead of which daemon."""
    some = Sources(LOGGED_BY_NAME)
    some.apply(set())
    first, *lines = some.logged()
    assert (first["event"], first["held"]) == ("sources.assigned", 0)
    assert lines == [{"event": "source.standby", "source": name, "other": str(OTHER)} for name in some.workers]
    some.apply({"source-1"})
    assert some.logged()[1:] == [{"event": "source.active", "source": "source-1", "instead_of": str(OTHER)}]


async def test_a_claim_is_kept_until_the_run_has_ended() -> None:
    """Then a heartbeat comes soon that releases it."""
    some = Sources(1)
    worker = some.workers["source-0"]
    some.apply({"source-0"})
    worker.run.clear()
    some.apply({"source-0"}, set())
    await asyncio.sleep(0)
    assert (some.held.names, some.held.report().running) == (frozenset(), {"source-0"})
    some.apply({"source-0"})  # it is assigned again before the run has ended
    assert not worker.is_held
    assert (some.held.active, some.changes[-1]) == ({"source-0"}, {"source-0"}), "the run still sends requests"
    assert some.held.runs("source-0")
    worker.run.set()
    await some.released.wait()
    assert some.held.report().running == set()
    assert (some.held.active, some.held.runs("source-0")) == (set(), False)
    some.apply(set())
    assert some.changes[-1] == set()
    some.apply({"source-0"})
    assert worker.is_held


async def test_only_what_is_new_about_webhooks_is_reported() -> None:
    some = Sources(2)
    some.apply({"source-0"})
    assert some.held.report().webhooks.keys() == {"source-0"}
    some.apply({"source-0"})
    assert some.held.report().webhooks == {}
    some.workers["source-0"].polled_at = datetime(2026, 3, 2, tzinfo=UTC)
    assert some.held.report().webhooks.keys() == {"source-0"}
    assert some.held.report().webhooks.keys() == {"source-0"}, "the heartbeat with it may have failed"
    some.apply({"source-0"}, has_saved_webhooks=False)
    assert some.held.report().webhooks.keys() == {"source-0"}


@pytest.mark.parametrize("is_held", [True, False])
async def test_only_the_holder_of_a_source_acts_on_its_webhook(is_held: bool) -> None:
    some = Sources(2)
    some.apply({"source-1"} if is_held else set(), newest_queued={"source-1": 5, "gone": 6})
    some.held.message(1)
    some.held.message(99)
    assert some.workers["source-1"].heard_calls == ([5, None] if is_held else [])
