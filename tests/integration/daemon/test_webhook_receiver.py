"""Webhooks: the records that they name are mirrored at once, and wrong calls do no harm."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from tests.fixtures.claims import claim_for
from tests.fixtures.running_daemon import eventually, is_mirrored, running_daemon, source_config
from tests.fixtures.sync_env import SyncEnv
from tests.fixtures.webhook_proxy import LOGIN, webhook_proxy
from versionsync.daemon import webhook_receiver as receiver
from versionsync.daemon.webhook_receiver import BODY_BYTES
from versionsync.daemon.worker_state import WorkerStatus
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import events, webhook_queue
from versionsync.mirror.tables.runs import last_runs
from versionsync.simulator import FULL_ACCESS_TOKEN
from versionsync.webhooks.payload import WebhookResult, parse_payload


def register(sync_env: SyncEnv, url: str) -> None:
    """Register the webhook."""
    user, password = LOGIN
    sync_env.act(
        lambda world: world.webhooks.register("mirror", url, http_basic_user=user, http_basic_password=password)
    )


def waiting(sync_env: SyncEnv) -> int:
    """Return the number of queued records."""
    with sync_env.mirror.read() as connection:
        return connection.scalar(select(func.count()).select_from(webhook_queue)) or 0


async def test_a_record_named_by_a_webhook_is_mirrored_at_once(sync_env: SyncEnv) -> None:
    """An edit, a publication and a deletion, long before the next check."""
    async with webhook_proxy(sync_env) as one:
        register(sync_env, one.url)
        id = sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"})).id
        await eventually(lambda: is_mirrored(sync_env))
        sync_env.act(lambda world: world.publish(world.user, id))
        await eventually(lambda: is_mirrored(sync_env))
        sync_env.act(lambda world: world.delete(world.user, id))
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: waiting(sync_env) == 0)
        assert (
            one.heard(WebhookResult.ACCEPTED) == 4
        )  # deleting a published record makes two calls: unpublish and delete
    with sync_env.mirror.read() as connection:
        assert "webhook" in {run.trigger for run in last_runs(connection)}


async def test_doubled_and_reordered_calls_do_no_harm(sync_env: SyncEnv) -> None:
    """Nor do calls about a record that does not exist."""
    async with webhook_proxy(sync_env) as one:
        id = sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"})).id
        for event_type in ("delete", "update", "create", "update"):
            assert (await one.call(about(id, event_type))).status_code == 202
        assert (await one.call(about("AAAAAAAAAAAAAAAAAAAAAA"))).status_code == 202
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: waiting(sync_env) == 0)


async def test_calls_that_are_three_days_old_and_come_again_do_no_harm(sync_env: SyncEnv) -> None:
    """DatoCMS retries a failed call for more than three days with the same id; by then all of it is mirrored."""
    alive = sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"})).id
    gone = sync_env.act(lambda world: world.create(world.user, "post", {"title": "two"})).id
    sync_env.act(lambda world: world.delete(world.user, gone))
    async with webhook_proxy(sync_env) as one:
        await eventually(lambda: is_mirrored(sync_env))
        with sync_env.mirror.read() as connection:
            before = connection.scalar(select(func.max(events.c.id)))
        for number in range(8):
            for id, event_type in ((alive, "create"), (alive, "publish"), (gone, "create"), (gone, "delete")):
                retry = {
                    "webhook_call_id": f"{id}:{event_type}",
                    "event_triggered_at": "2020-01-01T00:00:00Z",
                    "attempted_auto_retries_count": number,
                }
                assert (await one.call(about(id, event_type, **retry))).status_code == 202
        assert one.heard(WebhookResult.ACCEPTED) == 32
        await eventually(lambda: waiting(sync_env) == 0)
        assert is_mirrored(sync_env)
        assert one.watched.state().error is None
    with sync_env.mirror.read() as connection:
        assert connection.scalar(select(func.max(events.c.id))) == before


def about(id: str, event_type: str = "update", **more: object) -> dict[str, object]:
    """Return a call about a record."""
    return {"entity_type": "item", "event_type": event_type, "environment": "main", "entity": {"id": id}} | more


async def test_passwords_cannot_be_tried_fast(sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither over many connections, nor by hanging up as soon as the response is late."""
    monkeypatch.setattr(receiver, "MAX_REFUSALS", 3)
    async with webhook_proxy(sync_env, refuse_seconds=3.0) as one:
        began = time.monotonic()
        tries = [asyncio.create_task(one.call(about("x"), auth=(LOGIN[0], f"guess {number}"))) for number in range(9)]
        await eventually(lambda: sum(task.done() for task in tries) == 6)
        assert [task.result().status_code for task in tries if task.done()] == [429] * 6
        for task in tries:
            task.cancel()
        assert (await one.call(about("x"))).status_code == 429  # 202 would reveal the right password
        assert (await one.call(about("x"), auth=("a", "b"))).headers["Retry-After"] == "1"
        await asyncio.sleep(max(0.0, began + 4.0 - time.monotonic()))
        assert (await one.call(about("x"))).status_code == 202
        began = time.monotonic()
        assert (await one.call(about("x"), auth=(LOGIN[0], "guess"))).status_code == 401
        assert time.monotonic() - began >= 3.0


