"""Problems and recoveries are sent once; no sync waits for that."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog
from structlog.testing import CapturingLogger

from tests.fixtures.claims import claim_for
from tests.fixtures.http_sink import HttpSink, http_sink
from tests.fixtures.running_daemon import RunningDaemon, eventually, is_mirrored, running_daemon, source_config
from tests.fixtures.sync_env import SyncEnv
from versionsync.config import Secret
from versionsync.daemon.notifications.apprise import open_channel
from versionsync.daemon.notifications.heartbeat import HeartbeatSender
from versionsync.daemon.notifications.notifier import Notifier, StatusListener, Subscription, polling
from versionsync.daemon.notifications.persistence import NotificationStore
from versionsync.daemon.notifications.rules import Rule
from versionsync.daemon.notifications.text import Notification
from versionsync.daemon.worker_state import WorkerStatus
from versionsync.errors import ErrorKind
from versionsync.ledger.safeguards import MassDeleteLimit
from versionsync.mirror.holder import Holder
from versionsync.mirror.tables.notifications import load_sent
from versionsync.simulator import FULL_ACCESS_TOKEN

TICK = 0.05


def post(sync_env: SyncEnv, title: str) -> str:
    """Let an editor write something new; returns the record's id."""
    return sync_env.act(lambda world: world.create(world.user, "post", {"title": title})).id


def subscription(listener: HttpSink, rule: Rule | None = None) -> Subscription:
    """Return a subscription of the listener that reports the first failure."""
    url = Secret(f"json://{listener.address}/hook")
    send = open_channel(url, where="notifications[0]")
    return Subscription(channel="notifications[0]", url=url, rule=rule or Rule(after_failures=1), send=send)


def notifier(daemon: RunningDaemon, *subscriptions: Subscription, send_seconds: float = 15) -> Notifier:
    """Return a notifier for these."""
    return Notifier(
        lambda: subscriptions,
        log=daemon.log,
        redact=lambda text: text.replace("wrong", "W---G"),
        store=NotificationStore(lambda name: daemon.daemon.workers[name].store, log=daemon.log),
        host="mirror1",
        send_seconds=send_seconds,
        gather_seconds=0.5,
    )


@asynccontextmanager
async def polled(daemon: RunningDaemon, listeners: Sequence[StatusListener]) -> AsyncIterator[None]:
    """While the block runs, show the sources of the daemon to these."""
    async with polling(lambda: daemon.daemon.states, listeners, log=daemon.log, every=TICK):
        yield


async def test_a_revoked_token_is_reported_once_and_its_return_once(sync_env: SyncEnv) -> None:
    """However often it is tried in between."""
    post(sync_env, "one")
    async with http_sink() as listener, running_daemon(sync_env.mirror, source_config(sync_env)) as daemon:
        async with polled(daemon, [notifier(daemon, subscription(listener))]):
            await eventually(lambda: is_mirrored(sync_env))
            token = sync_env.act(lambda world: world.people.tokens.pop(FULL_ACCESS_TOKEN))
            await eventually(listener.titles)
            daemon.daemon.reload()  # tried at once
            await eventually(lambda: daemon.state().failures > 1)
            await asyncio.sleep(10 * TICK)
            assert listener.titles() == ["versionsync: website: failing (1 in a row)"]
            sync_env.act(lambda world: world.people.add_token(token))
            daemon.daemon.reload()
            await eventually(lambda: len(listener.heard) > 1)
            await asyncio.sleep(10 * TICK)
        assert listener.titles()[1:] == ["versionsync: website: recovered"]
        told = listener.heard[0][2]
        assert told["type"] == "failure"
        assert told["message"].startswith("GET /")
        assert "the API token is W---G" in told["message"]
        assert "mirror1" in told["message"]
        assert FULL_ACCESS_TOKEN not in told["message"]


