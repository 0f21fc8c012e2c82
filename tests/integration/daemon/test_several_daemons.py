"""Several daemons that run: who checks a source, how soon another one takes over, and whose webhook it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace

import pytest

from tests.fixtures.running_daemon import RunningDaemon, eventually, is_mirrored, source_config
from tests.fixtures.sync_env import SyncEnv
from tests.fixtures.webhook_proxy import LOGIN
from versionsync.config import Secret
from versionsync.daemon import daemon as daemon_module
from versionsync.daemon import membership as membership_module
from versionsync.daemon.membership import Pace
from versionsync.daemon.source_worker import STALL_SECONDS
from versionsync.daemon.worker_state import SourceConfig, WorkerStatus
from versionsync.mirror.database import Mirror
from versionsync.webhooks.payload import BasicAuth, WebhookPayload, WebhookResult, parse_payload

ONLY_MESSAGES = Pace(heartbeat=600.0, valid=1800)
"""A change of another daemon is noticed only through its message."""
ONLY_LOOKS = Pace(heartbeat=600.0, valid=1800, look=0.2)
ON_POSTGRES = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)

Start = Callable[..., Awaitable[RunningDaemon]]


def sources(sync_env: SyncEnv, number: int, **changes: object) -> list[SourceConfig]:
    """Return sources that are checked every ten minutes."""
    names = ["website", *(f"source-{n}" for n in range(1, number))][:number]
    return [replace(source_config(sync_env, name=name), max_staleness=600.0, **changes) for name in names]  # type: ignore[arg-type]


@pytest.fixture
async def start(sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Return what starts a daemon; all are stopped in the end."""
    monkeypatch.setattr(daemon_module, "handled", lambda **_: nullcontext())  # a process has its signals only once
    running: list[asyncio.Task[None]] = []
    started: list[RunningDaemon] = []

    async def start(
        configs: Sequence[SourceConfig], pace: Pace = ONLY_MESSAGES, mirror: Mirror = sync_env.mirror
    ) -> RunningDaemon:
        one = RunningDaemon(mirror, configs, stall_seconds=STALL_SECONDS, pace=pace)
        started.append(one)
        running.append(asyncio.create_task(one.daemon.run()))
        await eventually(lambda: len(one.daemon.states) == len(configs))
        return one

    yield start
    for one in started:
        one.daemon.stop()
    await asyncio.gather(*running)


def about(id: str) -> WebhookPayload:
    """Return a call about a record."""
    call = parse_payload(b'{"entity_type": "item", "event_type": "update", "entity": {"id": "%s"}}' % id.encode())
    assert isinstance(call, WebhookPayload)
    return call


def post(sync_env: SyncEnv) -> str:
    """Let an editor write something new; return the id of the record."""
    return sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"})).id


@pytest.mark.postgres
@ON_POSTGRES
async def test_they_divide_the_sources_and_tell_one_another_at_once(sync_env: SyncEnv, start: Start) -> None:
    """When one joins and when one stops; the log has one line for a change, not one for each source."""
    configs = sources(sync_env, 9)
    one = await start(configs)
    await eventually(lambda: all(state.runs["succeeded"] for state in one.daemon.states.values()))
    assert one.told("info", "sources.assigned") == []
    two = await start(configs)
    await eventually(lambda: sorted([len(one.daemon.held), len(two.daemon.held)]) == [4, 5])
    assert one.daemon.held | two.daemon.held == {config.spec.name for config in configs}
    await eventually(lambda: all(two.state(name).runs["succeeded"] for name in two.daemon.held))
    (given,) = one.told("info", "sources.assigned")
    assert (given["held"], given["given_away"], given["daemons"]) == (5, 4, 2)
    await eventually(lambda: {one.state(name).status for name in two.daemon.held} == {WorkerStatus.STANDBY})
    assert not any(job.id.startswith(tuple(two.daemon.held)) for job in one.daemon.scheduler._scheduler.get_jobs())
    two.daemon.stop()
    await eventually(lambda: len(one.daemon.held) == 9)


@pytest.mark.postgres
@ON_POSTGRES
@pytest.mark.parametrize("pace", [ONLY_MESSAGES, ONLY_LOOKS], ids=["through a message", "behind a pooler"])
async def test_a_webhook_at_any_daemon_reaches_the_one_that_has_the_source(
    sync_env: SyncEnv, start: Start, monkeypatch: pytest.MonkeyPatch, pace: Pace
) -> None:
    """At once, long before the next check."""
    if pace is ONLY_LOOKS:
        monkeypatch.setattr(membership_module, "can_listen", lambda _: False)
    await _webhook_at_the_other(sync_env, start, pace)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_standby_passes_webhooks_on_and_takes_over(sync_env: SyncEnv, start: Start) -> None:
    """It has no source, sends no request, and reads the tables to notice that the first one stops."""
    one, two = await _webhook_at_the_other(sync_env, start, ONLY_LOOKS)
    assert (one.daemon.held, two.daemon.held) == ({"website"}, set())
    assert len(two.told("info", "source.standby")) == 1
    one.daemon.stop()
    await eventually(lambda: two.told("info", "source.active"))
    post(sync_env)
    two.daemon.reload()
    await eventually(lambda: is_mirrored(sync_env))


async def _webhook_at_the_other(sync_env: SyncEnv, start: Start, pace: Pace) -> tuple[RunningDaemon, RunningDaemon]:
    configs = sources(sync_env, 1, webhook=BasicAuth(LOGIN[0], Secret(LOGIN[1])), polls_webhook_log=False)
    one = await start(configs, pace)
    await eventually(lambda: one.state().status is WorkerStatus.ACTIVE)
    two = await start(configs, pace)
    await eventually(lambda: two.state().status is WorkerStatus.STANDBY)
    assert one.daemon.held == {"website"}
    await eventually(lambda: pace is ONLY_LOOKS or one.daemon._messages.is_connected)
    runs = one.state().runs["succeeded"]
    id = post(sync_env)
    assert await two.daemon.workers["website"].on_webhook(about(id)) is WebhookResult.ACCEPTED
    await eventually(lambda: is_mirrored(sync_env))
    await eventually(lambda: one.state().runs["succeeded"] == runs + 1)
    assert two.state().runs["succeeded"] == 0
    return one, two


@pytest.mark.postgres
@ON_POSTGRES
async def test_two_that_both_believe_to_have_a_source_do_no_harm(sync_env: SyncEnv, start: Start) -> None:
    """The lease decides: the second run sends no request, and the mirror is right."""
    configs = [replace(one, max_staleness=0.5) for one in sources(sync_env, 1)]
    one, two = await start(configs), await start(configs)
    await eventually(lambda: one.daemon.held | two.daemon.held == {"website"})
    holder, other = (one, two) if one.daemon.held else (two, one)

    async with other.daemon.membership._turn:  # no heartbeat ends its belief
        other.daemon.workers["website"].begin(99, complete_as_of=None)
        post(sync_env)
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: other.state().runs["succeeded"] or other.told("info", "source.locked"))
    for daemon in (holder, other):
        assert daemon.told("warning", "source.failing") == []
        daemon.daemon.membership.soon()
    await eventually(lambda: other.daemon.held == frozenset())
    assert is_mirrored(sync_env)