async def test_a_wrong_password_is_refused_and_logged_once_without_it(sync_env: SyncEnv) -> None:
    async with webhook_proxy(sync_env) as one:
        for auth in (None, (LOGIN[0], "wrong"), ("somebody", LOGIN[1]), (LOGIN[0], "")):
            answer = await one.call(about("x"), auth=auth)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic")
        answer = await one.http.post("/webhooks/website", content=b"{}", headers={"Authorization": "Basic !!"})
        assert answer.status_code == 401
        assert one.heard(WebhookResult.UNAUTHORIZED) == 5
        assert len(one.watched.told("warning", "webhook.rejected")) == 1
        assert waiting(sync_env) == 0
        assert "wrong" not in str(one.watched.logger.calls)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"entity_type": 1}', b"[" * 100_000])
async def test_an_invalid_call_is_400(sync_env: SyncEnv, body: bytes) -> None:
    async with webhook_proxy(sync_env) as one:
        assert (await one.call(body)).status_code == 400
        assert one.heard(WebhookResult.INVALID) == 1


async def test_a_body_above_the_limit_is_413(sync_env: SyncEnv) -> None:
    async with webhook_proxy(sync_env) as one:
        assert (await one.call(b" " * (BODY_BYTES + 1))).status_code == 413
        assert one.heard(WebhookResult.INVALID) == 1


async def test_calls_about_something_else_are_ignored(sync_env: SyncEnv) -> None:
    """Another environment or project; a model leads to a check."""
    async with webhook_proxy(sync_env) as one:
        for body, text in (
            (about("x", environment="sandbox"), "other_environment\n"),
            (about("x", site_id="1"), "other_environment\n"),
            ({"entity_type": "item_type", "event_type": "update"}, "accepted_no_record\n"),
        ):
            answer = await one.call(body)
            assert (answer.status_code, answer.text) == (200, text)
        assert waiting(sync_env) == 0


async def test_a_source_without_a_password_has_no_receiver(sync_env: SyncEnv) -> None:
    """The response does not reveal whether the source exists."""
    async with webhook_proxy(sync_env, password=None) as one:
        known = await one.call(about("x"))
        unknown = await one.http.post("/webhooks/other", content=b"{}", auth=LOGIN)
        assert (known.status_code, known.text) == (unknown.status_code, unknown.text) == (404, unknown.text)


async def test_a_queued_record_outlives_the_daemon_that_received_it(sync_env: SyncEnv) -> None:
    """A standby queues it; the active daemon checks it."""
    await asyncio.to_thread(sync_env.sync)
    with sync_env.mirror.write() as tx:
        claim_for(tx, 1, Holder(host="elsewhere", pid=7))
    id = sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"})).id
    async with webhook_proxy(sync_env) as one:
        assert (await one.call(about(id))).status_code == 202
        assert waiting(sync_env) == 1
    with sync_env.mirror.write() as tx:
        tx.exec_driver_sql("DELETE FROM daemons")
    async with running_daemon(sync_env.mirror, replace(source_config(sync_env), max_staleness=600.0)):
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: waiting(sync_env) == 0)


def test_only_the_needed_part_of_a_call_is_read() -> None:
    """The rest may be anything."""
    call = parse_payload(json.dumps(about("abc", entity={"id": "abc", "attributes": {"title": 1e300}})).encode())
    assert call is not None
    assert call.record_id == "abc"
    half = parse_payload(json.dumps(about("abc", entity={"id": "abc", "attributes": {"title": "cut \ud83d"}})).encode())
    assert half is not None, "half an emoji, which is sent as it was pasted"
    assert half.record_id == "abc"
    assert parse_payload(json.dumps(about("\ud83d")).encode()) is None, "that is no id"
    assert parse_payload(b'{"entity_type":"upload","event_type":"create","entity":{"id":"u"}}').record_id is None  # type: ignore[union-attr]


async def test_calls_do_not_advance_the_retry_of_a_failing_source(sync_env: SyncEnv) -> None:
    """A token is revoked while people edit: calls are queued, and the retry keeps its time."""
    async with webhook_proxy(sync_env) as one:
        token = sync_env.act(lambda world: world.people.tokens.pop(FULL_ACCESS_TOKEN))
        id = sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"})).id
        await one.call(about(id))
        await eventually(lambda: one.watched.state().status is WorkerStatus.FAILING)
        failures, due = one.watched.state().failures, one.watched.state().next_check_at
        for _ in range(10):
            assert (await one.call(about(id))).status_code == 202
            await asyncio.sleep(0.1)
        assert (await one.call(b"no call")).status_code == 400
        await asyncio.sleep(0.5)
        assert (one.watched.state().failures, one.watched.state().next_check_at) == (failures, due)
        sync_env.act(lambda world: world.people.add_token(token))
        one.watched.daemon.reload()
        await eventually(lambda: is_mirrored(sync_env))
        await eventually(lambda: waiting(sync_env) == 0)