async def test_a_restart_during_a_problem_sends_it_no_second_time(sync_env: SyncEnv) -> None:
    """And the recovery once: the database knows what was sent."""
    post(sync_env, "one")
    async with http_sink() as listener:
        channel = subscription(listener)
        async with (
            running_daemon(sync_env.mirror, source_config(sync_env)) as daemon,
            polled(daemon, [notifier(daemon, channel)]),
        ):
            await eventually(lambda: is_mirrored(sync_env))
            token = sync_env.act(lambda world: world.people.tokens.pop(FULL_ACCESS_TOKEN))
            await eventually(lambda: list(kept(sync_env)) == [channel.key])
        for _ in range(2):
            async with (
                running_daemon(sync_env.mirror, source_config(sync_env)) as daemon,
                polled(daemon, [notifier(daemon, channel)]),
            ):
                await eventually(lambda: daemon.state().failures)
                await asyncio.sleep(10 * TICK)
        assert listener.titles() == ["versionsync: website: failing (1 in a row)"]
        sync_env.act(lambda world: world.people.add_token(token))
        async with (
            running_daemon(sync_env.mirror, source_config(sync_env)) as daemon,
            polled(daemon, [notifier(daemon, channel)]),
        ):
            await eventually(lambda: not kept(sync_env))
        assert listener.titles()[1:] == ["versionsync: website: recovered"]


def kept(sync_env: SyncEnv) -> Mapping[str, str]:
    """Return what the database knows was sent, by channel."""
    return sync_env.mirror.query(lambda connection: load_sent(connection, 1))


async def test_a_mass_deletion_is_reported_at_once(sync_env: SyncEnv) -> None:
    """Without waiting for further failures."""
    ids = [post(sync_env, str(number)) for number in range(3)]
    source = source_config(sync_env)
    source = replace(source, spec=replace(source.spec, mass_delete_limit=MassDeleteLimit(fraction=0.2, count=2)))
    async with http_sink() as listener, running_daemon(sync_env.mirror, source) as daemon:
        async with polled(daemon, [notifier(daemon, subscription(listener, Rule()))]):
            await eventually(lambda: is_mirrored(sync_env))
            for record in ids:
                sync_env.act(lambda world, record=record: world.delete(world.user, record))
            await eventually(listener.titles)
        assert daemon.state().error_kind is ErrorKind.MASS_DELETE
        assert listener.titles() == ["versionsync: website: too many records were deleted at once"]
        assert "versionsync sync website --allow-mass-delete" in listener.heard[0][2]["message"]


async def test_a_problem_of_all_sources_is_one_notification(sync_env: SyncEnv) -> None:
    """If they fail within moments of each other."""
    sources = [source_config(sync_env, name=name, token="another") for name in ("website", "shop", "blog")]
    async with http_sink() as listener, running_daemon(sync_env.mirror, *sources) as daemon:
        async with polled(daemon, [notifier(daemon, subscription(listener))]):
            await eventually(listener.titles)
            await asyncio.sleep(1)
        assert listener.titles() == ["versionsync: failing: website, shop, blog"]


async def test_a_service_that_never_answers_delays_nothing(sync_env: SyncEnv) -> None:
    """Neither checks nor the end of the daemon; it is logged once."""
    post(sync_env, "one")
    broken = source_config(sync_env, name="broken", token="revoked")
    async with http_sink() as listener, running_daemon(sync_env.mirror, source_config(sync_env), broken) as daemon:
        listener.status = None
        async with polled(daemon, [notifier(daemon, subscription(listener), send_seconds=0.5)]):
            await eventually(lambda: listener.heard)
            for title in ("two", "three"):
                post(sync_env, title)
                await eventually(lambda: is_mirrored(sync_env, source_id=2))
            await eventually(lambda: daemon.told("warning", "notification.failed"))
        (line,) = daemon.told("warning", "notification.failed")
        assert line["reason"] == "no answer within 0.5 s"
        assert len(listener.heard) == 1


async def test_a_service_that_refuses_is_tried_again(sync_env: SyncEnv) -> None:
    """Until it accepts; the reason is logged only the first time."""
    clock = [0.0]
    async with (
        http_sink() as listener,
        running_daemon(sync_env.mirror, source_config(sync_env, token="revoked")) as daemon,
    ):
        listener.status = 503
        tested = Notifier(
            lambda: [subscribed], log=daemon.log, redact=str, host="mirror1", clock=lambda: clock[0], send_seconds=5
        )
        subscribed = subscription(listener)
        async with polled(daemon, [tested]):
            for tries in range(1, 4):
                await eventually(lambda tries=tries: len(listener.heard) == tries)
                await asyncio.sleep(10 * TICK)
                assert len(listener.heard) == tries
                listener.status = 503 if tries < 2 else 200
                clock[0] += 1000
            await eventually(lambda: daemon.told("info", "notification.sent"))
        (line,) = daemon.told("warning", "notification.failed")
        assert "503" in str(line["reason"])


async def test_a_standby_sends_nothing(sync_env: SyncEnv) -> None:
    """The active daemon does."""
    post(sync_env, "one")
    await asyncio.to_thread(sync_env.sync)
    with sync_env.mirror.write() as tx:
        claim_for(tx, 1, Holder(host="elsewhere", pid=7))
    async with (
        http_sink() as listener,
        running_daemon(sync_env.mirror, source_config(sync_env, token="revoked")) as daemon,
    ):
        sender = HeartbeatSender(lambda: {"website": Secret(f"http://{listener.address}/ping")}, log=daemon.log)
        async with polled(daemon, [notifier(daemon, subscription(listener)), sender]):
            await eventually(lambda: daemon.state().status is WorkerStatus.STANDBY)
            await asyncio.sleep(10 * TICK)
    assert listener.heard == []


def test_an_exception_of_a_library_is_a_failed_notification() -> None:
    """Whatever it raises; and the thread ends."""
    logger = CapturingLogger()

    def broken(_: Notification) -> None:
        raise ValueError("no such plugin")

    async def tell() -> None:
        from tests.unit.daemon.notifications.test_rules import FAILING, NOW, state

        channel = Subscription(channel="notifications[0]", url=Secret("x"), rule=Rule(), send=broken)
        tested = Notifier(lambda: [channel], log=structlog.wrap_logger(logger, processors=[]), redact=str)
        tested.check({"website": state(FAILING)}, NOW)
        await eventually(lambda: logger.calls)

    asyncio.run(tell())
    assert [call.kwargs["reason"] for call in logger.calls] == ["ValueError: no such plugin"]
    assert not [thread for thread in threading.enumerate() if thread.name == "notification"]


async def test_a_heartbeat_is_sent_only_after_success(sync_env: SyncEnv) -> None:
    """Not more than once a minute, and not while the source fails."""
    post(sync_env, "one")
    clock = [0.0]
    async with http_sink() as listener, running_daemon(sync_env.mirror, source_config(sync_env)) as daemon:
        urls = {"website": Secret(f"http://{listener.address}/ping/secret")}
        async with polled(daemon, [HeartbeatSender(lambda: urls, log=daemon.log, clock=lambda: clock[0])]):
            await eventually(lambda: listener.heard)
            runs = daemon.state().runs["succeeded"]
            await eventually(lambda: daemon.state().runs["succeeded"] > runs + 2)
            assert listener.heard == [("GET", "/ping/secret", None)]
            clock[0] += 60
            await eventually(lambda: len(listener.heard) == 2)
            token = sync_env.act(lambda world: world.people.tokens.pop(FULL_ACCESS_TOKEN))
            await eventually(lambda: daemon.state().status is WorkerStatus.FAILING)
            clock[0] += 60
            await asyncio.sleep(10 * TICK)
            heard = len(listener.heard)
            clock[0] += 600
            await asyncio.sleep(10 * TICK)
            assert len(listener.heard) == heard
            sync_env.act(lambda world: world.people.add_token(token))
            daemon.daemon.reload()
            await eventually(lambda: len(listener.heard) == heard + 1)


async def test_a_failing_heartbeat_is_logged_once_and_delays_nothing(sync_env: SyncEnv) -> None:
    """And its recovery; its address is not in the log."""
    post(sync_env, "one")
    clock = [0.0]
    async with http_sink() as listener, running_daemon(sync_env.mirror, source_config(sync_env)) as daemon:
        listener.status = 500
        urls = {"website": Secret(f"http://{listener.address}/ping/secret")}
        async with polled(daemon, [HeartbeatSender(lambda: urls, log=daemon.log, clock=lambda: clock[0])]):
            for calls in range(1, 4):
                await eventually(lambda calls=calls: len(listener.heard) == calls)
                await asyncio.sleep(2 * TICK)
                clock[0] += 60
            listener.status = 200
            await eventually(lambda: daemon.told("info", "heartbeat.recovered"))
            assert is_mirrored(sync_env)
        (line,) = daemon.told("warning", "heartbeat.failed")
        assert line["reason"] == "it answered with HTTP 500"
        assert "secret" not in str(daemon.logger.calls)
